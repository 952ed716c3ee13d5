//! Fewer and larger segments; bulk loading; copies for backups.

mod bulk;

use std::{fs, path::Path, sync::Arc};

pub use self::bulk::Bulk;
use crate::{
    bits::Tombstones,
    error::{AtFile as _, Result},
    index::{VectorIndex, delete_slot, journal_file, lock, segment_file},
    manifest,
    segment::{Segment, build},
    view::{Picked, Placed, View, place_segments},
};

/// Segments of about one size that are merged.
const MERGE_SEGMENTS: usize = 6;
/// One size is up to so many times another.
const SIZE_RATIO: usize = 6;
/// A segment is rewritten when one of so many rows is deleted.
const DELETED_PART: usize = 5;
/// Smaller segments than this count as this large.
const SMALL_ROWS: usize = 4_096;

/// Up to so many rows an index at rest is made one segment, which takes half a minute on one core.
const SETTLED_ROWS_MAX: usize = 2_000_000;
/// An index is at rest as one segment when at most one of so many rows lies outside of its largest one.
const SETTLED_OUTSIDE_PART: usize = 4;

/// Which segments to write anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compaction {
    /// Those that are due: several of about one size, or many deleted rows. Does nothing most of the time.
    Due,
    /// Everything, into one segment.
    Full,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Segments that were replaced.
    pub segments: usize,
    /// Rows of the segment that replaces them.
    pub rows: usize,
    /// Deleted rows that are gone for good.
    pub dropped: usize,
}

impl VectorIndex {
    /// Merges segments and drops deleted vectors, on `threads` threads. Searches and changes go on meanwhile; only one compaction runs
    /// at a time (a second call waits). Made to be called from a background thread, now and then.
    ///
    /// # Errors
    ///
    /// A damaged file, or what the system refuses; the index is then as before.
    pub fn compact(&self, compaction: Compaction, threads: usize) -> Result<Compacted> {
        let _only = lock(&self.compacting);
        if compaction == Compaction::Full && self.view().tail.rows() > 0 {
            self.seal(&mut *self.writer()?)?;
        }
        let before = self.view();
        let chosen = match compaction {
            Compaction::Due => due(&before.placed),
            Compaction::Full => full(&before.placed),
        };
        if chosen.is_empty() {
            return Ok(Compacted::default());
        }
        let mut slots = Vec::new();
        let mut dropped = 0;
        for placed in before.placed.iter().filter(|placed| chosen.contains(&placed.segment.id)) {
            let rows = (0..placed.segment.rows()).filter(|row| !placed.deleted.contains(*row));
            slots.extend(rows.map(|row| placed.base + row as u32));
            dropped += placed.deleted.count();
        }
        let rows = slots.len();
        let id = self.writer()?.new_id();
        let file = segment_file(&self.folder, id);
        let merged = if rows == 0 {
            None
        } else {
            let built = build(&file, &self.shared, &Picked { view: &before, slots }, threads);
            let opened = built.and_then(|()| Segment::open(id, &file, &self.shared));
            if opened.is_err() {
                // What is left of it is in nobody's way.
                let _ = fs::remove_file(&file);
            }
            Some(Arc::new(opened?))
        };
        self.replace(&before, &chosen, merged)?;
        Ok(Compacted { segments: chosen.len(), rows, dropped })
    }

    /// Puts a merged segment in the place of those it was made of, and hides what was deleted meanwhile.
    fn replace(&self, before: &View, chosen: &[u64], merged: Option<Arc<Segment>>) -> Result<()> {
        let writer = self.writer()?;
        let mut view = View::clone(&self.view());
        let mut gone = Vec::new();
        for placed in view.placed.iter().filter(|placed| chosen.contains(&placed.segment.id)) {
            let old = before.placed.iter().find(|old| old.segment.id == placed.segment.id);
            let is_new = |row: &usize| old.is_none_or(|old| !old.deleted.contains(*row));
            gone.extend(placed.deleted.iter().filter(is_new).filter_map(|row| placed.segment.key(row)));
        }
        let mut tombstones = Tombstones::default();
        if let Some(merged) = &merged {
            for row in gone.into_iter().filter_map(|key| merged.row(key)) {
                tombstones.insert(row);
            }
        }
        let others = view.placed.iter().filter(|placed| !chosen.contains(&placed.segment.id));
        let others: Vec<_> = others.map(|placed| (Arc::clone(&placed.segment), placed.deleted.clone())).collect();
        let merged = merged.map(|merged| (merged, tombstones));
        view.placed = Arc::new(place_segments(merged.into_iter().chain(others))?);
        view.layout += 1;
        self.rewrite_manifest(&view, &writer)?;
        self.publish(view);
        for id in chosen {
            // Views that are still held have it mapped, so that its name can go.
            let _ = fs::remove_file(segment_file(&self.folder, *id));
        }
        Ok(())
    }

    /// Whether [`Compaction::Due`] would do anything.
    pub fn is_compaction_due(&self) -> bool {
        !due(&self.view().placed).is_empty()
    }

    /// Whether [`Compaction::Full`] would make searches clearly faster: the index is large enough for partitions, small enough to be
    /// written anew soon, and much of it lies outside of its largest segment, so that searches go through several that are scanned
    /// whole. Worth it only while nothing changes: several segments are what makes changes cheap.
    pub fn is_full_compaction_worthwhile(&self) -> bool {
        let view = self.view();
        let largest = view.placed.iter().map(Placed::live).max().unwrap_or(0);
        let rows = view.len();
        (self.shared.options.partition_from_rows..=SETTLED_ROWS_MAX).contains(&rows)
            && rows.saturating_sub(largest) * SETTLED_OUTSIDE_PART > rows
    }

    /// Writes a copy into `folder`, which must not have an index: segments are linked where the file system can, for they never
    /// change. Changes wait meanwhile, searches do not.
    ///
    /// # Errors
    ///
    /// What the system refuses.
    pub fn snapshot(&self, folder: &Path) -> Result<()> {
        let _writer = self.writer()?;
        fs::create_dir_all(folder).at(folder)?;
        if !fs::exists(self.folder.join(manifest::NAME)).at(&self.folder)? {
            return Ok(());
        }
        let view = self.view();
        for placed in view.placed.iter() {
            let from = &placed.segment.file;
            let to = segment_file(folder, placed.segment.id);
            if fs::hard_link(from, &to).is_err() {
                fs::copy(from, &to).at(&to)?;
            }
        }
        let log = journal_file(&self.folder, view.tail_id);
        if fs::exists(&log).at(&log)? {
            let to = journal_file(folder, view.tail_id);
            fs::copy(&log, &to).at(&to)?;
        }
        // Last: a copy without it is none.
        manifest::copy(&self.folder, folder)
    }
}

fn full(placed: &[Placed]) -> Vec<u64> {
    match placed {
        [only] if only.deleted.count() == 0 => Vec::new(),
        all => all.iter().map(|placed| placed.segment.id).collect(),
    }
}

/// Segments by size, from small to large: as many as are within the ratio of the smallest of them, if there are enough.
fn due(placed: &[Placed]) -> Vec<u64> {
    let riddled = placed.iter().find(|placed| placed.deleted.count() * DELETED_PART > placed.segment.rows());
    if let Some(riddled) = riddled {
        return vec![riddled.segment.id];
    }
    let mut sizes: Vec<(usize, u64)> =
        placed.iter().map(|placed| (placed.live().max(SMALL_ROWS), placed.segment.id)).collect();
    sizes.sort_unstable();
    for (at, (smallest, _)) in sizes.iter().enumerate() {
        let alike = sizes.iter().skip(at).take_while(|(size, _)| *size < SIZE_RATIO * smallest);
        let alike: Vec<u64> = alike.map(|(_, id)| *id).collect();
        if alike.len() >= MERGE_SEGMENTS {
            return alike;
        }
    }
    Vec::new()
}

/// Hides what a new segment replaces.
pub(crate) fn hide_keys(view: &mut View, keys: impl Iterator<Item = u128>) {
    for key in keys {
        if let Some(slot) = view.slot_in_segments(key) {
            delete_slot(view, slot);
        }
    }
}
