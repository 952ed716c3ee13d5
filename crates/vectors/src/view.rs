//! The index at one moment.

use std::{collections::HashMap, sync::Arc};

use crate::{
    bits::Tombstones,
    calibrate::Calibration,
    error::{Error, Result},
    segment::{Rows, Segment},
    shared::Shared,
    tail::Tail,
};

/// A segment in a view.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) segment: Arc<Segment>,
    pub(crate) deleted: Tombstones,
    /// The slot of its first row, a multiple of 64.
    pub(crate) base: u32,
}

impl Placed {
    pub(crate) fn live(&self) -> usize {
        self.segment.rows() - self.deleted.count()
    }
}

/// A run of slots whose keys never change: a segment, or the vectors in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The same number always means the same keys in the same order; the last part, in memory, may have grown.
    pub id: u64,
    /// The first slot, a multiple of 64.
    pub first_slot: u32,
    /// Slots, deleted vectors included.
    pub slots: u32,
}

/// The index at one moment. Changes make another view; this one stays as it is for as long as it is held.
///
/// Every vector has a slot, a small number. Slots stay when vectors are inserted or deleted, and are given out anew when a
/// segment is written or compacted: [`View::layout`] then differs.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) shared: Arc<Shared>,
    pub(crate) placed: Arc<Vec<Placed>>,
    pub(crate) tail: Tail,
    pub(crate) tail_id: u64,
    pub(crate) layout: u64,
    pub(crate) position: Option<u64>,
    pub(crate) calibration: Option<Calibration>,
}

/// Where a slot's vector is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Segment(&'a Placed, usize),
    Tail(usize),
}

/// Slots of parts begin at multiples of 64, so that sets of slots can be put together word by word.
pub(crate) fn place_segments(segments: impl Iterator<Item = (Arc<Segment>, Tombstones)>) -> Result<Vec<Placed>> {
    let mut next = 0_usize;
    let mut placed = Vec::new();
    for (segment, deleted) in segments {
        let base = u32::try_from(next).map_err(|_| Error::Full)?;
        next += segment.rows().next_multiple_of(64);
        placed.push(Placed { segment, deleted, base });
    }
    u32::try_from(next + (1 << 24)).map_err(|_| Error::Full)?;
    Ok(placed)
}

impl View {
    /// Vectors that are not deleted.
    pub fn len(&self) -> usize {
        self.placed.iter().map(Placed::live).sum::<usize>() + self.tail.rows() - self.tail.deleted()
    }

    /// Whether there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Differs from that of another view of the same opened index if a slot may mean another vector.
    pub fn layout(&self) -> u64 {
        self.layout
    }

    /// What the caller said with the last change that this view has.
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// Slots end here.
    pub fn slots(&self) -> usize {
        self.tail_base() as usize + self.tail.rows()
    }

    pub(crate) fn tail_base(&self) -> u32 {
        self.placed.last().map_or(0, |last| last.base + last.segment.rows().next_multiple_of(64) as u32)
    }

    /// The parts, by slot.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let segments = self.placed.iter().map(|placed| Part {
            id: placed.segment.id,
            first_slot: placed.base,
            slots: placed.segment.rows() as u32,
        });
        let tail = Part { id: self.tail_id, first_slot: self.tail_base(), slots: self.tail.rows() as u32 };
        segments.chain(std::iter::once(tail))
    }

    /// The keys of a part by slot, deleted ones included; empty if there is no such part.
    pub fn keys(&self, part: Part) -> Box<dyn Iterator<Item = u128> + '_> {
        if part.id == self.tail_id {
            return Box::new(self.tail.keys());
        }
        match self.placed.iter().find(|placed| placed.segment.id == part.id) {
            Some(placed) => Box::new(placed.segment.keys()),
            None => Box::new(std::iter::empty()),
        }
    }

    /// Slots and keys of all vectors that are not deleted, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u128)> + '_ {
        let segments = self.placed.iter().flat_map(|placed| {
            let keys = placed.segment.keys().enumerate().filter(|(row, _)| !placed.deleted.contains(*row));
            keys.map(|(row, key)| (placed.base + row as u32, key))
        });
        let base = self.tail_base();
        segments.chain(self.tail.iter().map(move |(row, key, _)| (base + row as u32, key)))
    }

    /// The slot of a key that is not deleted. Takes a scan of the vectors in memory and a binary search in each segment; for many
    /// keys see [`crate::AllowSet::from_keys`].
    pub fn slot(&self, key: u128) -> Option<u32> {
        let in_tail = self.tail.iter().find(|(_, other, _)| *other == key);
        in_tail.map(|(row, ..)| self.tail_base() + row as u32).or_else(|| self.slot_in_segments(key))
    }

    /// Keys from `first` to `last` (both included) that are not deleted, ascending. Takes a scan of the vectors in memory and a
    /// binary search in each segment.
    pub fn keys_between(&self, first: u128, last: u128) -> Vec<u128> {
        let in_segments = self.placed.iter().flat_map(|placed| {
            let rows = placed.segment.rows_between(first, last);
            rows.filter(|(row, _)| !placed.deleted.contains(*row)).map(|(_, key)| key)
        });
        let in_tail = self.tail.iter().map(|(_, key, _)| key).filter(|key| (first..=last).contains(key));
        let mut keys: Vec<u128> = in_segments.chain(in_tail).collect();
        keys.sort_unstable();
        keys
    }

    pub(crate) fn slot_in_segments(&self, key: u128) -> Option<u32> {
        self.placed.iter().rev().find_map(|placed| {
            let row = placed.segment.row(key).filter(|row| !placed.deleted.contains(*row))?;
            Some(placed.base + row as u32)
        })
    }

    pub(crate) fn slots_in_tail(&self) -> HashMap<u128, u32> {
        let base = self.tail_base();
        self.tail.iter().map(|(row, key, _)| (key, base + row as u32)).collect()
    }

    /// The vector of a key, as it is stored (of length 1 for the cosine).
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] if its checksum is wrong.
    pub fn vector(&self, key: u128) -> Result<Option<Vec<f32>>> {
        let Some(slot) = self.slot(key) else { return Ok(None) };
        let mut vector = vec![0.0; self.shared.options.dimensions];
        self.read_slot(slot, &mut vector)?;
        Ok(Some(vector))
    }

    pub(crate) fn place(&self, slot: u32) -> Place<'_> {
        let base = self.tail_base();
        if slot >= base {
            return Place::Tail((slot - base) as usize);
        }
        let after = self.placed.partition_point(|placed| placed.base <= slot);
        match after.checked_sub(1).and_then(|at| self.placed.get(at)) {
            Some(placed) => Place::Segment(placed, (slot - placed.base) as usize),
            None => Place::Tail(usize::MAX),
        }
    }

    pub(crate) fn key_of(&self, slot: u32) -> Option<u128> {
        match self.place(slot) {
            Place::Segment(placed, row) => placed.segment.key(row),
            Place::Tail(row) => self.tail.get(row).map(|(key, _)| key),
        }
    }

    pub(crate) fn read_slot(&self, slot: u32, target: &mut [f32]) -> Result<()> {
        match self.place(slot) {
            Place::Segment(placed, row) => placed.segment.read(row, target),
            Place::Tail(row) => {
                let vector = self.tail.get(row).map(|(_, vector)| vector).unwrap_or_default();
                target.iter_mut().zip(vector).for_each(|(target, value)| *target = *value);
                Ok(())
            }
        }
    }

    /// About `count` stored vectors, evenly spread: a substitute for real queries where there are none yet.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] if a checksum is wrong.
    pub fn sample(&self, count: usize) -> Result<Vec<Vec<f32>>> {
        let step = self.len().div_ceil(count.max(1)).max(1);
        let read = |(slot, _)| {
            let mut vector = vec![0.0; self.shared.options.dimensions];
            self.read_slot(slot, &mut vector).map(|()| vector)
        };
        self.iter().step_by(step).map(read).collect()
    }

    /// Reads every file's vectors and compares their checksums. (Everything else was checked when the index was opened.)
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] names the first file that is not what was written.
    pub fn verify(&self) -> Result<()> {
        self.placed.iter().try_for_each(|placed| placed.segment.verify())
    }
}

/// Rows of a view that become a segment.
pub(crate) struct Picked<'a> {
    pub(crate) view: &'a View,
    pub(crate) slots: Vec<u32>,
}

impl Picked<'_> {
    fn slot(&self, at: usize) -> Result<u32> {
        self.slots.get(at).copied().ok_or(Error::Full)
    }
}

impl Rows for Picked<'_> {
    fn count(&self) -> usize {
        self.slots.len()
    }

    fn key(&self, at: usize) -> Result<u128> {
        self.view.key_of(self.slot(at)?).ok_or(Error::Full)
    }

    fn read(&self, at: usize, target: &mut [f32]) -> Result<()> {
        self.view.read_slot(self.slot(at)?, target)
    }
}
