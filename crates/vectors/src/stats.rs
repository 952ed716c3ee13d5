//! What an index is made of.

use crate::{calibrate::Calibration, index::VectorIndex, types::Effort, view::View};

/// Sizes and quality of an index at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// That can be found.
    pub vectors: usize,
    /// That are deleted and still take space.
    pub deleted: usize,
    /// In memory, not in a segment yet.
    pub in_tail: usize,
    /// Files with vectors.
    pub segments: usize,
    /// Of all segments; a small segment is one.
    pub partitions: usize,
    /// In the process's own memory: codes, centres and the vectors in memory.
    pub memory_bytes: usize,
    /// Of the segments, which are mapped: the system keeps in memory what is used of them, as far as there is room.
    pub disk_bytes: usize,
    /// How hard searches try.
    pub effort: Effort,
    /// How that was measured, if it was.
    pub calibration: Option<Calibration>,
}

impl Stats {
    /// Whether recall should be measured again: it never was, or the index has grown or shrunk by a quarter since.
    pub fn is_calibration_due(&self) -> bool {
        let before = self.calibration.as_ref().map_or(0, |calibration| calibration.vectors);
        self.segments > 0 && self.vectors.abs_diff(before) > before / 4
    }
}

impl View {
    /// Counts and sizes.
    pub fn stats(&self) -> Stats {
        let segments = || self.placed.iter();
        Stats {
            vectors: self.len(),
            deleted: segments().map(|placed| placed.deleted.count()).sum::<usize>() + self.tail.deleted(),
            in_tail: self.tail.rows() - self.tail.deleted(),
            segments: self.placed.len(),
            partitions: segments().map(|placed| placed.segment.partitions().len()).sum(),
            memory_bytes: segments().map(|placed| placed.segment.memory_bytes()).sum::<usize>()
                + self.tail.memory_bytes(),
            disk_bytes: segments().map(|placed| placed.segment.disk_bytes()).sum(),
            effort: self.effort(),
            calibration: self.calibration.clone(),
        }
    }
}

impl VectorIndex {
    /// Counts and sizes of the index as it is now.
    pub fn stats(&self) -> Stats {
        self.view().stats()
    }
}
