//! Which folders of the data directory are this process's own, and what is in them.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
};

use plasma_kernel::{Error, Result};
use plasma_store::EventPosition;

use crate::index::text::TextIndex;

/// Processes that may share a data directory, each with an index of its own.
const FOLDERS_MAX: u32 = 16;

/// The folders of this process.
pub(super) struct Folders {
    pub(super) text: PathBuf,
    pub(super) vectors: PathBuf,
    /// Both are this process's as long as the file is locked.
    pub(super) lock: Arc<File>,
}

fn folder_failed(error: std::io::Error) -> Error {
    Error::unavailable("text_index_failed", "the folder of the text index cannot be used")
        .remedy("check the free space and permissions of the data directory")
        .source(error)
}

/// Finds folders that no other process uses. The system releases the lock when this process ends, however it does.
pub(super) fn lock_folders(data_dir: &Path) -> Result<Folders> {
    let parent = data_dir.join("index");
    fs::create_dir_all(&parent).map_err(folder_failed)?;
    for number in 1..=FOLDERS_MAX {
        let lock = File::create(parent.join(format!("text-{number}.lock"))).map_err(folder_failed)?;
        match lock.try_lock() {
            Ok(()) => {
                let (text, vectors) = (parent.join(format!("text-{number}")), parent.join(format!("vectors-{number}")));
                return Ok(Folders { text, vectors, lock: Arc::new(lock) });
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(folder_failed(error)),
        }
    }
    Err(Error::unavailable("text_index_failed", format!("{FOLDERS_MAX} processes use this data directory already"))
        .remedy("give each process a data directory of its own"))
}

/// The text index in `folder` with its position, or a new one without.
pub(super) fn open_or_create(
    folder: &Path,
    identity: &str,
    head: EventPosition,
    start_anew: bool,
) -> Result<(TextIndex, Option<EventPosition>)> {
    if !start_anew && let Some((text, payload)) = TextIndex::open(folder)? {
        // An index of another database, or of a later state of this one that a restored backup has forgotten, is worthless.
        let position = EventPosition::from_text(&payload.position).filter(|position| *position <= head);
        if payload.identity == identity && position.is_some() {
            return Ok((text, position));
        }
    }
    let removed = if folder.is_dir() { fs::remove_dir_all(folder) } else { fs::remove_file(folder) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(folder_failed(error)),
        _ => {}
    }
    fs::create_dir_all(folder).map_err(folder_failed)?;
    Ok((TextIndex::create(folder)?, None))
}
