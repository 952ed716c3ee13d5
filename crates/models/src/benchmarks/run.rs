//! The durable work of a run: asks each model each case, and writes each result as it comes.
//!
//! Models are asked one after another, so that what one does never slows another. A run that is taken up again after a crash
//! asks only what has no result yet.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use plasma_kernel::{BenchmarkId, Code, Ctx, Error, Permission, Permissions, Result};
use plasma_store::{NewEvent, Tx};
use plasma_workflows::{Queue, Run, Step};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Benchmark, BenchmarkState, CaseResult,
    suite::{Case, Suite},
};
use crate::{
    ChatDone, ChatEvent, ChatMessage, ChatRequest, ModelKind, Models, Purpose, Role, catalog::Target, events,
    running_call::public_text, store,
};

/// How often a run looks whether somebody has cancelled it.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// How often a case is asked while a model is too busy.
const ATTEMPTS_MAX: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_secs(1);
const BUSY_PAUSE_MAX: Duration = Duration::from_secs(30);
/// Characters of an answer that are kept.
const ANSWER_CHARS_MAX: usize = 2_000;

/// Runs a benchmark to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunBenchmark {
    pub(super) benchmark: BenchmarkId,
}

impl Step for RunBenchmark {
    type Domain = Models;
    const KIND: &'static str = "models.benchmark";
    const QUEUE: Queue = Queue { name: "models.benchmark", concurrency: 2 };

    async fn run(self, models: Models, run: Run) -> Result<()> {
        work(&models, self.benchmark, &run).await
    }

    async fn failed(&self, _models: &Models, _ctx: &Ctx, tx: &mut Tx, error: &Error) -> Result<()> {
        match store::benchmarks::get(tx, self.benchmark).await {
            Ok(benchmark) => end(tx, &benchmark, BenchmarkState::Failed, Some(&public_text(error))).await.map(drop),
            Err(error) if error.code() == Code::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Ends a run that has not ended, with its event; `false` when it had.
pub(super) async fn end(
    tx: &mut Tx,
    benchmark: &Benchmark,
    state: BenchmarkState,
    error: Option<&str>,
) -> Result<bool> {
    let now = tx.ctx().now();
    if !store::benchmarks::end(tx, benchmark.id, state, error, now).await? {
        return Ok(false);
    }
    let data = json!({ "name": benchmark.name, "state": state, "error": error });
    tx.emit(NewEvent::new(events::BENCHMARK_ENDED, benchmark.id, data)).await?;
    Ok(true)
}

async fn work(models: &Models, id: BenchmarkId, run: &Run) -> Result<()> {
    let store = &models.inner.store;
    let mut tx = store.begin(run.ctx()).await?;
    let benchmark = match store::benchmarks::get(&mut tx, id).await {
        Ok(benchmark) => benchmark,
        // Removed before it began.
        Err(error) if error.code() == Code::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !store::benchmarks::start(&mut tx, id, run.ctx().now()).await? {
        return Ok(());
    }
    let suite = store::benchmarks::suite(&mut tx, id).await?;
    let known = store::benchmarks::asked(&mut tx, id).await?;
    tx.commit().await?;
    let ctx = caller(run.ctx(), &benchmark)?;
    let work = Work { models, run, ctx, benchmark, suite };
    tokio::select! {
        () = run.cancellation().cancelled() => return Err(Run::interrupted()),
        watched = work.watch() => return watched,
        outcome = work.ask_all(known) => match outcome {
            Ok(()) => {}
            // The rest would be refused too, and a report of half the cases must not look whole.
            Err(error) if error.code() == Code::OverBudget => return work.finish(BenchmarkState::Failed, Some(&error)).await,
            Err(error) => return Err(error),
        },
    }
    work.finish(BenchmarkState::Succeeded, None).await
}

/// The calls are those of the person or key that began the run: their budgets and limits hold.
fn caller(ctx: &Ctx, benchmark: &Benchmark) -> Result<Ctx> {
    let permissions = Permissions::default().with(Permission::ModelsInvoke);
    let caller =
        Ctx::new(ctx.tenant()?, benchmark.actor.clone(), permissions, ctx.clock().clone(), ctx.random().clone());
    Ok(caller.with_team(benchmark.team).with_request(ctx.request()))
}

/// A case that is being asked.
type Asking<'a> = BoxFuture<'a, (&'a Case, Result<CaseResult>)>;

struct Work<'a> {
    models: &'a Models,
    run: &'a Run,
    ctx: Ctx,
    benchmark: Benchmark,
    suite: Suite,
}

impl Work<'_> {
    /// Returns when the run was cancelled or removed.
    async fn watch(&self) -> Result<()> {
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            let mut tx = self.models.inner.store.read(self.run.ctx()).await?;
            match store::benchmarks::get(&mut tx, self.benchmark.id).await {
                Ok(benchmark) if benchmark.state == BenchmarkState::Running => {}
                Ok(_) => return Ok(()),
                Err(error) if error.code() == Code::NotFound => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks every case that has no result yet. Stops early when the run was cancelled or removed.
    async fn ask_all(&self, known: HashSet<(String, String)>) -> Result<()> {
        let total = self.benchmark.total();
        let mut done = known.len() as u64;
        for model in &self.benchmark.models {
            let concurrency = self.concurrency(model).await;
            let mut waiting = VecDeque::new();
            for case in &self.suite.cases {
                if !known.contains(&(model.clone(), case.id.clone())) {
                    waiting.push_back(case);
                }
            }
            let mut running: FuturesUnordered<Asking<'_>> = FuturesUnordered::new();
            // Running calls hold their worst case of a budget: what does not fit beside them may fit after them.
            let mut held = false;
            loop {
                while !held && running.len() < concurrency {
                    let Some(case) = waiting.pop_front() else { break };
                    running.push(async move { (case, self.ask(model, case).await) }.boxed());
                }
                let result = match running.next().await {
                    Some((_, Ok(result))) => result,
                    Some((case, Err(error))) if error.code() == Code::OverBudget && !running.is_empty() => {
                        waiting.push_front(case);
                        held = true;
                        continue;
                    }
                    Some((_, Err(error))) => return Err(error),
                    None => break,
                };
                held = false;
                let mut tx = self.models.inner.store.begin(self.run.ctx()).await?;
                store::benchmarks::insert_result(&mut tx, self.benchmark.id, &result, self.run.ctx().now()).await?;
                // Cancelled or removed: further calls would be paid for, and their results kept nowhere.
                let goes_on = store::benchmarks::is_running(&mut tx, self.benchmark.id).await?;
                tx.commit().await?;
                if !goes_on {
                    return Ok(());
                }
                done += 1;
                self.run.progress(done, total).await?;
            }
        }
        Ok(())
    }

    /// A model of this process answers one chat at a time: more would only measure its queue.
    async fn concurrency(&self, model: &str) -> usize {
        match self.models.resolve(&self.ctx, Some(model), ModelKind::Chat).await {
            Ok(Target::Local(_)) => 1,
            _ => self.benchmark.concurrency as usize,
        }
    }

    /// Asks one case. A call that fails is a result too.
    ///
    /// # Errors
    /// `over_budget`, or `internal` when an answer cannot be judged.
    async fn ask(&self, model: &str, case: &Case) -> Result<CaseResult> {
        let mut attempt = 1;
        let error = loop {
            match self.answer(model, case).await {
                Ok((answer, done)) => return self.judged(model, case, answer, done).await,
                Err(error) if error.code() == Code::OverBudget => return Err(error),
                Err(error) if error.code() == Code::RateLimited && attempt < ATTEMPTS_MAX => {
                    let wanted = error.retry_after().map_or(BUSY_PAUSE, Duration::from_millis);
                    tokio::time::sleep(wanted.min(BUSY_PAUSE_MAX)).await;
                    attempt += 1;
                }
                Err(error) => break error,
            }
        };
        Ok(CaseResult {
            model: model.to_owned(),
            case: case.id.clone(),
            error: Some(public_text(&error)),
            ..CaseResult::default()
        })
    }

    async fn answer(&self, model: &str, case: &Case) -> Result<(String, ChatDone)> {
        let message = |role, text: &str| ChatMessage { role, content: text.to_owned() };
        let system = case.system.iter().map(|text| message(Role::System, text));
        let messages = system.chain([message(Role::User, &case.prompt)]).collect();
        let request = ChatRequest {
            model: Some(model.to_owned()),
            max_tokens: Some(self.suite.max_tokens_of(case)),
            temperature: self.benchmark.greedy.then_some(0.0),
            ..ChatRequest::new(Purpose::Benchmark, messages)
        };
        let mut events = self.models.chat(&self.ctx, request).await?;
        let mut answer = String::new();
        while let Some(event) = events.next().await {
            match event? {
                ChatEvent::Token { text } => answer.push_str(&text),
                ChatEvent::Done(done) => return Ok((answer, done)),
                ChatEvent::Queued { .. } | ChatEvent::Loading | ChatEvent::Reading { .. } => {}
            }
        }
        Err(Error::internal("a chat ended without a last event"))
    }

    async fn judged(&self, model: &str, case: &Case, answer: String, done: ChatDone) -> Result<CaseResult> {
        let check = case.check.clone();
        // Fifty patterns and a long answer would keep a thread from other work.
        let (verdict, answer) = tokio::task::spawn_blocking(move || (check.judge(&answer), answer))
            .await
            .map_err(|error| Error::from_source("judging an answer failed", error))?;
        let cut = done.finish_reason == "length" && verdict.score < 1.0;
        let reason = verdict.reason.map(|reason| {
            let tokens = self.suite.max_tokens_of(case);
            if cut { format!("{reason}; the answer was cut after {tokens} tokens") } else { reason }
        });
        Ok(CaseResult {
            model: model.to_owned(),
            case: case.id.clone(),
            score: Some(verdict.score),
            reason: reason.map(|reason| stored(&reason)),
            answer: Some(stored(&answer)),
            error: None,
            call_id: Some(done.call_id),
            first_token_ms: done.first_token_ms,
            duration_ms: done.duration_ms,
            input_tokens: done.usage.input_tokens,
            output_tokens: done.usage.output_tokens,
            cost: done.cost,
        })
    }

    async fn finish(&self, state: BenchmarkState, error: Option<&Error>) -> Result<()> {
        let mut tx = self.models.inner.store.begin(self.run.ctx()).await?;
        end(&mut tx, &self.benchmark, state, error.map(public_text).as_deref()).await?;
        self.run.complete(&mut tx).await?;
        tx.commit().await.map(drop)
    }
}

/// Postgres stores no NUL.
fn stored(text: &str) -> String {
    text.chars().filter(|letter| *letter != '\0').take(ANSWER_CHARS_MAX).collect()
}
