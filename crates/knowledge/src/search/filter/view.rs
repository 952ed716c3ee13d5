//! Filters over a collection in memory.

use std::sync::Arc;

use plasma_kernel::KnowledgeDocumentId;

use super::{DocumentFields, Documents, Filter, select::Selection};
use crate::{access::Viewer, index::memory::CollectionView};

impl Documents for CollectionView {
    fn count(&self) -> usize {
        self.documents.len()
    }

    fn fields(&self, place: usize) -> Option<DocumentFields<'_>> {
        self.documents.get(place).map(|document| DocumentFields {
            id: document.id,
            title: &document.title,
            metadata: &document.metadata,
            created_at: document.created_at,
            updated_at: document.updated_at,
            access: document.access.as_ref(),
            passages: document.passages.len() as u64,
        })
    }

    fn place_of(&self, id: KnowledgeDocumentId) -> Option<usize> {
        self.place(id)
    }
}

impl CollectionView {
    /// What the filter lets through of what the viewer may see. Remembered with the view.
    pub(crate) fn select(&self, filter: &Filter, viewer: &Viewer) -> Arc<Selection> {
        self.selections.select(self, filter, viewer)
    }
}
