//! An index as its owner sees it.

use std::sync::Arc;

use plasma_kernel::{CollectionId, Ctx, Result};
use plasma_vectors::Stats;

use super::{Measured, VectorsStatus, blocking, failed};
use crate::index::{
    Index,
    memory::{Slot, lock},
};

/// What there is to say of a collection's index.
pub(crate) struct IndexSummary {
    pub(crate) status: VectorsStatus,
    /// `None` when there are no vectors, or they cannot be read.
    pub(crate) opened: Option<Opened>,
}

/// What there is to say of an index that is open.
pub(crate) struct Opened {
    pub(crate) stats: Stats,
    pub(crate) dimensions: usize,
    pub(crate) disk_bytes: u64,
    pub(crate) is_compaction_due: bool,
    pub(crate) measured: Option<Measured>,
    /// The share of all vectors whose codes recent searches have scanned.
    pub(crate) scanned_share: Option<f64>,
}

impl Index {
    /// Describes a collection's index in this process; opens it if it is not.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub(crate) async fn describe_vectors(&self, ctx: &Ctx, collection: CollectionId) -> Result<IndexSummary> {
        self.caught_up().await;
        let slot = self.memory.used_slot(collection);
        match self.open_vectors(ctx, collection, &slot).await {
            Ok(Some(index)) => {
                let opened = self.describe_opened(collection, &slot, index).await?;
                Ok(IndexSummary { status: slot.vectors.status(), opened: Some(opened) })
            }
            Ok(None) => Ok(IndexSummary { status: slot.vectors.status(), opened: None }),
            Err(error) if error.reason().starts_with("vector_index_") => {
                let status = VectorsStatus::Failed(error.message().to_owned());
                Ok(IndexSummary { status, opened: None })
            }
            Err(error) => Err(error),
        }
    }

    async fn describe_opened(
        &self,
        collection: CollectionId,
        slot: &Slot,
        index: Arc<plasma_vectors::VectorIndex>,
    ) -> Result<Opened> {
        let folder = self.vector_folder()?;
        let (stats, is_compaction_due, disk_bytes) = {
            let index = Arc::clone(&index);
            let look = move || Ok((index.stats(), index.is_compaction_due(), folder.disk_bytes(collection)));
            blocking(look).await?.map_err(failed)?
        };
        Ok(Opened {
            stats,
            dimensions: index.options().dimensions,
            disk_bytes,
            is_compaction_due,
            measured: *lock(&slot.vectors.measured),
            scanned_share: lock(&slot.vectors.recent).scanned_share(),
        })
    }
}
