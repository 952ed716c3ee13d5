use pdf_extract::{Dictionary, Object};

use super::{
    super::ParseError,
    file::damaged,
    syntax::{Item, Lexer, is_space},
};

/// Objects in a file; a book with thousands of pages and pictures has some hundred thousand.
const OBJECTS_MAX: usize = 1_000_000;
/// Bytes of syntax that may turn out to be wrong, as a multiple of the file's size. A damaged file has a few wrong objects,
/// a hostile one may have one that reaches to the end of the file at every position.
const WRONG_MAX: usize = 8;

/// What a look through the whole file finds.
pub(super) struct Scan {
    /// Number, position after `obj`, generation; in the order of the file.
    pub(super) direct: Vec<(u32, usize, u16)>,
    /// Object streams: number and position.
    pub(super) containers: Vec<(u32, usize)>,
    /// All trailers together; later ones win.
    pub(super) trailer: Dictionary,
    /// The last catalog.
    pub(super) catalog: Option<u32>,
    /// All pages, in the order of the file.
    pub(super) pages: Vec<u32>,
    /// Where the last `endstream` is.
    pub(super) streams_end: usize,
}

/// Finds all objects and trailers.
///
/// # Errors
///
/// [`ParseError::Damaged`] if there are none, or if the file ends before its end mark.
pub(super) fn scan(bytes: &[u8]) -> Result<Scan, ParseError> {
    let mut found = Scan {
        direct: Vec::new(),
        containers: Vec::new(),
        trailer: Dictionary::new(),
        catalog: None,
        pages: Vec::new(),
        streams_end: find_last(bytes, b"endstream"),
    };
    let mut wrong_left = bytes.len().saturating_mul(WRONG_MAX).saturating_add(1 << 16);
    let mut position = 0;
    let mut last_object = 0;
    while let Some(next) = next_landmark(bytes, position) {
        position = match next {
            Landmark::Trailer(after) => {
                let mut lexer = Lexer::new(bytes, after);
                if let Ok(Object::Dictionary(dictionary)) = lexer.value() {
                    merge(&mut found.trailer, &dictionary);
                }
                // Not skipped: a broken trailer may have swallowed objects.
                wrong_left = spend(wrong_left, lexer.position.saturating_sub(after))?;
                after
            }
            Landmark::Object { id, generation, after } => {
                last_object = after;
                if found.direct.len() >= OBJECTS_MAX {
                    return Err(damaged("it defines too many objects"));
                }
                found.direct.push((id, after, generation));
                let mut lexer = Lexer::new(bytes, after);
                match lexer.value() {
                    Ok(value) => found.note(id, after, &value, &mut lexer),
                    Err(_) => {
                        wrong_left = spend(wrong_left, lexer.position.saturating_sub(after))?;
                        after
                    }
                }
            }
        };
    }
    if found.direct.is_empty() {
        return Err(damaged("it contains no PDF objects"));
    }
    let has_end = ["%%EOF", "startxref"].iter().any(|mark| find(bytes, mark.as_bytes(), last_object).is_some());
    if !has_end {
        return Err(damaged("the file ends before its end mark; it was probably cut off"));
    }
    Ok(found)
}

fn spend(left: usize, bytes: usize) -> Result<usize, ParseError> {
    left.checked_sub(bytes).ok_or_else(|| damaged("too many of its objects cannot be read"))
}

impl Scan {
    /// Remembers what kind of object this is, and returns where to look on: after a stream, so that its data is not
    /// mistaken for objects.
    fn note(&mut self, id: u32, after: usize, value: &Object, lexer: &mut Lexer<'_>) -> usize {
        let value_end = lexer.position;
        let Object::Dictionary(dictionary) = value else { return value_end };
        match dictionary.get_type() {
            Ok(b"Catalog") => self.catalog = Some(id),
            Ok(b"Page") => self.pages.push(id),
            Ok(b"ObjStm") => self.containers.push((id, after)),
            Ok(b"XRef") => merge(&mut self.trailer, dictionary),
            _ => {}
        }
        let length = dictionary
            .get(b"Length")
            .ok()
            .and_then(|length| length.as_i64().ok())
            .and_then(|length| usize::try_from(length).ok());
        if stream_data(lexer, length, self.streams_end).is_some() { lexer.position } else { value_end }
    }
}

fn merge(trailer: &mut Dictionary, newer: &Dictionary) {
    for key in ["Root", "Encrypt", "Info", "ID"] {
        if let Ok(value) = newer.get(key.as_bytes()) {
            trailer.set(key, value.clone());
        }
    }
}

enum Landmark {
    /// Position after the word `trailer`.
    Trailer(usize),
    Object {
        id: u32,
        generation: u16,
        /// Position after the word `obj`.
        after: usize,
    },
}

/// The next `12 0 obj` or `trailer` at or after a position.
fn next_landmark(bytes: &[u8], mut position: usize) -> Option<Landmark> {
    loop {
        let rest = bytes.get(position..)?;
        let found = position + rest.windows(3).position(|window| window == b"obj" || window == b"tra")?;
        position = found + 3;
        if bytes.get(found..).is_some_and(|rest| rest.starts_with(b"trailer")) {
            return Some(Landmark::Trailer(found + b"trailer".len()));
        }
        if bytes.get(found..position) == Some(b"obj")
            && let Some((id, generation)) = object_header(bytes.get(..found)?)
        {
            return Some(Landmark::Object { id, generation, after: position });
        }
    }
}

/// Number and generation right before the word `obj`.
fn object_header(before: &[u8]) -> Option<(u32, u16)> {
    let (before, generation) = number_at_end(trim_spaces_at_end(before))?;
    let trimmed = trim_spaces_at_end(before);
    // "120obj" is not a header.
    if trimmed.len() == before.len() {
        return None;
    }
    let (_, id) = number_at_end(trimmed)?;
    Some((id, u16::try_from(generation).ok()?))
}

fn trim_spaces_at_end(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().rev().take(16).take_while(|byte| is_space(**byte)).count();
    bytes.get(..bytes.len() - spaces).unwrap_or_default()
}

fn number_at_end(bytes: &[u8]) -> Option<(&[u8], u32)> {
    let digits = bytes.iter().rev().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    let (before, number) = bytes.split_at_checked(bytes.len() - digits)?;
    Some((before, std::str::from_utf8(number).ok()?.parse().ok()?))
}

/// The data of the stream whose dictionary was just read, if a stream follows; the lexer then stands after it. A length that
/// does not lead to `endstream` is replaced by looking for that word.
/// `streams_end` is where the last such word is, so that it is not looked for in vain.
pub(super) fn stream_data<'a>(lexer: &mut Lexer<'a>, length: Option<usize>, streams_end: usize) -> Option<&'a [u8]> {
    let before = lexer.position;
    if !matches!(lexer.next(), Ok(Item::Word(b"stream"))) {
        lexer.position = before;
        return None;
    }
    let rest = lexer.rest();
    let line_end = match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\n' | b'\r', ..] => 1,
        _ => 0,
    };
    let data = rest.get(line_end..)?;
    let stated = length.filter(|length| {
        let after = data.get(*length..).unwrap_or_default();
        let gap = after.iter().take(4).take_while(|byte| is_space(**byte)).count();
        after.get(gap..).is_some_and(|after| after.starts_with(b"endstream"))
    });
    let length = match stated {
        Some(length) => length,
        None if lexer.position > streams_end => return None,
        None => {
            let end = find(data, b"endstream", 0)?;
            // The line break before the word is not data.
            let line_break = data.get(..end).map_or(0, |data| {
                if data.ends_with(b"\r\n") { 2 } else { usize::from(data.ends_with(b"\n") || data.ends_with(b"\r")) }
            });
            end - line_break
        }
    };
    lexer.position += line_end + length;
    data.get(..length)
}

/// Where `needle` is for the last time; 0 if it is nowhere.
fn find_last(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).rposition(|window| window == needle).unwrap_or(0)
}

/// Where `needle` next is, at or after `from`.
pub(super) fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let first = *needle.first()?;
    let mut position = from;
    loop {
        position += haystack.get(position..)?.iter().position(|byte| *byte == first)?;
        if haystack.get(position..)?.starts_with(needle) {
            return Some(position);
        }
        position += 1;
    }
}
