use std::{collections::HashMap, rc::Rc};

use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_16BE};
use pdf_extract::{Dictionary, Object};

use super::{cmap::CodeMap, file::File, simple_font, syntax::float};

/// Fonts that are built for one file; beyond it text is read as Latin. Generators that embed a font on every page reach
/// thousands.
const FONTS_MAX: usize = 20_000;
/// Widths that one font may state.
const WIDTHS_MAX: usize = 70_000;
/// The width of a glyph without one, in thousandths of the font size.
const WIDTH_DEFAULT: f32 = 500.0;

/// How the codes of a font become text, and how wide they are.
pub(super) struct Font {
    pub(super) codes: Codes,
    pub(super) is_bold: bool,
    pub(super) is_monospaced: bool,
    pub(super) is_vertical: bool,
}

pub(super) enum Codes {
    /// One byte each: text, and width in thousandths of the font size.
    Simple(Vec<(String, f32)>),
    Composite(Box<Composite>),
}

/// A font whose codes have one to four bytes.
pub(super) struct Composite {
    text: HashMap<u32, String>,
    /// A well-known encoding by which codes without an entry are read.
    known: Option<&'static Encoding>,
    code_map: Option<CodeMap>,
    widths: Widths,
}

/// The widths of glyphs in thousandths of the font size.
struct Widths {
    single: HashMap<u32, f32>,
    /// First glyph, last glyph, width; in the order of the glyphs.
    ranges: Vec<(u32, u32, f32)>,
    default: f32,
}

/// One character as a page shows it.
pub(super) struct Shown<'a> {
    pub(super) text: std::borrow::Cow<'a, str>,
    /// In thousandths of the font size.
    pub(super) width: f32,
    /// Whether word spacing applies.
    pub(super) is_space_code: bool,
}

impl Font {
    fn build(file: &File<'_>, dictionary: &Dictionary) -> Self {
        let name = file
            .get(dictionary, b"BaseFont")
            .as_name()
            .map(|name| String::from_utf8_lossy(name).to_lowercase())
            .unwrap_or_default();
        let descendant = file
            .get(dictionary, b"DescendantFonts")
            .as_array()
            .ok()
            .and_then(|fonts| Some(file.resolve(fonts.first()?)));
        let descendant = descendant.as_ref().and_then(|font| font.as_dict().ok());
        let descriptor = file.dictionary(descendant.unwrap_or(dictionary), b"FontDescriptor").unwrap_or_default();
        let flags = file.get(&descriptor, b"Flags").as_i64().unwrap_or(0);
        let weight = float(&file.get(&descriptor, b"FontWeight")).unwrap_or(0.0);
        let unicode = dictionary
            .get(b"ToUnicode")
            .ok()
            .and_then(|map| file.stream(map))
            .and_then(|stream| file.unpack(&stream).ok());
        let unicode = unicode.map(|bytes| CodeMap::read(&bytes).text).unwrap_or_default();
        let (codes, is_vertical) = match descendant {
            Some(descendant) => {
                let (composite, is_vertical) = Composite::build(file, dictionary, descendant, unicode);
                (Codes::Composite(Box::new(composite)), is_vertical)
            }
            None => (Codes::Simple(simple_font::build(file, dictionary, &descriptor, &unicode)), false),
        };
        Self {
            codes,
            is_bold: ["bold", "black", "heavy"].iter().any(|word| name.contains(word))
                || weight >= 600.0
                || flags & (1 << 18) != 0,
            is_monospaced: ["courier", "mono", "consolas", "menlo", "typewriter"]
                .iter()
                .any(|word| name.contains(word))
                || flags & 1 != 0
                || has_one_width(file, dictionary),
            is_vertical,
        }
    }

    /// For text in a font that cannot be found: Latin letters are right in most encodings.
    fn unknown() -> Self {
        let codes = (0..=u8::MAX).map(|code| {
            (
                if code.is_ascii_graphic() || code == b' ' { char::from(code).to_string() } else { String::new() },
                WIDTH_DEFAULT,
            )
        });
        Self { codes: Codes::Simple(codes.collect()), is_bold: false, is_monospaced: false, is_vertical: false }
    }

    /// The characters of a shown string in order.
    pub(super) fn characters<'a>(&'a self, string: &'a [u8]) -> Box<dyn Iterator<Item = Shown<'a>> + 'a> {
        match &self.codes {
            Codes::Simple(table) => Box::new(string.iter().filter_map(|code| {
                let (text, width) = table.get(usize::from(*code))?;
                Some(Shown { text: text.as_str().into(), width: *width, is_space_code: *code == b' ' })
            })),
            Codes::Composite(composite) => Box::new(composite.characters(string)),
        }
    }
}

impl Composite {
    fn build(
        file: &File<'_>,
        dictionary: &Dictionary,
        descendant: &Dictionary,
        text: HashMap<u32, String>,
    ) -> (Self, bool) {
        let encoding = file.get(dictionary, b"Encoding");
        let (code_map, known, is_vertical) = match encoding.as_name() {
            Ok(name) => (None, known_encoding(name), name.ends_with(b"V")),
            Err(_) => {
                let stream = dictionary
                    .get(b"Encoding")
                    .ok()
                    .and_then(|map| file.stream(map))
                    .and_then(|stream| file.unpack(&stream).ok());
                let map = stream.map(|bytes| CodeMap::read(&bytes));
                let is_vertical = map.as_ref().is_some_and(|map| map.is_vertical);
                (map, None, is_vertical)
            }
        };
        (Self { text, known, code_map, widths: Widths::read(file, descendant) }, is_vertical)
    }

    /// The number of bytes of the code at the start of a string.
    fn code_length(&self, string: &[u8]) -> usize {
        if let Some(map) = self.code_map.as_ref().filter(|map| !map.code_space.is_empty()) {
            let mut code = 0_u32;
            for (index, byte) in string.iter().take(4).enumerate() {
                code = (code << 8) | u32::from(*byte);
                if map
                    .code_space
                    .iter()
                    .any(|(length, low, high)| *length == index + 1 && (*low..=*high).contains(&code))
                {
                    return index + 1;
                }
            }
            return map.code_space.iter().map(|(length, ..)| *length).min().unwrap_or(1);
        }
        match self.known {
            // In the old East Asian encodings ASCII has one byte and everything else two.
            Some(encoding) if encoding != UTF_16BE => match string.first() {
                Some(0..0x80) => 1,
                Some(0xa0..=0xdf) if encoding == SHIFT_JIS => 1,
                _ => 2,
            },
            _ => 2,
        }
    }

    fn characters<'a>(&'a self, string: &'a [u8]) -> impl Iterator<Item = Shown<'a>> + 'a {
        let mut rest = string;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (bytes, after) = rest.split_at_checked(self.code_length(rest)).unwrap_or((rest, &[]));
            rest = after;
            let code = bytes.iter().fold(0_u32, |code, byte| (code << 8) | u32::from(*byte));
            let text = match (self.text.get(&code), self.known) {
                (Some(text), _) => text.as_str().into(),
                (None, Some(known)) => known
                    .decode_without_bom_handling_and_without_replacement(bytes)
                    .map_or_else(|| "".into(), |text| text.into_owned().into()),
                (None, None) => "".into(),
            };
            let glyph = self.code_map.as_ref().map_or(code, |map| map.glyph(code));
            Some(Shown { text, width: self.widths.get(glyph), is_space_code: bytes == b" " })
        })
    }
}

/// Whether all glyphs of a simple font that state a width state the same.
fn has_one_width(file: &File<'_>, dictionary: &Dictionary) -> bool {
    let widths = file.get(dictionary, b"Widths");
    let widths = widths.as_array().map_or(&[][..], Vec::as_slice);
    let stated: Vec<f64> =
        widths.iter().filter_map(|width| float(&file.resolve(width))).filter(|width| *width > 0.0).take(256).collect();
    stated.len() > 4 && stated.iter().all(|width| Some(width) == stated.first())
}

/// The encodings of text that East Asian fonts name.
fn known_encoding(name: &[u8]) -> Option<&'static Encoding> {
    let name = String::from_utf8_lossy(name);
    let rules: [(&[&str], &'static Encoding); 6] = [
        (&["UCS2", "UTF16"], UTF_16BE),
        (&["GBK", "GBpc", "GB-EUC", "GBKp"], GBK),
        (&["RKSJ"], SHIFT_JIS),
        (&["B5", "ETen", "HKscs"], BIG5),
        (&["KSC"], EUC_KR),
        (&["EUC-H", "EUC-V"], EUC_JP),
    ];
    rules.into_iter().find(|(words, _)| words.iter().any(|word| name.contains(word))).map(|(_, encoding)| encoding)
}

impl Widths {
    /// Single widths and ranges of equal width from the array `W`: `12 [500 600]` or `12 20 500`.
    fn read(file: &File<'_>, descendant: &Dictionary) -> Self {
        let default = float(&file.get(descendant, b"DW")).map_or(1_000.0, |width| width as f32);
        let mut widths = Self { single: HashMap::new(), ranges: Vec::new(), default };
        let array = file.get(descendant, b"W");
        let mut rest = array.as_array().map_or(&[][..], Vec::as_slice);
        let glyph = |value: &Object| file.resolve(value).as_i64().ok().and_then(|glyph| u32::try_from(glyph).ok());
        while let [first, second, after @ ..] = rest {
            let Some(first) = glyph(first) else { break };
            let second = file.resolve(second);
            if let Ok(list) = second.as_array() {
                for (offset, width) in (0_u32..).zip(list).take(WIDTHS_MAX.saturating_sub(widths.single.len())) {
                    let width = float(&file.resolve(width)).map_or(WIDTH_DEFAULT, |width| width as f32);
                    widths.single.insert(first.saturating_add(offset), width);
                }
                rest = after;
            } else {
                let [width, after @ ..] = after else { break };
                let (Some(last), Some(width)) = (glyph(&second), float(&file.resolve(width))) else { break };
                if widths.ranges.len() < WIDTHS_MAX {
                    widths.ranges.push((first, last, width as f32));
                }
                rest = after;
            }
        }
        widths.ranges.sort_by_key(|(first, ..)| *first);
        widths
    }

    fn get(&self, glyph: u32) -> f32 {
        if let Some(width) = self.single.get(&glyph) {
            return *width;
        }
        let after = self.ranges.partition_point(|(first, ..)| *first <= glyph);
        let range = after.checked_sub(1).and_then(|index| self.ranges.get(index)).filter(|(_, last, _)| glyph <= *last);
        range.map_or(self.default, |(.., width)| *width)
    }
}

/// The fonts of a file, each built once.
#[derive(Default)]
pub(super) struct Fonts {
    built: HashMap<u32, Rc<Font>>,
    count: usize,
    unknown: Option<Rc<Font>>,
}

impl Fonts {
    /// The font with a name in some resources.
    pub(super) fn find(&mut self, file: &File<'_>, resources: Option<&Dictionary>, name: &[u8]) -> Rc<Font> {
        let fonts = resources.map(|resources| file.get(resources, b"Font"));
        let entry = fonts.as_ref().and_then(|fonts| fonts.as_dict().ok()?.get(name).ok());
        let id = entry.and_then(|entry| entry.as_reference().ok()).map(|(id, _)| id);
        if let Some(font) = id.and_then(|id| self.built.get(&id)) {
            return Rc::clone(font);
        }
        let object = entry.map(|entry| file.resolve(entry));
        let Some(dictionary) =
            object.as_ref().and_then(|object| object.as_dict().ok()).filter(|_| self.count < FONTS_MAX)
        else {
            return Rc::clone(self.unknown.get_or_insert_with(|| Rc::new(Font::unknown())));
        };
        self.count += 1;
        let font = Rc::new(Font::build(file, dictionary));
        if let Some(id) = id {
            self.built.insert(id, Rc::clone(&font));
        }
        font
    }
}
