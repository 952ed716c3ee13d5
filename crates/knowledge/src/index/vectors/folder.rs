//! A process's folder of vector indexes, and what it says of all of them.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use plasma_kernel::CollectionId;
use plasma_store::EventPosition;
use plasma_vectors::{Error, Metric, Options, Result, VectorIndex};

use super::measured::Measured;

/// Written into the folder's state; another number means that everything must be built anew.
const FORMAT: &str = "1";
const STATE: &str = "STATE";
/// In the folder of an index: what the index itself does not keep.
const MEASURED: &str = "MEASURED";

/// `index/vectors-N` in the data directory, for as long as this process holds its lock.
#[derive(Clone, Debug)]
pub(in crate::index) struct VectorFolder {
    path: PathBuf,
    identity: String,
    /// The lock on the number N: a thread that outlives its task still holds it.
    pub(super) lock: Arc<File>,
}

/// A folder that was opened.
pub(in crate::index) struct OpenedFolder {
    pub(in crate::index) folder: VectorFolder,
    /// The indexes have every event up to here.
    pub(in crate::index) position: EventPosition,
    /// There was no folder, or it was worthless.
    pub(in crate::index) is_new: bool,
}

fn at(file: &Path) -> impl FnOnce(io::Error) -> Error {
    let file = file.to_owned();
    move |source| Error::Io { file, source }
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

impl VectorFolder {
    /// Takes what is at `path` over, or begins anew when it belongs to another database, or to a later state of this one that a
    /// restored backup has forgotten. `head` is the end of the event log.
    pub(in crate::index) fn take(
        path: PathBuf,
        lock: Arc<File>,
        identity: &str,
        head: EventPosition,
    ) -> Result<OpenedFolder> {
        let folder = Self { path, identity: identity.to_owned(), lock };
        if let Some(position) = folder.read_state().filter(|position| *position <= head) {
            return Ok(OpenedFolder { folder, position, is_new: false });
        }
        remove(&folder.path)?;
        fs::create_dir_all(&folder.path).map_err(at(&folder.path))?;
        folder.write_state(head)?;
        Ok(OpenedFolder { folder, position: head, is_new: true })
    }

    fn read_state(&self) -> Option<EventPosition> {
        let text = fs::read_to_string(self.path.join(STATE)).ok()?;
        let mut parts = text.split(' ');
        let (format, identity, position) = (parts.next()?, parts.next()?, parts.next()?);
        let is_ours = format == FORMAT && identity == self.identity && parts.next().is_none();
        is_ours.then(|| EventPosition::from_text(position)).flatten()
    }

    /// Says that the indexes have every event up to `position`. They must be synced first.
    pub(in crate::index) fn write_state(&self, position: EventPosition) -> Result<()> {
        let (target, beside) = (self.path.join(STATE), self.path.join("STATE.new"));
        let mut file = File::create(&beside).map_err(at(&beside))?;
        let text = format!("{FORMAT} {} {}", self.identity, position.to_text());
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&beside))?;
        fs::rename(&beside, &target).map_err(at(&target))
    }

    pub(in crate::index) fn of(&self, collection: CollectionId) -> PathBuf {
        self.path.join(collection.to_string())
    }

    /// The collection's index; an empty one without a position when there is none that can be used.
    pub(super) fn open(&self, collection: CollectionId, dimensions: usize) -> Result<VectorIndex> {
        let path = self.of(collection);
        let options = Options::new(dimensions, Metric::Cosine);
        match VectorIndex::open(&path, options.clone()) {
            // One without a position was not finished. Its documents may have changed since.
            Ok(index) if index.position().is_some() || index.view().is_empty() => return Ok(index),
            Ok(_) => {}
            Err(error) if error.needs_rebuild() || matches!(error, Error::OtherOptions { .. }) => {
                tracing::warn!(%error, %collection, "a vector index cannot be used; it is built anew");
            }
            Err(error) => return Err(error),
        }
        remove(&path)?;
        VectorIndex::open(&path, options)
    }

    /// How the recall of the collection's index was measured, if it was.
    pub(super) fn read_measured(&self, collection: CollectionId) -> Option<Measured> {
        Measured::from_text(&fs::read_to_string(self.of(collection).join(MEASURED)).ok()?)
    }

    /// Keeps that with the index. When it is lost, the index does not say how it was measured.
    pub(super) fn write_measured(&self, collection: CollectionId, measured: Measured) -> Result<()> {
        let file = self.of(collection).join(MEASURED);
        fs::write(&file, measured.to_text()).map_err(at(&file))
    }

    /// Bytes of the files of the collection's index.
    pub(super) fn disk_bytes(&self, collection: CollectionId) -> u64 {
        let Ok(entries) = fs::read_dir(self.of(collection)) else { return 0 };
        entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
    }

    /// Removes the collection's index, if there is one.
    pub(in crate::index) fn remove(&self, collection: CollectionId) -> Result<()> {
        remove(&self.of(collection))
    }
}
