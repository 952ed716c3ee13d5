//! Searches find what brute force finds.

use plasma_vectors::{Effort, Metric, Options, Search, Storage};

use crate::support::{assert_same, brute, clustered, loaded, recall};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

#[test]
fn the_default_effort_finds_nearly_all_and_more_effort_finds_all() {
    let vectors = clustered(12_000, 40, 1);
    let queries = clustered(60, 40, 2);
    for metric in METRICS {
        for partition_from_rows in [1_000, 100_000] {
            let folder = tempfile::tempdir().unwrap();
            let options = Options { partition_from_rows, partition_rows: 100, ..Options::new(40, metric) };
            let index = loaded(folder.path(), options, &vectors);
            assert_eq!(index.stats().partitions > 1, partition_from_rows == 1_000);
            let mut found = 0.0;
            let mut scanned = 0;
            for query in &queries {
                let expected = brute(metric, (0..).zip(&vectors), query, 10);
                let search = Search::new(10);
                let result = index.search(query, &search).unwrap();
                assert_eq!(result.hits.len(), 10);
                found += recall(&result.hits, &expected);
                scanned += result.work.scanned;
                let all = index.search(query, &search.effort(Effort::ALL)).unwrap();
                assert_same(&all.hits, &expected, 1e-5, &format!("{metric:?}"));
            }
            let mean = found / queries.len() as f64;
            assert!(mean >= 0.96, "{metric:?}: {mean}");
            if partition_from_rows == 1_000 {
                assert!(scanned < queries.len() * vectors.len() / 2, "{metric:?}: {scanned} codes scanned");
            }
        }
    }
}

#[test]
fn what_is_not_aimed_at_costs_no_partitions() {
    let vectors = clustered(12_000, 40, 1);
    let queries = clustered(60, 40, 2);
    let folder = tempfile::tempdir().unwrap();
    let options = Options { partition_from_rows: 1_000, partition_rows: 50, ..Options::new(40, Metric::Cosine) };
    let index = loaded(folder.path(), options, &vectors);
    let (mut found, mut aimed_scanned, mut all_scanned) = (0.0, 0, 0);
    for query in &queries {
        let expected = brute(Metric::Cosine, (0..).zip(&vectors), query, 10);
        let aimed = index.search(query, &Search::new(200).aim(10)).unwrap();
        assert_eq!(aimed.hits.len(), 200);
        found += recall(&aimed.hits[..10], &expected);
        aimed_scanned += aimed.work.scanned;
        all_scanned += index.search(query, &Search::new(200)).unwrap().work.scanned;
    }
    let mean = found / queries.len() as f64;
    assert!(mean >= 0.96, "{mean}");
    assert!(aimed_scanned < all_scanned, "{aimed_scanned} codes instead of {all_scanned}");
}

#[test]
fn every_number_of_dimensions_and_every_storage_works() {
    for dimensions in [1, 2, 7, 8, 9, 100, 1_000, 4_096] {
        let count = if dimensions > 500 { 150 } else { 600 };
        let vectors = clustered(count, dimensions, 3);
        let queries = clustered(5, dimensions, 4);
        for metric in METRICS {
            for storage in [Storage::F32, Storage::F16] {
                let folder = tempfile::tempdir().unwrap();
                let index = loaded(folder.path(), Options { storage, ..Options::new(dimensions, metric) }, &vectors);
                for query in &queries {
                    let expected = brute(metric, (0..).zip(&vectors), query, 10);
                    let hits = index.search(query, &Search::new(10).effort(Effort::ALL)).unwrap().hits;
                    let tolerance = if storage == Storage::F32 { 1e-5 } else { 1e-2 };
                    assert_same(&hits, &expected, tolerance, &format!("{dimensions} {metric:?} {storage:?}"));
                }
            }
        }
    }
}

#[test]
fn equal_vectors_are_all_found_in_the_order_of_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut vectors = vec![vec![1.0, 2.0, 3.0]; 3_000];
    vectors.extend(clustered(3_000, 3, 5));
    let options = Options { partition_from_rows: 1_000, partition_rows: 50, ..Options::new(3, Metric::Cosine) };
    let index = loaded(folder.path(), options, &vectors);
    let hits = index.search(&[1.0, 2.0, 3.0], &Search::new(2_000)).unwrap().hits;
    assert_eq!(hits.len(), 2_000);
    let same: Vec<u128> = hits.iter().map(|hit| hit.key).collect();
    assert!(same.is_sorted() && hits.iter().all(|hit| hit.score > 0.999_999));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let vectors = clustered(40_000, 16, 6);
    let queries = clustered(20, 16, 7);
    for partition_from_rows in [1_000, 1_000_000] {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            partition_from_rows,
            partition_rows: 100,
            parallel_from_rows: 2_000,
            ..Options::new(16, Metric::L2)
        };
        let index = loaded(folder.path(), options, &vectors);
        for query in &queries {
            for effort in [Effort::DEFAULT, Effort::ALL] {
                let search = Search::new(25).effort(effort);
                let one = index.search(query, &search).unwrap();
                for threads in [2, 3, 8] {
                    assert_eq!(index.search(query, &search.threads(threads)).unwrap(), one);
                }
            }
            let queries = vec![query.clone()];
            let exact = index.view().search_exact(&queries, 25, None, 1).unwrap();
            assert_eq!(index.view().search_exact(&queries, 25, None, 3).unwrap(), exact);
        }
    }
}
