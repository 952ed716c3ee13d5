//! Passages near to a query by meaning, from the collection's vector index.

use plasma_vectors::{AllowSet, Error, Result, Search, Work};

use super::allowed::Allowed;
use crate::index::{Doubts, PassageKey, memory::CollectionView};

/// A passage near to a query: the place of its document in the view, and which passage of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct VectorHit {
    pub(super) document: usize,
    pub(super) ordinal: u32,
    /// Cosine, -1 to 1.
    pub(super) similarity: f32,
}

/// What the vectors answer.
#[derive(Debug, Default)]
pub(super) struct Nearest {
    /// Nearest first.
    pub(super) hits: Vec<VectorHit>,
    /// Vectors of passages that the view does not have.
    pub(super) doubts: Doubts,
    /// What it took; `None` when nothing was compared.
    pub(super) work: Option<Work>,
}

/// The `limit` passages nearest to `query`, among the documents that are `allowed` if that is given: a set of the same
/// view. The collection's recall holds for `aim` of them. On the calling thread.
///
/// # Errors
/// A damaged file.
pub(super) fn nearest(
    view: &CollectionView,
    query: &[f32],
    limit: usize,
    aim: usize,
    allowed: Option<&Allowed>,
) -> Result<Nearest> {
    let Some(vectors) = &view.vectors else { return Ok(Nearest::default()) };
    if allowed.is_some_and(Allowed::is_empty) {
        return Ok(Nearest::default());
    }
    let set = allowed.map(|allowed| allowed.vectors(|| AllowSet::from_keys(vectors, keys(view, allowed))));
    let search = Search { allow: set, ..Search::new(limit).aim(aim) };
    let found = match vectors.search(query, &search) {
        Ok(found) => found,
        // A query without a direction is near to nothing.
        Err(Error::ZeroVector | Error::Dimensions { .. }) => return Ok(Nearest::default()),
        Err(error) => return Err(error),
    };
    let work = Some(found.work);
    Ok(Nearest { work, ..placed(view, found.hits.into_iter().map(|hit| (hit.key, hit.score))) })
}

/// What search nodes found, nearest first. They may be a moment behind the view: that is no reason to doubt the view, and
/// only a version that is newer than the view's is.
pub(super) fn from_nodes(view: &CollectionView, hits: &[(u128, f32)]) -> Nearest {
    let mut nearest = placed(view, hits.iter().copied());
    nearest.doubts = Doubts::default();
    for (key, _) in hits {
        let key = PassageKey::from_bits(*key);
        let entry = view.place_of_low(key.document_low).and_then(|place| view.documents.get(place));
        if let Some(entry) = entry.filter(|entry| entry.version < key.version) {
            nearest.doubts.documents.push(entry.id);
        }
    }
    nearest
}

/// Where the view has these passages.
fn placed(view: &CollectionView, hits: impl Iterator<Item = (u128, f32)>) -> Nearest {
    let mut nearest = Nearest::default();
    for (key, score) in hits {
        let key = PassageKey::from_bits(key);
        let place = view.place_of_low(key.document_low);
        let Some((document, entry)) = place.and_then(|place| Some((place, view.documents.get(place)?))) else {
            nearest.doubts.orphans.push(key.document_low);
            continue;
        };
        if entry.version != key.version || key.ordinal >= entry.passages {
            nearest.doubts.documents.push(entry.id);
            continue;
        }
        // Rounding may lead a hair's breadth beyond what a cosine can be.
        let similarity = score.clamp(-1.0, 1.0);
        nearest.hits.push(VectorHit { document, ordinal: key.ordinal, similarity });
    }
    nearest
}

/// The keys of all passages of these documents.
fn keys<'a>(view: &'a CollectionView, allowed: &'a Allowed) -> impl Iterator<Item = u128> + 'a {
    allowed.iter().filter_map(move |place| view.documents.get(place)).flat_map(|document| {
        (0..document.passages).map(move |ordinal| PassageKey::new(document.id, document.version, ordinal).bits())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plasma_kernel::KnowledgeDocumentId;
    use plasma_vectors::{Change, Metric, Options, VectorIndex};

    use super::*;
    use crate::{
        Metadata,
        index::{language::Language, memory::DocumentEntry},
        search::allowed::Bitmap,
    };

    fn entry(id: u128, version: u32, passages: u32) -> Arc<DocumentEntry> {
        Arc::new(DocumentEntry {
            id: KnowledgeDocumentId::from_bits(id),
            version,
            title: String::new(),
            metadata: Metadata::new(),
            language: Language::default(),
            created_at: 0,
            updated_at: 0,
            access: None,
            passages,
        })
    }

    #[test]
    fn hits_are_places_and_what_the_view_does_not_have_is_doubtful() {
        let folder = tempfile::tempdir().unwrap();
        let index = VectorIndex::open(folder.path().join("index"), Options::new(2, Metric::Cosine)).unwrap();
        let key = |id, version, ordinal| PassageKey::new(KnowledgeDocumentId::from_bits(id), version, ordinal).bits();
        let (near, far) = ([1.0, 0.1], [0.1, 1.0]);
        let changes = [
            Change::Insert { key: key(1, 1, 0), vector: &near },
            Change::Insert { key: key(2, 3, 0), vector: &far },
            Change::Insert { key: key(2, 3, 1), vector: &near },
            // An older version, a passage too many, a document that is not there.
            Change::Insert { key: key(2, 2, 0), vector: &near },
            Change::Insert { key: key(1, 1, 1), vector: &near },
            Change::Insert { key: key(3, 1, 0), vector: &near },
        ];
        index.apply(changes, None).unwrap();
        let view = CollectionView::new(vec![entry(2, 3, 2), entry(1, 1, 1)], Some(index.view()));
        let places = |found: &Nearest| -> Vec<(usize, u32)> {
            found.hits.iter().map(|hit| (hit.document, hit.ordinal)).collect()
        };
        let found = nearest(&view, &[1.0, 0.1], 10, 10, None).unwrap();
        assert_eq!(places(&found), [(0, 0), (1, 1), (1, 0)]);
        assert!((found.hits[0].similarity - 1.0).abs() < 1e-6);
        let mut doubtful = found.doubts.documents.clone();
        doubtful.sort_unstable();
        assert_eq!(doubtful, [KnowledgeDocumentId::from_bits(1), KnowledgeDocumentId::from_bits(2)]);
        assert_eq!(found.doubts.orphans, [3]);
        // Only allowed documents, of which only passages that there are.
        let allowed = |places: &[usize]| {
            let mut set = Bitmap::empty(2);
            places.iter().for_each(|place| set.insert(*place));
            Allowed::new(set, |_| 1)
        };
        let found = nearest(&view, &[1.0, 0.1], 10, 10, Some(&allowed(&[1]))).unwrap();
        assert_eq!((places(&found), found.doubts.is_empty()), (vec![(1, 1), (1, 0)], true));
        assert!(nearest(&view, &[1.0, 0.1], 10, 10, Some(&allowed(&[]))).unwrap().hits.is_empty());
        // Other dimensions and no direction are near to nothing.
        assert!(nearest(&view, &[1.0, 0.0, 0.0], 10, 10, None).unwrap().hits.is_empty());
        assert!(nearest(&view, &[0.0, 0.0], 10, 10, None).unwrap().hits.is_empty());
        let without = CollectionView::new(vec![entry(1, 1, 1)], None);
        assert!(nearest(&without, &[1.0, 0.0], 10, 10, None).unwrap().hits.is_empty());
    }
}
