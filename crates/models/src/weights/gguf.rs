//! The header of a GGUF file: what it holds, and whether it is whole.
//!
//! The layout is that of <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian. Every
//! count and length is bounded before anything is reserved for it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read, Seek as _},
    path::Path,
};

/// Bytes of all metadata: vocabularies of 250,000 tokens with their merges fit.
const METADATA_BYTES_MAX: u64 = 256 << 20;
const ENTRIES_MAX: u64 = 100_000;
const TENSORS_MAX: u64 = 100_000;
const KEY_BYTES_MAX: u64 = 65_535;
const DIMENSIONS_MAX: u32 = 4;
/// Bytes of a text that is kept.
const TEXT_BYTES_MAX: u64 = 1 << 20;
const ALIGNMENT_DEFAULT: u64 = 32;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Such as `qwen2` or `llama`.
    pub(crate) architecture: String,
    /// The model's own name.
    pub(crate) name: Option<String>,
    /// SPDX name of its license.
    pub(crate) license: Option<String>,
    /// Tokens that it was trained for.
    pub(crate) context_length: Option<u64>,
    /// Whether it says how messages are written.
    pub(crate) has_chat_template: bool,
}

/// Values that are kept; the others are skipped.
#[derive(Default)]
struct Metadata {
    texts: BTreeMap<String, String>,
    numbers: BTreeMap<String, u64>,
}

/// Reads the header of a file. Blocks: some milliseconds.
///
/// # Errors
/// What is wrong, as the end of a sentence that begins with the file's name.
pub(crate) fn read(path: &Path) -> Result<Header, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let file_bytes = file.metadata().map_err(|error| format!("cannot be opened: {error}"))?.len();
    let mut reader = Reader { source: BufReader::new(file), left: METADATA_BYTES_MAX };
    if reader.bytes::<4>()? != *b"GGUF" {
        return Err("is not a GGUF file (it does not begin with GGUF)".to_owned());
    }
    let version = reader.u32()?;
    if !matches!(version, 2 | 3) {
        return Err(format!("has GGUF version {version}; versions 2 and 3 are known"));
    }
    let (tensors, entries) = (reader.u64()?, reader.u64()?);
    if tensors == 0 || tensors > TENSORS_MAX || entries > ENTRIES_MAX {
        return Err(format!("is damaged: it claims {tensors} tensors and {entries} entries of metadata"));
    }
    let mut metadata = Metadata::default();
    for _ in 0..entries {
        reader.entry(&mut metadata)?;
    }
    let mut last_offset = 0;
    for _ in 0..tensors {
        last_offset = last_offset.max(reader.tensor()?);
    }
    let position = reader.source.stream_position().map_err(|error| format!("cannot be read: {error}"))?;
    let alignment = metadata.numbers.get("general.alignment").copied().unwrap_or(ALIGNMENT_DEFAULT).clamp(1, 1 << 20);
    let data_start = position.div_ceil(alignment).saturating_mul(alignment);
    if data_start.saturating_add(last_offset) >= file_bytes {
        return Err(format!("is cut off: its last tensor would begin behind its {file_bytes} bytes"));
    }
    let architecture = metadata.texts.get("general.architecture").cloned();
    let architecture = architecture.ok_or("names no architecture (general.architecture)")?;
    Ok(Header {
        context_length: metadata.numbers.get(&format!("{architecture}.context_length")).copied(),
        name: metadata.texts.get("general.name").cloned(),
        license: metadata.texts.get("general.license").cloned(),
        has_chat_template: metadata.texts.contains_key("tokenizer.chat_template"),
        architecture,
    })
}

struct Reader {
    source: BufReader<File>,
    /// Bytes that may still be read.
    left: u64,
}

impl Reader {
    fn take(&mut self, bytes: u64) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes).ok_or("is damaged: its metadata is too large")?;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N as u64)?;
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(|_| "is cut off in its header".to_owned())?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), String> {
        self.take(bytes)?;
        let offset = i64::try_from(bytes).map_err(|_| "is damaged".to_owned())?;
        self.source.seek_relative(offset).map_err(|_| "is cut off in its header".to_owned())
    }

    fn text(&mut self, bytes_max: u64) -> Result<String, String> {
        let length = self.u64()?;
        if length > bytes_max {
            return Err(format!("is damaged: a text has {length} bytes"));
        }
        self.take(length)?;
        let mut text = vec![0; usize::try_from(length).map_err(|_| "is damaged".to_owned())?];
        self.source.read_exact(&mut text).map_err(|_| "is cut off in its header".to_owned())?;
        String::from_utf8(text).map_err(|_| "is damaged: a text is not UTF-8".to_owned())
    }

    fn entry(&mut self, metadata: &mut Metadata) -> Result<(), String> {
        let key = self.text(KEY_BYTES_MAX)?;
        let kind = self.u32()?;
        match kind {
            4 => drop(metadata.numbers.insert(key, u64::from(self.u32()?))),
            10 => drop(metadata.numbers.insert(key, self.u64()?)),
            8 if key.starts_with("general.") || key == "tokenizer.chat_template" => {
                drop(metadata.texts.insert(key, self.text(TEXT_BYTES_MAX)?));
            }
            8 => {
                let length = self.u64()?;
                self.skip(length)?;
            }
            9 => self.skip_array()?,
            _ => self.skip(width(kind)?)?,
        }
        Ok(())
    }

    fn skip_array(&mut self) -> Result<(), String> {
        let (kind, count) = (self.u32()?, self.u64()?);
        match kind {
            8 => {
                for _ in 0..count {
                    let length = self.u64()?;
                    self.skip(length)?;
                }
                Ok(())
            }
            9 => Err("is damaged: arrays of arrays are not known".to_owned()),
            _ => self.skip(count.checked_mul(width(kind)?).ok_or("is damaged: an array is too long")?),
        }
    }

    /// Reads the description of a tensor and returns where its numbers begin, from the start of all numbers.
    fn tensor(&mut self) -> Result<u64, String> {
        let length = self.u64()?;
        self.skip(length)?;
        let dimensions = self.u32()?;
        if dimensions > DIMENSIONS_MAX {
            return Err(format!("is damaged: a tensor has {dimensions} dimensions"));
        }
        self.skip(u64::from(dimensions) * 8 + 4)?;
        self.u64()
    }
}

/// Bytes of a value of a fixed size.
fn width(kind: u32) -> Result<u64, String> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(format!("is damaged: it has a value of the unknown kind {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &mut Vec<u8>, text: &str) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }

    /// A header with an architecture, a vocabulary and one tensor, and `data` bytes of numbers.
    fn file(version: u32, data: usize) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(4_u64.to_le_bytes());
        for (key, value) in [("general.architecture", "llama"), ("general.license", "mit")] {
            text(&mut bytes, key);
            bytes.extend(8_u32.to_le_bytes());
            text(&mut bytes, value);
        }
        text(&mut bytes, "llama.context_length");
        bytes.extend(4_u32.to_le_bytes());
        bytes.extend(2_048_u32.to_le_bytes());
        text(&mut bytes, "tokenizer.ggml.tokens");
        bytes.extend(9_u32.to_le_bytes());
        bytes.extend(8_u32.to_le_bytes());
        bytes.extend(2_u64.to_le_bytes());
        text(&mut bytes, "a");
        text(&mut bytes, "b");
        text(&mut bytes, "output.weight");
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(8_u64.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        bytes.resize(bytes.len().div_ceil(32) * 32 + data, 0);
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> Result<Header, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn a_gguf_header_says_what_the_file_holds() {
        let header = read_bytes(&file(3, 32)).unwrap();
        assert_eq!((header.architecture.as_str(), header.context_length), ("llama", Some(2_048)));
        assert_eq!((header.license.as_deref(), header.name, header.has_chat_template), (Some("mit"), None, false));
        assert!(read_bytes(&file(2, 32)).is_ok());
    }

    #[test]
    fn a_wrong_or_cut_gguf_file_is_refused_at_every_byte() {
        let whole = file(3, 32);
        for length in 0..whole.len() - 31 {
            assert!(read_bytes(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
        }
        assert!(read_bytes(&file(1, 32)).unwrap_err().contains("version 1"));
        assert!(
            read_bytes(b"{\"json\": true, \"and\": \"long enough to be read\"}")
                .unwrap_err()
                .contains("not a GGUF file")
        );
        // Absurd counts reserve nothing.
        for place in [8..16, 16..24, 24..32] {
            let mut wrong = whole.clone();
            wrong[place.clone()].fill(0xff);
            assert!(read_bytes(&wrong).is_err(), "{place:?}");
        }
    }
}
