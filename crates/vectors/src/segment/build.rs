//! Writes a segment.

use std::{
    fs::File,
    io::{BufWriter, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::format::{ALIGN, HEADER_BYTES, Header, Section};
use crate::{
    bytes::Put,
    codes::{BLOCK, Encoder},
    error::{AtFile as _, Error, Result},
    kernels,
    partition::{self, Plan, in_chunks},
    shared::Shared,
};

/// Where the rows of a new segment come from. Keys are unique; vectors were accepted before.
pub(crate) trait Rows: Sync {
    fn count(&self) -> usize;
    fn key(&self, at: usize) -> Result<u128>;
    fn read(&self, at: usize, target: &mut [f32]) -> Result<()>;
}

/// Partitions that a thread encodes at a time, and such portions that wait to be written.
const CHUNK_PARTITIONS: usize = 8;
const WAITING_CHUNKS: usize = 64;
/// Rows without partitions that a thread encodes at a time: whole blocks.
const CHUNK_ROWS: usize = 64 * BLOCK;

/// Writes the rows into `file`, which the disk has when this returns.
pub(crate) fn build(file: &Path, shared: &Shared, rows: &dyn Rows, threads: usize) -> Result<()> {
    if u32::try_from(rows.count()).is_err() {
        return Err(Error::Full);
    }
    let plan = partition::plan(shared, rows, threads)?;
    let blocks = plan.own.iter().zip(&plan.spilled);
    let blocks = blocks.map(|(own, spilled)| (*own as usize).div_ceil(BLOCK) + spilled.len().div_ceil(BLOCK)).sum();
    let mut header = Header {
        rows: rows.count(),
        partitions: plan.own.len(),
        blocks,
        spilled: plan.spilled.iter().map(Vec::len).sum(),
        ..Header::default()
    };
    header.place(shared).ok_or(Error::Full)?;
    let mut writer = Writer::create(file)?;
    writer.write(&[0; HEADER_BYTES])?;
    writer.checksum();
    let source = Source { shared, rows, plan: &plan };
    for section in Section::ALL {
        let radii = match section {
            Section::Keys => source.keys(&mut writer)?,
            Section::Order => source.order(&mut writer)?,
            Section::Codes => source.codes(&mut writer, threads)?,
            Section::Spilled => writer.u32s(plan.spilled.iter().flatten())?,
            Section::Partitions => source.partitions(&mut writer)?,
            Section::Mean => writer.floats(&plan.centers.coded.mean)?,
            Section::Centers => writer.bytes(&plan.centers.coded.codes)?,
        };
        writer.align()?;
        if let Some(checksum) = header.checksums.get_mut(section as usize) {
            *checksum = writer.checksum();
        }
        if let Some(radii) = radii {
            writer.radii = radii;
        }
    }
    source.vectors(&mut writer, threads)?;
    writer.finish(&header.write(&shared.options))
}

/// What a section has to tell later ones: radii of partitions.
type Told = Option<Vec<f32>>;

struct Source<'a> {
    shared: &'a Shared,
    rows: &'a dyn Rows,
    plan: &'a Plan,
}

impl Source<'_> {
    fn keys(&self, writer: &mut Writer) -> Result<Told> {
        for source in &self.plan.order {
            writer.write(&self.rows.key(*source as usize)?.to_le_bytes())?;
        }
        Ok(None)
    }

    fn order(&self, writer: &mut Writer) -> Result<Told> {
        let keys = self.plan.order.iter().zip(0_u32..);
        let mut keys: Vec<(u128, u32)> =
            keys.map(|(source, row)| Ok((self.rows.key(*source as usize)?, row))).collect::<Result<_>>()?;
        keys.sort_unstable();
        writer.u32s(keys.iter().map(|(_, row)| row))
    }

    fn partitions(&self, writer: &mut Writer) -> Result<Told> {
        let radii = std::mem::take(&mut writer.radii);
        for ((own, spilled), radius) in self.plan.own.iter().zip(&self.plan.spilled).zip(radii) {
            writer.write(&own.to_le_bytes())?;
            writer.write(&(spilled.len() as u32).to_le_bytes())?;
            writer.write(&radius.to_le_bytes())?;
        }
        Ok(None)
    }

    fn codes(&self, writer: &mut Writer, threads: usize) -> Result<Told> {
        if self.plan.own.len() == 1 {
            return self.plain_codes(writer, threads);
        }
        let mut starts = vec![0_u32];
        starts.extend(self.plan.own.iter().scan(0, |sum, own| {
            *sum += own;
            Some(*sum)
        }));
        let partitions = self.plan.own.len();
        let mut radii = Vec::with_capacity(partitions);
        for first in (0..partitions).step_by(CHUNK_PARTITIONS * WAITING_CHUNKS) {
            let count = (CHUNK_PARTITIONS * WAITING_CHUNKS).min(partitions - first);
            let chunks = in_chunks(count, CHUNK_PARTITIONS, threads, |range| {
                let mut encoder = Encoder::new(self.shared.layout());
                let mut codes = Vec::new();
                let mut radii = Vec::new();
                for at in range.map(|at| first + at) {
                    let center = self.plan.centers.center(at);
                    let range = starts.get(at..at + 2).and_then(<[u32]>::first_chunk::<2>);
                    let (Some([start, end]), Some(spilled)) = (range, self.plan.spilled.get(at)) else {
                        continue;
                    };
                    let square = self.encode(*start..*end, center, &mut encoder, &mut codes)?;
                    radii.push((square / f64::from((end - start).max(1))).sqrt() as f32);
                    self.encode(spilled.iter().copied(), center, &mut encoder, &mut codes)?;
                }
                Ok((codes, radii))
            })?;
            for (codes, more) in chunks {
                writer.write(&codes)?;
                radii.extend(more);
            }
        }
        Ok(Some(radii))
    }

    fn plain_codes(&self, writer: &mut Writer, threads: usize) -> Result<Told> {
        let chunks = in_chunks(self.rows.count(), CHUNK_ROWS, threads, |range| {
            let mut codes = Vec::new();
            let mut encoder = Encoder::new(self.shared.layout());
            let rows = range.map(|row| row as u32);
            let square = self.encode(rows, self.plan.centers.center(0), &mut encoder, &mut codes)?;
            Ok((codes, square))
        })?;
        let mut square = 0.0;
        for (codes, more) in chunks {
            writer.write(&codes)?;
            square += more;
        }
        Ok(Some(vec![(square / self.rows.count().max(1) as f64).sqrt() as f32]))
    }

    /// Appends the codes of rows of the segment; returns the sum of the squared distances from the centre.
    fn encode(
        &self,
        rows: impl Iterator<Item = u32>,
        center: &[f32],
        encoder: &mut Encoder,
        codes: &mut Vec<u8>,
    ) -> Result<f64> {
        let mut vector = vec![0.0; self.shared.options.dimensions];
        let rotation = self.shared.rotation();
        let mut rotated = Vec::new();
        for row in rows {
            let source = self.plan.order.get(row as usize).copied().unwrap_or_default();
            self.rows.read(source as usize, &mut vector)?;
            let start = rotated.len();
            rotated.resize(start + rotation.padded(), 0.0);
            if let Some(target) = rotated.get_mut(start..) {
                rotation.rotate(&vector, target);
            }
        }
        Ok(encoder.encode(rotated.chunks_exact(rotation.padded()), center, codes))
    }

    fn vectors(&self, writer: &mut Writer, threads: usize) -> Result<()> {
        let count = self.plan.order.len();
        let storage = self.shared.options.storage;
        for first in (0..count).step_by(CHUNK_ROWS * WAITING_CHUNKS) {
            let chunks = in_chunks((CHUNK_ROWS * WAITING_CHUNKS).min(count - first), CHUNK_ROWS, threads, |range| {
                let mut vector = vec![0.0; self.shared.options.dimensions];
                let mut records = Vec::with_capacity(range.len() * (self.shared.vector_bytes() + 4));
                for row in range.map(|at| first + at) {
                    let source = self.plan.order.get(row).copied().unwrap_or_default();
                    self.rows.read(source as usize, &mut vector)?;
                    let start = records.len();
                    kernels::encode(storage, &vector, &mut records);
                    let checksum = crc32fast::hash(records.get(start..).unwrap_or_default());
                    records.put_u32(checksum);
                }
                Ok(records)
            })?;
            for records in chunks {
                writer.write_unchecked(&records)?;
            }
        }
        Ok(())
    }
}

struct Writer {
    file: PathBuf,
    output: BufWriter<File>,
    written: usize,
    hasher: crc32fast::Hasher,
    radii: Vec<f32>,
}

impl Writer {
    fn create(file: &Path) -> Result<Self> {
        let output = BufWriter::with_capacity(1 << 20, File::create(file).at(file)?);
        Ok(Self { file: file.to_owned(), output, written: 0, hasher: crc32fast::Hasher::new(), radii: Vec::new() })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.write_unchecked(bytes)
    }

    fn write_unchecked(&mut self, bytes: &[u8]) -> Result<()> {
        self.written += bytes.len();
        self.output.write_all(bytes).at(&self.file)
    }

    fn u32s<'a>(&mut self, numbers: impl Iterator<Item = &'a u32>) -> Result<Told> {
        for number in numbers {
            self.write(&number.to_le_bytes())?;
        }
        Ok(None)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<Told> {
        self.write(bytes)?;
        Ok(None)
    }

    fn floats(&mut self, numbers: &[f32]) -> Result<Told> {
        for number in numbers {
            self.write(&number.to_le_bytes())?;
        }
        Ok(None)
    }

    fn align(&mut self) -> Result<()> {
        let missing = self.written.next_multiple_of(ALIGN) - self.written;
        self.write([0; ALIGN].get(..missing).unwrap_or_default())
    }

    /// Of what was written since the last one.
    fn checksum(&mut self) -> u32 {
        std::mem::take(&mut self.hasher).finalize()
    }

    fn finish(self, header: &[u8]) -> Result<()> {
        let mut file = self.output.into_inner().map_err(std::io::IntoInnerError::into_error).at(&self.file)?;
        file.seek(SeekFrom::Start(0)).at(&self.file)?;
        file.write_all(header).at(&self.file)?;
        file.sync_all().at(&self.file)
    }
}
