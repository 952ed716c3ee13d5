//! Pictures that people bring: known by their own first bytes, never by what the browser says they are.
//!
//! SVG is not among them: it may hold scripts.

use plasma_kernel::{Error, Result};

/// Bytes of a logo.
pub(crate) const PICTURE_BYTES_MAX: usize = 256 * 1024;
/// Pixels along each side: a small file may hold a picture that fills a browser's memory.
const SIDE_PIXELS_MAX: u32 = 2_048;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What a picture is: its media type, if it is one of the kinds that are taken and no larger than allowed.
///
/// # Errors
/// `too_large` beyond 256 KiB; `invalid` for other kinds, pictures without a size, and more than 2,048 pixels a side.
pub(crate) fn check(field: &str, bytes: &[u8]) -> Result<&'static str> {
    if bytes.len() > PICTURE_BYTES_MAX {
        return Err(Error::too_large(
            field,
            format!("the picture has {} bytes; {PICTURE_BYTES_MAX} are allowed", bytes.len()),
        )
        .remedy("save it smaller: 512 pixels are enough"));
    }
    let (media_type, size) = if bytes.starts_with(PNG) {
        ("image/png", png_size(bytes))
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        ("image/jpeg", jpeg_size(bytes))
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP".as_slice()) {
        ("image/webp", webp_size(bytes))
    } else {
        return Err(Error::invalid(field, "is no picture that we take, by its own first bytes")
            .remedy("send a PNG, JPEG or WebP file; SVG is not taken, for it may hold scripts"));
    };
    match size {
        Some((width, height)) if width == 0 || height == 0 => Err(damaged(field)),
        Some((width, height)) if width.max(height) > SIDE_PIXELS_MAX => Err(Error::invalid(
            field,
            format!("the picture has {width} x {height} pixels; at most {SIDE_PIXELS_MAX} along each side are taken"),
        )
        .remedy("save it smaller: 512 pixels are enough")),
        Some(_) => Ok(media_type),
        None => Err(damaged(field)),
    }
}

fn damaged(field: &str) -> Error {
    Error::invalid(field, "begins like a picture, but has no size: it is damaged").remedy("save it anew")
}

fn big_endian<const N: usize>(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes: [u8; N] = bytes.get(at..at.checked_add(N)?)?.try_into().ok()?;
    Some(bytes.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}

fn little_endian<const N: usize>(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes: [u8; N] = bytes.get(at..at.checked_add(N)?)?.try_into().ok()?;
    Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}

/// The first chunk is the header (PNG, third edition, 5.6 and 11.2.1).
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some((big_endian::<4>(bytes, 16)?, big_endian::<4>(bytes, 20)?))
}

/// The first frame header among the segments (ITU T.81, B.2.2). Each segment says how long it is.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let marker = big_endian::<2>(bytes, at)?;
        match marker {
            // Fill bytes before a marker.
            0xffff => at = at.checked_add(1)?,
            // SOF0 to SOF15, without DHT, JPG and DAC.
            0xffc0..=0xffcf if !matches!(marker, 0xffc4 | 0xffc8 | 0xffcc) => {
                return Some((
                    big_endian::<2>(bytes, at.checked_add(7)?)?,
                    big_endian::<2>(bytes, at.checked_add(5)?)?,
                ));
            }
            // The scan begins, or the picture ends, before any frame.
            0xffda | 0xffd9 => return None,
            _ if marker >> 8 == 0xff => {
                let length = usize::try_from(big_endian::<2>(bytes, at.checked_add(2)?)?).ok()?;
                at = at.checked_add(2)?.checked_add(length.max(2))?;
            }
            _ => return None,
        }
    }
}

/// RFC 9649: a simple lossy, a simple lossless, or an extended file.
fn webp_size(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8 " => {
            (bytes.get(23..26)? == [0x9d, 0x01, 0x2a]).then_some(())?;
            Some((little_endian::<2>(bytes, 26)? & 0x3fff, little_endian::<2>(bytes, 28)? & 0x3fff))
        }
        b"VP8L" => {
            (bytes.get(20)? == &0x2f).then_some(())?;
            let bits = little_endian::<4>(bytes, 21)?;
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8X" => Some((little_endian::<3>(bytes, 24)? + 1, little_endian::<3>(bytes, 27)? + 1)),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = PNG.to_vec();
        bytes.extend([0, 0, 0, 13]);
        bytes.extend(b"IHDR");
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 6, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xff, 0xc2, 0, 11, 8];
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes
    }

    fn webp(kind: &[u8; 4], rest: &[u8]) -> Vec<u8> {
        [b"RIFF\0\0\0\0WEBP".as_slice(), kind.as_slice(), &[0; 4], rest].concat()
    }

    #[test]
    fn kinds_are_known_by_their_bytes() {
        assert_eq!(check("logo", &png(64, 32)).unwrap(), "image/png");
        assert_eq!(check("logo", &jpeg(64, 32)).unwrap(), "image/jpeg");
        assert_eq!(jpeg_size(&jpeg(64, 32)), Some((64, 32)));
        let lossy = webp(b"VP8 ", &[0, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 32, 0]);
        assert_eq!((check("logo", &lossy).unwrap(), webp_size(&lossy)), ("image/webp", Some((64, 32))));
        let lossless = webp(b"VP8L", &[0x2f, 63, 0xc0, 7, 0]);
        assert_eq!(webp_size(&lossless), Some((64, 32)));
        let extended = webp(b"VP8X", &[0, 0, 0, 0, 63, 0, 0, 31, 0, 0]);
        assert_eq!(webp_size(&extended), Some((64, 32)));
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_refused() {
        let refused = |bytes: &[u8]| check("logo", bytes).unwrap_err();
        for bytes in [
            b"".as_slice(),
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            b"<html><script>alert(1)</script>",
            b"GIF89a\x01\0\x01\0",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xd9",
            b"RIFF\0\0\0\0WEBPVP9 ",
        ] {
            assert_eq!(refused(bytes).field_name(), Some("logo"), "{bytes:?}");
        }
        assert!(refused(&png(0, 5)).message().contains("damaged"));
        assert!(refused(&png(100_000, 5)).message().contains("pixels"));
        let mut long = png(5, 5);
        long.resize(PICTURE_BYTES_MAX + 1, 0);
        assert_eq!(refused(&long).code(), plasma_kernel::Code::TooLarge);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(start in 0_usize..4, bytes: Vec<u8>) {
            let begin: &[u8] = [b"".as_slice(), PNG, b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8X"][start];
            let _ = check("logo", &[begin, &bytes].concat());
        }
    }
}
