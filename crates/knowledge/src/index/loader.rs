//! Reads collections and documents from SQL.

use std::{collections::HashMap, sync::Arc};

use plasma_kernel::{CollectionId, Ctx, KnowledgeDocumentId, Result};
use plasma_store::Tx;
use plasma_vectors::View;

use super::{
    Index,
    memory::{CollectionView, DocumentEntry, Slot},
    vectors::DocumentVectors,
};
use crate::store::{
    passages::{self, IndexedPassage},
    versions::{self, LiveVersion},
};

/// Rows read at once: some megabytes.
const PASSAGES_PAGE: u32 = 1_000;
const VERSIONS_PAGE: u32 = 5_000;

impl Index {
    /// Loads a collection into its slot: one task does, the others wait for it.
    pub(super) async fn load(&self, ctx: &Ctx, collection: CollectionId, slot: &Slot) -> Result<Arc<CollectionView>> {
        let _loading = slot.loading.lock().await;
        if let Some(view) = slot.loaded() {
            return Ok(view);
        }
        slot.begin_loading();
        let loaded = self.load_noticing_changes(ctx, collection, slot).await;
        match &loaded {
            Ok(_) => self.memory.make_room(Some(collection)),
            Err(_) => slot.give_up_loading(),
        }
        loaded
    }

    async fn load_noticing_changes(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        slot: &Slot,
    ) -> Result<Arc<CollectionView>> {
        let started = tokio::time::Instant::now();
        let mut tx = self.store.read(ctx).await?;
        self.expect(tx.events_head().await?);
        let mut documents = read_documents(&mut tx, collection).await?;
        drop(tx);
        let vectors = match self.open_vectors(ctx, collection, slot).await {
            Ok(vectors) => vectors,
            Err(error) if !error.reason().starts_with("vector_index_") => return Err(error),
            Err(error) => {
                // The text half still answers, and the background tries again.
                tracing::warn!(?error, %collection, "a collection is searched without its vectors");
                slot.vectors.note_failure(Some(error.message()));
                self.builds.add(ctx.tenant()?, collection);
                None
            }
        };
        loop {
            let view = vectors.as_ref().map(|vectors| vectors.view());
            let view = Arc::new(CollectionView::new(documents.values().cloned().collect(), view));
            let changed = slot.finish_loading(&view);
            if changed.is_empty() {
                let (documents, elapsed_ms) = (view.documents.len(), started.elapsed().as_millis());
                tracing::debug!(%collection, documents, elapsed_ms, "loaded a collection into memory");
                return Ok(view);
            }
            let mut tx = self.store.read(ctx).await?;
            for id in changed {
                match versions::live(&mut tx, collection, id).await? {
                    Some(version) => documents.insert(id, Arc::new(DocumentEntry::from(version))),
                    None => documents.remove(&id),
                };
            }
        }
    }
}

/// The searchable documents of a collection. Each is in one page, as it was when that was read; what changed meanwhile the
/// follower has noted.
async fn read_documents(
    tx: &mut Tx,
    collection: CollectionId,
) -> Result<HashMap<KnowledgeDocumentId, Arc<DocumentEntry>>> {
    let mut documents = HashMap::new();
    let mut after = None;
    loop {
        let page = versions::live_of_collection(tx, collection, after, VERSIONS_PAGE).await?;
        let Some(last) = page.last() else { return Ok(documents) };
        after = Some(last.document);
        documents.extend(page.into_iter().map(|version| (version.document, Arc::new(DocumentEntry::from(version)))));
    }
}

/// The searchable version of a document with all of its passages.
pub(super) struct ReadDocument {
    pub(super) version: LiveVersion,
    /// By ordinal, without gaps.
    pub(super) passages: Vec<IndexedPassage>,
    /// The passages have their vectors.
    pub(super) with_vectors: bool,
}

/// Reads a document; `None` when it has no searchable version any more. Its vectors are read if they are to be in `vectors` and
/// are not.
pub(super) async fn read_document(
    tx: &mut Tx,
    collection: CollectionId,
    id: KnowledgeDocumentId,
    vectors: Option<&View>,
) -> Result<Option<ReadDocument>> {
    let mut live = versions::live(tx, collection, id).await?;
    while let Some(version) = live {
        let with_vectors = vectors.is_some_and(|view| !DocumentVectors::is_in(view, &version));
        let passages = read_passages(tx, &version, with_vectors).await?;
        live = versions::live(tx, collection, id).await?;
        // The passages of a version are only removed after it was replaced: they are complete if it still is the one.
        if live.as_ref().is_some_and(|live| live.version == version.version) {
            return Ok(Some(ReadDocument { version, passages, with_vectors }));
        }
    }
    Ok(None)
}

async fn read_passages(tx: &mut Tx, version: &LiveVersion, with_vectors: bool) -> Result<Vec<IndexedPassage>> {
    let mut all = Vec::new();
    loop {
        let from = u32::try_from(all.len()).unwrap_or(u32::MAX);
        let page = passages::page(tx, version.document, version.version, from, PASSAGES_PAGE, with_vectors).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}
