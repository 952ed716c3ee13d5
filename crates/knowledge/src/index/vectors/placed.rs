//! Collections whose vectors are on search nodes, or come back from there.

use plasma_kernel::{CollectionId, Ctx, Result, TenantId};

use super::{BuildProgress, VectorsStatus};
use crate::{index::Index, store::placements};

impl Index {
    /// A collection's vectors are to be elsewhere, or here (`true`): builds them here, or removes them. Only for the follower.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub(in crate::index) async fn take_up_placement(&self, tenant: TenantId, collection: CollectionId) -> Result<bool> {
        let ctx = self.ctx.for_tenant(tenant, "knowledge.index");
        let placement = placements::of(&mut self.store.read(&ctx).await?, collection).await?;
        if placement.needs_own_index() {
            self.builds.add(tenant, collection);
            return Ok(true);
        }
        // Before they are gone from here: a search that finds none knows where they are.
        self.caches.forget(tenant);
        let slot = self.memory.slot(collection);
        self.remove_vectors(collection, &slot).await;
        slot.show_vectors(None, slot.vectors.of());
        slot.vectors.note_failure(None);
        Ok(false)
    }

    /// How far this process's own index of a collection is; opened, or built, if it is not.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database or the disk.
    pub(crate) async fn own_vectors(&self, ctx: &Ctx, collection: CollectionId) -> Result<VectorsStatus> {
        let slot = self.memory.slot(collection);
        let Some(index) = self.open_vectors(ctx, collection, &slot).await? else { return Ok(VectorsStatus::Complete) };
        let total = index.view().len() as u64;
        drop(index);
        let status = slot.vectors.status();
        if status == VectorsStatus::Complete && slot.loaded().is_some_and(|view| view.vectors.is_none()) {
            // What searches see was loaded while there was no index.
            self.builds.add(ctx.tenant()?, collection);
            return Ok(VectorsStatus::Building(BuildProgress { done: total, total }));
        }
        Ok(status)
    }
}
