//! Loading many vectors at once: no log, one segment.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::PathBuf,
    sync::Arc,
};

use memmap2::Mmap;

use super::hide_keys;
use crate::{
    bits::Tombstones,
    error::{AtFile as _, Error, Result},
    index::{VectorIndex, segment_file},
    kernels,
    segment::{Rows, Segment, build},
    shared::Shared,
    view::{View, place_segments},
};

/// Vectors that become one segment when [`Bulk::finish`] is called, and nothing if it is not. For first loads and rebuilds: several
/// times faster than [`VectorIndex::apply`], and searchable only at the end.
#[derive(Debug)]
pub struct Bulk<'a> {
    index: &'a VectorIndex,
    id: u64,
    file: PathBuf,
    output: Option<BufWriter<File>>,
    keys: Vec<u128>,
    record: Vec<u8>,
}

impl VectorIndex {
    /// Begins to load many vectors. They are staged in a file in the index's folder.
    ///
    /// # Errors
    ///
    /// What the system refuses.
    pub fn bulk(&self) -> Result<Bulk<'_>> {
        let id = self.writer()?.new_id();
        fs::create_dir_all(&self.folder).at(&self.folder)?;
        let file = self.folder.join(format!("bulk-{id:010}"));
        let output = BufWriter::with_capacity(1 << 20, File::create(&file).at(&file)?);
        Ok(Bulk { index: self, id, file, output: Some(output), keys: Vec::new(), record: Vec::new() })
    }
}

impl Bulk<'_> {
    /// Adds a vector. Of several with one key the last one counts.
    ///
    /// # Errors
    ///
    /// A vector that does not fit the index (it is left out, and one may go on), or what the system refuses.
    pub fn push(&mut self, key: u128, vector: &[f32]) -> Result<()> {
        let shared = &self.index.shared;
        let vector = shared.accept_stored(vector)?;
        if self.keys.len() >= u32::MAX as usize {
            return Err(Error::Full);
        }
        self.record.clear();
        kernels::encode(shared.options.storage, &vector, &mut self.record);
        let output = self.output.as_mut().ok_or(Error::Broken)?;
        if let Err(source) = output.write_all(&self.record) {
            self.output = None;
            return Err(Error::Io { file: self.file.clone(), source });
        }
        self.keys.push(key);
        Ok(())
    }

    /// Writes the segment on `threads` threads and makes it searchable; its vectors replace those with the same keys, as if they
    /// were all inserted now. Changes wait only at the very end. Returns how many vectors were loaded.
    ///
    /// # Errors
    ///
    /// What the system refuses; nothing was loaded then.
    pub fn finish(mut self, position: Option<u64>, threads: usize) -> Result<usize> {
        let mut output = self.output.take().ok_or(Error::Broken)?;
        output.flush().at(&self.file)?;
        drop(output);
        let rows = self.staged()?;
        let count = rows.order.len();
        if count == 0 {
            return Ok(0);
        }
        let index = self.index;
        let file = segment_file(&index.folder, self.id);
        let built = build(&file, &index.shared, &rows, threads);
        let opened = built.and_then(|()| Segment::open(self.id, &file, &index.shared));
        if opened.is_err() {
            // What is left of it is in nobody's way.
            let _ = fs::remove_file(&file);
        }
        let segment = Arc::new(opened?);
        let mut writer = index.writer()?;
        // The log's changes came before these, so that they must not be replayed after them.
        index.seal(&mut writer)?;
        let mut view = View::clone(&index.view());
        hide_keys(&mut view, segment.keys());
        let others = view.placed.iter().map(|placed| (Arc::clone(&placed.segment), placed.deleted.clone()));
        view.placed = Arc::new(place_segments(others.chain([(segment, Tombstones::default())]))?);
        view.position = position.or(view.position);
        index.begin_tail(view, &mut writer)?;
        Ok(count)
    }

    #[allow(unsafe_code, reason = "the file is this value's own")]
    fn staged(&self) -> Result<Staged<'_>> {
        let file = File::open(&self.file).at(&self.file)?;
        let map = if self.keys.is_empty() {
            None
        } else {
            // SAFETY: nothing writes to the file any more.
            Some(unsafe { Mmap::map(&file) }.at(&self.file)?)
        };
        let mut order: Vec<u32> = (0..self.keys.len() as u32).collect();
        let key = |at: &u32| self.keys.get(*at as usize).copied().unwrap_or_default();
        // The last of each key stands first, and stays.
        order.sort_unstable_by(|left, right| key(left).cmp(&key(right)).then(right.cmp(left)));
        order.dedup_by_key(|at| key(at));
        order.sort_unstable();
        Ok(Staged { shared: &self.index.shared, keys: &self.keys, map, order, file: &self.file })
    }
}

impl Drop for Bulk<'_> {
    fn drop(&mut self) {
        // If it stays, the next opening removes it.
        let _ = fs::remove_file(&self.file);
    }
}

struct Staged<'a> {
    shared: &'a Shared,
    keys: &'a [u128],
    map: Option<Mmap>,
    /// Which of the staged rows count.
    order: Vec<u32>,
    file: &'a PathBuf,
}

impl Staged<'_> {
    fn at(&self, at: usize) -> Result<usize> {
        self.order.get(at).map(|staged| *staged as usize).ok_or(Error::Full)
    }
}

impl Rows for Staged<'_> {
    fn count(&self) -> usize {
        self.order.len()
    }

    fn key(&self, at: usize) -> Result<u128> {
        self.keys.get(self.at(at)?).copied().ok_or(Error::Full)
    }

    fn read(&self, at: usize, target: &mut [f32]) -> Result<()> {
        let size = self.shared.vector_bytes();
        let start = self.at(at)? * size;
        let bytes = self.map.as_ref().and_then(|map| map.get(start..start + size));
        let bytes = bytes.ok_or_else(|| Error::damaged(self.file, "length"))?;
        kernels::decode(self.shared.options.storage, bytes, target);
        Ok(())
    }
}
