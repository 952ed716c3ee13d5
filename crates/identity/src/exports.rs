//! A copy of all that a tenant has, as one archive: made in the background, kept for a week.

mod archive;
mod contents;
mod write;

use bytes::Bytes;
use futures::stream::BoxStream;
use plasma_kernel::{Code, Ctx, Error, ExportId, Page, PageRequest, Permission, Result};
use plasma_workflows::enqueue;

use crate::{Export, ExportState, Identity, events, steps::WriteExport, store};

pub(crate) use write::{fail, run};

/// How long an archive can be fetched.
pub(crate) const KEPT_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;
/// Archives of one tenant that are kept at the same time.
const READY_MAX: i64 = 5;
/// What the archives' blobs are called; they are no part of the next archive.
pub(crate) const BLOB_PREFIX: &str = "exports/";

impl Identity {
    /// Begins a copy of all that the caller's tenant has. Works in a suspended tenant too, and in one that is to be deleted.
    ///
    /// # Errors
    /// `forbidden` without `tenants:export`, and without a recent proof of who one is (`step_up_required`); `conflict` while
    /// another one is made (`export_under_way`) or when there are five (`too_many_exports`).
    pub async fn request_export(&self, ctx: &Ctx) -> Result<Export> {
        ctx.require(Permission::TenantsExport)?;
        ctx.require_recent_authentication()?;
        let id = ExportId::new(ctx);
        let export = Export {
            id,
            state: ExportState::Queued,
            requested_by: ctx.actor().clone(),
            done: 0,
            total: 0,
            size_bytes: None,
            error: None,
            created_at: ctx.now(),
            finished_at: None,
            expires_at: None,
            blob: format!("{BLOB_PREFIX}{id}.zip"),
        };
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let (under_way, ready) = store::exports::count(&mut tx).await?;
        if under_way > 0 {
            return Err(Error::conflict("export_under_way", "a copy is being made already")
                .remedy("wait until it is done, or delete it"));
        }
        if ready >= READY_MAX {
            return Err(Error::conflict("too_many_exports", format!("there are {READY_MAX} copies already"))
                .remedy("delete one that you have fetched"));
        }
        store::exports::insert(&mut tx, &export).await?;
        enqueue(&mut tx, &WriteExport { export: id }, &id.to_string(), None).await?;
        tx.emit(events::export_requested(id)).await?;
        tx.commit().await?;
        Ok(export)
    }

    /// The tenant's copies, newest first.
    ///
    /// # Errors
    /// `forbidden` without `tenants:export`.
    pub async fn exports(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Export>> {
        ctx.require(Permission::TenantsExport)?;
        store::exports::page(&mut self.inner.store.read(ctx).await?, page).await
    }

    /// One copy, with how far it has come.
    ///
    /// # Errors
    /// `forbidden` without `tenants:export`, `not_found`.
    pub async fn export(&self, ctx: &Ctx, id: ExportId) -> Result<Export> {
        ctx.require(Permission::TenantsExport)?;
        store::exports::get(&mut self.inner.store.read(ctx).await?, id).await
    }

    /// A copy and its bytes, piece by piece. That somebody fetched it is written to the log.
    ///
    /// # Errors
    /// As [`Identity::export`]; `conflict` before it is made (`export_not_ready`); `gone` after its week (`export_expired`);
    /// `unavailable` when the storage fails.
    pub async fn export_content(&self, ctx: &Ctx, id: ExportId) -> Result<(Export, BoxStream<'static, Result<Bytes>>)> {
        ctx.require(Permission::TenantsExport)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let export = store::exports::get(&mut tx, id).await?;
        let is_over = export.expires_at.is_some_and(|expires_at| expires_at <= ctx.now());
        match export.state {
            ExportState::Ready if !is_over => {}
            ExportState::Ready | ExportState::Expired => {
                return Err(Error::new(Code::Gone, "export_expired", "this copy was removed after its week")
                    .remedy("make another one"));
            }
            ExportState::Queued | ExportState::Running => {
                return Err(Error::conflict("export_not_ready", "this copy is still being made")
                    .remedy("wait until its state is `ready`"));
            }
            ExportState::Failed => {
                return Err(Error::conflict("export_failed", "this copy could not be made").remedy("make another one"));
            }
        }
        tx.emit(events::export_fetched(id)).await?;
        tx.commit().await?;
        let bytes = self.inner.store.blobs().stream(ctx, &export.blob, 0).await?;
        Ok((export, bytes))
    }

    /// Deletes a copy. One that is being made is given up.
    ///
    /// # Errors
    /// As [`Identity::export`]; `unavailable` when the storage fails.
    pub async fn delete_export(&self, ctx: &Ctx, id: ExportId) -> Result<()> {
        ctx.require(Permission::TenantsExport)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let export = store::exports::get(&mut tx, id).await?;
        store::exports::delete(&mut tx, id).await?;
        tx.emit(events::export_deleted(id)).await?;
        tx.commit().await?;
        self.inner.store.blobs().delete(ctx, &export.blob).await
    }
}
