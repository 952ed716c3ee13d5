use std::{future::Future, pin::Pin};

use plasma_kernel::{Ctx, Error, Result};
use plasma_store::Tx;
use serde::{Serialize, de::DeserializeOwned};

use crate::Run;

/// A line of jobs with its own workers, so that slow work of one kind never holds up another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Queue {
    /// Its name in the database.
    pub name: &'static str,
    /// Steps that one process runs at the same time.
    pub concurrency: usize,
}

/// A piece of durable work: a plain struct that holds ids, never contents.
pub trait Step: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What the step needs to run: its domain, cheap to clone.
    type Domain: Clone + Send + Sync + 'static;
    /// Its name in the database, as in `knowledge.ingest`. Never changes once released.
    const KIND: &'static str;
    /// Where it waits.
    const QUEUE: Queue;
    /// Attempts before it is given up.
    const ATTEMPTS_MAX: u32 = 5;
    /// Whether it runs also while its tenant is suspended or to be deleted.
    const WHILE_SUSPENDED: bool = false;

    /// Does the work. May run again after a crash or a transient error, so every effect is idempotent or written
    /// together with [`Run::complete`].
    fn run(self, domain: Self::Domain, run: Run) -> impl Future<Output = Result<()>> + Send;

    /// Called in the transaction that marks the job as failed for good: the place to tell the thing it worked on.
    fn failed(
        &self,
        _domain: &Self::Domain,
        _ctx: &Ctx,
        _tx: &mut Tx,
        _error: &Error,
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

type Boxed<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;
type RunStep = Box<dyn Fn(&str, Run) -> Result<Boxed<'static>> + Send + Sync>;
type FailStep = Box<dyn for<'a> Fn(&'a str, &'a Ctx, &'a mut Tx, &'a Error) -> Boxed<'a> + Send + Sync>;

/// A registered kind of step, its type forgotten.
pub(crate) struct Registered {
    pub(crate) queue: Queue,
    pub(crate) run: RunStep,
    pub(crate) failed: FailStep,
}

fn decode<S: Step>(payload: &str) -> Result<S> {
    serde_json::from_str(payload).map_err(|error| {
        // Not transient: the same program reads the same text the same way each time.
        Error::new(
            plasma_kernel::Code::Invalid,
            "job_payload_unreadable",
            format!("the payload of a {} job: {error}", S::KIND),
        )
    })
}

impl Registered {
    pub(crate) fn new<S: Step>(domain: S::Domain) -> Self {
        let domain_for_failure = domain.clone();
        Self {
            queue: S::QUEUE,
            run: Box::new(move |payload, run| {
                let step: S = decode(payload)?;
                let domain = domain.clone();
                Ok(Box::pin(async move { step.run(domain, run).await }))
            }),
            failed: Box::new(move |payload, ctx, tx, error| {
                let domain = domain_for_failure.clone();
                Box::pin(async move { decode::<S>(payload)?.failed(&domain, ctx, tx, error).await })
            }),
        }
    }
}
