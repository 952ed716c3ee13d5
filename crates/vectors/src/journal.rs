//! The log of changes that are not in a segment yet. What was acknowledged stands here.
//!
//! A record is written at once and is whole or not there: the end of the file may be torn by a crash, and is then cut off. Anything
//! else that does not fit its checksum is damage.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    path::Path,
};

use crate::{
    bytes::{Put, Reader},
    error::{AtFile as _, Error, Result},
    kernels,
    manifest::{check_options, put_options},
    shared::Shared,
};

const MAGIC: &[u8; 8] = b"PLVECLOG";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;
/// Length of the content and the checksum of that length.
const RECORD_HEADER_BYTES: usize = 8;
/// The content of a record.
const RECORD_BYTES_MAX: usize = 1 << 30;

const INSERT: u8 = 1;
const DELETE: u8 = 2;

/// A change as it is logged: the vector was accepted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    Insert { key: u128, vector: Vec<f32> },
    Delete { key: u128 },
}

/// Changes that happen together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Batch {
    pub(crate) position: Option<u64>,
    pub(crate) entries: Vec<Entry>,
}

fn header(shared: &Shared) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.put(MAGIC);
    bytes.put_u32(VERSION);
    put_options(&mut bytes, &shared.options);
    bytes.resize(HEADER_BYTES - 4, 0);
    let checksum = crc32fast::hash(&bytes);
    bytes.put_u32(checksum);
    bytes
}

fn record(batch: &Batch, shared: &Shared) -> Result<Vec<u8>> {
    let mut bytes = vec![0; RECORD_HEADER_BYTES];
    bytes.put_u8(u8::from(batch.position.is_some()));
    bytes.put_u64(batch.position.unwrap_or_default());
    for entry in &batch.entries {
        match entry {
            Entry::Insert { key, vector } => {
                bytes.put_u8(INSERT);
                bytes.put_u128(*key);
                kernels::encode(shared.options.storage, vector, &mut bytes);
            }
            Entry::Delete { key } => {
                bytes.put_u8(DELETE);
                bytes.put_u128(*key);
            }
        }
    }
    let content = bytes.split_off(RECORD_HEADER_BYTES);
    if content.len() > RECORD_BYTES_MAX {
        return Err(Error::Options("one batch of changes has at most 1 GiB"));
    }
    let length = (content.len() as u32).to_le_bytes();
    let mut bytes = Vec::with_capacity(content.len() + 12);
    bytes.put(&length);
    bytes.put_u32(crc32fast::hash(&length));
    bytes.put(&content);
    bytes.put_u32(crc32fast::hash(&content));
    Ok(bytes)
}

/// Appends a batch to a file that has `length` bytes (0: there is none yet). Returns the new length.
pub(crate) fn append(file: &Path, length: u64, batch: &Batch, shared: &Shared) -> Result<u64> {
    let mut bytes = if length == 0 { header(shared) } else { Vec::new() };
    bytes.extend(record(batch, shared)?);
    // Opened for each batch, so that ten thousand collections do not hold as many files open.
    let mut log = OpenOptions::new().create(true).append(true).open(file).at(file)?;
    let written = log.write_all(&bytes).and_then(|()| if shared.options.sync { log.sync_data() } else { Ok(()) });
    if let Err(source) = written {
        // Half a record must not stand before the next one.
        log.set_len(length).map_err(|_| Error::Broken)?;
        return Err(Error::Io { file: file.to_owned(), source });
    }
    if length == 0 && shared.options.sync {
        sync_folder(file)?;
    }
    Ok(length + bytes.len() as u64)
}

/// Makes the names in the folder of `file` durable.
pub(crate) fn sync_folder(file: &Path) -> Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).at(folder)?;
    Ok(())
}

/// Makes the log itself durable.
pub(crate) fn sync(file: &Path) -> Result<()> {
    File::open(file).and_then(|log| log.sync_all()).at(file)
}

/// Reads all batches, cuts a torn end off, and returns the length (0 if there is no file or nothing in it).
pub(crate) fn replay(file: &Path, shared: &Shared, mut apply: impl FnMut(Batch)) -> Result<u64> {
    let mut bytes = Vec::new();
    match File::open(file) {
        Ok(mut log) => log.read_to_end(&mut bytes).at(file)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).at(file),
    };
    let valid = read(&bytes, file, shared, &mut apply)?;
    if valid < bytes.len() {
        let log = OpenOptions::new().write(true).open(file).at(file)?;
        log.set_len(valid as u64).at(file)?;
        log.sync_all().at(file)?;
    }
    Ok(valid as u64)
}

/// Returns how many bytes are whole records.
fn read(bytes: &[u8], file: &Path, shared: &Shared, apply: &mut impl FnMut(Batch)) -> Result<usize> {
    let expected = header(shared);
    let Some((start, mut rest)) = bytes.split_at_checked(HEADER_BYTES) else {
        let is_torn = expected.starts_with(bytes) || is_zero(bytes);
        return if is_torn { Ok(0) } else { Err(Error::damaged(file, "header")) };
    };
    if start != expected {
        return if is_zero(bytes) { Ok(0) } else { check_header(start, file, shared).map(|()| 0) };
    }
    loop {
        let valid = bytes.len() - rest.len();
        let (Some(length), Some(checksum)) = ({
            let mut reader = Reader::new(rest);
            (reader.take(4), reader.take(4))
        }) else {
            return Ok(valid);
        };
        if is_zero(rest) {
            // The disk had room made for what it never got.
            return Ok(valid);
        }
        if crc32fast::hash(length).to_le_bytes() != checksum {
            return Err(Error::damaged(file, "length of a record"));
        }
        let length = Reader::new(length).u32().unwrap_or_default() as usize;
        let mut reader = Reader::new(rest);
        let (_, content, checksum) = (reader.take(RECORD_HEADER_BYTES), reader.take(length), reader.take(4));
        let (Some(content), Some(checksum)) = (content, checksum) else { return Ok(valid) };
        if crc32fast::hash(content).to_le_bytes() != checksum {
            return Err(Error::damaged(file, "record"));
        }
        apply(parse(content, shared).ok_or_else(|| Error::damaged(file, "content of a record"))?);
        rest = rest.get(RECORD_HEADER_BYTES + length + 4..).unwrap_or_default();
    }
}

fn check_header(bytes: &[u8], file: &Path, shared: &Shared) -> Result<()> {
    let damaged = || Error::damaged(file, "header");
    let (content, checksum) = bytes.split_at_checked(HEADER_BYTES - 4).ok_or_else(damaged)?;
    let mut reader = Reader::new(content);
    if reader.take(MAGIC.len()) != Some(MAGIC) || crc32fast::hash(content).to_le_bytes() != checksum {
        return Err(damaged());
    }
    let found = reader.u32().ok_or_else(damaged)?;
    if found != VERSION {
        return Err(Error::Version { file: file.to_owned(), found, supported: VERSION });
    }
    check_options(&mut reader, file, &shared.options)?;
    Err(damaged())
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn parse(content: &[u8], shared: &Shared) -> Option<Batch> {
    let mut reader = Reader::new(content);
    let has_position = reader.u8()? == 1;
    let position = reader.u64()?;
    let mut entries = Vec::new();
    while !reader.is_empty() {
        let kind = reader.u8()?;
        let key = reader.u128()?;
        entries.push(match kind {
            INSERT => {
                let mut vector = vec![0.0; shared.options.dimensions];
                kernels::decode(shared.options.storage, reader.take(shared.vector_bytes())?, &mut vector);
                Entry::Insert { key, vector }
            }
            DELETE => Entry::Delete { key },
            _ => return None,
        });
    }
    Some(Batch { position: has_position.then_some(position), entries })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Metric, Options};

    fn batches() -> Vec<Batch> {
        vec![
            Batch { position: Some(7), entries: vec![Entry::Insert { key: 1, vector: vec![1.0, -2.0, 0.5] }] },
            Batch { position: None, entries: vec![Entry::Delete { key: 1 }, Entry::Delete { key: 2 }] },
            Batch { position: Some(9), entries: vec![Entry::Insert { key: 3, vector: vec![0.0, 0.0, 4.0] }] },
        ]
    }

    fn read_all(bytes: &[u8], shared: &Shared) -> Result<(Vec<Batch>, usize)> {
        let mut found = Vec::new();
        let valid = read(bytes, Path::new("log"), shared, &mut |batch| found.push(batch))?;
        Ok((found, valid))
    }

    #[test]
    fn a_log_torn_at_any_byte_keeps_the_whole_records_before() {
        let shared = Shared::new(Options::new(3, Metric::Dot));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        let mut ends = vec![0];
        for batch in batches() {
            ends.push(append(&file, *ends.last().unwrap(), &batch, &shared).unwrap());
        }
        let bytes = std::fs::read(&file).unwrap();
        for length in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end > 0 && **end <= length as u64).count();
            let (found, valid) = read_all(&bytes[..length], &shared).unwrap();
            assert_eq!(found, batches()[..whole], "{length}");
            let expected = if length < HEADER_BYTES { 0 } else { ends[whole].max(HEADER_BYTES as u64) };
            assert_eq!(valid as u64, expected, "{length}");
            let mut grown = bytes[..length].to_vec();
            grown.extend([0; 100]);
            if ends.contains(&(length as u64)) {
                assert_eq!(read_all(&grown, &shared).unwrap().0.len(), whole, "zeros after {length}");
            }
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let shared = Shared::new(Options::new(3, Metric::Dot));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        let mut length = 0;
        for batch in batches() {
            length = append(&file, length, &batch, &shared).unwrap();
        }
        let bytes = std::fs::read(&file).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(read_all(&flipped, &shared).is_err_and(|error| error.needs_rebuild()), "{at}");
        }
    }
}
