//! Any sequence of operations leaves what a map would hold.

use std::collections::HashMap;

use plasma_vectors::{Change, Compaction, Effort, Metric, Search, Storage, VectorIndex};
use proptest::prelude::*;

use crate::support::{assert_same, brute, small};

const DIMENSIONS: usize = 5;

#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<(u8, Option<[i8; DIMENSIONS]>)>),
    Bulk(Vec<(u8, [i8; DIMENSIONS])>),
    Compact(bool),
    Reopen,
    Restore,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let vector = prop::array::uniform5(-100_i8..100);
    let change = (any::<u8>(), prop::option::weighted(0.75, vector.clone()));
    let step = prop_oneof![
        8 => prop::collection::vec(change, 0..40).prop_map(Step::Apply),
        1 => prop::collection::vec((any::<u8>(), vector), 0..300).prop_map(Step::Bulk),
        2 => any::<bool>().prop_map(Step::Compact),
        2 => Just(Step::Reopen),
        1 => Just(Step::Restore),
    ];
    prop::collection::vec(step, 1..25)
}

fn floats(vector: &[i8]) -> Vec<f32> {
    // Never zero, for the cosine.
    vector.iter().map(|value| f32::from(*value) + 0.5).collect()
}

fn check(index: &VectorIndex, model: &HashMap<u128, Vec<f32>>, metric: Metric, tolerance: f64) {
    let view = index.view();
    assert_eq!(view.len(), model.len());
    assert_eq!(view.is_empty(), model.is_empty());
    let mut listed: Vec<u128> = view.iter().map(|(_, key)| key).collect();
    listed.sort_unstable();
    let mut expected: Vec<u128> = model.keys().copied().collect();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let query = [3.0, -1.0, 20.0, 0.5, -7.0];
    let expected = brute(metric, model.iter().map(|(key, vector)| (*key, vector)), &query, 20);
    let hits = view.search(&query, &Search::new(20).effort(Effort::ALL)).unwrap().hits;
    assert_same(&hits, &expected, tolerance, "search");
    for key in 0..=255 {
        assert_eq!(view.slot(key).is_some(), model.contains_key(&key), "{key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_index_holds_what_a_map_would(
        steps in steps(),
        metric in prop::sample::select(vec![Metric::Cosine, Metric::Dot, Metric::L2]),
        is_half in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut options = small(DIMENSIONS, metric);
        if is_half {
            options.storage = Storage::F16;
        }
        let tolerance = if is_half && metric == Metric::Cosine { 2e-3 } else { 1e-5 };
        let mut home = folder.path().join("0");
        let mut index = VectorIndex::open(&home, options.clone()).unwrap();
        let mut model = HashMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            let position = number as u64 + 1;
            match step {
                Step::Apply(changes) => {
                    let changes: Vec<(u128, Option<Vec<f32>>)> = changes
                        .into_iter()
                        .map(|(key, vector)| (u128::from(key), vector.map(|vector| floats(&vector))))
                        .collect();
                    let list = changes.iter().map(|(key, vector)| match vector {
                        Some(vector) => Change::Insert { key: *key, vector },
                        None => Change::Delete { key: *key },
                    });
                    index.apply(list, Some(position)).unwrap();
                    for (key, vector) in changes {
                        match vector {
                            Some(vector) => model.insert(key, vector),
                            None => model.remove(&key),
                        };
                    }
                }
                Step::Bulk(vectors) => {
                    let mut bulk = index.bulk().unwrap();
                    for (key, vector) in vectors {
                        bulk.push(u128::from(key), &floats(&vector)).unwrap();
                        model.insert(u128::from(key), floats(&vector));
                    }
                    bulk.finish(None, 1).unwrap();
                }
                Step::Compact(is_full) => {
                    let compaction = if is_full { Compaction::Full } else { Compaction::Due };
                    index.compact(compaction, 1).unwrap();
                    if is_full {
                        prop_assert_eq!(index.stats().deleted, 0);
                        prop_assert!(index.stats().segments <= 1);
                    }
                }
                Step::Reopen => {
                    let before = index.position();
                    drop(index);
                    index = VectorIndex::open(&home, options.clone()).unwrap();
                    prop_assert_eq!(index.position(), before);
                }
                Step::Restore => {
                    let copy = folder.path().join(format!("{position}"));
                    index.snapshot(&copy).unwrap();
                    // What happens to the original afterwards is no matter of the copy.
                    index.apply((0..100).map(|key| Change::Delete { key }), None).unwrap();
                    index.compact(Compaction::Full, 1).unwrap();
                    home = copy;
                    index = VectorIndex::open(&home, options.clone()).unwrap();
                }
            }
            check(&index, &model, metric, tolerance);
        }
        index.view().verify().unwrap();
    }
}
