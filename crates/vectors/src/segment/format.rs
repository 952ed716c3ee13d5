//! Where everything stands in the file of a segment. `README.md` has the picture.

use std::path::Path;

use crate::{
    bytes::{Put, Reader},
    centers,
    codes::BLOCK,
    error::{Error, Result},
    shared::Shared,
    types::{Metric, Options, Storage},
};

const MAGIC: &[u8; 8] = b"PLVECSEG";
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 256;
/// Where a section may begin.
pub(super) const ALIGN: usize = 64;

/// A part of the file with a checksum. They follow the header in this order, and the vectors follow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// `u128` of each row.
    Keys,
    /// `u32`: the rows in the order of their keys.
    Order,
    /// Blocks of codes, partition by partition.
    Codes,
    /// `u32`: the rows that are spilled, partition by partition.
    Spilled,
    /// For each partition: own rows `u32`, spilled rows `u32`, radius `f32`.
    Partitions,
    /// `f32`: the rotated mean of the centres.
    Mean,
    /// Blocks of codes of the centres around it, with summands.
    Centers,
}

impl Section {
    pub(super) const ALL: [Self; 7] =
        [Self::Keys, Self::Order, Self::Codes, Self::Spilled, Self::Partitions, Self::Mean, Self::Centers];
}

#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    pub(super) rows: usize,
    pub(super) partitions: usize,
    pub(super) blocks: usize,
    pub(super) spilled: usize,
    /// Checksums by section.
    pub(super) checksums: [u32; 7],
    pub(super) vectors_start: usize,
    /// Begin and length of the sections, which follow from the numbers above.
    pub(super) places: [(usize, usize); 7],
}

pub(crate) fn metric_code(metric: Metric) -> u8 {
    match metric {
        Metric::Cosine => 0,
        Metric::Dot => 1,
        Metric::L2 => 2,
    }
}

pub(crate) fn storage_code(storage: Storage) -> u8 {
    match storage {
        Storage::F32 => 0,
        Storage::F16 => 1,
    }
}

impl Header {
    /// Computes the places; `None` if the numbers are too large for this machine.
    pub(super) fn place(&mut self, shared: &Shared) -> Option<()> {
        let layout = shared.layout();
        let lengths = [
            self.rows.checked_mul(16)?,
            self.rows.checked_mul(4)?,
            self.blocks.checked_mul(layout.block_bytes())?,
            self.spilled.checked_mul(4)?,
            self.partitions.checked_mul(12)?,
            4 * layout.padded,
            self.partitions.div_ceil(BLOCK).checked_mul(centers::layout(layout.padded).block_bytes())?,
        ];
        let mut start = HEADER_BYTES;
        for (place, length) in self.places.iter_mut().zip(lengths) {
            *place = (start, length);
            start = start.checked_add(length)?.checked_next_multiple_of(ALIGN)?;
        }
        self.vectors_start = start;
        Some(())
    }

    fn end(&self, shared: &Shared) -> Option<usize> {
        self.rows.checked_mul(shared.vector_bytes() + 4)?.checked_add(self.vectors_start)
    }

    pub(super) fn write(&self, options: &Options) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.put(MAGIC);
        bytes.put_u32(VERSION);
        bytes.put_u32(options.dimensions as u32);
        bytes.put_u8(metric_code(options.metric));
        bytes.put_u8(storage_code(options.storage));
        for count in [self.rows, self.partitions, self.blocks, self.spilled] {
            bytes.put_count(count);
        }
        for checksum in self.checksums {
            bytes.put_u32(checksum);
        }
        bytes.resize(HEADER_BYTES - 4, 0);
        let checksum = crc32fast::hash(&bytes);
        bytes.put_u32(checksum);
        bytes
    }

    pub(super) fn read(map: &[u8], file: &Path, shared: &Shared) -> Result<Self> {
        let damaged = || Error::damaged(file, "header");
        let bytes = map.get(..HEADER_BYTES).ok_or_else(damaged)?;
        let (content, checksum) = bytes.split_at_checked(HEADER_BYTES - 4).ok_or_else(damaged)?;
        let mut reader = Reader::new(content);
        if reader.take(MAGIC.len()) != Some(MAGIC) || crc32fast::hash(content).to_le_bytes() != checksum {
            return Err(damaged());
        }
        let found = reader.u32().ok_or_else(damaged)?;
        if found != VERSION {
            return Err(Error::Version { file: file.to_owned(), found, supported: VERSION });
        }
        let options = &shared.options;
        let other = |what| Error::OtherOptions { file: file.to_owned(), what };
        if reader.u32() != u32::try_from(options.dimensions).ok() {
            return Err(other("dimensions"));
        }
        if reader.u8() != Some(metric_code(options.metric)) {
            return Err(other("metric"));
        }
        if reader.u8() != Some(storage_code(options.storage)) {
            return Err(other("storage"));
        }
        let mut header = Self::default();
        for count in [&mut header.rows, &mut header.partitions, &mut header.blocks, &mut header.spilled] {
            *count = reader.count().ok_or_else(damaged)?;
        }
        for checksum in &mut header.checksums {
            *checksum = reader.u32().ok_or_else(damaged)?;
        }
        header.place(shared).ok_or_else(damaged)?;
        if header.end(shared) != Some(map.len()) {
            return Err(Error::damaged(file, "length"));
        }
        Ok(header)
    }

    /// What follows a section up to the next one is filled with zeros and checked with it.
    fn padded(&self, section: Section) -> (usize, usize) {
        let (start, length) = self.place_of(section);
        (start, length.next_multiple_of(ALIGN))
    }

    fn place_of(&self, section: Section) -> (usize, usize) {
        self.places.get(section as usize).copied().unwrap_or_default()
    }

    pub(super) fn bytes<'a>(&self, section: Section, map: &'a [u8]) -> &'a [u8] {
        let (start, length) = self.place_of(section);
        map.get(start..start + length).unwrap_or_default()
    }

    pub(super) fn check(&self, section: Section, map: &[u8], file: &Path) -> Result<()> {
        let (start, length) = self.padded(section);
        let bytes = map.get(start..start + length).unwrap_or_default();
        if self.checksums.get(section as usize) == Some(&crc32fast::hash(bytes)) {
            return Ok(());
        }
        let what = match section {
            Section::Keys => "keys",
            Section::Order => "order of keys",
            Section::Codes => "codes",
            Section::Spilled => "spilled rows",
            Section::Partitions => "partitions",
            Section::Mean => "mean of centres",
            Section::Centers => "centres",
        };
        Err(Error::damaged(file, what))
    }

    pub(super) fn u32s<'a>(&self, section: Section, map: &'a [u8]) -> impl Iterator<Item = u32> + use<'a> {
        self.bytes(section, map).as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub(super) fn floats<'a>(&self, section: Section, map: &'a [u8]) -> impl Iterator<Item = f32> + use<'a> {
        self.bytes(section, map).as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }
}
