//! The file that says which segments and which log make up the index. It is replaced whole.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use crate::{
    bytes::{Put, Reader},
    calibrate::Calibration,
    error::{AtFile as _, Error, Result},
    journal::sync_folder,
    segment::{metric_code, storage_code},
    types::{Effort, Options},
};

/// Its name in the folder.
pub(crate) const NAME: &str = "MANIFEST";
const TEMPORARY_NAME: &str = "MANIFEST.new";
const MAGIC: &[u8; 8] = b"PLVECMAN";
const VERSION: u32 = 1;

/// A segment and its deleted rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Listed {
    pub(crate) id: u64,
    pub(crate) deleted: Vec<u32>,
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    /// The next segment's or log's number.
    pub(crate) next_id: u64,
    pub(crate) journal: u64,
    pub(crate) position: Option<u64>,
    pub(crate) segments: Vec<Listed>,
    pub(crate) calibration: Option<Calibration>,
}

pub(crate) fn put_options(bytes: &mut Vec<u8>, options: &Options) {
    bytes.put_u32(options.dimensions as u32);
    bytes.put_u8(metric_code(options.metric));
    bytes.put_u8(storage_code(options.storage));
}

pub(crate) fn check_options(reader: &mut Reader<'_>, file: &Path, options: &Options) -> Result<()> {
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
    Ok(())
}

impl Manifest {
    /// `None` if the folder has none.
    pub(crate) fn read(folder: &Path, options: &Options) -> Result<Option<Self>> {
        let file = folder.join(NAME);
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at(&file),
        };
        let damaged = || Error::damaged(&file, "content");
        let (content, checksum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
        let mut reader = Reader::new(content);
        if reader.take(MAGIC.len()) != Some(MAGIC) || crc32fast::hash(content).to_le_bytes() != *checksum {
            return Err(damaged());
        }
        let found = reader.u32().ok_or_else(damaged)?;
        if found != VERSION {
            return Err(Error::Version { file, found, supported: VERSION });
        }
        check_options(&mut reader, &file, options)?;
        parse(&mut reader).filter(|_| reader.is_empty()).map(Some).ok_or_else(damaged)
    }

    /// Replaces the folder's manifest; the disk has it when this returns.
    pub(crate) fn write(&self, folder: &Path, options: &Options) -> Result<()> {
        replace(folder, &self.bytes(options))
    }

    fn bytes(&self, options: &Options) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put(MAGIC);
        bytes.put_u32(VERSION);
        put_options(&mut bytes, options);
        bytes.put_u64(self.next_id);
        bytes.put_u64(self.journal);
        bytes.put_u8(u8::from(self.position.is_some()));
        bytes.put_u64(self.position.unwrap_or_default());
        bytes.put_count(self.segments.len());
        for segment in &self.segments {
            bytes.put_u64(segment.id);
            bytes.put_count(segment.deleted.len());
            for row in &segment.deleted {
                bytes.put_u32(*row);
            }
        }
        bytes.put_u8(u8::from(self.calibration.is_some()));
        if let Some(calibration) = &self.calibration {
            for number in [calibration.target, calibration.recall, calibration.recall_low, calibration.recall_high] {
                bytes.put_f64(number);
            }
            bytes.put_f32(calibration.effort.reach);
            for count in [calibration.effort.rescored, calibration.queries, calibration.limit, calibration.vectors] {
                bytes.put_count(count);
            }
        }
        let checksum = crc32fast::hash(&bytes);
        bytes.put_u32(checksum);
        bytes
    }
}

/// Copies the manifest of one folder into another.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let file = from.join(NAME);
    replace(to, &fs::read(&file).at(&file)?)
}

/// It is there whole or not at all, whenever the process or the machine stops.
fn replace(folder: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = folder.join(TEMPORARY_NAME);
    let file = folder.join(NAME);
    let mut output = File::create(&temporary).at(&temporary)?;
    output.write_all(bytes).and_then(|()| output.sync_all()).at(&temporary)?;
    fs::rename(&temporary, &file).at(&file)?;
    sync_folder(&file)
}

fn parse(reader: &mut Reader<'_>) -> Option<Manifest> {
    let (next_id, journal) = (reader.u64()?, reader.u64()?);
    let has_position = reader.u8()? == 1;
    let position = reader.u64()?;
    let count = reader.count()?;
    let mut segments = Vec::new();
    for _ in 0..count {
        let id = reader.u64()?;
        let count = reader.count()?;
        let deleted = reader.take(count.checked_mul(4)?)?.as_chunks::<4>().0;
        segments.push(Listed { id, deleted: deleted.iter().map(|row| u32::from_le_bytes(*row)).collect() });
    }
    let calibration = if reader.u8()? == 1 {
        Some(Calibration {
            target: reader.f64()?,
            recall: reader.f64()?,
            recall_low: reader.f64()?,
            recall_high: reader.f64()?,
            effort: Effort { reach: reader.f32()?, rescored: reader.count()? },
            queries: reader.count()?,
            limit: reader.count()?,
            vectors: reader.count()?,
        })
    } else {
        None
    };
    Some(Manifest { next_id, journal, position: has_position.then_some(position), segments, calibration })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Metric;

    #[test]
    fn what_was_written_is_read_and_any_flipped_bit_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new(5, Metric::L2);
        assert_eq!(Manifest::read(folder.path(), &options).unwrap(), None);
        let manifest = Manifest {
            next_id: 9,
            journal: 8,
            position: Some(77),
            segments: vec![Listed { id: 3, deleted: vec![1, 5] }, Listed { id: 4, deleted: Vec::new() }],
            calibration: Some(Calibration {
                target: 0.99,
                recall: 0.995,
                recall_low: 0.99,
                recall_high: 1.0,
                effort: Effort { reach: 2.5, rescored: 40 },
                queries: 100,
                limit: 10,
                vectors: 1_000,
            }),
        };
        manifest.write(folder.path(), &options).unwrap();
        assert_eq!(Manifest::read(folder.path(), &options).unwrap().as_ref(), Some(&manifest));
        let other = Manifest::read(folder.path(), &Options::new(6, Metric::L2));
        assert!(matches!(other, Err(Error::OtherOptions { what: "dimensions", .. })));
        let file = folder.path().join(NAME);
        let bytes = fs::read(&file).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&file, flipped).unwrap();
            assert!(Manifest::read(folder.path(), &options).is_err_and(|error| error.needs_rebuild()), "{at}");
        }
    }
}
