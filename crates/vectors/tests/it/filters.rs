//! Searches among some of the vectors, from one in ten thousand to all.

use plasma_vectors::{AllowSet, Compaction, Effort, Error, Metric, Options, Search};

use crate::support::{Random, assert_same, brute, clustered, loaded, recall};

#[test]
fn a_filter_of_any_selectivity_finds_what_brute_force_finds() {
    let vectors = clustered(20_000, 24, 1);
    let queries = clustered(25, 24, 2);
    for metric in [Metric::Cosine, Metric::L2] {
        for partition_from_rows in [1_000, 1_000_000] {
            let folder = tempfile::tempdir().unwrap();
            let options = Options {
                partition_from_rows,
                partition_rows: 64,
                parallel_from_rows: 1_000,
                ..Options::new(24, metric)
            };
            let index = loaded(folder.path(), options, &vectors);
            index.insert(20_000, &vectors[5]).unwrap();
            index.delete(6).unwrap();
            let view = index.view();
            for part_per_10_000 in [1, 10, 100, 1_500, 2_500, 5_000, 9_999, 10_000] {
                let mut random = Random::new(part_per_10_000);
                let keys: Vec<u128> = (0..=20_000).filter(|_| random.below(10_000) < part_per_10_000).collect();
                let allow = AllowSet::from_keys(&view, keys.iter().copied());
                let live: Vec<u128> = keys.into_iter().filter(|key| *key != 6).collect();
                assert_eq!(allow.len(), live.len());
                let mut sum = 0.0;
                for query in &queries {
                    let allowed = live.iter().map(|key| (*key, vectors.get(*key as usize).unwrap_or(&vectors[5])));
                    let expected = brute(metric, allowed, query, 10);
                    let search = Search::new(10).allow(&allow);
                    let found = view.search(query, &search).unwrap();
                    assert!(found.hits.iter().all(|hit| live.binary_search(&hit.key).is_ok()));
                    assert_eq!(found.hits.len(), expected.len());
                    sum += recall(&found.hits, &expected);
                    let all = view.search(query, &search.effort(Effort::ALL)).unwrap();
                    assert_same(&all.hits, &expected, 1e-5, &format!("{part_per_10_000}"));
                    assert_eq!(view.search(query, &search.threads(3)).unwrap(), found);
                }
                let mean = sum / queries.len() as f64;
                assert!(mean >= 0.97, "{metric:?}, {part_per_10_000} of 10,000: {mean}");
            }
        }
    }
}

#[test]
fn an_allow_set_of_another_layout_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = clustered(200, 4, 3);
    let index = loaded(folder.path(), Options::new(4, Metric::Dot), &vectors);
    let mut allow = AllowSet::none(&index.view());
    assert!(allow.is_empty());
    let nothing = index.search(&vectors[0], &Search::new(5).allow(&allow)).unwrap();
    assert!(nothing.hits.is_empty());
    allow.insert(3);
    allow.insert(1_000_000);
    allow.insert_word(64, 0b101);
    assert_eq!(allow.iter().collect::<Vec<_>>(), [3, 64, 66]);
    index.insert(500, &vectors[0]).unwrap();
    assert_eq!(index.search(&vectors[0], &Search::new(5).allow(&allow)).unwrap().hits.len(), 3);
    index.compact(Compaction::Full, 1).unwrap();
    let stale = index.search(&vectors[0], &Search::new(5).allow(&allow));
    assert!(matches!(stale, Err(Error::StaleAllowSet)));
}
