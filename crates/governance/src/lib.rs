#![doc = include_str!("../README.md")]

mod append;
mod canonical;
mod consumer;
mod erasure;
mod export;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod keys;
pub mod merkle;
pub mod note;
mod noted;
mod proofs;
mod record;
mod retention;
mod search;
mod sinks;
mod store;
mod time;
mod types;
pub mod verify;
mod words;

use std::{path::PathBuf, sync::Arc};

use plasma_http::outbound::Outbound;
use plasma_kernel::{Ctx, Result, TenantId};
use plasma_store::Store;
use plasma_workflows::Workflows;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{keys::Key, noted::Noted, sinks::Reach};

pub use canonical::canonical;
pub use export::{Export, ExportFormat};
pub use retention::RETENTION_DAYS_MIN;
pub use types::{
    AuditCheckpoint, AuditDetail, AuditKey, AuditRecord, Bucket, CheckedProof, ConsistencyProof, INSTALLATION,
    InclusionProof, Log, LogState, NewSink, ObjectLock, RecordFilter, Sink, SinkChange, SinkTarget, SinkTest,
    SyslogTransport,
};

/// What the operator of the installation decides about the audit.
#[derive(Clone, Debug)]
pub struct GovernanceConfig {
    /// The folder of file anchors. Best on storage that only lets files grow.
    pub anchor_dir: PathBuf,
    /// Which addresses the sinks of workspaces may reach.
    pub outbound: Outbound,
}

/// The audit logs. Cheap to clone.
#[derive(Clone)]
pub struct Governance {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    /// A system context; its clock and randomness serve the work that no request began.
    ctx: Ctx,
    config: GovernanceConfig,
    key: Key,
    noted: Noted,
    reach: Reach,
    /// Changes whenever records were appended or a checkpoint was made.
    appended: watch::Sender<u64>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Governance {
    /// Reads the key that signs checkpoints, or makes it at the first start. `ctx` is a system context.
    ///
    /// # Errors
    /// `unavailable` when the database does not answer, `internal` when the key cannot be opened.
    pub async fn open(store: Store, ctx: Ctx, config: GovernanceConfig) -> Result<Self> {
        store.declare_sealed(&store::sealed::columns());
        let key = Key::open(&store, &ctx).await?;
        let reach = Reach::new(&config.outbound)?;
        let (appended, _) = watch::channel(0);
        let inner = Inner {
            store,
            ctx,
            config,
            key,
            noted: Noted::default(),
            reach,
            appended,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Makes `workflows` able to remove records that are older than their workspace wants. Before its start.
    pub fn register_steps(&self, workflows: &Workflows) {
        retention::register(self, workflows);
    }
}

impl Inner {
    /// How a log is called in its checkpoints.
    fn origin(&self, log: TenantId) -> String {
        format!("{}/audit/{log}", self.key.name())
    }
}
