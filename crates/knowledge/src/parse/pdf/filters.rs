use std::io::{Cursor, Read};

use pdf_extract::{Dictionary, Object};
use zip::read::{ZipReadOptions, read_zipfile_from_stream_with_options};

use super::syntax::is_space;

/// Unpacked bytes of one stream. The longest page contents and fonts take a few MiB.
const STREAM_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Compressions within one another: one, and perhaps one for safe transport. More are only used to hide a bomb.
const FILTERS_MAX: usize = 3;
/// Widest row that a predictor may state, in bytes.
const ROW_BYTES_MAX: usize = 1 << 20;

/// Why a stream could not be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FilterError {
    /// The allowance is used up.
    TooMuch,
    /// An image format, or one that is not known.
    Unsupported,
    /// The data is wrong.
    Corrupt,
}

/// Unpacks a stream. `filters` and `parameters` come from its dictionary, references resolved; the result is taken off
/// `bytes_left`.
pub(super) fn unpack(
    raw: &[u8],
    filters: &[Vec<u8>],
    parameters: &[Option<Dictionary>],
    bytes_left: &mut usize,
) -> Result<Vec<u8>, FilterError> {
    if filters.len() > FILTERS_MAX {
        return Err(FilterError::Unsupported);
    }
    let mut data = raw.to_vec();
    for (index, filter) in filters.iter().enumerate() {
        let bytes_max = STREAM_BYTES_MAX.min(*bytes_left);
        let parameters = parameters.get(index).and_then(Option::as_ref);
        data = match filter.as_slice() {
            b"FlateDecode" | b"Fl" => unpredict(inflate(&data, bytes_max)?, parameters)?,
            b"LZWDecode" | b"LZW" => {
                unpredict(lzw(&data, integer(parameters, b"EarlyChange", 1) != 0, bytes_max)?, parameters)?
            }
            b"ASCII85Decode" | b"A85" => ascii85(&data),
            b"ASCIIHexDecode" | b"AHx" => ascii_hexadecimal(&data),
            b"RunLengthDecode" | b"RL" => run_length(&data, bytes_max)?,
            b"Crypt" => data,
            _ => return Err(FilterError::Unsupported),
        };
    }
    *bytes_left = bytes_left.checked_sub(data.len()).ok_or(FilterError::TooMuch)?;
    Ok(data)
}

/// Inflates zlib data up to a limit. The ZIP reader brings the decompressor, so the data is dressed up as the one entry
/// of an archive; PDF writers get checksums wrong often enough that they are not checked.
pub(super) fn inflate(zlib: &[u8], bytes_max: usize) -> Result<Vec<u8>, FilterError> {
    // Local header: signature, version 2.0, sizes follow the data (bit 3), deflate, and a name of one byte.
    const HEADER: [u8; 31] = *b"PK\x03\x04\x14\0\x08\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0s";
    let deflated = zlib.get(2..).unwrap_or_default();
    let mut source = Cursor::new(HEADER).chain(deflated);
    let options = ZipReadOptions::new().ignore_crc32(true).override_compressed_size(deflated.len() as u64);
    let mut entry =
        read_zipfile_from_stream_with_options(&mut source, options).ok().flatten().ok_or(FilterError::Corrupt)?;
    let mut data = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match entry.read(&mut buffer) {
            Ok(0) => return Ok(data),
            Ok(count) => {
                if data.len() + count > bytes_max {
                    return Err(FilterError::TooMuch);
                }
                data.extend_from_slice(buffer.get(..count).unwrap_or_default());
            }
            // A missing end mark is common and harmless.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !data.is_empty() => return Ok(data),
            Err(_) => return Err(FilterError::Corrupt),
        }
    }
}

/// The LZW of TIFF and PDF: codes of 9 to 12 bits, 256 clears the table, 257 ends the data.
fn lzw(data: &[u8], early_change: bool, bytes_max: usize) -> Result<Vec<u8>, FilterError> {
    const CLEAR: usize = 256;
    const END: usize = 257;
    const TABLE_MAX: usize = 4_096;
    let mut output: Vec<u8> = Vec::new();
    // Every entry of the table is a piece of the output: where it starts and how long it is.
    let mut table: Vec<(usize, usize)> = Vec::new();
    let mut previous: Option<(usize, usize)> = None;
    let (mut bits, mut bit_count, mut width) = (0_u32, 0_u32, 9_u32);
    for byte in data {
        bits = (bits << 8 | u32::from(*byte)) & 0x00ff_ffff;
        bit_count += 8;
        if bit_count < width {
            continue;
        }
        bit_count -= width;
        let code = ((bits >> bit_count) & ((1 << width) - 1)) as usize;
        match code {
            CLEAR => {
                table.clear();
                previous = None;
                width = 9;
                continue;
            }
            END => return Ok(output),
            _ => {}
        }
        let start = output.len();
        let known = code.checked_sub(END + 1).and_then(|index| table.get(index).copied());
        match (code, known, previous) {
            (0..CLEAR, _, _) => output.push(code as u8),
            (_, Some((from, length)), _) => output.extend_from_within(from..from + length),
            (_, None, Some((from, length))) if code == END + 1 + table.len() => {
                output.extend_from_within(from..from + length);
                output.extend_from_within(from..=from);
            }
            _ => return Err(FilterError::Corrupt),
        }
        if output.len() > bytes_max {
            return Err(FilterError::TooMuch);
        }
        if let Some((from, length)) = previous.filter(|_| table.len() + END + 1 < TABLE_MAX) {
            // The piece and the character after it, which was just written.
            table.push((from, length + 1));
        }
        previous = Some((start, output.len() - start));
        let next_code = table.len() + END + 1 + usize::from(early_change);
        width = match next_code {
            0..512 => 9,
            512..1_024 => 10,
            1_024..2_048 => 11,
            _ => 12,
        };
    }
    Ok(output)
}

fn ascii85(data: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(data.len());
    let mut group = 0_u32;
    let mut count = 0;
    for byte in data.iter().copied().filter(|byte| !is_space(*byte)) {
        match byte {
            b'z' if count == 0 => output.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => {
                group = group.wrapping_mul(85).wrapping_add(u32::from(byte - b'!'));
                count += 1;
                if count == 5 {
                    output.extend_from_slice(&group.to_be_bytes());
                    (group, count) = (0, 0);
                }
            }
            _ => break,
        }
    }
    if count > 1 {
        for _ in count..5 {
            group = group.wrapping_mul(85).wrapping_add(84);
        }
        output.extend(group.to_be_bytes().iter().take(count - 1));
    }
    output
}

fn ascii_hexadecimal(data: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = data
        .iter()
        .take_while(|byte| **byte != b'>')
        .filter_map(|byte| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    digits.chunks(2).map(|pair| pair.first().copied().unwrap_or(0) * 16 + pair.get(1).copied().unwrap_or(0)).collect()
}

fn run_length(data: &[u8], bytes_max: usize) -> Result<Vec<u8>, FilterError> {
    let mut output = Vec::new();
    let mut rest = data;
    while let Some((length, after)) = rest.split_first() {
        let length = usize::from(*length);
        rest = match length {
            0..128 => {
                let (literal, after) = after.split_at_checked(length + 1).unwrap_or((after, &[]));
                output.extend_from_slice(literal);
                after
            }
            128 => break,
            _ => {
                let Some((repeated, after)) = after.split_first() else { break };
                output.resize(output.len() + 257 - length, *repeated);
                after
            }
        };
        if output.len() > bytes_max {
            return Err(FilterError::TooMuch);
        }
    }
    Ok(output)
}

fn integer(parameters: Option<&Dictionary>, key: &[u8], default: i64) -> i64 {
    parameters.and_then(|parameters| parameters.get(key).ok()).and_then(|value| value.as_i64().ok()).unwrap_or(default)
}

/// Undoes the prediction that some writers apply before compression. Cross-reference streams need it, and with them all
/// that is packed in object streams.
fn unpredict(data: Vec<u8>, parameters: Option<&Dictionary>) -> Result<Vec<u8>, FilterError> {
    let predictor = integer(parameters, b"Predictor", 1);
    if predictor < 2 {
        return Ok(data);
    }
    let positive = |key: &[u8], default| {
        usize::try_from(integer(parameters, key, default)).ok().filter(|value| (1..=ROW_BYTES_MAX).contains(value))
    };
    let bits = positive(b"BitsPerComponent", 8).ok_or(FilterError::Corrupt)?;
    let pixel_bits = positive(b"Colors", 1).ok_or(FilterError::Corrupt)?.saturating_mul(bits);
    let row_bytes = pixel_bits.saturating_mul(positive(b"Columns", 1).ok_or(FilterError::Corrupt)?).div_ceil(8);
    if row_bytes > ROW_BYTES_MAX {
        return Err(FilterError::Corrupt);
    }
    let pixel_bytes = pixel_bits.div_ceil(8);
    match predictor {
        2 if bits == 8 => Ok(unpredict_tiff(data, row_bytes, pixel_bytes)),
        10..=15 => Ok(unpredict_png(&data, row_bytes, pixel_bytes)),
        _ => Err(FilterError::Unsupported),
    }
}

fn unpredict_tiff(mut data: Vec<u8>, row_bytes: usize, pixel_bytes: usize) -> Vec<u8> {
    for row in data.chunks_mut(row_bytes) {
        for index in pixel_bytes..row.len() {
            let left = row.get(index - pixel_bytes).copied().unwrap_or(0);
            if let Some(byte) = row.get_mut(index) {
                *byte = byte.wrapping_add(left);
            }
        }
    }
    data
}

fn unpredict_png(data: &[u8], row_bytes: usize, pixel_bytes: usize) -> Vec<u8> {
    let mut output = Vec::with_capacity(data.len());
    let mut above = vec![0_u8; row_bytes];
    for row in data.chunks(row_bytes + 1) {
        let Some((kind, row)) = row.split_first() else { break };
        let mut current: Vec<u8> = Vec::with_capacity(row.len());
        for (index, (byte, up)) in row.iter().zip(&above).enumerate() {
            let before =
                |values: &[u8]| index.checked_sub(pixel_bytes).and_then(|left| values.get(left).copied()).unwrap_or(0);
            let (left, up, corner) = (before(&current), *up, before(&above));
            let predicted = match kind {
                1 => left,
                2 => up,
                3 => ((u16::from(left) + u16::from(up)) / 2) as u8,
                4 => paeth(left, up, corner),
                _ => 0,
            };
            current.push(byte.wrapping_add(predicted));
        }
        output.extend_from_slice(&current);
        current.resize(row_bytes, 0);
        above = current;
    }
    output
}

/// Whichever neighbour is nearest to `left + up - corner`.
fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(up) - i16::from(corner);
    let distance = |value: u8| (estimate - i16::from(value)).abs();
    if distance(left) <= distance(up) && distance(left) <= distance(corner) {
        left
    } else if distance(up) <= distance(corner) {
        up
    } else {
        corner
    }
}

/// The names of a stream's filters: one name or a list.
pub(super) fn filter_names(filter: &Object, resolve: impl Fn(&Object) -> Object) -> Vec<Vec<u8>> {
    match filter {
        Object::Name(name) => vec![name.clone()],
        Object::Array(names) => {
            names.iter().filter_map(|name| resolve(name).as_name().ok().map(<[u8]>::to_vec)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lzw_follows_the_example_of_the_specification() {
        let data = [0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01];
        assert_eq!(lzw(&data, true, 100), Ok(vec![45, 45, 45, 45, 45, 65, 45, 45, 45, 66]));
        assert_eq!(lzw(&data, true, 5), Err(FilterError::TooMuch));
        assert_eq!(lzw(&[0x80, 0x7f, 0xff, 0xff], true, 100), Err(FilterError::Corrupt));
    }

    #[test]
    fn ascii85_follows_its_definition() {
        assert_eq!(ascii85(b"87cUR\nD]i,\"Ebo80~>junk"), b"Hello World!");
        assert_eq!(ascii85(b"z!!"), [0, 0, 0, 0, 0]);
        assert_eq!(ascii85(b"87cURDZ"), b"Hello");
    }

    #[test]
    fn predictors_are_undone() {
        let mut parameters = Dictionary::new();
        for (key, value) in [("Predictor", 12), ("Columns", 3)] {
            parameters.set(key, Object::Integer(value));
        }
        // One row of each kind: none, sub, up, average, Paeth.
        let rows = vec![0, 1, 2, 3, 1, 1, 1, 1, 2, 1, 1, 1, 3, 1, 1, 1, 4, 1, 1, 1];
        let plain = vec![1, 2, 3, 1, 2, 3, 2, 3, 4, 2, 3, 4, 3, 4, 5];
        assert_eq!(unpredict(rows, Some(&parameters)), Ok(plain));
        parameters.set("Columns", Object::Integer(i64::MAX));
        assert_eq!(unpredict(vec![0, 1], Some(&parameters)), Err(FilterError::Corrupt));
    }

    #[test]
    fn inflating_stops_at_the_limit() {
        // A megabyte of zeros.
        let zlib = {
            let mut deflated = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            deflated.start_file("a", zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut deflated, &vec![0; 1 << 20]).unwrap();
            let archive = deflated.finish().unwrap().into_inner();
            [&[0x78, 0x9c], archive.get(31..).unwrap()].concat()
        };
        assert_eq!(inflate(&zlib, 1 << 20).map(|data| data.len()), Ok(1 << 20));
        assert_eq!(inflate(&zlib, (1 << 20) - 1), Err(FilterError::TooMuch));
        assert_eq!(inflate(b"\x78\x9cnot deflated", 100), Err(FilterError::Corrupt));
    }
}
