//! Removes what nobody sees any more, in small transactions. Everything here may run twice.

use plasma_kernel::{Ctx, KnowledgeDocumentId, Result};
use plasma_workflows::Run;

use crate::{
    Knowledge,
    steps::{PurgeCollection, PurgeVersions},
    store,
};

/// Passages deleted in one transaction: other writers wait no longer than for these.
const PASSAGES_MAX: u32 = 1_000;
/// Documents of a deleted collection taken at once.
const DOCUMENTS_MAX: u32 = 50;

pub(crate) async fn versions(knowledge: &Knowledge, step: &PurgeVersions, run: &Run) -> Result<()> {
    for version in &step.versions {
        purge_version(knowledge, run.ctx(), step.document, *version).await?;
        if run.cancellation().is_cancelled() {
            return Err(Run::interrupted());
        }
    }
    complete(knowledge, run).await
}

pub(crate) async fn collection(knowledge: &Knowledge, step: &PurgeCollection, run: &Run) -> Result<()> {
    let ctx = run.ctx();
    let mut removed = 0;
    loop {
        let mut tx = knowledge.store().read(ctx).await?;
        let documents = store::documents::of_deleted_collection(&mut tx, step.collection, DOCUMENTS_MAX).await?;
        drop(tx);
        if documents.is_empty() {
            tracing::debug!(collection = %step.collection, removed, "removed a deleted collection");
            return complete(knowledge, run).await;
        }
        for document in documents {
            if run.cancellation().is_cancelled() {
                return Err(Run::interrupted());
            }
            let versions = store::versions::all(&mut knowledge.store().read(ctx).await?, document).await?;
            for version in versions {
                purge_version(knowledge, ctx, document, version).await?;
            }
            let mut tx = knowledge.store().begin(ctx).await?;
            store::documents::delete_orphan(&mut tx, document).await?;
            tx.commit().await?;
            removed += 1;
        }
    }
}

async fn complete(knowledge: &Knowledge, run: &Run) -> Result<()> {
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    run.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

async fn purge_version(knowledge: &Knowledge, ctx: &Ctx, document: KnowledgeDocumentId, version: u32) -> Result<()> {
    let blob = store::versions::blob_of(&mut knowledge.store().read(ctx).await?, document, version).await?;
    match blob {
        Some(blob) => remove_version(knowledge, ctx, document, version, &blob).await,
        None => Ok(()),
    }
}

/// Removes a version whose blob has this name. Its row goes last, for it is what leads here again after a crash.
pub(crate) async fn remove_version(
    knowledge: &Knowledge,
    ctx: &Ctx,
    document: KnowledgeDocumentId,
    version: u32,
    blob: &str,
) -> Result<()> {
    loop {
        let mut tx = knowledge.store().begin(ctx).await?;
        let deleted = store::passages::delete_some(&mut tx, document, version, PASSAGES_MAX).await?;
        tx.commit().await?;
        if deleted < u64::from(PASSAGES_MAX) {
            break;
        }
    }
    let blobs = knowledge.store().blobs();
    blobs.delete(ctx, &store::versions::text_blob(blob)).await?;
    blobs.delete(ctx, blob).await?;
    let mut tx = knowledge.store().begin(ctx).await?;
    store::versions::delete(&mut tx, document, version).await?;
    tx.commit().await?;
    Ok(())
}
