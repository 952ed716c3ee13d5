//! Documents whose embedding model is absent wait without a job. This looks now and then whether the model has come.

use std::time::Duration;

use plasma_kernel::{CollectionId, Ctx, Result};
use plasma_models::ModelState;
use plasma_workflows::enqueue;
use tokio_util::sync::CancellationToken;

use crate::{
    Knowledge,
    steps::IngestDocument,
    store::{queue, versions},
};

const INTERVAL: Duration = Duration::from_secs(5);
/// Documents taken up in one transaction.
const DOCUMENTS_MAX: u32 = 200;

pub(crate) async fn watch(knowledge: Knowledge, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = look(&knowledge).await {
            tracing::warn!(?error, "cannot look for documents that wait for a model; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

async fn look(knowledge: &Knowledge) -> Result<()> {
    let waiting = queue::waiting_collections(&mut knowledge.store().read(knowledge.ctx()).await?).await?;
    for (tenant, collection, model) in waiting {
        let ctx = knowledge.ctx().for_tenant(tenant, "knowledge.waiting");
        match knowledge.models().model(&ctx, &model).await {
            Ok(model) if model.state == ModelState::Missing => continue,
            Ok(_) => {}
            // A model that was removed will not come: the attempt says so.
            Err(error) if error.reason() == "model_not_found" => {}
            Err(error) => return Err(error),
        }
        tracing::info!(%collection, model, "the embedding model is here: documents that waited for it are taken up");
        while take_up(knowledge, &ctx, collection).await? {}
    }
    Ok(())
}

/// Enqueues some documents of a collection; `false` when there are no more.
async fn take_up(knowledge: &Knowledge, ctx: &Ctx, collection: CollectionId) -> Result<bool> {
    let mut tx = knowledge.store().begin(ctx).await?;
    let documents = queue::take_waiting(&mut tx, collection, DOCUMENTS_MAX).await?;
    for (document, version) in &documents {
        let Some(blob) = versions::blob_of(&mut tx, *document, *version).await? else { continue };
        let step = IngestDocument { collection, document: *document, version: *version, blob };
        enqueue(&mut tx, &step, &document.to_string(), None).await?;
    }
    knowledge.commit(tx).await?;
    Ok(documents.len() == DOCUMENTS_MAX as usize)
}
