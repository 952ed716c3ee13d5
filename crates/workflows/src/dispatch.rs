use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use plasma_kernel::{Code, Ctx, Error, RequestId, Result};
use plasma_store::Store;
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Queue, Run, Step, enqueue,
    purge::PurgeFinishedJobs,
    step::Registered,
    store::{self, Claimed},
};

/// How long a worker may be silent before another takes its job over.
const LEASE: Duration = Duration::from_secs(30);
/// How often a worker says that it lives: three chances within a lease.
const RENEW_INTERVAL: Duration = Duration::from_secs(10);
/// How often the dispatcher looks for jobs that other processes enqueued or whose time has come.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long a stopping program waits for steps to notice.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Between attempts: 1 s, 4 s, 16 s, 64 s … at most ten minutes, with up to half as much again at random.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(600);

/// The durable queue of this process: steps are registered, then [`Workflows::start`] runs those that are due.
#[derive(Clone)]
pub struct Workflows {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    ctx: Ctx,
    steps: Mutex<HashMap<&'static str, Arc<Registered>>>,
    schedules: Mutex<Vec<Schedule>>,
    /// A slot became free.
    freed: Notify,
    stop: CancellationToken,
    tasks: TaskTracker,
}

type EnqueueNow =
    Box<dyn for<'a> Fn(&'a mut plasma_store::Tx) -> futures::future::BoxFuture<'a, Result<()>> + Send + Sync>;

struct Schedule {
    name: &'static str,
    every: Duration,
    enqueue: Arc<EnqueueNow>,
}

impl Workflows {
    /// A queue over `store`. `ctx` is a system context: its clock and randomness serve every run.
    pub fn new(store: Store, ctx: Ctx) -> Self {
        let workflows = Self {
            inner: Arc::new(Inner {
                store: store.clone(),
                ctx,
                steps: Mutex::default(),
                schedules: Mutex::default(),
                freed: Notify::new(),
                stop: CancellationToken::new(),
                tasks: TaskTracker::new(),
            }),
        };
        workflows.register::<PurgeFinishedJobs>(store);
        workflows.every("workflows.purge", Duration::from_secs(3600), || PurgeFinishedJobs {});
        workflows
    }

    /// Makes this process able to run steps of type `S`. Before [`Workflows::start`].
    pub fn register<S: Step>(&self, domain: S::Domain) {
        lock(&self.inner.steps).insert(S::KIND, Arc::new(Registered::new::<S>(domain)));
    }

    /// Enqueues `step` for the installation every `every`, in one process only, first at once.
    pub fn every<S: Step>(&self, name: &'static str, every: Duration, step: impl Fn() -> S + Send + Sync + 'static) {
        let enqueue: EnqueueNow = Box::new(move |tx| {
            let step = step();
            Box::pin(async move { enqueue(tx, &step, name, None).await.map(drop) })
        });
        lock(&self.inner.schedules).push(Schedule { name, every, enqueue: Arc::new(enqueue) });
    }

    /// Starts to run jobs in the background. `only_worker` says that no other process works on this database: jobs that
    /// the last process left running are then taken up at once instead of after their lease.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn start(&self, only_worker: bool) -> Result<()> {
        let inner = &self.inner;
        if only_worker {
            let mut tx = inner.store.begin(&inner.ctx).await?;
            let taken = store::give_back_all(&mut tx).await?;
            tx.commit().await?;
            if taken > 0 {
                tracing::info!(jobs = taken, "taking up jobs that the last process left");
            }
        }
        let mut queues: HashMap<&'static str, Queue> = HashMap::new();
        for registered in lock(&inner.steps).values() {
            let queue = queues.entry(registered.queue.name).or_insert(registered.queue);
            queue.concurrency = queue.concurrency.max(registered.queue.concurrency);
        }
        for queue in queues.into_values() {
            inner.tasks.spawn(Arc::clone(inner).dispatch(queue));
        }
        inner.tasks.spawn(Arc::clone(inner).keep_schedules());
        Ok(())
    }

    /// Stops: claims nothing more, tells running steps, waits up to ten seconds for them. What does not end by then
    /// is taken up again by the next start.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(STOP_GRACE, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("some background steps did not stop in time; they will be taken up again");
        }
    }
}

/// A poisoned lock only means that another thread panicked while it registered something.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Inner {
    async fn dispatch(self: Arc<Self>, queue: Queue) {
        let slots = Arc::new(Semaphore::new(queue.concurrency));
        let mut committed = self.store.committed_events();
        while !self.stop.is_cancelled() {
            let free = slots.available_permits();
            let claimed = if free == 0 { Ok(Vec::new()) } else { self.claim(queue, free).await };
            match claimed {
                Ok(jobs) if jobs.is_empty() => {
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        // Whoever enqueues a job for a person to wait for also emits an event.
                        _ = committed.changed() => {}
                        () = self.freed.notified() => {}
                        () = tokio::time::sleep(POLL_INTERVAL) => {}
                    }
                }
                Ok(jobs) => {
                    for job in jobs {
                        // At most `free` jobs were claimed, and only this task takes permits.
                        let Ok(permit) = Arc::clone(&slots).try_acquire_owned() else { break };
                        let inner = Arc::clone(&self);
                        self.tasks.spawn(async move {
                            inner.attempt(job).await;
                            drop(permit);
                            inner.freed.notify_one();
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(?error, queue = queue.name, "cannot look for jobs; trying again");
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
        }
    }

    async fn claim(&self, queue: Queue, limit: usize) -> Result<Vec<Claimed>> {
        let now = self.ctx.now();
        if !store::any_due(&mut self.store.read(&self.ctx).await?, queue.name, now).await? {
            return Ok(Vec::new());
        }
        let mut tx = self.store.begin(&self.ctx).await?;
        let owner = RequestId::new(&self.ctx).to_string();
        let jobs = store::claim(&mut tx, queue.name, &owner, now + microseconds(LEASE), limit).await?;
        tx.commit().await?;
        Ok(jobs)
    }

    async fn attempt(&self, job: Claimed) {
        let ctx = self.ctx_of(&job);
        let kind = job.kind.clone();
        let span =
            tracing::info_span!("job", job = %job.lease.job, kind, attempt = job.attempt, request = %ctx.request());
        let registered = lock(&self.steps).get(job.kind.as_str()).cloned();
        let Some(registered) = registered else {
            // A newer program enqueued it: leave it to one that knows the kind.
            let error = Error::unavailable("job_kind_unknown", format!("this program has no step `{kind}`"));
            self.settle(&ctx, &job, None, Err(error)).await;
            return;
        };
        if job.worker_lost && job.attempt > job.max_attempts {
            let error = Error::new(
                Code::Internal,
                "worker_lost",
                format!("the work was begun {} times and never ended: it may crash the program", job.max_attempts),
            );
            self.settle(&ctx, &job, Some(&registered), Err(error)).await;
            return;
        }
        let run = Run {
            ctx: ctx.clone(),
            store: self.store.clone(),
            lease: job.lease.clone(),
            attempt: job.attempt,
            cancellation: self.stop.child_token(),
            completed: Arc::new(AtomicBool::new(false)),
            progress_written_at: Arc::new(AtomicI64::new(0)),
        };
        let completed = Arc::clone(&run.completed);
        let cancellation = run.cancellation.clone();
        let outcome = match (registered.run)(&job.payload, run) {
            Ok(work) => {
                // Its own task, so that a panic in a step is a failed attempt and not a lost worker.
                let mut work = tokio::spawn(tracing::Instrument::instrument(work, span));
                tokio::select! {
                    ended = &mut work => ended.unwrap_or_else(|error| Err(Error::from_source("the step panicked", error))),
                    () = self.keep_lease(&ctx, &job) => {
                        cancellation.cancel();
                        work.abort();
                        tracing::warn!(job = %job.lease.job, "lost the lease of a job");
                        return;
                    }
                }
            }
            Err(error) => Err(error),
        };
        if completed.load(Ordering::Acquire) && outcome.is_ok() {
            return;
        }
        self.settle(&ctx, &job, Some(&registered), outcome).await;
    }

    fn ctx_of(&self, job: &Claimed) -> Ctx {
        let ctx = match job.lease.tenant {
            Some(tenant) => self.ctx.for_tenant(tenant, job.kind.clone()),
            None => self.ctx.clone(),
        };
        match job.request_id.parse() {
            Ok(request) => ctx.with_request(request),
            Err(_) => ctx,
        }
    }

    /// Returns only when the lease is lost.
    async fn keep_lease(&self, ctx: &Ctx, job: &Claimed) {
        let mut silent_since = ctx.now();
        loop {
            tokio::time::sleep(RENEW_INTERVAL).await;
            let renewed: Result<bool> = async {
                let mut tx = self.store.begin(ctx).await?;
                let ours = store::renew(&mut tx, &job.lease, ctx.now() + microseconds(LEASE)).await?;
                tx.commit().await?;
                Ok(ours)
            }
            .await;
            match renewed {
                Ok(true) => silent_since = ctx.now(),
                Ok(false) => return,
                Err(error) if ctx.now() - silent_since > microseconds(LEASE) => {
                    tracing::warn!(?error, "a lease could not be renewed in time");
                    return;
                }
                Err(error) => tracing::debug!(?error, "a lease could not be renewed; trying again"),
            }
        }
    }

    /// Writes how an attempt ended.
    async fn settle(&self, ctx: &Ctx, job: &Claimed, registered: Option<&Registered>, outcome: Result<()>) {
        let settled: Result<()> = async {
            let mut tx = self.store.begin(ctx).await?;
            match outcome {
                Ok(()) => store::mark_succeeded(&mut tx, &job.lease).await?,
                Err(error) => match registered {
                    _ if error.reason() == "lease_lost" => return Ok(()),
                    _ if matches!(error.reason(), "job_interrupted" | "job_kind_unknown") => {
                        let wait = if self.stop.is_cancelled() { Duration::ZERO } else { BACKOFF_MAX };
                        store::give_back(&mut tx, &job.lease, ctx.now() + microseconds(wait), &error, false).await?;
                    }
                    _ if error.code().is_transient() && job.attempt < job.max_attempts => {
                        let wait = microseconds(backoff(job.attempt, ctx.random().fraction()));
                        tracing::info!(?error, job = %job.lease.job, "a job will be tried again");
                        store::give_back(&mut tx, &job.lease, ctx.now() + wait, &error, true).await?;
                    }
                    registered => {
                        tracing::warn!(?error, job = %job.lease.job, kind = job.kind, "a job failed for good");
                        store::mark_failed(&mut tx, &job.lease, &error).await?;
                        if let Some(registered) = registered {
                            (registered.failed)(&job.payload, ctx, &mut tx, &error).await?;
                        }
                    }
                },
            }
            tx.commit().await?;
            Ok(())
        }
        .await;
        if let Err(error) = settled {
            // The lease will end, and the job will be tried again.
            tracing::warn!(?error, job = %job.lease.job, "the end of a job could not be written");
        }
    }

    async fn keep_schedules(self: Arc<Self>) {
        while !self.stop.is_cancelled() {
            let due: Vec<_> = lock(&self.schedules)
                .iter()
                .map(|schedule| (schedule.name, schedule.every, Arc::clone(&schedule.enqueue)))
                .collect();
            for (name, every, enqueue) in due {
                let enqueued: Result<()> = async {
                    let mut tx = self.store.begin(&self.ctx).await?;
                    if store::schedule_is_ours(&mut tx, name, self.ctx.now() + microseconds(every)).await? {
                        enqueue(&mut tx).await?;
                    }
                    tx.commit().await?;
                    Ok(())
                }
                .await;
                if let Err(error) = enqueued {
                    tracing::warn!(?error, schedule = name, "a schedule could not be kept; trying again");
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_secs(10)) => {}
            }
        }
    }
}

/// Exponential with factor 4, plus up to half as much again by `fraction` (0 to 1), so that jobs that failed together do
/// not return together.
fn backoff(attempt: u32, fraction: f64) -> Duration {
    let base = BACKOFF_FIRST.saturating_mul(4_u32.saturating_pow(attempt.saturating_sub(1))).min(BACKOFF_MAX);
    base + base.mul_f64(fraction / 2.0)
}
