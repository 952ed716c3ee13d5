//! A damaged file is noticed and named, never searched as if it were whole.

use std::{
    fs,
    path::{Path, PathBuf},
};

use plasma_vectors::{Effort, Error, Metric, Search, VectorIndex};

use crate::support::{clustered, loaded, small};

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Opens and reads everything.
fn read(folder: &Path, metric: Metric) -> Result<(), Error> {
    VectorIndex::open(folder, small(8, metric)).and_then(|index| index.view().verify())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn a_flipped_bit_in_any_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for metric in [Metric::Cosine, Metric::L2] {
        let home = folder.path().join(format!("{metric:?}"));
        let index = loaded(&home, small(8, metric), &clustered(250, 8, 1));
        assert!(index.stats().partitions > 1);
        index.insert(9_999, &[1.0; 8]).unwrap();
        index.delete(3).unwrap();
        drop(index);
        read(&home, metric).unwrap();
        let names: Vec<PathBuf> = files(&home).iter().map(|file| file.file_name().unwrap().into()).collect();
        assert_eq!(names.len(), 3);
        let scratch = folder.path().join("scratch");
        for name in names {
            let whole = fs::read(home.join(&name)).unwrap();
            // 37 divides no size of a record or block, so that all their parts are met.
            for at in (0..whole.len()).filter(|at| whole.len() < 1_000 || *at < 256 || at % 37 == 0) {
                let _ = fs::remove_dir_all(&scratch);
                copy(&home, &scratch);
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << (at % 8);
                fs::write(scratch.join(&name), bytes).unwrap();
                let error = read(&scratch, metric).expect_err(&format!("{} at {at}", name.display()));
                assert!(error.needs_rebuild(), "{} at {at}: {error}", name.display());
                assert!(error.to_string().contains(&name.display().to_string()), "{error}");
            }
        }
    }
}

#[test]
fn a_damaged_vector_fails_the_search_that_would_return_it() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = clustered(250, 8, 1);
    drop(loaded(folder.path(), small(8, Metric::L2), &vectors));
    let file = files(folder.path()).into_iter().find(|file| file.to_string_lossy().contains("segment")).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 64;
    fs::write(&file, bytes).unwrap();
    let index = VectorIndex::open(folder.path(), small(8, Metric::L2)).unwrap();
    let search = Search::new(1).effort(Effort { reach: f32::INFINITY, rescored: 10 });
    let refused = vectors.iter().filter(|vector| index.search(vector, &search).is_err()).count();
    assert_eq!(refused, 1);
    assert!(matches!(index.view().verify(), Err(Error::Damaged { what: "vector", .. })));
}

#[test]
fn a_short_or_missing_segment_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    drop(loaded(folder.path(), small(8, Metric::L2), &clustered(250, 8, 1)));
    let file = files(folder.path()).into_iter().find(|file| file.to_string_lossy().contains("segment")).unwrap();
    let bytes = fs::read(&file).unwrap();
    for length in [0, 100, 255, 256, 1_000, bytes.len() - 1] {
        fs::write(&file, &bytes[..length]).unwrap();
        assert!(read(folder.path(), Metric::L2).is_err_and(|error| error.needs_rebuild()), "{length}");
    }
    fs::remove_file(&file).unwrap();
    let missing = read(folder.path(), Metric::L2);
    assert!(matches!(missing, Err(Error::Damaged { what: "missing", .. })), "{missing:?}");
}

#[test]
fn what_a_crash_left_behind_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    drop(loaded(folder.path(), small(8, Metric::L2), &clustered(250, 8, 1)));
    let before = files(folder.path()).len();
    for name in ["segment-0000009999", "log-0000009999", "bulk-0000009999"] {
        fs::write(folder.path().join(name), b"half").unwrap();
    }
    fs::write(folder.path().join("somebody's"), b"file").unwrap();
    read(folder.path(), Metric::L2).unwrap();
    assert_eq!(files(folder.path()).len(), before + 1);
}
