//! A view stays as it is.

use std::sync::atomic::{AtomicBool, Ordering};

use plasma_vectors::{Change, Compaction, Effort, Metric, Options, Search, VectorIndex};

use crate::support::{clustered, loaded, small};

#[test]
fn a_view_sees_nothing_of_later_changes() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = clustered(300, 8, 1);
    let index = loaded(folder.path(), small(8, Metric::L2), &vectors);
    index.insert(1_000, &vectors[7]).unwrap();
    let before = index.view();
    let search = Search::new(2).effort(Effort::ALL);
    index.delete(7).unwrap();
    index.insert(1_000, &[9.0; 8]).unwrap();
    let keys = |view: &plasma_vectors::View| -> Vec<u128> {
        view.search(&vectors[7], &search).unwrap().hits.iter().map(|hit| hit.key).collect()
    };
    assert_eq!(keys(&before), [7, 1_000]);
    assert!(!keys(&index.view()).contains(&7));
    index.compact(Compaction::Full, 1).unwrap();
    assert_eq!(keys(&before), [7, 1_000]);
    assert_eq!(before.len(), 301);
    assert_eq!(index.view().len(), 300);
}

#[test]
fn keys_of_a_range_are_those_that_are_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = clustered(300, 8, 3);
    let index = loaded(folder.path(), small(8, Metric::Cosine), &vectors);
    index.delete(11).unwrap();
    index.insert(12, &vectors[0]).unwrap();
    index.insert(1_000, &vectors[1]).unwrap();
    let view = index.view();
    assert_eq!(view.keys_between(10, 13), [10, 12, 13]);
    assert_eq!(view.keys_between(298, u128::MAX), [298, 299, 1_000]);
    assert!(view.keys_between(301, 999).is_empty());
    index.compact(Compaction::Full, 1).unwrap();
    assert_eq!(index.view().keys_between(10, 13), [10, 12, 13]);
}

#[test]
fn many_segments_are_worth_one_when_there_is_enough_for_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = clustered(600, 8, 3);
    let options = Options { partition_from_rows: 500, ..small(8, Metric::Cosine) };
    let index = VectorIndex::open(folder.path(), options).unwrap();
    for (key, vector) in (1..).zip(&vectors) {
        assert!(key > 500 || !index.is_full_compaction_worthwhile());
        index.insert(key, vector).unwrap();
    }
    assert!(index.is_full_compaction_worthwhile());
    index.compact(Compaction::Full, 1).unwrap();
    assert!(!index.is_full_compaction_worthwhile() && index.view().stats().segments == 1);
    // A few more lie outside, and then too many.
    for (key, vector) in (1_000..1_300).zip(&vectors) {
        index.insert(key, vector).unwrap();
    }
    assert!(index.is_full_compaction_worthwhile());
}

#[test]
fn searches_and_changes_go_on_during_compaction() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = clustered(4_000, 8, 2);
    let index = VectorIndex::open(folder.path(), small(8, Metric::Cosine)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                index.compact(Compaction::Due, 1).unwrap();
            }
        });
        scope.spawn(|| {
            // A key that is replaced again and again is always there exactly once.
            while !done.load(Ordering::Relaxed) {
                let view = index.view();
                let hits = view.search(&vectors[0], &Search::new(10).effort(Effort::ALL)).unwrap().hits;
                let mut keys: Vec<u128> = hits.iter().map(|hit| hit.key).collect();
                keys.sort_unstable();
                keys.dedup();
                assert_eq!(keys.len(), hits.len());
                assert!(view.is_empty() || hits.iter().any(|hit| hit.key == 0));
            }
        });
        for (key, vector) in vectors.iter().enumerate() {
            let changes = [
                Change::Insert { key: 0, vector: &vectors[0] },
                Change::Insert { key: key as u128, vector: if key == 0 { &vectors[0] } else { vector } },
                Change::Delete { key: (key as u128 / 2).max(1) },
            ];
            index.apply(changes, None).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let expected = index.view().len();
    index.compact(Compaction::Full, 2).unwrap();
    assert_eq!(index.view().len(), expected);
    drop(index);
    let index = VectorIndex::open(folder.path(), small(8, Metric::Cosine)).unwrap();
    assert_eq!(index.view().len(), expected);
}

#[test]
fn a_collection_without_vectors_has_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("collection");
    let index = VectorIndex::open(&home, Options::new(384, Metric::Cosine)).unwrap();
    let query = vec![1.0; 384];
    assert!(index.search(&query, &Search::new(10)).unwrap().hits.is_empty());
    index.compact(Compaction::Full, 1).unwrap();
    index.sync().unwrap();
    assert!(!home.exists());
    index.insert(5, &query).unwrap();
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 2);
    let found = index.search(&query, &Search::new(10)).unwrap();
    assert_eq!(found.hits.len(), 1);
    assert!(found.work.exact);
}

#[test]
fn parts_keep_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = clustered(150, 4, 3);
    let index = loaded(folder.path(), small(4, Metric::Dot), &vectors);
    index.insert(900, &vectors[0]).unwrap();
    let view = index.view();
    let mut seen = 0;
    for part in view.parts() {
        assert_eq!(part.first_slot % 64, 0);
        let keys: Vec<u128> = view.keys(part).collect();
        assert_eq!(keys.len(), part.slots as usize);
        for (slot, key) in (part.first_slot..).zip(keys) {
            assert_eq!(view.slot(key), Some(slot));
            seen += 1;
        }
    }
    assert_eq!(seen, view.len());
    assert_eq!(view.vector(900).unwrap().unwrap(), vectors[0]);
    assert_eq!(view.vector(901).unwrap(), None);
    let layout = view.layout();
    index.insert(901, &vectors[1]).unwrap();
    index.delete(3).unwrap();
    assert_eq!(index.view().layout(), layout);
    index.compact(Compaction::Full, 1).unwrap();
    assert_ne!(index.view().layout(), layout);
}
