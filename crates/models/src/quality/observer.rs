//! Marks answers and draws those that are judged, off the request path and many in one transaction.
//!
//! What is not written when the program dies, or when answers come faster than they are marked, has no marks: marks are samples
//! for statistics, not records.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use plasma_kernel::{CallId, Code, Ctx, Result, TenantId, Timestamp};
use plasma_protocols::chat::Answer;
use plasma_store::Tx;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    Known, ScoreSource,
    judge::{self, JudgeWork},
    marks,
};
use crate::{
    Mark, Models,
    calls::DAY_MICROS,
    gateway::Question,
    store::{
        self,
        quality::{Changes, Subject},
    },
};

/// Answers of a tenant that are marked in a second: of more than these, the first ones.
const MARKED_PER_SECOND: u32 = 100;
/// Tenants whose answers are marked in a second.
const TENANTS_MAX: usize = 1_000;
/// Answers that wait, and KiB of them with their questions.
const WAITING_MAX: usize = 500;
const WAITING_KIB_MAX: u32 = 16 << 10;
const KIB: usize = 1_024;
/// Answers in one transaction.
const BATCH_MAX: usize = 100;
const ATTEMPTS_MAX: u32 = 4;
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);
/// Tasks of a tenant that this process tells apart in a day: each is a row of sums.
const TASKS_MAX: usize = 200;
const OTHER_TASK: &str = "other";

/// A question and its complete answer.
pub(crate) struct Answered {
    pub(crate) ctx: Ctx,
    pub(crate) call: CallId,
    pub(crate) model: String,
    pub(crate) route: Option<String>,
    pub(crate) question: Arc<Question>,
    pub(crate) answer: Answer,
}

enum Observation {
    /// The room is given back when the marks are made.
    Answered { answered: Box<Answered>, _room: OwnedSemaphorePermit },
    Cited {
        tenant: TenantId,
        call: CallId,
        mark: Mark,
        /// Whose log of calls may still hold the call's record.
        models: Models,
    },
}

impl Observation {
    fn tenant(&self) -> Result<TenantId> {
        match self {
            Self::Answered { answered, .. } => answered.ctx.tenant(),
            Self::Cited { tenant, .. } => Ok(*tenant),
        }
    }

    fn models(&self) -> Option<&Models> {
        match self {
            Self::Answered { .. } => None,
            Self::Cited { models, .. } => Some(models),
        }
    }
}

/// How many answers were promised their marks in this second.
struct Promised {
    since: Instant,
    by_tenant: HashMap<TenantId, u32>,
}

impl Promised {
    fn none(now: Instant) -> Self {
        Self { since: now, by_tenant: HashMap::new() }
    }

    fn another(&mut self, tenant: TenantId, now: Instant) -> bool {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::none(now);
        }
        if self.by_tenant.len() >= TENANTS_MAX && !self.by_tenant.contains_key(&tenant) {
            return false;
        }
        let count = self.by_tenant.entry(tenant).or_default();
        if *count >= MARKED_PER_SECOND {
            return false;
        }
        *count += 1;
        true
    }
}

pub(super) struct Observer {
    queue: mpsc::Sender<Observation>,
    room: Arc<Semaphore>,
    promised: std::sync::Mutex<Promised>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Observer {
    pub(super) fn start(ctx: &Ctx, known: Arc<Known>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let stop = CancellationToken::new();
        let writer = Writer { ctx: ctx.clone(), known, day: 0, tasks: HashMap::new() };
        let task = tokio::spawn(writer.run(waiting, stop.clone()));
        let room = Arc::new(Semaphore::new(WAITING_KIB_MAX as usize));
        let promised = std::sync::Mutex::new(Promised::none(Instant::now()));
        Self { queue, room, promised, stop, task: Mutex::new(Some(task)) }
    }

    pub(super) fn takes_another(&self, tenant: TenantId) -> bool {
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        promised.another(tenant, Instant::now())
    }

    pub(super) fn observe(&self, answered: Answered) {
        let kib = answered.question.bytes_about().saturating_add(answer_bytes(&answered.answer)) / KIB + 1;
        let kib = u32::try_from(kib).unwrap_or(u32::MAX).min(WAITING_KIB_MAX);
        match self.room.clone().try_acquire_many_owned(kib) {
            Ok(room) => self.send(Observation::Answered { answered: Box::new(answered), _room: room }),
            Err(_) => {
                tracing::debug!(call = %answered.call, "too many answers wait for their marks; this one gets none")
            }
        }
    }

    pub(super) fn note_citations(&self, models: &Models, ctx: &Ctx, call: CallId, cited: usize, sentences: usize) {
        if let (Some(mark), Ok(tenant)) = (marks::citations(cited, sentences), ctx.tenant()) {
            self.send(Observation::Cited { tenant, call, mark, models: models.clone() });
        }
    }

    fn send(&self, observation: Observation) {
        if self.queue.try_send(observation).is_err() {
            tracing::debug!("too many answers wait for their marks; one gets none");
        }
    }

    pub(super) async fn shutdown(&self) {
        self.stop.cancel();
        if let Some(task) = self.task.lock().await.take()
            && tokio::time::timeout(SHUTDOWN_MAX, task).await.is_err()
        {
            tracing::warn!("some answers were not marked before the shutdown");
        }
    }
}

fn answer_bytes(answer: &Answer) -> usize {
    answer.choices.iter().map(|choice| marks::text_of(&choice.parts).len()).sum()
}

/// An observation, ready to be written.
struct Marked {
    call: CallId,
    /// `None`: as the call's record says.
    subject: Option<Subject>,
    marks: Vec<Mark>,
    /// What the judge gets, where the call is drawn.
    work: Option<JudgeWork>,
}

struct Writer {
    ctx: Ctx,
    known: Arc<Known>,
    day: i64,
    tasks: HashMap<TenantId, HashSet<String>>,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Observation>, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let received = tokio::select! {
                received = waiting.recv_many(&mut batch, BATCH_MAX) => received,
                () = stop.cancelled(), if !waiting.is_closed() => {
                    waiting.close();
                    continue;
                }
            };
            if received == 0 {
                return;
            }
            let mut tenants: HashMap<TenantId, Vec<Observation>> = HashMap::new();
            for observation in batch.drain(..) {
                if let Ok(tenant) = observation.tenant() {
                    tenants.entry(tenant).or_default().push(observation);
                }
            }
            for (tenant, observations) in tenants {
                let ctx = self.ctx.for_tenant(tenant, "models.quality");
                if let Err(error) = self.handle(&ctx, tenant, observations).await {
                    tracing::warn!(?error, "marks of answers could not be written");
                }
            }
        }
    }

    async fn handle(&mut self, ctx: &Ctx, tenant: TenantId, observations: Vec<Observation>) -> Result<()> {
        // Before a transaction: the log needs the database, too.
        let models = observations.iter().find_map(Observation::models).cloned();
        if let Some(models) = models {
            models.inner.calls.flushed().await;
        }
        let settings = self.known.settings(ctx).await?;
        let share = settings.judge().map_or(0.0, |_| settings.judge_share);
        let now = ctx.now();
        let mut prepared = Vec::with_capacity(observations.len());
        for observation in observations {
            let task = match &observation {
                Observation::Answered { answered, .. } => self.task(tenant, answered.question.task(), now),
                Observation::Cited { .. } => String::new(),
            };
            prepared.push((observation, task, ctx.random().fraction() < share));
        }
        // A large answer takes milliseconds to be looked through: not on the threads that serve calls.
        let marked = tokio::task::spawn_blocking(move || {
            prepared
                .into_iter()
                .map(|(observation, task, drawn)| mark(observation, task, drawn, now))
                .collect::<Vec<_>>()
        });
        let marked =
            marked.await.map_err(|error| plasma_kernel::Error::from_source("answers could not be marked", error))?;
        let mut pause = RETRY_PAUSE;
        for attempt in 1.. {
            match self.write(ctx, &marked).await {
                Err(error) if error.code() == Code::Unavailable && attempt < ATTEMPTS_MAX => {
                    tokio::time::sleep(pause).await;
                    pause *= 4;
                }
                outcome => return outcome,
            }
        }
        Ok(())
    }

    /// The task under which scores are summed up. A client that makes up a new task for each call fills no table.
    fn task(&mut self, tenant: TenantId, task: &str, now: Timestamp) -> String {
        let day = now.div_euclid(DAY_MICROS);
        if day != self.day {
            self.tasks.clear();
            self.day = day;
        }
        let known = self.tasks.entry(tenant).or_default();
        if !known.contains(task) {
            if known.len() >= TASKS_MAX {
                return OTHER_TASK.to_owned();
            }
            known.insert(task.to_owned());
        }
        task.to_owned()
    }

    async fn write(&self, ctx: &Ctx, marked: &[Marked]) -> Result<()> {
        let mut tx = self.known.store.begin(ctx).await?;
        let mut changes = Changes::default();
        for one in marked {
            write_one(&mut tx, one, &mut changes).await?;
            if let Some(work) = &one.work {
                judge::enqueue(&self.known.store, &mut tx, one.call, work).await?;
            }
        }
        changes.write(&mut tx).await?;
        tx.commit().await.map(drop)
    }
}

async fn write_one(tx: &mut Tx, marked: &Marked, changes: &mut Changes) -> Result<()> {
    let subject = match &marked.subject {
        Some(subject) => subject.clone(),
        None => match store::calls::get(tx, marked.call).await {
            Ok(call) => Subject::of(&call),
            // One call without a record must not cost the others their marks.
            Err(error) if error.code() == Code::NotFound => return Ok(()),
            Err(error) => return Err(error),
        },
    };
    let scored = store::quality::lock(tx, marked.call, &subject).await?;
    let mut all = scored.marks;
    all.retain(|known| !marked.marks.iter().any(|new| new.name == known.name));
    all.extend(marked.marks.iter().cloned());
    let Some(score) = marks::combined(&all) else { return Ok(()) };
    store::quality::set_marks(tx, marked.call, &all, score).await?;
    changes.replace(&scored.subject, ScoreSource::Rules, scored.rule_score, score);
    Ok(())
}

fn mark(observation: Observation, task: String, drawn: bool, now: Timestamp) -> Marked {
    let answered = match observation {
        Observation::Answered { answered, .. } => answered,
        Observation::Cited { call, mark, .. } => return Marked { call, subject: None, marks: vec![mark], work: None },
    };
    let request = answered.question.translated().ok().map(|(request, _)| request);
    let marks = marks::marks(answered.question.purpose, request, &answered.answer);
    let work = request.filter(|_| drawn).and_then(|request| JudgeWork::of(request, &answered.answer));
    let subject = Subject {
        day: now.div_euclid(DAY_MICROS),
        model: answered.model,
        route: answered.route.unwrap_or_default(),
        task,
    };
    Marked { call: answered.call, subject: Some(subject), marks, work }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_has_its_own_promises_in_a_second() {
        let (now, mut promised) = (Instant::now(), Promised::none(Instant::now()));
        let tenant = TenantId::from_bits;
        let granted = (0..MARKED_PER_SECOND * 2).filter(|_| promised.another(tenant(1), now)).count();
        assert_eq!(granted, MARKED_PER_SECOND as usize);
        assert!(promised.another(tenant(2), now));
        assert!(promised.another(tenant(1), now + Duration::from_secs(2)));
        // Of very many tenants the first ones.
        let later = now + Duration::from_secs(4);
        let granted = (0..2 * TENANTS_MAX as u128).filter(|&bits| promised.another(tenant(bits), later)).count();
        assert_eq!(granted, TENANTS_MAX);
        assert!(promised.another(tenant(1), later));
    }
}
