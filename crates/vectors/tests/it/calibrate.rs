//! A recall target is reached, kept and reported.

use plasma_vectors::{CalibrationOptions, Effort, Error, Metric, Options, Search, VectorIndex};

use crate::support::{clustered, loaded};

#[test]
fn a_target_is_reached_with_less_than_everything() {
    let vectors = clustered(15_000, 32, 1);
    let options = Options { partition_from_rows: 1_000, partition_rows: 64, ..Options::new(32, Metric::Cosine) };
    let folder = tempfile::tempdir().unwrap();
    let index = loaded(folder.path(), options.clone(), &vectors);
    assert!(index.stats().is_calibration_due());
    let (queries, others) = (clustered(150, 32, 2), clustered(150, 32, 3));
    let mut scanned = Vec::new();
    for target in [0.9, 0.99, 1.0] {
        let calibration = index.calibrate(&queries, &CalibrationOptions::new(target)).unwrap();
        assert!(calibration.is_reached(), "{calibration:?}");
        assert!(calibration.recall_low <= calibration.recall && calibration.recall <= calibration.recall_high);
        assert_eq!(index.stats().calibration.as_ref(), Some(&calibration));
        assert_eq!(index.stats().effort, calibration.effort);
        let other = index.view().measure(&others, &CalibrationOptions::new(target), None).unwrap();
        assert!(other.recall >= target - 0.02, "{other:?}");
        let work = others.iter().map(|query| index.search(query, &Search::new(10)).unwrap().work.scanned);
        scanned.push(work.sum::<usize>() / others.len());
    }
    assert!(scanned[0] <= scanned[1] && scanned[1] < vectors.len() / 2, "{scanned:?}");
    assert!(!index.stats().is_calibration_due());
    let before = index.stats().calibration;
    drop(index);
    let index = VectorIndex::open(folder.path(), options).unwrap();
    assert_eq!(index.stats().calibration, before);
    let explicit = index.view().measure(&queries, &CalibrationOptions::new(0.9), Some(Effort::ALL)).unwrap();
    assert_eq!(explicit.recall, 1.0);
}

#[test]
fn there_must_be_something_to_measure() {
    let folder = tempfile::tempdir().unwrap();
    let index = VectorIndex::open(folder.path(), Options::new(2, Metric::L2)).unwrap();
    let queries = vec![vec![1.0, 2.0]];
    let refused = index.calibrate(&queries, &CalibrationOptions::new(0.9));
    assert!(matches!(refused, Err(Error::NothingToMeasure)));
    index.insert(1, &[1.0, 1.0]).unwrap();
    assert!(matches!(index.calibrate(&[], &CalibrationOptions::new(0.9)), Err(Error::NothingToMeasure)));
    for target in [0.0, -1.0, 1.1, f64::NAN] {
        assert!(matches!(index.calibrate(&queries, &CalibrationOptions::new(target)), Err(Error::Options(_))));
    }
    let calibration = index.calibrate(&queries, &CalibrationOptions::new(0.999)).unwrap();
    assert_eq!(calibration.recall, 1.0);
    assert_eq!(index.view().sample(10).unwrap(), [[1.0, 1.0]]);
}
