//! Changed documents: read from SQL, and written to both halves of the index before searches see them.

use std::{collections::HashMap, sync::Arc};

use plasma_kernel::{CollectionId, Error, KnowledgeDocumentId, Result, TenantId};

use super::{Changes, Follower, Place};
use crate::{
    index::{
        loader::{self, ReadDocument},
        low_bits,
        memory::{CollectionChanges, DocumentEntry, Slot},
        text::TextEntry,
        vectors::DocumentVectors,
    },
    store::versions,
};

/// Passages indexed at once.
const PASSAGES_PAGE: usize = 500;

/// What changes of collections in memory.
pub(super) type MemoryChanges = HashMap<CollectionId, CollectionChanges>;

impl Follower {
    /// Brings documents into a text index that is built anew. The vectors have them already.
    pub(super) async fn stage_rebuilt(
        &mut self,
        rebuilt: &[(TenantId, CollectionId, KnowledgeDocumentId)],
        changes: &Changes,
    ) -> Result<()> {
        for (tenant, collection, document) in rebuilt.iter().copied() {
            let changed = changes.documents.get(&(tenant, collection));
            if changed.is_some_and(|changed| changed.contains(&document)) {
                continue;
            }
            let ctx = self.index.ctx.for_tenant(tenant, "knowledge.index");
            let mut tx = self.index.store.read(&ctx).await?;
            let read = loader::read_document(&mut tx, collection, document, None).await?;
            drop(tx);
            self.stage_text(collection, document, read.as_ref()).await;
        }
        Ok(())
    }

    /// Reads what changed, writes it to the text index (to be committed) and to the vectors (to be published), and returns it
    /// for the memory.
    pub(super) async fn stage(&mut self, changes: &Changes) -> Result<MemoryChanges> {
        let mut memory = MemoryChanges::new();
        for collection in changes.deleted_collections.iter().copied() {
            self.write_text(move |text| {
                text.remove_collection(collection);
                Ok(())
            })
            .await;
            self.unsynced.remove(&collection);
            let slot = self.index.memory.slot(collection);
            self.index.remove_vectors(collection, &slot).await;
        }
        for place in &changes.reembedded {
            let slot = self.index.memory.slot(place.1);
            let ctx = self.index.ctx.for_tenant(place.0, "knowledge.index");
            // What was not synced is thrown away with the index from before.
            self.unsynced.remove(&place.1);
            match self.index.open_next_generation(&ctx, place.1, &slot).await {
                Ok(()) => {}
                // The background does it when they have ended.
                Err(error) if error.reason() == "vector_index_busy" => self.index.builds.add(place.0, place.1),
                Err(error) => {
                    self.without_vectors::<()>(*place, &slot, error).await?;
                }
            }
            memory.insert(place.1, CollectionChanges::default());
        }
        for (tenant, collection) in changes.placed.iter().copied() {
            if !self.index.take_up_placement(tenant, collection).await? {
                self.unsynced.remove(&collection);
            }
        }
        for (place, documents) in &changes.documents {
            let slot = self.index.memory.slot(place.1);
            for document in documents.iter().copied() {
                let entry = self.stage_document(*place, &slot, document).await?;
                memory.entry(place.1).or_default().documents.insert(document, entry);
            }
        }
        for (place, documents) in &changes.access {
            let slot = self.index.memory.slot(place.1);
            for document in documents.iter().copied() {
                if memory.get(&place.1).is_some_and(|staged| staged.documents.contains_key(&document)) {
                    continue;
                }
                let entry = self.stage_access(*place, &slot, document).await?;
                memory.entry(place.1).or_default().documents.insert(document, entry);
            }
        }
        for (place, orphans) in &changes.orphans {
            let slot = self.index.memory.slot(place.1);
            let staged = memory.entry(place.1).or_default();
            for low in orphans.iter().copied() {
                let is_known = slot.loaded().is_none_or(|view| view.place_of_low(low).is_some())
                    || staged.documents.keys().any(|document| low_bits(*document) == low);
                if !is_known {
                    self.stage_vectors(*place, &slot, DocumentVectors::of_version(low, None)).await?;
                }
            }
        }
        for (collection, staged) in &mut memory {
            let slot = self.index.memory.slot(*collection);
            // An index for another embedding model is shown when it is complete.
            if slot.loaded().is_none_or(|view| !slot.vectors.is_ahead_of(&view.vectors_of)) {
                staged.vectors = slot.vectors.opened().await.map(|index| index.view());
                staged.vectors_of = Some(slot.vectors.of());
            }
        }
        Ok(memory)
    }

    /// Reads who may see a document. Its texts and vectors stay, unless another version is searchable by now.
    async fn stage_access(
        &mut self,
        place: Place,
        slot: &Arc<Slot>,
        document: KnowledgeDocumentId,
    ) -> Result<Option<Arc<DocumentEntry>>> {
        let (tenant, collection) = place;
        let ctx = self.index.ctx.for_tenant(tenant, "knowledge.index");
        let live = versions::live(&mut self.index.store.read(&ctx).await?, collection, document).await?;
        let view = slot.loaded();
        // A collection that is not in memory shows nothing: whoever loads it reads who may see what.
        let is_shown = |version: u32| match &view {
            Some(view) => view.document(document).is_some_and(|entry| entry.version == version),
            None => true,
        };
        match live {
            Some(live) if is_shown(live.version) => Ok(Some(Arc::new(DocumentEntry::from(live)))),
            _ => self.stage_document(place, slot, document).await,
        }
    }

    async fn stage_document(
        &mut self,
        place: Place,
        slot: &Arc<Slot>,
        document: KnowledgeDocumentId,
    ) -> Result<Option<Arc<DocumentEntry>>> {
        let (tenant, collection) = place;
        let ctx = self.index.ctx.for_tenant(tenant, "knowledge.index");
        let view = if self.index.taken_folder().is_some() {
            match self.index.open_vectors(&ctx, collection, slot).await {
                Ok(index) => index.map(|index| index.view()),
                Err(error) => self.without_vectors(place, slot, error).await?,
            }
        } else {
            None
        };
        let mut tx = self.index.store.read(&ctx).await?;
        // One reading serves both halves, so that they hold the same version.
        let read = loader::read_document(&mut tx, collection, document, view.as_deref()).await?;
        drop(tx);
        self.stage_text(collection, document, read.as_ref()).await;
        let Some(read) = read else {
            if view.is_some() {
                self.stage_vectors(place, slot, DocumentVectors::of_version(low_bits(document), None)).await?;
            }
            return Ok(None);
        };
        let ReadDocument { version, passages, with_vectors } = read;
        if with_vectors {
            let vectors = passages.into_iter().map(|passage| (passage.ordinal, passage.embedding)).collect();
            let wanted = DocumentVectors { document_low: low_bits(document), version: Some(version.version), vectors };
            self.stage_vectors(place, slot, wanted).await?;
        }
        Ok(Some(Arc::new(DocumentEntry::from(version))))
    }

    /// Replaces a document in the text index.
    async fn stage_text(
        &mut self,
        collection: CollectionId,
        document: KnowledgeDocumentId,
        read: Option<&ReadDocument>,
    ) {
        self.write_text(move |text| {
            text.remove_document(document);
            Ok(())
        })
        .await;
        let Some(read) = read else { return };
        let title: Arc<str> = read.version.title.as_str().into();
        for page in read.passages.chunks(PASSAGES_PAGE) {
            let entries: Vec<TextEntry> = page
                .iter()
                .map(|passage| TextEntry {
                    collection,
                    document,
                    version: read.version.version,
                    ordinal: passage.ordinal,
                    language: read.version.language,
                    title: Arc::clone(&title),
                    heading: passage.heading.clone(),
                    text: passage.text.clone(),
                })
                .collect();
            self.write_text(move |text| entries.iter().try_for_each(|entry| text.add(entry))).await;
        }
    }

    /// Writes a document's vectors. When the disk does not take them, the collection's index is built anew.
    async fn stage_vectors(&mut self, place: Place, slot: &Arc<Slot>, wanted: DocumentVectors) -> Result<()> {
        let (tenant, collection) = place;
        let ctx = self.index.ctx.for_tenant(tenant, "knowledge.index");
        match self.index.write_vectors(&ctx, collection, slot, wanted).await {
            Ok(true) => {
                self.unsynced.insert(collection, Arc::clone(slot));
            }
            Ok(false) => {}
            Err(error) => {
                self.without_vectors::<()>(place, slot, error).await?;
            }
        }
        Ok(())
    }

    /// Goes on without a collection's vectors when it is the index that failed, and not the database.
    async fn without_vectors<T>(&self, place: Place, slot: &Slot, error: Error) -> Result<Option<T>> {
        if error.reason() != "vector_index_failed" {
            return Err(error);
        }
        self.index.rebuild_vectors(place.0, place.1, slot, &error).await?;
        Ok(None)
    }
}
