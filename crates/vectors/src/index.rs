//! The index: one writer, any number of readers.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use crate::{
    bits::Tombstones,
    calibrate::{self, Calibration, CalibrationOptions},
    error::{AtFile as _, Error, Result},
    journal::{self, Batch, Entry},
    manifest::{self, Listed, Manifest},
    segment::{Segment, build},
    shared::Shared,
    tail::Tail,
    types::{Change, Found, Options, Search},
    view::{Picked, Place, View, place_segments},
};

/// A tail that is so many times larger than it should be takes no more changes before it can be written.
const TAIL_ROWS_FACTOR: usize = 4;

/// A folder of vectors that can be searched. See the crate's documentation.
///
/// All methods take `&self` and may be called from several threads; they block, some for long. One process at a time may have
/// a folder open: the caller sees to that.
#[derive(Debug)]
pub struct VectorIndex {
    pub(crate) folder: PathBuf,
    pub(crate) shared: Arc<Shared>,
    view: RwLock<Arc<View>>,
    pub(crate) writer: Mutex<Writer>,
    /// Held by the one compaction that runs.
    pub(crate) compacting: Mutex<()>,
}

/// What only writers need.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) next_id: u64,
    /// Rows of the keys that are in the tail.
    tail_rows: HashMap<u128, usize>,
    journal_bytes: u64,
    /// A write failed half-way.
    is_broken: bool,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What was written before a panic stands in the files; what was not was not acknowledged.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn segment_file(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("segment-{id:010}"))
}

pub(crate) fn journal_file(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("log-{id:010}"))
}

impl VectorIndex {
    /// Opens the index in `folder`, which need not exist: nothing is written before the first change.
    ///
    /// # Errors
    ///
    /// Options out of range or other than those the folder was made with; a file that is damaged or missing
    /// ([`Error::needs_rebuild`]); what the system refuses.
    pub fn open(folder: impl Into<PathBuf>, options: Options) -> Result<Self> {
        options.check()?;
        let folder = folder.into();
        let shared = Shared::new(options);
        let manifest = Manifest::read(&folder, &shared.options)?.unwrap_or_default();
        let mut segments = Vec::new();
        for Listed { id, deleted } in &manifest.segments {
            let file = segment_file(&folder, *id);
            let segment = Segment::open(*id, &file, &shared).map_err(|error| missing(error, &file))?;
            let mut tombstones = Tombstones::default();
            for row in deleted {
                tombstones.insert(*row as usize);
            }
            segments.push((Arc::new(segment), tombstones));
        }
        let mut view = View {
            shared: Arc::clone(&shared),
            placed: Arc::new(place_segments(segments.into_iter())?),
            tail: Tail::default(),
            tail_id: manifest.journal,
            layout: 0,
            position: manifest.position,
            calibration: manifest.calibration,
        };
        let mut writer = Writer { next_id: manifest.next_id.max(1), ..Writer::default() };
        writer.journal_bytes = journal::replay(&journal_file(&folder, manifest.journal), &shared, |batch| {
            writer.apply(&mut view, batch);
        })?;
        remove_others(&folder, &view);
        Ok(Self {
            folder,
            shared,
            view: RwLock::new(Arc::new(view)),
            writer: Mutex::new(writer),
            compacting: Mutex::default(),
        })
    }

    /// The options that it was opened with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The index as it is now. A search on it sees nothing of later changes.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// [`View::search`] on the index as it is now.
    ///
    /// # Errors
    ///
    /// Those of [`View::search`].
    pub fn search(&self, query: &[f32], search: &Search<'_>) -> Result<Found> {
        self.view().search(query, search)
    }

    /// What was given as `position` with the last change that the index has.
    pub fn position(&self) -> Option<u64> {
        self.view().position
    }

    /// Applies changes, all or none, in order. They are found (or not found any more) by every search that begins after this
    /// returns, and they are in the log. `position` is kept with them: a caller that feeds the index from an event log reads it
    /// after a restart to know where to go on.
    ///
    /// Now and then (every [`Options::tail_rows_max`] insertions) this also writes a segment, which takes some milliseconds.
    ///
    /// # Errors
    ///
    /// A vector that does not fit the index; then nothing was changed. What the system refuses; then nothing was changed either, but
    /// for [`Error::Broken`], after which the index must be reopened.
    pub fn apply<'a>(&self, changes: impl IntoIterator<Item = Change<'a>>, position: Option<u64>) -> Result<()> {
        let entries = changes.into_iter().map(|change| {
            Ok(match change {
                Change::Insert { key, vector } => Entry::Insert { key, vector: self.shared.accept_stored(vector)? },
                Change::Delete { key } => Entry::Delete { key },
            })
        });
        let batch = Batch { position, entries: entries.collect::<Result<_>>()? };
        if batch.entries.is_empty() && position.is_none() {
            return Ok(());
        }
        let mut writer = self.writer()?;
        if self.view().tail.rows() >= TAIL_ROWS_FACTOR * self.shared.options.tail_rows_max {
            self.seal(&mut writer)?;
        }
        let mut view = View::clone(&self.view());
        if view.slots() + batch.entries.len() > u32::MAX as usize - 64 {
            return Err(Error::Full);
        }
        if writer.journal_bytes == 0 {
            self.begin_log(&view, &writer)?;
        }
        let file = journal_file(&self.folder, view.tail_id);
        match journal::append(&file, writer.journal_bytes, &batch, &self.shared) {
            Ok(length) => writer.journal_bytes = length,
            Err(error) => {
                writer.is_broken = matches!(error, Error::Broken);
                return Err(error);
            }
        }
        writer.apply(&mut view, batch);
        let is_full = view.tail.rows() >= self.shared.options.tail_rows_max;
        self.publish(view);
        if is_full {
            // What was asked for is done. If this fails, the tail grows and the next change tries again; once the tail is several
            // times too large, changes fail.
            let _ = self.seal(&mut writer);
        }
        Ok(())
    }

    /// Inserts one vector, or replaces that of a key that exists.
    ///
    /// # Errors
    ///
    /// Those of [`Self::apply`].
    pub fn insert(&self, key: u128, vector: &[f32]) -> Result<()> {
        self.apply([Change::Insert { key, vector }], None)
    }

    /// Deletes one vector, if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`Self::apply`].
    pub fn delete(&self, key: u128) -> Result<()> {
        self.apply([Change::Delete { key }], None)
    }

    /// Waits until the disk has everything that was acknowledged (without [`Options::sync`], it may not yet).
    ///
    /// # Errors
    ///
    /// What the system refuses.
    pub fn sync(&self) -> Result<()> {
        let writer = self.writer()?;
        if writer.journal_bytes > 0 {
            journal::sync(&journal_file(&self.folder, self.view().tail_id))?;
        }
        Ok(())
    }

    /// Measures recall with real queries (or, for want of them, [`View::sample`]), chooses the least effort that reaches the
    /// target, uses it from now on, and keeps both with the index. Takes an exact search of everything for each query.
    ///
    /// # Errors
    ///
    /// A query that does not fit, nothing to measure, a damaged file, or what the system refuses.
    pub fn calibrate(&self, queries: &[Vec<f32>], options: &CalibrationOptions) -> Result<Calibration> {
        let calibration = calibrate::calibrate(&self.view(), queries, options)?;
        let writer = self.writer()?;
        let mut view = View::clone(&self.view());
        view.calibration = Some(calibration.clone());
        if fs::exists(self.folder.join(manifest::NAME)).at(&self.folder)? {
            self.rewrite_manifest(&view, &writer)?;
        }
        self.publish(view);
        Ok(calibration)
    }

    pub(crate) fn writer(&self) -> Result<MutexGuard<'_, Writer>> {
        let writer = lock(&self.writer);
        if writer.is_broken { Err(Error::Broken) } else { Ok(writer) }
    }

    /// Only with the writer locked.
    pub(crate) fn publish(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// The first change makes the folder and the manifest, so that the log is known to belong to it.
    fn begin_log(&self, view: &View, writer: &Writer) -> Result<()> {
        if !fs::exists(self.folder.join(manifest::NAME)).at(&self.folder)? {
            fs::create_dir_all(&self.folder).at(&self.folder)?;
            self.write_manifest(view, writer)?;
        }
        Ok(())
    }

    /// Another manifest with the same log. It may say what the log's changes did to segments, so the disk must have these first.
    pub(crate) fn rewrite_manifest(&self, view: &View, writer: &Writer) -> Result<()> {
        if writer.journal_bytes > 0 {
            journal::sync(&journal_file(&self.folder, view.tail_id))?;
        }
        self.write_manifest(view, writer)
    }

    fn write_manifest(&self, view: &View, writer: &Writer) -> Result<()> {
        let listed = view.placed.iter().map(|placed| Listed {
            id: placed.segment.id,
            deleted: placed.deleted.iter().map(|row| row as u32).collect(),
        });
        let manifest = Manifest {
            next_id: writer.next_id,
            journal: view.tail_id,
            position: view.position,
            segments: listed.collect(),
            calibration: view.calibration.clone(),
        };
        manifest.write(&self.folder, &self.shared.options)
    }

    /// Turns the tail into a segment and begins another log.
    pub(crate) fn seal(&self, writer: &mut Writer) -> Result<()> {
        let before = self.view();
        let base = before.tail_base();
        let slots = before.tail.iter().map(|(row, ..)| base + row as u32).collect::<Vec<_>>();
        let mut view = View::clone(&before);
        if !slots.is_empty() {
            let id = writer.new_id();
            let file = segment_file(&self.folder, id);
            build(&file, &self.shared, &Picked { view: &before, slots }, 1)?;
            let segment = (Arc::new(Segment::open(id, &file, &self.shared)?), Tombstones::default());
            let segments = before.placed.iter().map(|placed| (Arc::clone(&placed.segment), placed.deleted.clone()));
            view.placed = Arc::new(place_segments(segments.chain([segment]))?);
        }
        self.begin_tail(view, writer)
    }

    /// Publishes `view` without a tail, and with another log, once the manifest says so.
    pub(crate) fn begin_tail(&self, mut view: View, writer: &mut Writer) -> Result<()> {
        let old = journal_file(&self.folder, view.tail_id);
        view.tail = Tail::default();
        view.tail_id = writer.new_id();
        view.layout += 1;
        if let Err(error) = self.write_manifest(&view, writer) {
            // Which of the two logs the folder now names is not known.
            writer.is_broken = true;
            return Err(error);
        }
        writer.journal_bytes = 0;
        writer.tail_rows = HashMap::new();
        self.publish(view);
        // If it stays, the next opening removes it.
        let _ = fs::remove_file(old);
        Ok(())
    }
}

impl Writer {
    pub(crate) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Applies what was logged.
    fn apply(&mut self, view: &mut View, batch: Batch) {
        for entry in batch.entries {
            match entry {
                Entry::Insert { key, vector } => {
                    self.hide(view, key);
                    let row = view.tail.push(key, &vector);
                    self.tail_rows.insert(key, row);
                }
                Entry::Delete { key } => self.hide(view, key),
            }
        }
        view.position = batch.position.or(view.position);
    }

    fn hide(&mut self, view: &mut View, key: u128) {
        if let Some(row) = self.tail_rows.remove(&key) {
            view.tail.delete(row);
        } else if let Some(slot) = view.slot_in_segments(key) {
            delete_slot(view, slot);
        }
    }
}

/// Marks a row of a segment as deleted.
pub(crate) fn delete_slot(view: &mut View, slot: u32) {
    let Place::Segment(found, row) = view.place(slot) else { return };
    let base = found.base;
    if let Some(placed) = Arc::make_mut(&mut view.placed).iter_mut().find(|placed| placed.base == base) {
        placed.deleted.insert(row);
    }
}

/// A segment that the manifest names and the folder does not have is damage.
fn missing(error: Error, file: &Path) -> Error {
    match error {
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Error::damaged(file, "missing"),
        error => error,
    }
}

/// What a crash left behind. If something cannot be removed it is in nobody's way.
fn remove_others(folder: &Path, view: &View) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut known: Vec<PathBuf> = view.placed.iter().map(|placed| placed.segment.file.clone()).collect();
    known.push(journal_file(folder, view.tail_id));
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = ["segment-", "log-", "bulk-"].iter().any(|start| name.starts_with(start));
        if is_ours && !known.contains(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
