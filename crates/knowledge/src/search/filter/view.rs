//! Filters and permissions over a collection in memory.

use std::sync::Arc;

use plasma_kernel::KnowledgeDocumentId;

use super::{DocumentFields, Documents, Filter, select::Selection};
use crate::{
    access::Viewer,
    index::memory::CollectionView,
    search::allowed::{Allowed, AllowedLows},
};

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
            passages: u64::from(document.passages),
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

    /// What the text index asks for each passage that it has found.
    pub(crate) fn allowed_lows(self: &Arc<Self>, allowed: &Arc<Allowed>) -> AllowedLows {
        let (view, allowed) = (Arc::clone(self), Arc::clone(allowed));
        Arc::new(move |low: u64| {
            let place = match view.selections.places_by_low(&*view) {
                Some(places) => places.get(&low).map(|place| *place as usize),
                None => view.place_of_low(low),
            };
            place.is_some_and(|place| allowed.contains(place))
        })
    }
}
