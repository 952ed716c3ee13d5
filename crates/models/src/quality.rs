//! How good answers are: feedback of people, marks of rules, a model that judges, and what routes learn of them.
//!
//! Nothing of it stands in the way of a call. What an answer's marks are computed from goes to a queue when the call has
//! ended; the judge is a durable job. See `docs/quality.md`.

mod judge;
mod marks;
mod observer;
mod posterior;
mod schema_check;
mod types;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use plasma_kernel::{CallId, Ctx, Error, Permission, Result, TenantId};
use plasma_store::{NewEvent, Store, Tx};
use serde_json::json;
use tokio::time::Instant;

pub(crate) use judge::{JUDGE, JudgeCall, seal_purpose};
pub(crate) use observer::Answered;
pub(crate) use posterior::{Arm, Book, Rated};
pub use types::{
    CallQuality, Feedback, JudgeScore, Mark, NewFeedback, QualitySettings, ScoreGroups, ScoreSource, ScoreSums,
};
pub(crate) use types::{RUBRIC_DEFAULT, Score};

use crate::{
    Budget, BudgetPeriod, BudgetSubject, Models, NewBudget,
    calls::{DAY_MICROS, USAGE_DAYS_MAX},
    definitions::TenantCache,
    events,
    store::{
        self,
        quality::{Changes, Subject},
    },
};

/// For fuzzing only.
#[cfg(fuzzing)]
pub(crate) fn fuzz_schema(schema: &serde_json::Value, value: &serde_json::Value) {
    let _ = schema_check::check(schema, value);
}
use observer::Observer;

const COMMENT_CHARS_MAX: usize = 2_000;
const LABELS_MAX: usize = 10;
const LABEL_CHARS_MAX: usize = 50;
const RUBRIC_CHARS_MAX: usize = 8_000;
const COST_WEIGHT_MAX: f64 = 10.0;
const TASK_CHARS_MAX: usize = 40;
/// How long scores may go unseen by routes.
const BOOK_TTL: Duration = Duration::from_secs(10);
const BOOKS_MAX: u64 = 10_000;
/// What is not asked for so long is forgotten.
const BOOK_IDLE: Duration = Duration::from_secs(3_600);

/// What this process knows and does of quality.
pub(crate) struct Quality {
    known: Arc<Known>,
    observer: Observer,
}

/// What is kept in memory.
pub(crate) struct Known {
    store: Store,
    settings: TenantCache<QualitySettings>,
    books: Cache<TenantId, Arc<KeptBook>>,
}

/// What routes learn from, as it was a moment ago.
struct KeptBook {
    book: Arc<Book>,
    read_at: Instant,
    /// Somebody reads it anew.
    refreshing: AtomicBool,
}

impl Quality {
    /// Starts the observer: call it inside a tokio runtime. `ctx` gives clock and randomness.
    pub(crate) fn start(ctx: &Ctx, store: Store) -> Self {
        let books = Cache::builder().max_capacity(BOOKS_MAX).time_to_idle(BOOK_IDLE).build();
        let known = Arc::new(Known { store, settings: TenantCache::new(), books });
        Self { observer: Observer::start(ctx, known.clone()), known }
    }

    /// Whether the answer to a question of the tenant that is asked now is to be marked: then it is kept for
    /// [`Quality::observe`].
    pub(crate) fn takes_another(&self, tenant: TenantId) -> bool {
        self.observer.takes_another(tenant)
    }

    /// An answer is complete and its call recorded.
    pub(crate) fn observe(&self, answered: Answered) {
        self.observer.observe(answered);
    }

    /// What the tenant's routes have learned. It waits for SQL only when this process has not been asked for an hour; else
    /// what is older than 10 s is used once more while it is read anew.
    pub(crate) async fn book(&self, ctx: &Ctx) -> Result<Arc<Book>> {
        let tenant = ctx.tenant()?;
        let Some(kept) = self.known.books.get(&tenant) else {
            // Boxed: the rare query must not weigh on the calls.
            return Box::pin(self.known.clone().read_book(ctx.clone())).await;
        };
        if kept.read_at.elapsed() > BOOK_TTL && !kept.refreshing.swap(true, Ordering::SeqCst) {
            let (known, ctx, kept) = (self.known.clone(), ctx.clone(), kept.clone());
            tokio::spawn(async move {
                if let Err(error) = known.read_book(ctx).await {
                    tracing::warn!(?error, "what routes learn from could not be read; the last state is used");
                    kept.refreshing.store(false, Ordering::SeqCst);
                }
            });
        }
        Ok(kept.book.clone())
    }

    /// Takes nothing more and returns when what came is written.
    pub(crate) async fn shutdown(&self) {
        self.observer.shutdown().await;
    }
}

impl Known {
    async fn settings(&self, ctx: &Ctx) -> Result<Arc<QualitySettings>> {
        let load = || async { read_settings(&mut self.store.read(ctx).await?).await };
        self.settings.get(ctx.tenant()?, load).await
    }

    async fn read_book(self: Arc<Self>, ctx: Ctx) -> Result<Arc<Book>> {
        let tenant = ctx.tenant()?;
        let today = ctx.now().div_euclid(DAY_MICROS);
        let mut tx = self.store.read(&ctx).await?;
        let cost_weight = store::quality::settings(&mut tx).await?.cost_weight;
        let rows = store::quality::learned(&mut tx, today - posterior::LEARNED_DAYS).await?;
        let book = Arc::new(Book::learn(rows, today, cost_weight));
        let kept = KeptBook { book: book.clone(), read_at: Instant::now(), refreshing: AtomicBool::new(false) };
        self.books.insert(tenant, Arc::new(kept));
        Ok(book)
    }
}

/// The settings, with the judge's limit from its budget.
async fn read_settings(tx: &mut Tx) -> Result<QualitySettings> {
    let mut settings = store::quality::settings(tx).await?;
    if let Some(budget) = judge_budget(tx).await? {
        settings.judge_limit_micros = Some(budget.limit_micros);
        settings.currency = budget.currency;
    }
    Ok(settings)
}

async fn judge_budget(tx: &mut Tx) -> Result<Option<Budget>> {
    let is_judges = |budget: &Budget| budget.subject == BudgetSubject::Judge {} && budget.period == BudgetPeriod::Month;
    Ok(store::budgets::all(tx).await?.into_iter().find(is_judges))
}

/// A task's name as it came from outside.
///
/// # Errors
/// `invalid` naming the header.
pub(crate) fn check_task(task: &str) -> Result<String> {
    let allowed = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"-_.".contains(&letter);
    if !task.is_empty() && task.len() <= TASK_CHARS_MAX && task.bytes().all(allowed) {
        return Ok(task.to_owned());
    }
    let message = format!("must be 1 to {TASK_CHARS_MAX} lowercase letters, digits or `-_.`");
    Err(Error::invalid("plasma-task", message)
        .remedy("name what the call is for, such as `summaries`, or leave the header out"))
}

impl Models {
    /// Rates a call's answer. A second rating of the same actor takes the place of the first.
    ///
    /// # Errors
    /// `forbidden` without `models:invoke`, `invalid` or `too_large` naming the field, `not_found` (`call_not_found`).
    pub async fn give_feedback(&self, ctx: &Ctx, id: CallId, new: NewFeedback) -> Result<Feedback> {
        ctx.require(Permission::ModelsInvoke)?;
        let score = check_feedback(&new)?;
        // Who has the answer may rate it before its record is in the database.
        self.inner.calls.flushed().await;
        let mut tx = self.inner.store.begin(ctx).await?;
        let call = store::calls::get(&mut tx, id).await?;
        let scored = store::quality::lock(&mut tx, id, &Subject::of(&call)).await?;
        let previous = store::quality::feedback_of(&mut tx, id, ctx.actor()).await?;
        let now = ctx.now();
        let NewFeedback { comment, labels, .. } = new;
        let feedback = Feedback {
            actor: ctx.actor().clone(),
            score: score.fraction(),
            comment,
            labels,
            created_at: previous.as_ref().map_or(now, |previous| previous.created_at),
            updated_at: now,
        };
        store::quality::put_feedback(&mut tx, id, &feedback, score).await?;
        let mut changes = Changes::default();
        let old = previous.as_ref().and_then(|previous| Score::of(previous.score));
        changes.replace(&scored.subject, ScoreSource::Feedback, old, score);
        changes.write(&mut tx).await?;
        // Without the comment, which may name people: the log is kept.
        let data = json!({
            "model": scored.subject.model,
            "route": scored.subject.route,
            "task": scored.subject.task,
            "score": feedback.score,
            "previous_score": previous.map(|previous| previous.score),
            "labels": feedback.labels,
        });
        tx.emit(NewEvent::new(events::FEEDBACK_GIVEN, id, data)).await?;
        tx.commit().await?;
        Ok(feedback)
    }

    /// What is known of the quality of a call's answer.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn call_quality(&self, ctx: &Ctx, id: CallId) -> Result<CallQuality> {
        ctx.require(Permission::ModelsRead)?;
        store::quality::of_call(&mut self.inner.store.read(ctx).await?, id).await
    }

    /// Tells of an answer from passages how many of its sentences cite one, once its call has ended. It does not wait.
    pub fn note_citations(&self, ctx: &Ctx, id: CallId, cited: usize, sentences: usize) {
        self.inner.quality.observer.note_citations(self, ctx, id, cited, sentences);
    }

    /// What the workspace says about quality.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn quality_settings(&self, ctx: &Ctx) -> Result<QualitySettings> {
        ctx.require(Permission::ModelsRead)?;
        read_settings(&mut self.inner.store.read(ctx).await?).await
    }

    /// Replaces what the workspace says about quality. The judge's limit becomes a monthly budget with the subject `judge`, and
    /// without a limit that budget goes. Other processes see the change within 10 s.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field, `not_found` for the judge's model.
    pub async fn put_quality_settings(&self, ctx: &Ctx, settings: QualitySettings) -> Result<QualitySettings> {
        ctx.require(Permission::ModelsWrite)?;
        check_settings(&settings)?;
        if let Some(model) = &settings.judge_model {
            self.chat_model(ctx, model).await.map_err(|error| error.field("judge_model"))?;
        }
        // First: a judge never works without its budget.
        self.put_judge_budget(ctx, &settings).await?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::quality::put_settings(&mut tx, &settings).await?;
        let settings = read_settings(&mut tx).await?;
        let data = json!({
            "judge_model": settings.judge_model,
            "judge_share": settings.judge_share,
            "judge_limit_micros": settings.judge_limit_micros,
            "currency": settings.currency,
            "cost_weight": settings.cost_weight,
            "own_rubric": settings.rubric != RUBRIC_DEFAULT,
        });
        tx.emit(NewEvent::new(events::QUALITY_CHANGED, ctx.tenant()?, data)).await?;
        tx.commit().await?;
        self.inner.quality.known.settings.changed();
        self.inner.quality.known.books.invalidate(&ctx.tenant()?);
        Ok(settings)
    }

    async fn put_judge_budget(&self, ctx: &Ctx, settings: &QualitySettings) -> Result<()> {
        let existing = judge_budget(&mut self.inner.store.read(ctx).await?).await?;
        let kept = match (&existing, settings.judge_limit_micros) {
            (Some(budget), Some(limit_micros)) if budget.currency == settings.currency => {
                if budget.limit_micros != limit_micros {
                    self.change_budget(ctx, budget.id, limit_micros).await.map_err(limit_field)?;
                }
                true
            }
            (Some(budget), _) => {
                self.delete_budget(ctx, budget.id).await?;
                false
            }
            (None, _) => false,
        };
        if let Some(limit_micros) = settings.judge_limit_micros.filter(|_| !kept) {
            let (subject, period) = (BudgetSubject::Judge {}, BudgetPeriod::Month);
            let budget = NewBudget { subject, period, limit_micros, currency: settings.currency.clone() };
            self.create_budget(ctx, budget).await.map_err(limit_field)?;
        }
        Ok(())
    }

    /// The scores of the last `days` days (UTC, today included), summed up by what is asked for, most scores first; at most
    /// 10,000 groups.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `invalid` when `days` is not 1 to 366.
    pub async fn quality_scores(&self, ctx: &Ctx, groups: ScoreGroups, days: u32) -> Result<Vec<ScoreSums>> {
        ctx.require(Permission::ModelsRead)?;
        if !(1..=USAGE_DAYS_MAX).contains(&days) {
            return Err(Error::invalid("days", format!("must be 1 to {USAGE_DAYS_MAX}, got {days}")));
        }
        let since_day = ctx.now().div_euclid(DAY_MICROS) - i64::from(days) + 1;
        store::quality::sums(&mut self.inner.store.read(ctx).await?, since_day, groups).await
    }
}

fn limit_field(error: Error) -> Error {
    match error.field_name() {
        Some("limit_micros") => error.field("judge_limit_micros"),
        _ => error,
    }
}

fn check_feedback(new: &NewFeedback) -> Result<Score> {
    let score = Score::of(new.score).ok_or_else(|| Error::invalid("score", "must be 0 to 1"))?;
    let too_long = |text: &String, limit: usize| text.chars().count() > limit;
    if new.comment.as_ref().is_some_and(|comment| too_long(comment, COMMENT_CHARS_MAX)) {
        return Err(Error::too_large("comment", format!("has more than {COMMENT_CHARS_MAX} characters")));
    }
    // Postgres stores no NUL.
    if new.comment.as_ref().is_some_and(|comment| comment.contains('\0')) {
        return Err(Error::invalid("comment", "holds the character U+0000"));
    }
    if new.labels.len() > LABELS_MAX {
        return Err(Error::too_large("labels", format!("a rating has at most {LABELS_MAX} labels")));
    }
    let wrong =
        |label: &String| label.is_empty() || too_long(label, LABEL_CHARS_MAX) || label.chars().any(char::is_control);
    if let Some(index) = new.labels.iter().position(wrong) {
        let message = format!("must be 1 to {LABEL_CHARS_MAX} printable characters");
        return Err(Error::invalid(format!("labels[{index}]"), message));
    }
    Ok(score)
}

fn check_settings(settings: &QualitySettings) -> Result<()> {
    if !(0.0..=1.0).contains(&settings.judge_share) {
        return Err(Error::invalid("judge_share", "must be 0 to 1"));
    }
    if !(0.0..=COST_WEIGHT_MAX).contains(&settings.cost_weight) {
        return Err(Error::invalid("cost_weight", format!("must be 0 to {COST_WEIGHT_MAX}")));
    }
    let rubric = settings.rubric.trim();
    if rubric.is_empty() || rubric.contains('\0') {
        return Err(Error::invalid("rubric", "is empty or holds the character U+0000"));
    }
    if rubric.chars().count() > RUBRIC_CHARS_MAX {
        return Err(Error::too_large("rubric", format!("has more than {RUBRIC_CHARS_MAX} characters")));
    }
    if settings.judge_model.is_some() && settings.judge_limit_micros.is_none() {
        let message = "is needed with a judge: what it may cost in a month";
        return Err(Error::invalid("judge_limit_micros", message).remedy("set 0 for a judge that costs nothing"));
    }
    Ok(())
}
