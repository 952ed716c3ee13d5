use std::collections::HashMap;

use pdf_extract::Object;

use super::syntax::{Item, Lexer};

/// Codes that one map may define; two bytes give 65,536.
const CODES_MAX: usize = 70_000;
/// Bytes of UTF-16 that one code may stand for; ligatures take a few.
const TARGET_BYTES_MAX: usize = 64;
/// Ranges of glyph numbers that one map may define.
const RANGES_MAX: usize = 10_000;
/// Ranges of valid codes that one map may define; real ones have a handful, and every character looks through them.
const CODE_SPACES_MAX: usize = 32;

/// A map from character codes: to text (`ToUnicode`) or to glyph numbers (an embedded encoding).
#[derive(Default)]
pub(super) struct CodeMap {
    /// Lengths in bytes and bounds of valid codes.
    pub(super) code_space: Vec<(usize, u32, u32)>,
    /// What codes stand for, as text.
    pub(super) text: HashMap<u32, String>,
    /// First code, last code, and the glyph number of the first; in the order of the codes.
    glyphs: Vec<(u32, u32, u32)>,
    /// Lines run downwards.
    pub(super) is_vertical: bool,
    /// Definitions that were read, useful or not.
    definitions: usize,
}

impl CodeMap {
    /// Reads the sections that matter and skips the PostScript around them; damage ends the map early.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut map = Self::default();
        let mut lexer = Lexer::new(bytes, 0);
        let mut values: Vec<Object> = Vec::new();
        loop {
            lexer.forget_count();
            match lexer.next() {
                Ok(Item::Value(value)) => {
                    // Sections hold at most 100 entries of 3; more would be another kind of data.
                    if values.len() < CODES_MAX {
                        values.push(value);
                    }
                }
                Ok(Item::Word(word)) => {
                    match word {
                        b"endcodespacerange" => map.add_code_space(&values),
                        b"endbfchar" => map.add_characters(&values),
                        b"endbfrange" => map.add_ranges(&values),
                        b"endcidrange" => map.add_glyph_ranges(&values),
                        b"endcidchar" => map.add_glyphs(&values),
                        b"def" => {
                            map.is_vertical |= matches!(values.as_slice(), [.., Object::Name(name), Object::Integer(1)] if name == b"WMode")
                        }
                        _ => {}
                    }
                    values.clear();
                }
                Ok(Item::End) | Err(_) => {
                    map.glyphs.sort_unstable();
                    return map;
                }
            }
        }
    }

    fn add_code_space(&mut self, values: &[Object]) {
        for pair in values.chunks_exact(2) {
            if let [Object::String(low, _), Object::String(high, _)] = pair
                && (1..=4).contains(&low.len())
                && self.code_space.len() < CODE_SPACES_MAX
            {
                self.code_space.push((low.len(), code(low), code(high)));
            }
        }
    }

    fn add_characters(&mut self, values: &[Object]) {
        for pair in values.chunks_exact(2) {
            if let [Object::String(from, _), Object::String(to, _)] = pair {
                self.insert(code(from), to);
            }
        }
    }

    fn add_ranges(&mut self, values: &[Object]) {
        for triple in values.chunks_exact(3) {
            let [Object::String(low, _), Object::String(high, _), target] = triple else { continue };
            let codes = code(low)..=code(high);
            match target {
                Object::String(first, _) => {
                    let mut target = first.clone();
                    for code in codes {
                        if self.definitions >= CODES_MAX {
                            return;
                        }
                        self.insert(code, &target);
                        increment(&mut target);
                    }
                }
                Object::Array(targets) => {
                    for (code, target) in codes.zip(targets) {
                        if let Object::String(target, _) = target {
                            self.insert(code, target);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn insert(&mut self, code: u32, utf16: &[u8]) {
        if self.definitions >= CODES_MAX {
            return;
        }
        self.definitions += 1;
        let units: Vec<u16> = utf16
            .chunks_exact(2)
            .take(TARGET_BYTES_MAX / 2)
            .filter_map(|pair| Some(u16::from_be_bytes([*pair.first()?, *pair.get(1)?])))
            .collect();
        let text: String = char::decode_utf16(units).filter_map(Result::ok).collect();
        if !text.is_empty() {
            self.text.insert(code, text);
        }
    }

    fn add_glyph_ranges(&mut self, values: &[Object]) {
        for triple in values.chunks_exact(3) {
            if let [Object::String(low, _), Object::String(high, _), Object::Integer(first)] = triple
                && self.glyphs.len() < RANGES_MAX
            {
                self.glyphs.push((code(low), code(high), u32::try_from(*first).unwrap_or(0)));
            }
        }
    }

    fn add_glyphs(&mut self, values: &[Object]) {
        for pair in values.chunks_exact(2) {
            if let [Object::String(from, _), Object::Integer(glyph)] = pair
                && self.glyphs.len() < RANGES_MAX
            {
                self.glyphs.push((code(from), code(from), u32::try_from(*glyph).unwrap_or(0)));
            }
        }
    }

    /// The glyph number of a code.
    pub(super) fn glyph(&self, code: u32) -> u32 {
        let after = self.glyphs.partition_point(|(low, _, _)| *low <= code);
        let range = after.checked_sub(1).and_then(|index| self.glyphs.get(index)).filter(|(_, high, _)| code <= *high);
        range.map_or(code, |(low, _, first)| first.saturating_add(code - low))
    }
}

/// The bytes of a code as a number; of longer ones the last four bytes.
fn code(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |code, byte| (code << 8) | u32::from(*byte))
}

/// The next target of a range: its last unit plus one.
fn increment(target: &mut [u8]) {
    for byte in target.iter_mut().rev().take(2) {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return;
        }
    }
}
