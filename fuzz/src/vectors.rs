//! The files of the vector index: what a disk, a backup or another program may have done to them.

use std::{fs, path::Path, sync::OnceLock};

use plasma_vectors::{Compaction, Effort, Metric, Options, Search, VectorIndex};
use tempfile::TempDir;

use crate::Target;

pub const TARGETS: &[Target] = &[("vector_files", files)];

const DIMENSIONS: usize = 8;
const ROWS: u16 = 300;

fn options() -> Options {
    Options {
        tail_rows_max: 64,
        partition_from_rows: 128,
        partition_rows: 16,
        ..Options::new(DIMENSIONS, Metric::Cosine)
    }
}

/// The files of a sound index, with their names.
fn sound() -> &'static [(String, Vec<u8>)] {
    static SOUND: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let folder = TempDir::new().expect("a folder");
        let index = VectorIndex::open(folder.path(), options()).expect("an index");
        for row in 0..ROWS {
            let vector: Vec<f32> = (0..DIMENSIONS).map(|at| f32::from(row * 7 + at as u16 * 13) % 17.0 - 8.0).collect();
            index.insert(u128::from(row) + 1, &vector).expect("a vector");
            if row == ROWS / 2 {
                index.compact(Compaction::Full, 1).expect("a compaction");
            }
        }
        index.delete(5).expect("a deletion");
        index.sync().expect("on disk");
        drop(index);
        let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder.path())
            .expect("the folder")
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                Some((path.file_name()?.to_str()?.to_owned(), fs::read(&path).ok()?))
            })
            .collect();
        files.sort();
        files
    })
}

/// The bytes are changes: a file, a place, and what stands there instead; an empty rest cuts the file off.
fn files(bytes: &[u8]) {
    let [which, high, low, rest @ ..] = bytes else { return };
    let folder = TempDir::new().expect("a folder");
    let sound = sound();
    let changed = usize::from(*which) % sound.len();
    for (at, (name, content)) in sound.iter().enumerate() {
        let mut content = content.clone();
        if at == changed {
            let place = usize::from(u16::from_be_bytes([*high, *low])) % (content.len() + 1);
            if rest.is_empty() {
                content.truncate(place);
            } else {
                let end = (place + rest.len()).min(content.len());
                content.splice(place..end, rest.iter().copied());
            }
        }
        fs::write(folder.path().join(name), content).expect("a file");
    }
    open(folder.path());
}

/// A damaged index says so, or answers; it does not break.
fn open(folder: &Path) {
    let Ok(index) = VectorIndex::open(folder, options()) else { return };
    let _ = index.search(&[0.5; DIMENSIONS], &Search::new(10).effort(Effort::ALL));
    let _ = index.view().verify();
    let _ = index.insert(9_999, &[1.0; DIMENSIONS]);
}
