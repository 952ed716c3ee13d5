//! The running system: everything that was wired together.

use std::{path::PathBuf, sync::Arc, time::Instant};

use plasma_content::Content;
use plasma_governance::Governance;
use plasma_identity::Identity;
use plasma_knowledge::Knowledge;
use plasma_models::{Manifest, Models};
use plasma_store::Store;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{compliance::Compliance, encryption::Encryption, metrics::Metrics, tail::EventTail};

/// What the server's own routes need. Cheap to clone.
#[derive(Clone)]
pub struct System {
    inner: Arc<Parts>,
}

/// The parts, for whoever wires them.
pub struct Parts {
    /// Everything durable.
    pub store: Store,
    /// Who calls.
    pub identity: Identity,
    /// Models.
    pub models: Models,
    /// The local models that this program knows.
    pub manifest: Manifest,
    /// Where their weights are.
    pub models_dir: PathBuf,
    /// Collections.
    pub knowledge: Knowledge,
    /// Content documents.
    pub content: Content,
    /// The audit.
    pub governance: Governance,
    /// Changes of keys.
    pub encryption: Encryption,
    /// Which security controls are met.
    pub compliance: Arc<Compliance>,
    /// Events as they happen.
    pub tail: EventTail,
    /// Room for WebSockets.
    pub live_room: Arc<Semaphore>,
    /// What is counted.
    pub metrics: Metrics,
    /// Fires when the program stops.
    pub stop: CancellationToken,
    /// When the program started.
    pub started: Instant,
}

impl System {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self { inner: Arc::new(parts) }
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.inner
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.inner.stop.is_cancelled()
    }
}
