//! What the durable queue promises, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use plasma_kernel::{Ctx, Error, Result};
use plasma_store::{NewEvent, Store, Tx};
use plasma_testkit::{TestStore, on_each_database, system, tenant};
use plasma_workflows::{Job, JobFilter, JobState, Queue, Run, Step, Workflows, enqueue, list_jobs};
use serde::{Deserialize, Serialize};

/// What a test step shall do, and what it did.
#[derive(Clone, Default)]
struct Probe {
    runs: Arc<Mutex<HashMap<u32, u32>>>,
    running: Arc<AtomicUsize>,
    running_most: Arc<AtomicUsize>,
    told_failed: Arc<AtomicUsize>,
}

#[derive(Serialize, Deserialize, Clone)]
enum Act {
    Succeed,
    /// Fails with a transient error this many times, then succeeds.
    FailTimes(u32),
    FailForGood,
    Panic,
    /// Waits until it is cancelled.
    Wait,
    /// Emits an event and completes in one transaction.
    EmitAndComplete,
}

#[derive(Serialize, Deserialize)]
struct TestStep {
    number: u32,
    act: Act,
}

impl Step for TestStep {
    type Domain = (Probe, Store);
    const KIND: &'static str = "test.step";
    const QUEUE: Queue = Queue { name: "test", concurrency: 3 };
    const ATTEMPTS_MAX: u32 = 2;

    async fn run(self, (probe, store): Self::Domain, run: Run) -> Result<()> {
        *probe.runs.lock().unwrap().entry(self.number).or_default() += 1;
        let running = probe.running.fetch_add(1, Ordering::SeqCst) + 1;
        probe.running_most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        probe.running.fetch_sub(1, Ordering::SeqCst);
        match self.act {
            Act::Succeed => {
                run.progress(1, 1).await?;
                Ok(())
            }
            Act::FailTimes(times) if run.attempt() <= times => Err(Error::unavailable("test", "not yet")),
            Act::FailTimes(_) => Ok(()),
            Act::FailForGood => Err(Error::invalid("test", "never")),
            Act::Panic => panic!("a step's own fault"),
            Act::Wait => {
                run.cancellation().cancelled().await;
                Err(Run::interrupted())
            }
            Act::EmitAndComplete => {
                let mut tx = store.begin(run.ctx()).await?;
                tx.emit(NewEvent::new("test.done", self.number, serde_json::json!({}))).await?;
                run.complete(&mut tx).await?;
                tx.commit().await?;
                Ok(())
            }
        }
    }

    async fn failed(&self, (probe, _): &Self::Domain, _: &Ctx, tx: &mut Tx, error: &Error) -> Result<()> {
        probe.told_failed.fetch_add(1, Ordering::SeqCst);
        tx.emit(NewEvent::new("test.failed", self.number, serde_json::json!({ "reason": error.reason() }))).await?;
        Ok(())
    }
}

async fn worker(store: Store, probe: &Probe, only_worker: bool) -> Workflows {
    let workflows = Workflows::new(store.clone(), system());
    workflows.register::<TestStep>((probe.clone(), store));
    workflows.start(only_worker).await.unwrap();
    workflows
}

async fn add(store: &Store, ctx: &Ctx, number: u32, act: Act) {
    let mut tx = store.begin(ctx).await.unwrap();
    enqueue(&mut tx, &TestStep { number, act }, &number.to_string(), None).await.unwrap();
    tx.commit().await.unwrap();
}

async fn jobs_when(store: &Store, ctx: &Ctx, done: impl Fn(&[Job]) -> bool) -> Vec<Job> {
    for _ in 0..600 {
        let jobs = list_jobs(ctx, store, &JobFilter::default(), &Default::default()).await.unwrap().data;
        if done(&jobs) {
            return jobs;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the jobs did not get there: {:?}", list_jobs(ctx, store, &JobFilter::default(), &Default::default()).await);
}

fn all(state: JobState) -> impl Fn(&[Job]) -> bool {
    move |jobs| !jobs.is_empty() && jobs.iter().all(|job| job.state == state)
}

on_each_database! {
    async fn a_job_exists_only_when_its_transaction_commits(test: TestStore) {
        let (probe, ctx) = (Probe::default(), tenant());
        let workflows = worker(test.store(), &probe, true).await;
        let mut tx = test.begin(&ctx).await.unwrap();
        enqueue(&mut tx, &TestStep { number: 1, act: Act::Succeed }, "1", None).await.unwrap();
        drop(tx);
        add(&test, &ctx, 2, Act::Succeed).await;
        let jobs = jobs_when(&test, &ctx, all(JobState::Succeeded)).await;
        assert_eq!(jobs.len(), 1);
        assert_eq!(jobs[0].progress.map(|progress| (progress.done, progress.total)), Some((1, 1)));
        assert_eq!(*probe.runs.lock().unwrap(), HashMap::from([(2, 1)]));
        workflows.stop().await;
    }

    async fn a_transient_error_is_tried_again_and_a_lasting_one_is_told(test: TestStore) {
        let (probe, ctx) = (Probe::default(), tenant());
        let workflows = worker(test.store(), &probe, true).await;
        add(&test, &ctx, 1, Act::FailTimes(1)).await;
        add(&test, &ctx, 2, Act::FailTimes(99)).await;
        add(&test, &ctx, 3, Act::FailForGood).await;
        add(&test, &ctx, 4, Act::Panic).await;
        let jobs = jobs_when(&test, &ctx, |jobs| {
            jobs.iter().all(|job| matches!(job.state, JobState::Succeeded | JobState::Failed))
        }).await;
        let state = |number: &str| jobs.iter().find(|job| job.subject == number).map(|job| (job.state, job.attempt)).unwrap();
        assert_eq!(state("1"), (JobState::Succeeded, 2));
        assert_eq!(state("2"), (JobState::Failed, 2));
        assert_eq!(state("3"), (JobState::Failed, 1));
        assert_eq!(state("4"), (JobState::Failed, 2));
        assert_eq!(probe.told_failed.load(Ordering::SeqCst), 3);
        let told = test.read(&ctx).await.unwrap().events_after(Default::default(), 99).await.unwrap();
        assert_eq!(told.iter().filter(|event| event.kind == "test.failed").count(), 3);
        workflows.stop().await;
    }

    async fn a_queue_never_runs_more_than_its_limit_at_once(test: TestStore) {
        let (probe, ctx) = (Probe::default(), tenant());
        for number in 0..30 {
            add(&test, &ctx, number, Act::Succeed).await;
        }
        let workflows = worker(test.store(), &probe, true).await;
        jobs_when(&test, &ctx, all(JobState::Succeeded)).await;
        assert!(probe.running_most.load(Ordering::SeqCst) <= 3);
        assert!(probe.runs.lock().unwrap().values().all(|runs| *runs == 1));
        workflows.stop().await;
    }

    async fn several_processes_share_the_queue_and_run_each_job_once(test: TestStore) {
        let (probe, ctx) = (Probe::default(), tenant());
        for number in 0..60 {
            add(&test, &ctx, number, Act::EmitAndComplete).await;
        }
        let mut workers = Vec::new();
        for _ in 0..3 {
            workers.push(worker(test.open_again().await, &probe, false).await);
        }
        let finished = async {
            loop {
                let events = test.read(&ctx).await.unwrap().events_after(Default::default(), 200).await.unwrap();
                if events.len() >= 60 {
                    return events;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let events = tokio::time::timeout(Duration::from_secs(60), finished).await.unwrap();
        assert_eq!(events.len(), 60, "an effect happened twice");
        assert_eq!(probe.runs.lock().unwrap().values().sum::<u32>(), 60);
        for worker in workers {
            worker.stop().await;
        }
    }

    async fn work_that_a_stopped_process_left_is_taken_up_by_the_next(test: TestStore) {
        let (probe, ctx) = (Probe::default(), tenant());
        let first = worker(test.store(), &probe, true).await;
        add(&test, &ctx, 1, Act::Wait).await;
        jobs_when(&test, &ctx, all(JobState::Running)).await;
        first.stop().await;
        let jobs = jobs_when(&test, &ctx, all(JobState::Queued)).await;
        assert_eq!(jobs[0].attempt, 0, "an interruption counted as an attempt");
        let second = worker(test.open_again().await, &probe, true).await;
        jobs_when(&test, &ctx, all(JobState::Running)).await;
        assert_eq!(probe.runs.lock().unwrap()[&1], 2);
        second.stop().await;
    }

    async fn a_tenant_sees_only_its_own_jobs(test: TestStore) {
        let (ours, theirs) = (tenant(), tenant());
        add(&test, &theirs, 1, Act::Succeed).await;
        assert!(list_jobs(&ours, &test, &JobFilter::default(), &Default::default()).await.unwrap().data.is_empty());
    }

    async fn the_jobs_of_a_suspended_tenant_wait_and_those_of_others_do_not(test: TestStore) {
        let (probe, ctx, other) = (Probe::default(), tenant(), tenant());
        let mut tx = test.begin(&ctx).await.unwrap();
        let insert = "INSERT INTO tenants (id, name, created_at, state) VALUES ($1, 'Suspended', 0, 'suspended')";
        tx.execute(insert, [ctx.tenant().unwrap().into()]).await.unwrap();
        tx.commit().await.unwrap();
        add(&test, &ctx, 1, Act::Succeed).await;
        add(&test, &other, 2, Act::Succeed).await;
        let workflows = worker(test.store(), &probe, true).await;
        jobs_when(&test, &other, all(JobState::Succeeded)).await;
        let waiting = list_jobs(&ctx, &test, &JobFilter::default(), &Default::default()).await.unwrap().data;
        assert!(all(JobState::Queued)(&waiting));
        let mut tx = test.begin(&ctx).await.unwrap();
        tx.execute("UPDATE tenants SET state = 'active' WHERE id = $1", [ctx.tenant().unwrap().into()]).await.unwrap();
        tx.commit().await.unwrap();
        jobs_when(&test, &ctx, all(JobState::Succeeded)).await;
        assert_eq!(*probe.runs.lock().unwrap(), HashMap::from([(1, 1), (2, 1)]));
        workflows.stop().await;
    }

    async fn a_delayed_job_waits_for_its_time(test: TestStore) {
        let (probe, ctx) = (Probe::default(), tenant());
        let workflows = worker(test.store(), &probe, true).await;
        let mut tx = test.begin(&ctx).await.unwrap();
        let later = ctx.now() + 1_500_000;
        enqueue(&mut tx, &TestStep { number: 1, act: Act::Succeed }, "1", Some(later)).await.unwrap();
        tx.commit().await.unwrap();
        jobs_when(&test, &ctx, all(JobState::Succeeded)).await;
        assert!(ctx.now() >= later);
        workflows.stop().await;
    }
}

/// Two processes keep the same schedule; the duty is done once for each turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_runs_in_one_process_only() {
    let test = TestStore::postgres().await;
    let probe = Probe::default();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let store = test.open_again().await;
        let workflows = Workflows::new(store.clone(), system());
        workflows.register::<TestStep>((probe.clone(), store));
        workflows.every("test.duty", Duration::from_secs(3600), || TestStep { number: 7, act: Act::Succeed });
        workflows.start(false).await.unwrap();
        workers.push(workflows);
    }
    for _ in 0..100 {
        if !probe.runs.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(*probe.runs.lock().unwrap(), HashMap::from([(7, 1)]));
    for worker in workers {
        worker.stop().await;
    }
}
