//! Reads collections and documents from SQL into memory.

use std::{collections::HashMap, sync::Arc};

use plasma_kernel::{CollectionId, Ctx, KnowledgeDocumentId, Result};
use plasma_store::Tx;

use super::{
    Index,
    memory::{CollectionView, DocumentPassages, Slot},
};
use crate::store::{
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
        let mut documents = read_collection(&mut tx, collection).await?;
        drop(tx);
        loop {
            let view = Arc::new(CollectionView::new(documents.values().cloned().collect()));
            let changed = slot.finish_loading(&view);
            if changed.is_empty() {
                let elapsed_ms = started.elapsed().as_millis();
                tracing::debug!(%collection, passages = view.passages, elapsed_ms, "loaded a collection into memory");
                return Ok(view);
            }
            let mut tx = self.store.read(ctx).await?;
            for id in changed {
                match read_document(&mut tx, collection, id).await? {
                    Some(document) => documents.insert(id, Arc::new(document)),
                    None => documents.remove(&id),
                };
            }
        }
    }
}

async fn read_collection(
    tx: &mut Tx,
    collection: CollectionId,
) -> Result<HashMap<KnowledgeDocumentId, Arc<DocumentPassages>>> {
    let mut parts: HashMap<KnowledgeDocumentId, (LiveVersion, Vec<IndexedPassage>)> = HashMap::new();
    let mut after = None;
    loop {
        let page = versions::live_of_collection(tx, collection, after, VERSIONS_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.document);
        parts.extend(page.into_iter().map(|version| (version.document, (version, Vec::new()))));
    }
    let mut after = None;
    loop {
        let page = passages::page_of_collection(tx, collection, after, PASSAGES_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.document, last.passage.ordinal));
        for found in page {
            // Postgres shows each statement what is committed by then: a document replaced in between is read again, for
            // the follower notes its event.
            if let Some((version, passages)) = parts.get_mut(&found.document)
                && version.version == found.version
            {
                passages.push(found.passage);
            }
        }
    }
    parts
        .into_iter()
        .map(|(id, (version, passages))| Ok((id, Arc::new(DocumentPassages::new(version, passages)?))))
        .collect()
}

/// The searchable version of a document with its vectors, or `None` when it has none any more.
pub(super) async fn read_document(
    tx: &mut Tx,
    collection: CollectionId,
    id: KnowledgeDocumentId,
) -> Result<Option<DocumentPassages>> {
    let Some(version) = versions::live(tx, collection, id).await? else { return Ok(None) };
    let mut all = Vec::new();
    loop {
        let from = u32::try_from(all.len()).unwrap_or(u32::MAX);
        let page = passages::page(tx, id, version.version, from, PASSAGES_PAGE, true).await?;
        if page.is_empty() {
            return DocumentPassages::new(version, all).map(Some);
        }
        all.extend(page);
    }
}
