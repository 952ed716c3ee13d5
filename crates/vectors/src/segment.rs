//! A segment: an immutable file of vectors with their codes.

mod build;
mod format;

use std::{
    fmt,
    fs::File,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
};

use memmap2::{Mmap, MmapMut};

use self::format::{Header, Section};
pub(crate) use self::{
    build::{Rows, build},
    format::{metric_code, storage_code},
};
use crate::{
    bytes::Reader,
    centers::CodedCenters,
    codes::BLOCK,
    error::{AtFile, Error, Result},
    kernels,
    shared::Shared,
    signs,
};

/// Smaller segments are scanned without a look at signs.
const SIGNS_FROM_BLOCKS: usize = 64;

/// A partition of a segment: rows next to each other, and copies of the codes of rows of other partitions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Partition {
    /// The first of its blocks.
    pub(crate) block: usize,
    /// The first of its own rows.
    pub(crate) row: usize,
    /// Its own rows.
    pub(crate) own: usize,
    /// The first of the numbers of spilled rows.
    pub(crate) spill: usize,
    /// Rows of other partitions that are near to this one as well; their blocks follow those of its own.
    pub(crate) spilled: usize,
    /// Root mean square of the distance of its own rows from its centre.
    pub(crate) radius: f32,
}

impl Partition {
    pub(crate) fn own_blocks(&self) -> usize {
        self.own.div_ceil(BLOCK)
    }

    pub(crate) fn blocks(&self) -> usize {
        self.own_blocks() + self.spilled.div_ceil(BLOCK)
    }
}

/// An open segment.
pub(crate) struct Segment {
    pub(crate) id: u64,
    pub(crate) file: PathBuf,
    shared: Arc<Shared>,
    map: Mmap,
    header: Header,
    partitions: Vec<Partition>,
    pub(crate) centers: CodedCenters,
    /// In anonymous memory with huge pages where the system has them: scans then miss fewer translations of addresses.
    codes: MmapMut,
    /// Of partitioned segments, made from the codes.
    signs: Option<MmapMut>,
    spilled: Vec<u32>,
    key_range: RangeInclusive<u128>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Segment").field("file", &self.file).field("rows", &self.rows()).finish_non_exhaustive()
    }
}

#[allow(unsafe_code, reason = "the file is written once, under a name that is not used again")]
fn map(file: &Path) -> Result<Mmap> {
    let open = File::open(file).at(file)?;
    // SAFETY: nothing in this program writes to a finished segment. (Another program could; the checksums of what is read
    // from the map are then wrong, which is an error and not undefined behaviour in practice.)
    unsafe { Mmap::map(&open) }.at(file)
}

/// Zeros in memory of our own.
fn anonymous(length: usize, file: &Path) -> Result<MmapMut> {
    // An empty map is refused by the system.
    let memory = MmapMut::map_anon(length.max(1)).at(file)?;
    #[cfg(target_os = "linux")]
    // Without huge pages it works as well.
    let _ = memory.advise(memmap2::Advice::HugePage);
    Ok(memory)
}

/// For segments that are worth it.
fn resident_signs(codes: &[u8], header: &Header, shared: &Shared, file: &Path) -> Result<Option<MmapMut>> {
    if header.blocks < SIGNS_FROM_BLOCKS {
        return Ok(None);
    }
    let layout = shared.layout();
    let mut memory = anonymous(header.blocks * layout.sign_block_bytes(), file)?;
    signs::derive(codes, layout, &mut memory);
    Ok(Some(memory))
}

/// A copy of `bytes` in memory of our own.
fn resident(bytes: &[u8], file: &Path) -> Result<MmapMut> {
    let mut memory = anonymous(bytes.len(), file)?;
    if let Some(target) = memory.get_mut(..bytes.len()) {
        target.copy_from_slice(bytes);
    }
    Ok(memory)
}

impl Segment {
    /// Opens a file and checks everything but the vectors, each of which carries its own checksum.
    pub(crate) fn open(id: u64, file: &Path, shared: &Arc<Shared>) -> Result<Self> {
        let map = map(file)?;
        let header = Header::read(&map, file, shared)?;
        for section in Section::ALL {
            header.check(section, &map, file)?;
        }
        let partitions = read_partitions(&header, &map, file)?;
        let centers = CodedCenters {
            mean: header.floats(Section::Mean, &map).collect(),
            codes: header.bytes(Section::Centers, &map).to_vec(),
            count: header.partitions,
        };
        let spilled: Vec<u32> = header.u32s(Section::Spilled, &map).collect();
        if spilled.iter().any(|row| *row as usize >= header.rows) {
            return Err(Error::damaged(file, "rows"));
        }
        let key_range = key_range(&header, &map);
        let codes = header.bytes(Section::Codes, &map);
        let signs = resident_signs(codes, &header, shared, file)?;
        let codes = resident(codes, file)?;
        Ok(Self {
            id,
            file: file.to_owned(),
            shared: Arc::clone(shared),
            map,
            header,
            partitions,
            centers,
            codes,
            signs,
            spilled,
            key_range,
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.header.rows
    }

    pub(crate) fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Some blocks of codes, one after the other.
    pub(crate) fn blocks(&self, first: usize, count: usize) -> &[u8] {
        let size = self.shared.layout().block_bytes();
        self.codes.get(first * size..(first + count) * size).unwrap_or_default()
    }

    /// The signs of these blocks, if the segment has them.
    pub(crate) fn sign_blocks(&self, first: usize, count: usize) -> Option<&[u8]> {
        let size = self.shared.layout().sign_block_bytes();
        self.signs.as_ref().and_then(|signs| signs.get(first * size..(first + count) * size))
    }

    /// The rows that are spilled into a partition.
    pub(crate) fn spilled(&self, partition: &Partition) -> &[u32] {
        self.spilled.get(partition.spill..partition.spill + partition.spilled).unwrap_or_default()
    }

    pub(crate) fn key(&self, row: usize) -> Option<u128> {
        let keys = self.header.bytes(Section::Keys, &self.map).as_chunks::<16>().0;
        keys.get(row).map(|key| u128::from_le_bytes(*key))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = u128> + '_ {
        let keys = self.header.bytes(Section::Keys, &self.map).as_chunks::<16>().0;
        keys.iter().take(self.rows()).map(|key| u128::from_le_bytes(*key))
    }

    /// The row of a key, deleted or not.
    pub(crate) fn row(&self, key: u128) -> Option<usize> {
        // Keys often grow with time, so that a new one is larger than all.
        if !self.key_range.contains(&key) {
            return None;
        }
        let order = self.header.bytes(Section::Order, &self.map).as_chunks::<4>().0;
        let order = order.get(..self.rows())?;
        let row_at = |at: &[u8; 4]| u32::from_le_bytes(*at) as usize;
        let found = order.binary_search_by(|at| self.key(row_at(at)).cmp(&Some(key))).ok()?;
        order.get(found).map(row_at)
    }

    /// Rows and keys from `first` to `last`, deleted ones included, by key.
    pub(crate) fn rows_between(&self, first: u128, last: u128) -> impl Iterator<Item = (usize, u128)> + '_ {
        let order = self.header.bytes(Section::Order, &self.map).as_chunks::<4>().0;
        let order = order.get(..self.rows()).unwrap_or_default();
        let row_at = |at: &[u8; 4]| u32::from_le_bytes(*at) as usize;
        let from = order.partition_point(|at| self.key(row_at(at)) < Some(first));
        let rest = order.get(from..).unwrap_or_default().iter();
        rest.map(move |at| (row_at(at), self.key(row_at(at)).unwrap_or(u128::MAX)))
            .take_while(move |(_, key)| *key <= last)
    }

    /// The stored bytes of a vector, after their checksum was found right.
    pub(crate) fn vector(&self, row: usize) -> Result<&[u8]> {
        let size = self.shared.vector_bytes();
        let start = self.header.vectors_start + row * (size + 4);
        let record = self.map.get(start..start + size + 4).and_then(|record| record.split_at_checked(size));
        let Some((vector, checksum)) = record else { return Err(Error::damaged(&self.file, "row")) };
        if crc32fast::hash(vector).to_le_bytes() != checksum {
            return Err(Error::damaged(&self.file, "vector"));
        }
        Ok(vector)
    }

    /// Asks for the beginning of a vector, which is then on its way while others are compared.
    #[inline]
    pub(crate) fn prefetch(&self, row: usize) {
        let size = self.shared.vector_bytes();
        let start = self.header.vectors_start + row * (size + 4);
        if let Some(record) = self.map.get(start..start + size + 4) {
            prefetch(record);
        }
    }

    pub(crate) fn score(&self, row: usize, query: &[f32]) -> Result<f32> {
        let options = &self.shared.options;
        Ok(kernels::score(options.metric, options.storage, self.vector(row)?, query))
    }

    pub(crate) fn read(&self, row: usize, target: &mut [f32]) -> Result<()> {
        kernels::decode(self.shared.options.storage, self.vector(row)?, target);
        Ok(())
    }

    /// Bytes in the process's own memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.codes.len()
            + self.signs.as_ref().map_or(0, |signs| signs.len())
            + self.centers.codes.len()
            + 4 * (self.centers.mean.len() + self.spilled.len())
            + size_of::<Partition>() * self.partitions.len()
    }

    pub(crate) fn disk_bytes(&self) -> usize {
        self.map.len()
    }

    /// Reads every vector once.
    pub(crate) fn verify(&self) -> Result<()> {
        (0..self.rows()).try_for_each(|row| self.vector(row).map(|_| ()))
    }
}

/// Cache lines that are asked for.
#[cfg(target_arch = "x86_64")]
const PREFETCHED_LINES: usize = 24;

/// The first lines of a record: the processor's own prefetching follows from there.
#[allow(unsafe_code, reason = "a hint to the processor")]
pub(crate) fn prefetch(record: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in record.chunks(64).take(PREFETCHED_LINES) {
        // SAFETY: a hint; the address lies inside the slice.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = record;
}

fn key_range(header: &Header, map: &Mmap) -> RangeInclusive<u128> {
    let keys = header.bytes(Section::Keys, map).as_chunks::<16>().0;
    let order = header.bytes(Section::Order, map).as_chunks::<4>().0;
    let key = |row: &[u8; 4]| keys.get(u32::from_le_bytes(*row) as usize).map(|key| u128::from_le_bytes(*key));
    match (order.first().and_then(key), order.last().and_then(key)) {
        (Some(first), Some(last)) => first..=last,
        _ => 0..=u128::MAX,
    }
}

fn read_partitions(header: &Header, map: &Mmap, file: &Path) -> Result<Vec<Partition>> {
    let damaged = || Error::damaged(file, "partitions");
    let mut reader = Reader::new(header.bytes(Section::Partitions, map));
    let mut partitions = Vec::with_capacity(header.partitions);
    let mut next = Partition::default();
    for _ in 0..header.partitions {
        next.own = reader.u32().ok_or_else(damaged)? as usize;
        next.spilled = reader.u32().ok_or_else(damaged)? as usize;
        next.radius = reader.f32().ok_or_else(damaged)?;
        partitions.push(next);
        next.block += next.blocks();
        next.row += next.own;
        next.spill += next.spilled;
    }
    if next.row != header.rows || next.block != header.blocks || next.spill != header.spilled {
        return Err(damaged());
    }
    Ok(partitions)
}
