//! Exact nearest passages: every allowed vector is compared.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::index::memory::CollectionView;

/// Numbers that are multiplied side by side: independent sums that the compiler keeps in vector registers.
const LANES: usize = 32;

/// A passage near to a query: which document of the view, and which passage of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct VectorHit {
    pub(crate) document: usize,
    pub(crate) passage: usize,
    /// Cosine, -1 to 1.
    pub(crate) similarity: f32,
}

/// Orders by similarity, then by place, so that equal passages keep their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    similarity: Order,
    place: Reverse<(usize, usize)>,
}

#[derive(Clone, Copy, PartialEq)]
struct Order(f32);

impl Eq for Order {}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Order {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (left_chunks, left_rest) = left.as_chunks::<LANES>();
    let (right_chunks, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left_chunks.iter().zip(right_chunks) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += left * right;
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f32>() + rest
}

/// The `limit` passages nearest to `query` (of length 1), nearest first, among the documents at the places `allowed`.
pub(crate) fn nearest(
    view: &CollectionView,
    query: &[f32],
    limit: usize,
    allowed: impl Iterator<Item = usize>,
) -> Vec<VectorHit> {
    let mut best: BinaryHeap<Reverse<Key>> = BinaryHeap::with_capacity(limit + 1);
    let mut worst = f32::NEG_INFINITY;
    for place in allowed {
        let Some(document) = view.documents.get(place).filter(|document| document.dimensions == query.len()) else {
            continue;
        };
        for (passage, vector) in document.vectors.chunks_exact(document.dimensions.max(1)).enumerate() {
            let similarity = dot(query, vector);
            if similarity <= worst && best.len() == limit {
                continue;
            }
            best.push(Reverse(Key { similarity: Order(similarity), place: Reverse((place, passage)) }));
            if best.len() > limit {
                best.pop();
            }
            if best.len() == limit {
                worst = best.peek().map_or(f32::NEG_INFINITY, |key| key.0.similarity.0);
            }
        }
    }
    best.into_sorted_vec()
        .into_iter()
        .map(|Reverse(key)| VectorHit {
            document: key.place.0.0,
            passage: key.place.0.1,
            // Rounding may lead a hair's breadth beyond what a cosine can be.
            similarity: key.similarity.0.clamp(-1.0, 1.0),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plasma_kernel::{ChunkId, KnowledgeDocumentId};

    use super::*;
    use crate::{
        Metadata,
        index::memory::DocumentPassages,
        store::{passages::IndexedPassage, versions::LiveVersion},
    };

    fn view(documents: &[Vec<Vec<f32>>]) -> CollectionView {
        let documents = documents.iter().enumerate().map(|(number, vectors)| {
            let live = LiveVersion {
                document: KnowledgeDocumentId::from_bits(number as u128),
                version: 1,
                title: String::new(),
                metadata: Metadata::new(),
                created_at: 0,
                updated_at: 0,
                access: None,
            };
            let passages = vectors
                .iter()
                .enumerate()
                .map(|(ordinal, vector)| IndexedPassage {
                    id: ChunkId::from_bits(ordinal as u128),
                    ordinal: u32::try_from(ordinal).unwrap(),
                    start: 0,
                    end: 0,
                    heading: None,
                    word_count: 0,
                    text: String::new(),
                    embedding: vector.clone(),
                })
                .collect();
            Arc::new(DocumentPassages::new(live, passages).unwrap())
        });
        CollectionView::new(documents.collect())
    }

    /// A reproducible sequence of directions.
    fn vectors(count: usize, dimensions: usize) -> Vec<Vec<f32>> {
        let mut state = 42_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count)
            .map(|_| {
                let vector: Vec<f32> = (0..dimensions).map(|_| next()).collect();
                let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
                vector.iter().map(|number| number / length).collect()
            })
            .collect()
    }

    #[test]
    fn the_nearest_are_those_of_a_full_sort() {
        for dimensions in [1, 31, 384] {
            let all = vectors(500, dimensions);
            let documents: Vec<Vec<Vec<f32>>> = all.chunks(7).map(<[_]>::to_vec).collect();
            let view = view(&documents);
            let query = vectors(501, dimensions).pop().unwrap();
            let exact = |vector: &[f32]| -> f64 {
                vector.iter().zip(&query).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum()
            };
            let mut expected: Vec<f64> = all.iter().map(|vector| exact(vector)).collect();
            expected.sort_by(|left, right| right.total_cmp(left));
            let found = nearest(&view, &query, 20, 0..view.documents.len());
            assert_eq!(found.len(), 20);
            for (hit, expected) in found.iter().zip(&expected) {
                assert!((f64::from(hit.similarity) - expected).abs() < 1e-5);
                assert!((exact(&documents[hit.document][hit.passage]) - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn equal_passages_keep_their_order_and_others_are_left_out() {
        let same = vec![1.0, 0.0];
        let view = view(&[vec![same.clone(), same.clone()], vec![same.clone()], vec![same.clone()]]);
        let places: Vec<(usize, usize)> =
            nearest(&view, &same, 2, [0, 2].into_iter()).iter().map(|hit| (hit.document, hit.passage)).collect();
        assert_eq!(places, [(0, 0), (0, 1)]);
        assert_eq!(nearest(&view, &same, 10, [1, 2].into_iter()).len(), 2);
        assert!(nearest(&view, &[1.0, 0.0, 0.0], 10, 0..4).is_empty());
    }
}
