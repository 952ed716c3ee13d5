mod cached;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use plasma_kernel::{CallId, Code, Ctx, Error, Result};
use plasma_protocols::{Losses, chat::Answer, chat::Delta};
use tokio::time::Instant;

use self::cached::CacheUse;
use super::{
    Question,
    attempt::{Attempt, Opened, Source, is_content},
    plan::Plan,
    spoken::Spoken,
};
use crate::{
    AttemptRecord, Models, PromptUse, Purpose,
    catalog::Target,
    chat::ChatEvent,
    quality::Answered,
    routes::BrokenStream,
    running_call::{CallError, Finished, RunningCall},
};

/// The pause before the second try of a candidate; it doubles, and each is drawn between half and the whole of it.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// A provider that wants a longer pause is left for the next candidate.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(10);

/// A question on its way to its answer. Nothing is sent before the first [`Exchange::next`] or [`Exchange::whole`]. Dropped
/// before the end, it stops the work at the provider and is recorded as cancelled.
pub(crate) struct Exchange {
    models: Models,
    ctx: Ctx,
    /// Shared only after the end.
    question: Arc<Question>,
    plan: Plan,
    call_id: CallId,
    /// `None` when the exchange has ended.
    call: Option<RunningCall>,
    source: Option<Source>,
    held: VecDeque<Step>,
    losses: Losses,
    /// The model that answers, as the caller knows it.
    model: String,
    /// Attempts so far.
    attempts: u32,
    /// The limit of the answer that a budget needs and the caller did not set.
    output_tokens_max: Option<u64>,
    /// The candidate that is asked, or that answers.
    next_place: usize,
    /// What has gone out; kept where a broken stream should go on at the next candidate.
    spoken: Option<Spoken>,
    /// What the cache of answers has to do with it.
    cache: CacheUse,
    /// Whether rules look at the answer afterwards.
    is_marked: bool,
}

/// A piece of an answer on its way to the caller.
pub(crate) enum Step {
    /// A local model is on its way to the first token.
    Progress(ChatEvent),
    /// Server-sent events of a provider that speaks the caller's protocol, as they came but for the model's name. Never empty.
    Raw { text: String, has_content: bool },
    /// Pieces in the middle form.
    Deltas(Vec<Delta>),
    /// The answer is complete, and its record durable.
    Done(Finished),
}

impl Step {
    pub(super) fn has_content(&self) -> bool {
        match self {
            Self::Progress(_) | Self::Done(_) => false,
            Self::Raw { has_content, .. } => *has_content,
            Self::Deltas(deltas) => deltas.iter().any(is_content),
        }
    }
}

/// A whole answer.
pub(crate) enum Whole {
    /// The provider's JSON, in the caller's protocol, under our name of the model.
    Raw(String),
    /// In the middle form.
    Translated(Answer),
}

impl Exchange {
    /// # Errors
    /// `forbidden` without the permission of the purpose, `rate_limited` (`too_many_model_calls`).
    pub(crate) async fn start(models: &Models, ctx: &Ctx, mut question: Question, plan: Plan) -> Result<Self> {
        ctx.require(question.purpose.permission())?;
        let first = plan.candidates.first().ok_or_else(|| Error::internal("a plan without a candidate"))?;
        let start = first.call_start(question.purpose, question.streamed);
        let model = start.model.clone();
        let goes_on = question.streamed && plan.policy.on_broken_stream == BrokenStream::ContinueOnNext;
        let spoken = goes_on.then(Spoken::default);
        // Events of two providers make no stream of either's protocol.
        question.never_raw = goes_on;
        let mut call = RunningCall::start(&models.inner.calls, ctx, start).await?;
        call.decided(plan.decision.clone());
        call.uses_prompt(question.prompt.clone());
        Ok(Self {
            models: models.clone(),
            ctx: ctx.clone(),
            question: Arc::new(question),
            plan,
            call_id: call.id(),
            call: Some(call),
            source: None,
            held: VecDeque::new(),
            losses: Losses::default(),
            model,
            attempts: 0,
            output_tokens_max: None,
            next_place: 0,
            spoken,
            cache: CacheUse::default(),
            is_marked: false,
        })
    }

    pub(crate) fn call_id(&self) -> CallId {
        self.call_id
    }

    /// The name of the model that answers: the first candidate's until another takes over.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// How a route chose, and which attempt answers; `None` when the caller named the model.
    pub(crate) fn route_line(&self) -> Option<String> {
        let decision = self.plan.decision.as_ref()?;
        let strategy = serde_json::to_value(decision.strategy).ok()?;
        let strategy = strategy.as_str()?;
        Some(format!("{}; strategy={strategy}; model={}; attempt={}", decision.route, self.model, self.attempts))
    }

    /// The prompt whose messages are in the question.
    pub(crate) fn prompt(&self) -> Option<&PromptUse> {
        self.question.prompt.as_ref()
    }

    /// What the translation could not carry; complete after the first step.
    pub(crate) fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Whether a model of this process is at work: then [`Exchange::next`] may be given up and called again.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.source, Some(Source::Local(_)))
    }

    /// The next step, or the error after which nothing follows. `None` after the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Step>> {
        self.call.as_ref()?;
        let outcome = self.advance().await;
        match outcome {
            Ok(Some(step)) => Some(Ok(step)),
            outcome => {
                // Closes the connection before the record is awaited.
                self.source = None;
                let mut call = self.call.take()?;
                Some(match outcome {
                    Ok(_) => {
                        let answer = call.take_answer();
                        let done = call.succeed().await;
                        match &done {
                            Ok(finished) => self.afterwards(answer, finished),
                            Err(_) => self.cache = CacheUse::default(),
                        }
                        done.map(Step::Done)
                    }
                    Err(error) => {
                        // Others that ask the same need not wait for the record.
                        self.cache = CacheUse::default();
                        Err(call.fail(error).await)
                    }
                })
            }
        }
    }

    async fn advance(&mut self) -> Result<Option<Step>> {
        if self.source.is_none() && self.held.is_empty() {
            match self.open().await? {
                Opened::Source(source, held) => {
                    self.source = Some(source);
                    self.held = held.into();
                }
                Opened::Whole(_) => return Err(Error::internal("a stream was asked for, a whole answer came")),
            }
        }
        if let Some(step) = self.held.pop_front() {
            return Ok(Some(self.noted(step)));
        }
        let outcome = match (&mut self.source, &mut self.call) {
            (Some(source), Some(call)) => source.next(call).await,
            _ => return Ok(None),
        };
        match outcome {
            Ok(Some(step)) => Ok(Some(self.noted(step))),
            Err(error) if self.spoken.as_ref().is_some_and(Spoken::can_go_on) && another_may_answer(&error) => {
                self.go_on(error).await
            }
            outcome => outcome,
        }
    }

    /// Remembers what has gone out, where the route wants broken streams to go on.
    fn noted(&mut self, step: Step) -> Step {
        match (&mut self.spoken, step) {
            (Some(spoken), Step::Deltas(deltas)) => Step::Deltas(spoken.take(deltas)),
            (_, step) => step,
        }
    }

    /// The stream broke with `error`: the next candidates are asked to go on where the text ended.
    async fn go_on(&mut self, error: Error) -> Result<Option<Step>> {
        self.source = None;
        if let Some(call) = self.call.as_mut() {
            let started_ms = call.elapsed_ms();
            call.broke(error.reason(), crate::running_call::public_text(&error), started_ms);
        }
        let Some(spoken) = &mut self.spoken else { return Err(error) };
        let question = Arc::get_mut(&mut self.question).ok_or_else(|| Error::internal("a question is shared early"))?;
        question.goes_on_after(&spoken.text)?;
        spoken.goes_on = true;
        self.next_place += 1;
        if self.next_place >= self.plan.candidates.len() {
            return Err(error);
        }
        match self.open().await? {
            Opened::Source(source, held) => {
                self.source = Some(source);
                self.held = held.into();
            }
            Opened::Whole(_) => return Err(Error::internal("a stream was asked for, a whole answer came")),
        }
        let held = std::mem::take(&mut self.held);
        self.held = held.into_iter().map(|step| self.noted(step)).collect();
        Ok(Some(self.held.pop_front().unwrap_or(Step::Deltas(Vec::new()))))
    }

    /// Waits for the whole answer, whose record is then durable.
    pub(crate) async fn whole(&mut self) -> Result<Whole, CallError> {
        let call_id = self.call_id;
        let outcome = self.open().await;
        let Some(mut call) = self.call.take() else {
            return Err(CallError { call_id: Some(call_id), error: Error::internal("the exchange has ended") });
        };
        match outcome {
            Ok(Opened::Whole(whole)) => {
                let answer = call.take_answer();
                let finished = call.succeed().await.map_err(|error| CallError { call_id: Some(call_id), error })?;
                self.afterwards(answer, &finished);
                Ok(whole)
            }
            Ok(Opened::Source(..)) => {
                Err(CallError::of(call, Error::internal("a whole answer was asked for, a stream came")).await)
            }
            Err(error) => {
                // Others that ask the same need not wait for the record.
                self.cache = CacheUse::default();
                Err(CallError::of(call, error).await)
            }
        }
    }

    /// What else an answer is used for, once it is complete and its call recorded. The caller does not wait for it.
    fn afterwards(&mut self, answer: Option<Answer>, finished: &Finished) {
        self.fill_cache(answer.as_ref(), finished);
        if let Some(answer) = answer.filter(|_| self.is_marked) {
            self.models.inner.quality.observe(Answered {
                ctx: self.ctx.clone(),
                call: self.call_id,
                model: self.model.clone(),
                route: self.plan.decision.as_ref().map(|decision| decision.route.clone()),
                question: self.question.clone(),
                answer,
            });
        }
    }

    /// A model is to be asked: its answer is kept where rules are to look at it. What the cache gives was marked the first time.
    fn promise_marks(&mut self) {
        let (Some(call), Ok(tenant)) = (self.call.as_mut(), self.ctx.tenant()) else { return };
        self.is_marked = self.question.purpose != Purpose::Judge && self.models.inner.quality.takes_another(tenant);
        // Nothing has come yet, so that what is kept for another reason loses nothing.
        if self.is_marked {
            call.keep_answer();
        }
    }

    /// Puts the question to the candidates until one begins to answer.
    async fn open(&mut self) -> Result<Opened> {
        if self.attempts == 0 {
            let admission = self.models.admit(&self.ctx, self.question.tokens_about()?).await?;
            if let Some(call) = self.call.as_mut() {
                call.admitted(admission);
            }
            // After the limits: who is refused costs no work. Boxed: its future must not weigh on every call's.
            let payload = Box::pin(self.models.payload_of(&self.ctx, &self.question)).await;
            if let (Some(call), Some(payload)) = (self.call.as_mut(), payload) {
                call.captures(payload);
            }
            if let Some(opened) = self.take_from_cache().await? {
                return Ok(opened);
            }
            self.promise_marks();
        }
        let mut refusal = Error::internal("a plan without a candidate");
        for place in self.next_place..self.plan.candidates.len() {
            self.next_place = place;
            if let Err(error) = self.set_aside(place).await {
                let goes_on = another_may_answer(&error);
                refusal = error;
                if goes_on {
                    continue;
                }
                break;
            }
            for attempt in 1..=self.plan.policy.attempts_max {
                let error = match self.ask(place).await {
                    Ok(opened) => return Ok(opened),
                    Err(error) => error,
                };
                let pause = (attempt < self.plan.policy.attempts_max).then(|| self.pause(&error, attempt)).flatten();
                refusal = error;
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => break,
                }
            }
            if !another_may_answer(&refusal) {
                break;
            }
        }
        Err(refusal)
    }

    /// Prepares for asking the candidate in `place`: price, limits, budgets. Models of this process cost nothing.
    async fn set_aside(&mut self, place: usize) -> Result<()> {
        let (Some(target), Some(call)) = (self.plan.candidates.get(place), self.call.as_mut()) else {
            return Err(Error::internal("an attempt without a candidate"));
        };
        call.goes_to(target.call_start(self.question.purpose, self.question.streamed));
        call.release();
        self.output_tokens_max = None;
        if let Target::Remote(remote) = target {
            let route = self.plan.decision.as_ref().map(|decision| decision.route.as_str());
            let ready = self.models.set_aside(&self.ctx, &self.question, remote, route).await?;
            self.output_tokens_max = ready.output_tokens_max;
            call.reserved(ready.reservation, Some(ready.admission));
        }
        Ok(())
    }

    /// One attempt at the candidate in `place`.
    async fn ask(&mut self, place: usize) -> Result<Opened> {
        let (Some(target), Some(call)) = (self.plan.candidates.get(place), self.call.as_mut()) else {
            return Err(Error::internal("an attempt without a candidate"));
        };
        let start = target.call_start(self.question.purpose, self.question.streamed);
        self.model.clone_from(&start.model);
        self.attempts += 1;
        let begun = Instant::now();
        let started_ms = call.elapsed_ms();
        call.goes_to(start);
        let attempt = Attempt {
            models: &self.models,
            question: &self.question,
            call,
            losses: &mut self.losses,
            output_tokens_max: self.output_tokens_max,
        };
        // Boxed: the futures around it are moved several times, and would carry the weight of all ways to ask.
        let attempt = Box::pin(attempt.run(target));
        let outcome = match self.plan.policy.first_token_timeout {
            Some(limit) => tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| Err(too_slow(limit))),
            None => attempt.await,
        };
        self.note_health(place, &outcome, begun);
        if let Some(call) = self.call.as_mut() {
            call.attempted(AttemptRecord {
                model: self.model.clone(),
                started_ms,
                duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                error: outcome.as_ref().err().map(|error| error.reason().to_owned()),
                message: outcome.as_ref().err().map(crate::running_call::public_text),
            });
        }
        outcome
    }

    /// Routes prefer the quick and avoid the broken.
    fn note_health(&self, place: usize, outcome: &Result<Opened>, begun: Instant) {
        let (Some(Target::Remote(remote)), Ok(tenant)) = (self.plan.candidates.get(place), self.ctx.tenant()) else {
            return;
        };
        match outcome {
            Ok(_) => self.models.inner.health.answered(tenant, &remote.id, begun.elapsed()),
            Err(error) if matches!(error.code(), Code::Upstream | Code::Timeout | Code::RateLimited) => {
                if self.models.inner.health.failed(tenant, &remote.id, Instant::now()) {
                    self.models.probe(tenant, remote);
                }
            }
            Err(_) => {}
        }
    }

    /// How long to wait before the same candidate is tried again; `None` when that would not help.
    fn pause(&self, error: &Error, attempt: u32) -> Option<Duration> {
        if !same_may_answer(error) {
            return None;
        }
        if let Some(milliseconds) = error.retry_after() {
            let wanted = Duration::from_millis(milliseconds);
            return (wanted <= RETRY_PAUSE_MAX).then_some(wanted);
        }
        let most = RETRY_PAUSE.saturating_mul(1 << (attempt - 1).min(5));
        let mut random = [0_u8; 2];
        self.ctx.random().fill(&mut random);
        // Callers that failed together should not come back together.
        Some(most.mul_f64(0.5 + f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX) / 2.0))
    }
}

fn too_slow(limit: Duration) -> Error {
    let message = format!("no first token within {} ms, the route's limit", limit.as_millis());
    Error::new(Code::Timeout, "first_token_timeout", message).remedy("raise the route's limit, or use a quicker model")
}

/// Whether the same candidate may answer a moment later.
fn same_may_answer(error: &Error) -> bool {
    match error.code() {
        Code::RateLimited => true,
        Code::Upstream => matches!(
            error.reason(),
            "provider_failed" | "provider_unreachable" | "provider_connection_lost" | "provider_stream_cut"
        ),
        _ => false,
    }
}

/// Whether another candidate may answer: not when the request itself is at fault.
fn another_may_answer(error: &Error) -> bool {
    match error.code() {
        Code::RateLimited | Code::Upstream | Code::Timeout | Code::Unavailable | Code::NotFound => true,
        Code::Conflict => error.reason() == "price_unknown",
        // A dearer candidate may not fit where a cheaper one does.
        Code::OverBudget => true,
        // This candidate cannot do what is asked; the caller's own mistakes have other reasons.
        Code::Invalid => matches!(error.reason(), "local_model_limited" | "untranslatable"),
        _ => false,
    }
}

impl Target {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Local(entry) => &entry.id,
            Self::Remote(remote) => &remote.id,
        }
    }
}
