//! What is inside: a tar archive (POSIX ustar with pax headers where a name is long or a file large), so that other programs read it
//! too: `plasma backup open < FILE | tar t`.

use std::{
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};

const BLOCK_BYTES: usize = 512;
const NAME_BYTES: usize = 100;
/// The largest size that eleven octal digits tell.
const SIZE_PLAIN_MAX: u64 = 0o77_777_777_777;
/// A pax header holds a name and a size.
const PAX_BYTES_MAX: u64 = 64 << 10;
const NAME_BYTES_MAX: usize = 4096;
/// No file is larger than this, whatever a header says.
const SIZE_MAX: u64 = 1 << 50;

/// Writes files one after the other.
pub(crate) struct ArchiveWriter<W> {
    inner: W,
}

impl<W: Write> ArchiveWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Adds `size` bytes of `content` under `name`.
    ///
    /// # Errors
    /// Also when the content ends before.
    pub(crate) fn add(&mut self, name: &str, size: u64, content: &mut impl Read) -> Result<()> {
        let mut extended = String::new();
        if name.len() > NAME_BYTES {
            extended.push_str(&pax_record("path", name));
        }
        if size > SIZE_PLAIN_MAX {
            extended.push_str(&pax_record("size", &size.to_string()));
        }
        if !extended.is_empty() {
            self.inner.write_all(&header("plasma-pax-header", extended.len() as u64, b'x')?)?;
            self.inner.write_all(extended.as_bytes())?;
            self.pad(extended.len() as u64)?;
        }
        let cut = name.get(..name.floor_char_boundary(NAME_BYTES.min(name.len()))).unwrap_or_default();
        self.inner.write_all(&header(cut, size.min(SIZE_PLAIN_MAX), b'0')?)?;
        let copied = io::copy(&mut content.take(size), &mut self.inner).with_context(|| format!("copying {name}"))?;
        if copied != size {
            bail!("{name} became shorter while it was read");
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let over = (size % BLOCK_BYTES as u64) as usize;
        let zeros = [0_u8; BLOCK_BYTES];
        if over > 0 {
            self.inner.write_all(zeros.get(over..).unwrap_or_default())?;
        }
        Ok(())
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.inner.write_all(&[0; 2 * BLOCK_BYTES])?;
        Ok(self.inner)
    }
}

/// `length key=value\n`, where the length counts itself.
fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

/// Places of a header's fields.
fn put(block: &mut [u8; BLOCK_BYTES], at: usize, text: &[u8]) -> Result<()> {
    let target = block.get_mut(at..at + text.len()).ok_or_else(|| anyhow!("a name is too long for an archive"))?;
    target.copy_from_slice(text);
    Ok(())
}

fn header(name: &str, size: u64, kind: u8) -> Result<[u8; BLOCK_BYTES]> {
    let mut block = [0; BLOCK_BYTES];
    put(&mut block, 0, name.as_bytes())?;
    put(&mut block, 100, b"0000600\0")?;
    put(&mut block, 108, b"0000000\0")?;
    put(&mut block, 116, b"0000000\0")?;
    put(&mut block, 124, format!("{size:011o}\0").as_bytes())?;
    put(&mut block, 136, b"00000000000\0")?;
    put(&mut block, 156, &[kind])?;
    put(&mut block, 257, b"ustar\x0000")?;
    let sum = checksum(&block);
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes())?;
    Ok(block)
}

/// The sum of all bytes, with spaces in the sum's own place.
fn checksum(block: &[u8; BLOCK_BYTES]) -> u32 {
    let own = 148..156;
    let bytes = block.iter().enumerate();
    bytes.map(|(at, byte)| if own.contains(&at) { u32::from(b' ') } else { u32::from(*byte) }).sum()
}

/// Reads files one after the other.
pub(crate) struct ArchiveReader<R> {
    inner: R,
    /// Of the file that was told of last: what is not read yet, and the padding behind it.
    left: u64,
    padding: u64,
}

/// A file of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Relative, and without steps upwards.
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
}

impl<R: Read> ArchiveReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, left: 0, padding: 0 }
    }

    /// The next file; `None` at the archive's end. What was not read of the one before is stepped over.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>> {
        let (mut name, mut large) = (None, None);
        loop {
            self.step_over()?;
            let mut block = [0; BLOCK_BYTES];
            self.inner.read_exact(&mut block).context("the archive has no end")?;
            if block.iter().all(|byte| *byte == 0) {
                self.read_end()?;
                return Ok(None);
            }
            let told = octal(&block, 148, 8)?;
            if told != u64::from(checksum(&block)) {
                bail!("a header of the archive is damaged");
            }
            let size = octal(&block, 124, 12)?;
            let kind = block.get(156).copied().unwrap_or_default();
            match kind {
                b'x' if size <= PAX_BYTES_MAX => {
                    self.begin(size);
                    let mut text = String::new();
                    self.read_to_string(&mut text).context("a header of the archive is damaged")?;
                    (name, large) = pax_values(&text)?;
                }
                b'0' | 0 => {
                    let size = large.unwrap_or(size);
                    if size > SIZE_MAX {
                        bail!("the archive tells of a file that is larger than any");
                    }
                    let name = name.map_or_else(|| plain_name(&block), Ok)?;
                    self.begin(size);
                    return Ok(Some(Entry { path: checked_path(&name)?, size }));
                }
                _ => bail!("the archive holds something that is no file"),
            }
        }
    }

    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK_BYTES as u64) - size;
    }

    fn step_over(&mut self) -> Result<()> {
        io::copy(self, &mut io::sink()).context("the archive cannot be read")?;
        let padding = std::mem::take(&mut self.padding);
        let skipped = io::copy(&mut self.inner.by_ref().take(padding), &mut io::sink())?;
        if skipped != padding {
            bail!("the archive has no end");
        }
        Ok(())
    }

    /// Behind the end there is nothing.
    fn read_end(&mut self) -> Result<()> {
        let mut rest = Vec::new();
        self.inner
            .by_ref()
            .take(BLOCK_BYTES as u64 + 1)
            .read_to_end(&mut rest)
            .context("the archive cannot be read")?;
        if rest.len() != BLOCK_BYTES || rest.iter().any(|byte| *byte != 0) {
            bail!("the archive does not end as it should");
        }
        Ok(())
    }
}

/// Of the file that was told of last.
impl<R: Read> Read for ArchiveReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let number = self.inner.by_ref().take(self.left).read(buffer)?;
        if number == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends in the middle of a file"));
        }
        self.left -= number as u64;
        Ok(number)
    }
}

fn octal(block: &[u8; BLOCK_BYTES], at: usize, length: usize) -> Result<u64> {
    let field = block.get(at..at + length).unwrap_or_default();
    let text = std::str::from_utf8(field).unwrap_or_default().trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).map_err(|_| anyhow!("a header of the archive is damaged"))
}

fn plain_name(block: &[u8; BLOCK_BYTES]) -> Result<String> {
    let field = block.get(..NAME_BYTES).unwrap_or_default();
    let name = field.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8(name.to_vec()).map_err(|_| anyhow!("a name in the archive is not valid Unicode"))
}

/// Name and size of a pax header.
fn pax_values(text: &str) -> Result<(Option<String>, Option<u64>)> {
    let damaged = || anyhow!("a header of the archive is damaged");
    let (mut name, mut size, mut rest) = (None, None, text);
    while !rest.is_empty() {
        let (length, _) = rest.split_once(' ').ok_or_else(damaged)?;
        let record = rest.get(..length.parse().map_err(|_| damaged())?).ok_or_else(damaged)?;
        let value = record.get(length.len() + 1..).and_then(|pair| pair.strip_suffix('\n')).ok_or_else(damaged)?;
        match value.split_once('=').ok_or_else(damaged)? {
            ("path", path) => name = Some(path.to_owned()),
            ("size", digits) => size = Some(digits.parse().map_err(|_| damaged())?),
            _ => {}
        }
        rest = rest.get(record.len()..).unwrap_or_default();
    }
    Ok((name, size))
}

/// A path that stays inside the folder into which it is written.
fn checked_path(name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    let stays_inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') || !stays_inside {
        bail!("the archive holds a file with the name {name:?}, which does not belong into a backup");
    }
    Ok(path.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ArchiveWriter::new(Vec::new());
        for (name, content) in files {
            writer.add(name, content.len() as u64, &mut &content[..]).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(archive: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut reader = ArchiveReader::new(archive);
        let mut files = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            let mut content = Vec::new();
            reader.read_to_end(&mut content)?;
            assert_eq!(content.len() as u64, entry.size);
            files.push((entry.path.to_str().unwrap().to_owned(), content));
        }
        Ok(files)
    }

    #[test]
    fn files_come_out_as_they_went_in() {
        let long = format!("blobs/{}/ü/{}", "a".repeat(120), "b".repeat(200));
        let large = vec![7; 100_000];
        let files: [(&str, &[u8]); 5] = [
            ("manifest.json", b"{}"),
            ("empty", b""),
            (long.as_str(), b"long"),
            ("block", &[1; 512]),
            ("large", &large),
        ];
        let found = read(&archive(&files)).unwrap();
        let expected: Vec<_> = files.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn files_may_be_stepped_over() {
        let archive = archive(&[("one", &[1; 700]), ("two", b"2")]);
        let mut reader = ArchiveReader::new(archive.as_slice());
        assert_eq!(reader.next_entry().unwrap().unwrap().size, 700);
        assert_eq!(reader.next_entry().unwrap().unwrap().path, Path::new("two"));
        assert!(reader.next_entry().unwrap().is_none());
    }

    #[test]
    fn a_record_counts_its_own_length() {
        assert_eq!(pax_record("path", "a"), "9 path=a\n");
        assert_eq!(pax_record("path", &"a".repeat(88)).len(), 97);
        for length in 80..120 {
            let record = pax_record("path", &"a".repeat(length));
            assert!(record.starts_with(&format!("{} ", record.len())), "{record}");
        }
        let both = format!("{}{}", pax_record("path", "x y=z"), pax_record("size", "9000000000"));
        assert_eq!(pax_values(&both).unwrap(), (Some("x y=z".to_owned()), Some(9_000_000_000)));
    }

    #[test]
    fn nothing_is_written_outside() {
        for name in ["../up", "/root", "a/../../b", "./a", "", "a\0b", "a/..", &"a".repeat(5_000)] {
            assert!(checked_path(name).is_err(), "{name}");
        }
        assert_eq!(checked_path("blobs/ten_1/a").unwrap(), Path::new("blobs/ten_1/a"));
    }

    #[test]
    fn what_is_damaged_or_cut_off_is_refused() {
        let whole = archive(&[("one", &[1; 700]), ("two", b"2")]);
        for length in [0, 100, 512, 900, 1_300, 1_536, 2_048, 2_560, whole.len() - 1] {
            assert!(read(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
        let mut changed = whole.clone();
        changed[3] = b'x';
        assert!(read(&changed).is_err());
        assert!(read(&[whole.as_slice(), &[0]].concat()).is_err());
        assert!(read(b"not an archive at all, but long enough to be one").is_err());
    }
}
