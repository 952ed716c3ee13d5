//! Reads collections and documents from SQL into memory.

use std::{collections::HashMap, sync::Arc};

use plasma_kernel::{CollectionId, Ctx, KnowledgeDocumentId, Result};
use plasma_store::Tx;

use super::{
    Index,
    memory::{CollectionView, DocumentPassages, Slot, VectorsOf},
};
use crate::store::{
    collections,
    passages::{self, IndexedPassage},
    versions::{self, LiveVersion},
};

/// Rows read at once: some megabytes.
const PASSAGES_PAGE: u32 = 1_000;
const VERSIONS_PAGE: u32 = 1_000;

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
            Ok(_) => self.memory.make_room(collection),
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
        let (mut documents, mut vectors_of) = read_with_vectors_of(&mut tx, collection).await?;
        drop(tx);
        loop {
            let view = CollectionView::new(documents.values().cloned().collect());
            let view = Arc::new(view.with_vectors_of(Arc::clone(&vectors_of)));
            let changed = slot.finish_loading(&view);
            if changed.is_empty() {
                let elapsed_ms = started.elapsed().as_millis();
                tracing::debug!(%collection, passages = view.passages, elapsed_ms, "loaded a collection into memory");
                return Ok(view);
            }
            let mut tx = self.store.read(ctx).await?;
            if *read_vectors_of(&mut tx, collection).await? != *vectors_of {
                (documents, vectors_of) = read_with_vectors_of(&mut tx, collection).await?;
                continue;
            }
            for id in changed {
                match read_document(&mut tx, collection, id, true).await? {
                    Some((version, passages)) => {
                        documents.insert(id, Arc::new(DocumentPassages::new(version, passages)?));
                    }
                    None => {
                        documents.remove(&id);
                    }
                }
            }
        }
    }
}

/// Which vectors the collection has now.
async fn read_vectors_of(tx: &mut Tx, collection: CollectionId) -> Result<Arc<VectorsOf>> {
    let stored = collections::by_reference(tx, &collection.to_string()).await?;
    Ok(Arc::new(stored.map_or_else(VectorsOf::default, |stored| VectorsOf {
        generation: stored.generation,
        model: stored.collection.embedding_model,
        dimensions: stored.dimensions,
    })))
}

type Documents = HashMap<KnowledgeDocumentId, Arc<DocumentPassages>>;

/// All searchable documents, with vectors of one generation.
async fn read_with_vectors_of(tx: &mut Tx, collection: CollectionId) -> Result<(Documents, Arc<VectorsOf>)> {
    let mut before = read_vectors_of(tx, collection).await?;
    loop {
        let documents = read_collection(tx, collection).await?;
        // Postgres shows each statement what is committed by then.
        let after = read_vectors_of(tx, collection).await?;
        if before.generation == after.generation {
            return Ok((documents, after));
        }
        before = after;
    }
}

/// The collection with the vectors that it has now.
pub(super) async fn read_view(tx: &mut Tx, collection: CollectionId) -> Result<Arc<CollectionView>> {
    let (documents, vectors_of) = read_with_vectors_of(tx, collection).await?;
    Ok(Arc::new(CollectionView::new(documents.into_values().collect()).with_vectors_of(vectors_of)))
}

async fn read_collection(tx: &mut Tx, collection: CollectionId) -> Result<Documents> {
    let mut parts: HashMap<KnowledgeDocumentId, (LiveVersion, Vec<IndexedPassage>)> = HashMap::new();
    for version in live_versions(tx, collection).await? {
        parts.insert(version.document, (version, Vec::new()));
    }
    let mut after = None;
    loop {
        let page = passages::page_of_collection(tx, collection, after, PASSAGES_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.document, last.passage.ordinal));
        for found in page {
            if let Some((version, passages)) = parts.get_mut(&found.document)
                && version.version == found.version
            {
                passages.push(found.passage);
            }
        }
    }
    // Postgres shows each statement what is committed by then: what was replaced in between is read by itself.
    let mut documents = HashMap::with_capacity(parts.len());
    for now in live_versions(tx, collection).await? {
        let read = match parts.remove(&now.document) {
            Some(part) if part.0.version == now.version => Some(part),
            _ => read_document(tx, collection, now.document, true).await?,
        };
        if let Some((version, passages)) = read {
            documents.insert(version.document, Arc::new(DocumentPassages::new(version, passages)?));
        }
    }
    Ok(documents)
}

async fn live_versions(tx: &mut Tx, collection: CollectionId) -> Result<Vec<LiveVersion>> {
    let mut all: Vec<LiveVersion> = Vec::new();
    loop {
        let after = all.last().map(|version| version.document);
        let page = versions::live_of_collection(tx, collection, after, VERSIONS_PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// The searchable version of a document with all of its passages, or `None` when it has none any more.
pub(super) async fn read_document(
    tx: &mut Tx,
    collection: CollectionId,
    id: KnowledgeDocumentId,
    with_vectors: bool,
) -> Result<Option<(LiveVersion, Vec<IndexedPassage>)>> {
    let mut live = versions::live(tx, collection, id).await?;
    while let Some(version) = live {
        let all = read_passages(tx, &version, with_vectors).await?;
        live = versions::live(tx, collection, id).await?;
        // The passages of a version are only removed after it was replaced: they are complete if it still is the one.
        if live.as_ref().is_some_and(|live| live.version == version.version) {
            return Ok(Some((version, all)));
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
