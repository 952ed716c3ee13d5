//! What is refused, and that nothing changes then.

use plasma_vectors::{AllowSet, Change, Error, Metric, Options, Search, Storage, VectorIndex};

#[test]
fn bad_vectors_are_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let index = VectorIndex::open(folder.path().join("a"), Options::new(3, Metric::Cosine)).unwrap();
    let good = [1.0, 2.0, 3.0];
    let check = |vector: &[f32], is_expected: fn(&Error) -> bool| {
        let changes = [Change::Insert { key: 1, vector: &good }, Change::Insert { key: 2, vector }];
        assert!(index.apply(changes, Some(4)).is_err_and(|error| is_expected(&error)), "{vector:?}");
        assert!(index.search(vector, &Search::new(1)).is_err_and(|error| is_expected(&error)), "{vector:?}");
        assert!(index.bulk().unwrap().push(1, vector).is_err_and(|error| is_expected(&error)), "{vector:?}");
    };
    check(&[1.0], |error| matches!(error, Error::Dimensions { expected: 3, got: 1 }));
    check(&[], |error| matches!(error, Error::Dimensions { expected: 3, got: 0 }));
    check(&[1.0, f32::NAN, 0.0], |error| matches!(error, Error::NotFinite { position: 1 }));
    check(&[1.0, 2.0, f32::NEG_INFINITY], |error| matches!(error, Error::NotFinite { position: 2 }));
    check(&[0.0, -0.0, 0.0], |error| matches!(error, Error::ZeroVector));
    assert!(index.view().is_empty());
    assert_eq!(index.position(), None);
    for tiny in [f32::MIN_POSITIVE, 1e-45, f32::MAX] {
        index.insert(9, &[tiny, 0.0, 0.0]).unwrap();
        let hits = index.search(&[tiny, 0.0, 0.0], &Search::new(1)).unwrap().hits;
        assert!((hits[0].score - 1.0).abs() < 1e-6);
    }
}

#[test]
fn vectors_that_are_too_long_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for metric in [Metric::Dot, Metric::L2] {
        let index = VectorIndex::open(folder.path().join("b"), Options::new(2, metric)).unwrap();
        assert!(matches!(index.insert(1, &[1e30, 0.0]), Err(Error::TooLong)));
        assert!(matches!(index.search(&[1e30, 0.0], &Search::new(1)), Err(Error::TooLong)));
        let options = Options { storage: Storage::F16, ..Options::new(2, metric) };
        let half = VectorIndex::open(folder.path().join("c"), options).unwrap();
        assert!(matches!(half.insert(1, &[1.0, 70_000.0]), Err(Error::OutOfHalfRange { position: 1 })));
    }
    let index = VectorIndex::open(folder.path().join("d"), Options::new(2, Metric::L2)).unwrap();
    index.insert(1, &[0.0, 0.0]).unwrap();
    assert_eq!(index.search(&[3.0, 4.0], &Search::new(1)).unwrap().hits[0].score, -25.0);
}

#[test]
fn limits_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let index = VectorIndex::open(folder.path(), Options::new(2, Metric::Dot)).unwrap();
    for limit in [0, 10_001, 1_000_000_000, usize::MAX] {
        let refused = index.search(&[1.0, 0.0], &Search::new(limit));
        assert!(matches!(refused, Err(Error::Limit { got }) if got == limit));
    }
    for threads in [0, 257] {
        let refused = index.search(&[1.0, 0.0], &Search::new(1).threads(threads));
        assert!(matches!(refused, Err(Error::Threads { got }) if got == threads));
    }
    index.insert(1, &[1.0, 1.0]).unwrap();
    assert_eq!(index.search(&[1.0, 0.0], &Search::new(10_000)).unwrap().hits.len(), 1);
    let allow = AllowSet::from_keys(&index.view(), [1, 2, 3]);
    assert_eq!(index.search(&[1.0, 0.0], &Search::new(5).allow(&allow)).unwrap().hits.len(), 1);
}

#[test]
fn options_are_checked_and_must_be_those_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    for dimensions in [0, 4_097, usize::MAX] {
        let refused = VectorIndex::open(folder.path(), Options::new(dimensions, Metric::Dot));
        assert!(matches!(refused, Err(Error::DimensionsRange { got }) if got == dimensions));
    }
    let options = Options { tail_rows_max: 0, ..Options::new(2, Metric::Dot) };
    assert!(matches!(VectorIndex::open(folder.path(), options), Err(Error::Options(_))));
    VectorIndex::open(folder.path(), Options::new(2, Metric::Dot)).unwrap().insert(1, &[1.0, 0.0]).unwrap();
    for (options, expected) in [
        (Options::new(3, Metric::Dot), "dimensions"),
        (Options::new(2, Metric::Cosine), "metric"),
        (Options { storage: Storage::F16, ..Options::new(2, Metric::Dot) }, "storage"),
    ] {
        let refused = VectorIndex::open(folder.path(), options).unwrap_err();
        assert!(!refused.needs_rebuild());
        assert!(matches!(refused, Error::OtherOptions { what, .. } if what == expected));
    }
}
