use std::io::{Cursor, Read};

use zip::{ZipArchive, result::ZipError};

use super::{Format, Limits, ParseError};

/// Every entry of a ZIP directory begins with these bytes.
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";

/// A ZIP archive in memory that reads no more than it may.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    entry_bytes_max: u64,
    bytes_left: u64,
    bytes_max: u64,
}

impl<'a> Archive<'a> {
    /// Reads the directory only.
    pub(super) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        // Counted in the raw bytes, because the library reads the whole directory into memory first. Compressed data
        // looks like an entry once in four billion bytes.
        let entries = bytes.windows(DIRECTORY_ENTRY.len()).filter(|window| *window == DIRECTORY_ENTRY).count();
        if entries > limits.archive_entries_max {
            return Err(ParseError::ExpandsTooMuch {
                detail: format!("more than {} entries in the archive", limits.archive_entries_max),
            });
        }
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        Ok(Self {
            zip,
            entry_bytes_max: limits.archive_entry_bytes_max,
            bytes_left: limits.archive_bytes_max,
            bytes_max: limits.archive_bytes_max,
        })
    }

    /// Whether an entry's name satisfies `test`.
    pub(super) fn any_name(&self, test: impl Fn(&str) -> bool) -> bool {
        self.zip.file_names().flatten().any(|name| test(&name))
    }

    /// Hands the unpacked bytes of an entry to `consume`, or returns `None` if there is no such entry. The reader fails
    /// as soon as a limit is passed, whatever size the archive claims.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        consume: impl FnOnce(&mut dyn Read) -> Result<T, ParseError>,
    ) -> Result<Option<T>, ParseError> {
        let Some(index) = self.zip.index_for_name(name) else { return Ok(None) };
        let entry_max = self.entry_bytes_max.min(self.bytes_left);
        let limit_text = if self.entry_bytes_max <= self.bytes_left { self.entry_bytes_max } else { self.bytes_max };
        let too_much = || ParseError::ExpandsTooMuch {
            detail: format!("{name} is larger than {} MiB", limit_text / (1024 * 1024)),
        };
        let entry = self.zip.by_index(index).map_err(damaged)?;
        if entry.entry().size() > entry_max {
            return Err(too_much());
        }
        let mut counted = Counted { inner: entry, left: entry_max, exhausted: false };
        let result = consume(&mut counted);
        let (left, exhausted) = (counted.left, counted.exhausted);
        self.bytes_left = self.bytes_left.saturating_sub(entry_max.saturating_sub(left));
        if exhausted { Err(too_much()) } else { result.map(Some) }
    }
}

/// Fails a read that would pass the limit.
struct Counted<R> {
    inner: R,
    left: u64,
    exhausted: bool,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => {
                self.left = left;
                Ok(count)
            }
            None => {
                self.exhausted = true;
                Err(std::io::Error::other("the archive entry is too large"))
            }
        }
    }
}

fn damaged(error: ZipError) -> ParseError {
    match error {
        ZipError::UnsupportedArchive(text) if text == ZipError::PASSWORD_REQUIRED => ParseError::Encrypted,
        error => ParseError::damaged(Format::Docx, format!("the archive cannot be read: {error}")),
    }
}
