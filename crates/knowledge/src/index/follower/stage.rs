//! Changed documents: read from SQL, and written to both halves of the index before searches see them.

use std::{collections::HashMap, sync::Arc};

use plasma_kernel::{CollectionId, Error, KnowledgeDocumentId, Result, TenantId};

use super::{Changes, Follower, Place};
use crate::index::{
    loader::{self, ReadDocument},
    low_bits,
    memory::{CollectionChanges, DocumentEntry, Slot},
    text::TextEntry,
    vectors::DocumentVectors,
    words,
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
        for (tenant, collection) in changes.placed.iter().copied() {
            if !self.index.take_up_placement(tenant, collection).await? {
                self.unsynced.remove(&collection);
            }
        }
        for (place, documents) in &changes.documents {
            let slot = self.index.memory.slot(place.1);
            let mut staged = CollectionChanges::default();
            for document in documents.iter().copied() {
                let entry = self.stage_document(*place, &slot, document).await?;
                staged.documents.insert(document, entry);
            }
            memory.insert(place.1, staged);
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
            let opened = self.index.memory.slot(*collection).vectors.opened().await;
            staged.vectors = opened.map(|index| index.view());
        }
        Ok(memory)
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
        for page in read.passages.chunks(PASSAGES_PAGE) {
            let entries: Vec<TextEntry> = page
                .iter()
                .map(|passage| TextEntry {
                    collection,
                    document,
                    version: read.version.version,
                    ordinal: passage.ordinal,
                    text: words::indexed_text(&read.version.title, passage.heading.as_deref(), &passage.text),
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
