use std::borrow::Cow;

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::{BlockKind, Limits, ParseError, Parsed, builder::TextBuilder};

/// Text of an older Western encoding has at most this share of bytes above ASCII.
const WESTERN_SHARE_MAX: f64 = 0.3;
/// Text holds next to no control characters: at most one in this many characters.
const CONTROL_ONE_IN: usize = 1_000;

/// Plain text: every blank line ends a paragraph; line breaks inside a paragraph are kept.
pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let text = decode(bytes)?;
    let mut builder = TextBuilder::new(limits);
    for paragraph in paragraphs(&text) {
        builder.push(BlockKind::Paragraph, paragraph)?;
    }
    Ok(builder.finish(None))
}

/// The runs of lines between blank lines; form feeds separate paragraphs too.
fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (paragraph, after) = rest.split_at_checked(paragraph_end(rest)).unwrap_or((rest, ""));
            rest = after;
            if !paragraph.trim().is_empty() {
                return Some(paragraph);
            }
        }
        None
    })
}

/// Where the first paragraph ends: at a form feed or at the line break before a line of spaces only.
fn paragraph_end(text: &str) -> usize {
    let mut line_start = 0;
    let mut seen_text = false;
    for line in text.split_inclusive(['\n', '\r', '\u{c}']) {
        let blank = line.trim().is_empty();
        // "\r\n" arrives as two pieces; the second is not a blank line.
        let second_half = line == "\n" && text.get(..line_start).is_some_and(|before| before.ends_with('\r'));
        if blank && !second_half && seen_text {
            return line_start;
        }
        seen_text |= !blank;
        line_start += line.len();
        if line.ends_with('\u{c}') {
            return line_start;
        }
    }
    text.len()
}

/// Bytes to text. UTF-8 (with or without byte order mark), UTF-16 with byte order mark, and windows-1252 where the bytes
/// read as Western text; everything else is an error that says where the first wrong byte is.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, ParseError> {
    let text = decode_marked(bytes)?;
    reject_binary(&text)?;
    Ok(text)
}

fn decode_marked(bytes: &[u8]) -> Result<Cow<'_, str>, ParseError> {
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return std::str::from_utf8(rest)
            .map(Cow::Borrowed)
            .map_err(|error| invalid_utf8(bytes, error.valid_up_to() + 3));
    }
    for (mark, encoding, name) in [(b"\xff\xfe", UTF_16LE, "UTF-16LE"), (b"\xfe\xff", UTF_16BE, "UTF-16BE")] {
        if let Some(rest) = bytes.strip_prefix(mark) {
            return encoding.decode_without_bom_handling_and_without_replacement(rest).ok_or_else(|| {
                ParseError::NotText { detail: format!("it begins as {name}, but is not valid {name}") }
            });
        }
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(error) if is_western(bytes, error.valid_up_to()) => Ok(WINDOWS_1252.decode_without_bom_handling(bytes).0),
        Err(error) => Err(invalid_utf8(bytes, error.valid_up_to())),
    }
}

/// Whether it begins with the mark of UTF-16, in which letters hold zero bytes.
pub(super) fn is_marked_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

fn invalid_utf8(bytes: &[u8], offset: usize) -> ParseError {
    let byte = bytes.get(offset).copied().unwrap_or_default();
    ParseError::NotText { detail: format!("byte 0x{byte:02x} at offset {offset} is not valid UTF-8") }
}

/// Whether bytes that are not UTF-8 read as Western European text in windows-1252: few bytes above ASCII, each of them a
/// letter inside a word or common punctuation, and none of them valid UTF-8 before the first wrong byte.
fn is_western(bytes: &[u8], first_invalid: usize) -> bool {
    if !bytes.get(..first_invalid).is_some_and(<[u8]>::is_ascii) {
        return false;
    }
    let mut high = 0_usize;
    let mut previous = b' ';
    let mut following = bytes.iter().copied().skip(1);
    for byte in bytes.iter().copied() {
        let next = following.next().unwrap_or(b' ');
        let plausible = match byte {
            0 | 0x81 | 0x8d | 0x8f | 0x90 | 0x9d | 0xfe | 0xff => false,
            0x00..=0x7f => true,
            // Letters stand next to letters.
            0x8a | 0x8c | 0x8e | 0x9a | 0x9c | 0x9e | 0x9f | 0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..=0xfd => {
                previous.is_ascii_alphabetic() || next.is_ascii_alphabetic()
            }
            // Signs such as quotation marks, dashes, the euro and degrees.
            _ => previous.is_ascii() && next.is_ascii(),
        };
        if !plausible {
            return false;
        }
        high += usize::from(!byte.is_ascii());
        previous = byte;
    }
    (high as f64) <= (bytes.len() as f64) * WESTERN_SHARE_MAX
}

/// Valid text may still be binary data that happens to decode: control characters give it away.
fn reject_binary(text: &str) -> Result<(), ParseError> {
    let mut controls = 0_usize;
    let mut characters = 0_usize;
    for character in text.chars() {
        characters += 1;
        if character == '\0' {
            return Err(ParseError::NotText { detail: "it contains zero bytes, as binary files do".to_owned() });
        }
        let is_layout = matches!(character, '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{1b}' | '\u{8}' | '\u{85}');
        controls += usize::from(character.is_control() && !is_layout);
    }
    // A handful is a quirk of some editor; more than that in a small file, or everywhere in a large one, is not text.
    if controls > 4 && controls > characters / CONTROL_ONE_IN {
        return Err(ParseError::NotText {
            detail: format!("it contains {controls} control characters, as binary files do"),
        });
    }
    Ok(())
}

/// The first `bytes_max` bytes as text, if they are text: for telling formats apart.
pub(super) fn decode_head(bytes: &[u8], bytes_max: usize) -> Option<String> {
    let mut head = bytes.get(..bytes.len().min(bytes_max)).unwrap_or(bytes);
    // The cut may have split a character.
    if head.len() < bytes.len() {
        if let Err(error) = std::str::from_utf8(head)
            && error.error_len().is_none()
        {
            head = head.get(..error.valid_up_to()).unwrap_or_default();
        }
        if head.len() % 2 == 1 && (head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff")) {
            head = head.get(..head.len() - 1).unwrap_or_default();
        }
    }
    decode(head).ok().map(Cow::into_owned)
}
