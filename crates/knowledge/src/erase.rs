//! A tenant that is erased: what processes have built from its rows must go too.

use plasma_kernel::{Ctx, Result, TenantId};

use crate::{Knowledge, events, store::collections};

/// Collections removed in one transaction, and named in one event.
const COLLECTIONS_MAX: u32 = 500;

impl Knowledge {
    /// Removes the collections of a tenant that is being erased and tells every process to forget what it has built of them:
    /// word indexes, vectors and their folders. It is told in the installation's own log, for the tenant's is erased with it,
    /// and a process that does not run now must still learn of it. The documents' rows are for whoever erases. May run twice.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn forget_tenant(&self, tenant: TenantId) -> Result<()> {
        let ctx = Ctx::system("erase a tenant's collections", self.ctx().clock().clone(), self.ctx().random().clone());
        loop {
            let mut tx = self.store().begin(&ctx).await?;
            let erased = collections::erase_some(&mut tx, tenant, COLLECTIONS_MAX).await?;
            if erased.is_empty() {
                break;
            }
            tx.emit(events::collections_erased(tenant, &erased)).await?;
            tx.commit().await?;
        }
        self.caches().forget(tenant);
        Ok(())
    }
}
