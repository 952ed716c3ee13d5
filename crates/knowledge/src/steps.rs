//! The background steps that this crate offers.

use plasma_kernel::{CollectionId, Ctx, Error, KnowledgeDocumentId, Result};
use plasma_store::Tx;
use plasma_workflows::{Queue, Run, Step};
use serde::{Deserialize, Serialize};

use crate::{Knowledge, ingest, nodes::moving, purge, reembed};

/// Reads a version of a document: text, passages, vectors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct IngestDocument {
    pub(crate) collection: CollectionId,
    pub(crate) document: KnowledgeDocumentId,
    pub(crate) version: u32,
    /// The name of the version's blob: known even when its row is gone, so that nothing stays behind.
    pub(crate) blob: String,
}

impl Step for IngestDocument {
    type Domain = Knowledge;
    const KIND: &'static str = "knowledge.ingest";
    const QUEUE: Queue = Queue { name: "knowledge.ingest", concurrency: 2 };

    async fn run(self, knowledge: Knowledge, run: Run) -> Result<()> {
        ingest::run(&knowledge, &self, &run).await
    }

    async fn failed(&self, _knowledge: &Knowledge, _ctx: &Ctx, tx: &mut Tx, error: &Error) -> Result<()> {
        ingest::fail(tx, self, error).await
    }
}

/// Removes passages, blobs and rows of versions that are no longer searched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PurgeVersions {
    pub(crate) document: KnowledgeDocumentId,
    pub(crate) versions: Vec<u32>,
}

impl Step for PurgeVersions {
    type Domain = Knowledge;
    const KIND: &'static str = "knowledge.purge_versions";
    const QUEUE: Queue = Queue { name: "knowledge.purge", concurrency: 1 };
    const ATTEMPTS_MAX: u32 = 12;

    async fn run(self, knowledge: Knowledge, run: Run) -> Result<()> {
        purge::versions(&knowledge, &self, &run).await
    }
}

/// Removes everything of a deleted collection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PurgeCollection {
    pub(crate) collection: CollectionId,
}

impl Step for PurgeCollection {
    type Domain = Knowledge;
    const KIND: &'static str = "knowledge.purge_collection";
    const QUEUE: Queue = Queue { name: "knowledge.purge", concurrency: 1 };
    const ATTEMPTS_MAX: u32 = 12;

    async fn run(self, knowledge: Knowledge, run: Run) -> Result<()> {
        purge::collection(&knowledge, &self, &run).await
    }
}

/// Embeds a collection's passages with another model, and then lets searches use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReembedCollection {
    pub(crate) collection: CollectionId,
    pub(crate) generation: u64,
}

impl Step for ReembedCollection {
    type Domain = Knowledge;
    const KIND: &'static str = "knowledge.reembed";
    // One after another: ingestion needs the cores too.
    const QUEUE: Queue = Queue { name: "knowledge.reembed", concurrency: 1 };
    // About an hour: as long as a provider may be away.
    const ATTEMPTS_MAX: u32 = 12;

    async fn run(self, knowledge: Knowledge, run: Run) -> Result<()> {
        reembed::work::run(&knowledge, &self, &run).await
    }

    async fn failed(&self, _knowledge: &Knowledge, _ctx: &Ctx, tx: &mut Tx, error: &Error) -> Result<()> {
        reembed::work::fail(tx, self, error).await
    }
}

/// Tidies up after a change of the embedding model: the new vectors take the place of the old ones, or, when the change was given
/// up, are forgotten.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SettleVectors {
    pub(crate) collection: CollectionId,
    pub(crate) generation: u64,
}

impl Step for SettleVectors {
    type Domain = Knowledge;
    const KIND: &'static str = "knowledge.settle_vectors";
    const QUEUE: Queue = Queue { name: "knowledge.purge", concurrency: 1 };
    const ATTEMPTS_MAX: u32 = 12;

    async fn run(self, knowledge: Knowledge, run: Run) -> Result<()> {
        reembed::settle::run(&knowledge, &self, &run).await
    }
}

/// Waits until a collection's vectors are complete at the place where they are being moved, and then lets searches ask there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MoveCollection {
    pub(crate) collection: CollectionId,
    /// Of the place: a move that was given up or replaced has another.
    pub(crate) generation: u32,
}

impl Step for MoveCollection {
    type Domain = Knowledge;
    const KIND: &'static str = "knowledge.move_collection";
    // It mostly waits for nodes.
    const QUEUE: Queue = Queue { name: "knowledge.move", concurrency: 8 };
    const ATTEMPTS_MAX: u32 = 12;

    async fn run(self, knowledge: Knowledge, run: Run) -> Result<()> {
        moving::run(&knowledge, &self, &run).await
    }

    async fn failed(&self, _knowledge: &Knowledge, _ctx: &Ctx, tx: &mut Tx, error: &Error) -> Result<()> {
        moving::give_up(tx, self, error).await
    }
}
