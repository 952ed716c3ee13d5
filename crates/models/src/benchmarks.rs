//! Benchmarks: the same cases put to several models, in the background, with quality, speed and cost and how sure they are.

mod check;
mod report;
mod run;
mod schema;
mod stats;
mod suite;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use plasma_kernel::{
    Actor, BenchmarkId, CallId, Ctx, Error, Money, Page, PageRequest, Permission, Result, TeamId, Timestamp,
};
use plasma_store::NewEvent;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use check::{Check, Counted, Verdict};
pub use report::{CaseScores, CategoryScore, Comparison, ModelReport, Report};
pub(crate) use run::RunBenchmark;
pub use stats::Estimate;
pub use suite::{CASES_MAX, Case, Suite};

use crate::{ModelKind, Models, events, store, types::words};

/// Models in one run.
const MODELS_MAX: usize = 10;
const MODEL_CHARS_MAX: usize = 400;
const NAME_CHARS_MAX: usize = 200;
const CONCURRENCY_MAX: u32 = 16;
const CONCURRENCY_DEFAULT: u32 = 4;
/// Runs of one tenant, and those of them that have not ended.
const BENCHMARKS_MAX: usize = 500;
const UNFINISHED_MAX: usize = 10;
/// Runs in one report.
const COMPARED_MAX: usize = 5;

words! {
    /// Where a run is.
    BenchmarkState, "state" {
        /// Waits for a worker.
        Queued = "queued",
        /// Models are being asked.
        Running = "running",
        /// Every case was asked.
        Succeeded = "succeeded",
        /// It ended before every case was asked.
        Failed = "failed",
        /// Somebody stopped it.
        Cancelled = "cancelled",
    }
}

/// A run of a benchmark.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Benchmark {
    /// Its id.
    pub id: BenchmarkId,
    /// Its name.
    pub name: String,
    /// The name of the suite.
    pub suite: String,
    /// The models, routes or aliases that are asked.
    pub models: Vec<String>,
    /// Cases of the suite.
    pub case_count: u64,
    /// Cases that one model is asked at the same time. Models of this process are asked one at a time.
    pub concurrency: u32,
    /// Whether temperature 0 is asked for.
    pub greedy: bool,
    /// Where it is.
    pub state: BenchmarkState,
    /// Results so far, of `case_count` for each model.
    pub done: u64,
    /// Why it failed.
    #[schema(required)]
    pub error: Option<String>,
    /// Who began it. Its calls count as theirs.
    pub actor: Actor,
    /// The team to which its calls are counted: the actor's when it was begun.
    pub team: Option<TeamId>,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When the first model was asked.
    #[schema(required)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(required)]
    pub ended_at: Option<Timestamp>,
}

impl Benchmark {
    /// Results that it will have.
    pub fn total(&self) -> u64 {
        self.case_count.saturating_mul(self.models.len() as u64)
    }
}

/// A run to make.
#[derive(Clone, Debug)]
pub struct NewBenchmark {
    /// At most 200 characters; the suite's name when absent.
    pub name: Option<String>,
    /// 1 to 10 names of chat models, routes or aliases.
    pub models: Vec<String>,
    /// What they are asked; [`Suite::general`] when absent.
    pub suite: Option<Suite>,
    /// Cases that one model is asked at the same time: 1 to 16, 4 when absent.
    pub concurrency: Option<u32>,
    /// Whether temperature 0 is asked for. Some models refuse the field.
    pub greedy: bool,
}

/// How a model did in a case.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = BenchmarkResult)]
pub struct CaseResult {
    /// The model.
    pub model: String,
    /// The case.
    pub case: String,
    /// 0 to 1; null when the call failed.
    #[schema(required)]
    pub score: Option<f64>,
    /// Why it is less than 1.
    #[schema(required)]
    pub reason: Option<String>,
    /// The first 2,000 characters of the answer.
    #[schema(required)]
    pub answer: Option<String>,
    /// Why the call failed.
    #[schema(required)]
    pub error: Option<String>,
    /// The record in the call log.
    #[schema(required)]
    pub call_id: Option<CallId>,
    /// From the start to the first piece of the answer.
    #[schema(required)]
    pub first_token_ms: Option<u64>,
    /// From the start to the end.
    pub duration_ms: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Null when unknown.
    #[schema(required)]
    pub cost: Option<Money>,
}

impl CaseResult {
    /// From the first token to the end; `None` when there was one token only, or no time between.
    fn tokens_per_second(&self) -> Option<f64> {
        let tokens = self.output_tokens.checked_sub(1).filter(|tokens| *tokens > 0)?;
        let milliseconds = self.duration_ms.checked_sub(self.first_token_ms?).filter(|time| *time > 0)?;
        Some(tokens as f64 * 1_000.0 / milliseconds as f64)
    }
}

/// Which results a list shows.
#[derive(Clone, Debug, Default)]
pub struct ResultFilter {
    /// Only this case.
    pub case: Option<String>,
    /// Only this model.
    pub model: Option<String>,
}

impl Models {
    /// Begins a run in the background. Its calls are made in the caller's name, with the purpose `benchmark`.
    ///
    /// # Errors
    /// `forbidden` without `models:invoke`, `invalid` or `too_large` naming the field and the case, `not_found`
    /// (`model_not_found`), `conflict` (`too_many_benchmarks`) when 10 have not ended.
    pub async fn create_benchmark(&self, ctx: &Ctx, new: NewBenchmark) -> Result<Benchmark> {
        ctx.require(Permission::ModelsInvoke)?;
        let suite = match new.suite {
            Some(suite) => checked(suite).await?,
            None => Suite::general()?,
        };
        let concurrency = new.concurrency.unwrap_or(CONCURRENCY_DEFAULT);
        if !(1..=CONCURRENCY_MAX).contains(&concurrency) {
            return Err(Error::invalid("concurrency", format!("must be 1 to {CONCURRENCY_MAX}")));
        }
        let name = new.name.unwrap_or_else(|| suite.name.clone());
        if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX || name.contains(char::is_control) {
            return Err(Error::invalid("name", format!("must be 1 to {NAME_CHARS_MAX} printable characters")));
        }
        self.check_benchmarked(ctx, &new.models).await?;
        let benchmark = Benchmark {
            id: BenchmarkId::new(ctx),
            name,
            suite: suite.name.clone(),
            models: new.models,
            case_count: suite.cases.len() as u64,
            concurrency,
            greedy: new.greedy,
            state: BenchmarkState::Queued,
            done: 0,
            error: None,
            actor: ctx.actor().clone(),
            team: ctx.team(),
            created_at: ctx.now(),
            started_at: None,
            ended_at: None,
        };
        let mut tx = self.inner.store.begin(ctx).await?;
        let (all, unfinished) = store::benchmarks::count(&mut tx).await?;
        if all >= BENCHMARKS_MAX {
            return Err(Error::too_large("name", format!("a workspace keeps at most {BENCHMARKS_MAX} benchmarks"))
                .remedy("remove old ones"));
        }
        if unfinished >= UNFINISHED_MAX {
            let message = format!("{unfinished} benchmarks have not ended");
            return Err(Error::conflict("too_many_benchmarks", message).remedy("wait, or cancel one"));
        }
        store::benchmarks::insert(&mut tx, &benchmark, &suite).await?;
        let subject = benchmark.id.to_string();
        plasma_workflows::enqueue(&mut tx, &RunBenchmark { benchmark: benchmark.id }, &subject, None).await?;
        let data = json!({ "name": benchmark.name, "suite": benchmark.suite, "models": benchmark.models,
                           "cases": benchmark.case_count });
        tx.emit(NewEvent::new(events::BENCHMARK_CREATED, benchmark.id, data)).await?;
        tx.commit().await?;
        Ok(benchmark)
    }

    async fn check_benchmarked(&self, ctx: &Ctx, models: &[String]) -> Result<()> {
        if models.is_empty() || models.len() > MODELS_MAX {
            return Err(Error::invalid("models", format!("must be 1 to {MODELS_MAX} names")));
        }
        for (index, model) in models.iter().enumerate() {
            let place = format!("models[{index}]");
            if model.len() > MODEL_CHARS_MAX || model.contains(char::is_control) {
                return Err(Error::invalid(place, format!("must be at most {MODEL_CHARS_MAX} printable characters")));
            }
            if models.iter().take(index).any(|earlier| earlier == model) {
                return Err(Error::invalid(place, format!("`{model}` stands twice")));
            }
            let target = self.alias_target(ctx, model).await?;
            let name = target.as_deref().unwrap_or(model);
            if !name.contains('/') && self.find_route(ctx, name).await?.is_some() {
                continue;
            }
            self.resolve(ctx, Some(name), ModelKind::Chat).await.map_err(|error| error.field(place))?;
        }
        Ok(())
    }

    /// A page of runs, newest first.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn benchmarks(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Benchmark>> {
        ctx.require(Permission::ModelsRead)?;
        store::benchmarks::list(&mut self.inner.store.read(ctx).await?, page).await
    }

    /// One run.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found`.
    pub async fn benchmark(&self, ctx: &Ctx, id: BenchmarkId) -> Result<Benchmark> {
        ctx.require(Permission::ModelsRead)?;
        store::benchmarks::get(&mut self.inner.store.read(ctx).await?, id).await
    }

    /// The results of 1 to 5 runs, summed up and compared: of those so far when a run has not ended.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found`, `invalid` (`ids`).
    pub async fn benchmark_report(&self, ctx: &Ctx, ids: &[BenchmarkId]) -> Result<Report> {
        ctx.require(Permission::ModelsRead)?;
        if ids.is_empty() || ids.len() > COMPARED_MAX {
            return Err(Error::invalid("ids", format!("must be 1 to {COMPARED_MAX} ids of benchmarks")));
        }
        let mut runs = Vec::with_capacity(ids.len());
        let mut tx = self.inner.store.read(ctx).await?;
        for id in ids {
            runs.push(report::Run {
                benchmark: store::benchmarks::get(&mut tx, *id).await?,
                suite: store::benchmarks::suite(&mut tx, *id).await?,
                results: store::benchmarks::all_results(&mut tx, *id).await?,
            });
        }
        drop(tx);
        let subjects: usize = runs.iter().map(|run| run.benchmark.models.len()).sum();
        if subjects > report::SUBJECTS_MAX {
            let message = format!("{subjects} models, the limit is {}", report::SUBJECTS_MAX);
            return Err(Error::invalid("ids", message).remedy("compare fewer benchmarks"));
        }
        tokio::task::spawn_blocking(move || report::report(&runs))
            .await
            .map_err(|error| Error::from_source("summing up a benchmark failed", error))
    }

    /// A page of a run's results, in the order of cases' ids and models' names.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found`, `invalid` (`case`, `model`) with control characters.
    pub async fn benchmark_results(
        &self,
        ctx: &Ctx,
        id: BenchmarkId,
        filter: &ResultFilter,
        page: &PageRequest,
    ) -> Result<Page<CaseResult>> {
        ctx.require(Permission::ModelsRead)?;
        for (field, wanted) in [("case", &filter.case), ("model", &filter.model)] {
            if wanted.as_ref().is_some_and(|text| text.contains(char::is_control)) {
                return Err(Error::invalid(field, "must be printable characters"));
            }
        }
        let mut tx = self.inner.store.read(ctx).await?;
        let benchmark = store::benchmarks::get(&mut tx, id).await?;
        store::benchmarks::results(&mut tx, &benchmark, filter, page).await
    }

    /// Stops a run within a second; running calls are broken off. Results so far stay. Nothing happens to one that has ended.
    ///
    /// # Errors
    /// `forbidden` without `models:invoke`, and without `models:write` for a run that another began; `not_found`.
    pub async fn cancel_benchmark(&self, ctx: &Ctx, id: BenchmarkId) -> Result<Benchmark> {
        ctx.require(Permission::ModelsInvoke)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let benchmark = store::benchmarks::get(&mut tx, id).await?;
        if benchmark.actor != *ctx.actor() {
            ctx.require(Permission::ModelsWrite)?;
        }
        run::end(&mut tx, &benchmark, BenchmarkState::Cancelled, None).await?;
        let benchmark = store::benchmarks::get(&mut tx, id).await?;
        tx.commit().await?;
        Ok(benchmark)
    }

    /// Removes a run and its results; one that runs is stopped. The records of its calls stay.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found`.
    pub async fn delete_benchmark(&self, ctx: &Ctx, id: BenchmarkId) -> Result<()> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let benchmark = store::benchmarks::get(&mut tx, id).await?;
        store::benchmarks::delete(&mut tx, id).await?;
        tx.emit(NewEvent::new(events::BENCHMARK_DELETED, id, json!({ "name": benchmark.name }))).await?;
        tx.commit().await.map(drop)
    }
}

/// A suite that was checked, away from the threads that answer requests: it may have hundreds of patterns.
async fn checked(suite: Suite) -> Result<Suite> {
    tokio::task::spawn_blocking(move || suite.check().map(|()| suite))
        .await
        .map_err(|error| Error::from_source("checking a suite failed", error))?
}
