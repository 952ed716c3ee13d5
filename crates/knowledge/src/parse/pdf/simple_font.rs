use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use pdf_extract::{Dictionary, Document, MediaBox, Object, OutputDev, OutputError, Stream, Transform, output_doc_page};

use super::{
    file::File,
    syntax::{Item, Lexer, float},
};

/// Entries of a `Differences` array that are looked at.
const DIFFERENCES_MAX: usize = 2_048;
/// Font programs larger than this are not searched for an encoding.
const PROGRAM_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The width of a glyph without one, in thousandths of the font size.
const WIDTH_DEFAULT: f32 = 500.0;

/// What Adobe's standard encoding has at codes where PDF's own encoding differs.
const STANDARD_ENCODING: [(i64, &str); 60] = [
    (39, "quoteright"),
    (96, "quoteleft"),
    (161, "exclamdown"),
    (162, "cent"),
    (163, "sterling"),
    (164, "fraction"),
    (165, "yen"),
    (166, "florin"),
    (167, "section"),
    (168, "currency"),
    (169, "quotesingle"),
    (170, "quotedblleft"),
    (171, "guillemotleft"),
    (172, "guilsinglleft"),
    (173, "guilsinglright"),
    (174, "fi"),
    (175, "fl"),
    (177, "endash"),
    (178, "dagger"),
    (179, "daggerdbl"),
    (180, "periodcentered"),
    (182, "paragraph"),
    (183, "bullet"),
    (184, "quotesinglbase"),
    (185, "quotedblbase"),
    (186, "quotedblright"),
    (187, "guillemotright"),
    (188, "ellipsis"),
    (189, "perthousand"),
    (191, "questiondown"),
    (193, "grave"),
    (194, "acute"),
    (195, "circumflex"),
    (196, "tilde"),
    (197, "macron"),
    (198, "breve"),
    (199, "dotaccent"),
    (200, "dieresis"),
    (202, "ring"),
    (203, "cedilla"),
    (205, "hungarumlaut"),
    (206, "ogonek"),
    (207, "caron"),
    (208, "emdash"),
    (225, "AE"),
    (227, "ordfeminine"),
    (232, "Lslash"),
    (233, "Oslash"),
    (234, "OE"),
    (235, "ordmasculine"),
    (241, "ae"),
    (245, "dotlessi"),
    (248, "lslash"),
    (249, "oslash"),
    (250, "oe"),
    (251, "germandbls"),
    (160, "space"),
    (173, "guilsinglright"),
    (192, "space"),
    (201, "space"),
];

/// The text and width of each of the 256 codes of a font.
///
/// The PDF library knows the standard encodings, the names of glyphs, the encodings inside of font programs and the widths
/// of the standard fonts. It is asked once for each font, with a page that shows every code; its interpreter of real pages
/// is not used, because that recurses, unpacks and panics without limits.
pub(super) fn build(
    file: &File<'_>,
    font: &Dictionary,
    descriptor: &Dictionary,
    unicode: &HashMap<u32, String>,
) -> Vec<(String, f32)> {
    let name = file
        .get(font, b"BaseFont")
        .as_name()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .unwrap_or_default();
    let encoding = stated_encoding(file, font, descriptor);
    let is_own = encoding.is_none() && !is_symbol_font(&name);
    // A font program that alone knows the encoding; anything else about it is not needed.
    let program = descriptor
        .get(b"FontFile3")
        .ok()
        .filter(|_| is_own && unicode.is_empty())
        .and_then(|program| file.stream(program));
    let program = program.filter(|stream| {
        stream.dictionary.get(b"Subtype").and_then(Object::as_name).is_ok_and(|subtype| subtype == b"Type1C")
    });
    let program =
        program.and_then(|stream| file.unpack(&stream).ok()).filter(|program| program.len() <= PROGRAM_BYTES_MAX);
    let is_true_type = file.get(font, b"Subtype").as_name().is_ok_and(|subtype| subtype == b"TrueType");
    let plain = Question { core_font: core_font(&name), encoding: encoding.as_ref(), is_true_type, program: None };
    let with_program = program.and_then(|program| Question { program: Some(program), ..plain.clone() }.ask());
    let mut table = with_program.or_else(|| plain.ask()).unwrap_or_default();
    table.resize(256, (String::new(), WIDTH_DEFAULT));
    for (code, text) in glyph_names(encoding.as_ref()) {
        if let Some(entry) = table.get_mut(code) {
            entry.0 = text;
        }
    }
    for (code, text) in unicode {
        if let Some(entry) = usize::try_from(*code).ok().and_then(|code| table.get_mut(code)) {
            entry.0.clone_from(text);
        }
    }
    set_widths(file, font, descriptor, &mut table);
    table
}

/// The font's encoding with references followed and everything left out that the library does not know, or the encoding
/// inside of a Type 1 font program.
fn stated_encoding(file: &File<'_>, font: &Dictionary, descriptor: &Dictionary) -> Option<Dictionary> {
    let stated = file.get(font, b"Encoding");
    let known = |name: &[u8]| {
        matches!(name, b"WinAnsiEncoding" | b"MacRomanEncoding" | b"MacExpertEncoding")
            .then(|| Object::Name(name.to_vec()))
    };
    let mut encoding = Dictionary::new();
    let mut differences = Vec::new();
    let mut base = None;
    match stated.as_ref() {
        Object::Name(name) => base = Some(name.clone()),
        Object::Dictionary(dictionary) => {
            base = file.get(dictionary, b"BaseEncoding").as_name().ok().map(<[u8]>::to_vec);
            differences = clean_differences(file, dictionary);
        }
        _ => differences = program_encoding(file, descriptor)?,
    }
    match base.as_deref().and_then(known) {
        Some(name) => encoding.set("BaseEncoding", name),
        // Without a base the font's own encoding is meant, which for text is the standard one.
        None => {
            let standard = STANDARD_ENCODING
                .iter()
                .flat_map(|(code, name)| [Object::Integer(*code), Object::Name(name.as_bytes().to_vec())]);
            differences = standard.chain(differences).collect();
        }
    }
    encoding.set("Differences", Object::Array(differences));
    Some(encoding)
}

/// Codes within one byte, each with the names that follow it.
fn clean_differences(file: &File<'_>, encoding: &Dictionary) -> Vec<Object> {
    let stated = file.get(encoding, b"Differences");
    let mut clean = Vec::new();
    let mut code = 0;
    for entry in stated.as_array().map_or(&[][..], Vec::as_slice).iter().take(DIFFERENCES_MAX) {
        match file.resolve(entry).as_ref() {
            Object::Integer(start) => code = (*start).clamp(0, 256),
            Object::Name(name) => {
                if code < 256 && name.is_ascii() {
                    clean.extend([Object::Integer(code), Object::Name(name.clone())]);
                }
                code = (code + 1).min(256);
            }
            _ => {}
        }
    }
    clean
}

/// The encoding in the readable part of a Type 1 font program: lines such as `dup 65 /A put`.
fn program_encoding(file: &File<'_>, descriptor: &Dictionary) -> Option<Vec<Object>> {
    let stream = file.stream(descriptor.get(b"FontFile").ok()?)?;
    let program = file.unpack(&stream).ok()?;
    let start = super::scan::find(&program, b"/Encoding", 0)?;
    let mut lexer = Lexer::new(program.get(..program.len().min(start + 64 * 1024))?, start + b"/Encoding".len());
    let mut differences = Vec::new();
    let mut values: Vec<Object> = Vec::new();
    while differences.len() < 512 {
        match lexer.next().ok()? {
            Item::Value(value) => values.push(value),
            Item::Word(b"put") => {
                if let [.., Object::Integer(code @ 0..=255), Object::Name(name)] = values.as_slice()
                    && name.is_ascii()
                {
                    differences.extend([Object::Integer(*code), Object::Name(name.clone())]);
                }
                values.clear();
            }
            Item::Word(b"def" | b"StandardEncoding" | b"eexec") | Item::End => break,
            Item::Word(_) => {}
        }
    }
    Some(differences)
}

/// What is asked of the library about one font.
#[derive(Clone)]
struct Question<'a> {
    core_font: &'static str,
    encoding: Option<&'a Dictionary>,
    is_true_type: bool,
    program: Option<Vec<u8>>,
}

impl Question<'_> {
    /// A document with one page that shows all 256 codes one by one; none if the library gives up.
    fn ask(self) -> Option<Vec<(String, f32)>> {
        let mut font = Dictionary::new();
        font.set("Type", Object::Name(b"Font".to_vec()));
        font.set("Subtype", Object::Name(if self.is_true_type { b"TrueType".to_vec() } else { b"Type1".to_vec() }));
        font.set("BaseFont", Object::Name(self.core_font.into()));
        if let Some(encoding) = self.encoding {
            font.set("Encoding", Object::Dictionary(encoding.clone()));
        }
        let mut document = Document::new();
        if let Some(program) = self.program {
            let mut dictionary = Dictionary::new();
            dictionary.set("Subtype", Object::Name(b"Type1C".to_vec()));
            document.objects.insert((6, 0), Object::Stream(Stream::new(dictionary, program)));
            let mut descriptor = Dictionary::new();
            descriptor.set("FontFile3", Object::Reference((6, 0)));
            font.set("FontDescriptor", Object::Dictionary(descriptor));
        }
        let shown: String = (0..=u8::MAX).map(|code| format!("<{code:02x}> Tj ")).collect();
        document.objects.insert(
            (4, 0),
            Object::Stream(Stream::new(Dictionary::new(), format!("BT /F 1 Tf {shown}ET").into_bytes())),
        );
        document.objects.insert((3, 0), Object::Dictionary(page(font)));
        document.objects.insert(
            (2, 0),
            Object::Dictionary(entries([
                ("Type", name("Pages")),
                ("Kids", Object::Array(vec![Object::Reference((3, 0))])),
                ("Count", Object::Integer(1)),
            ])),
        );
        document.objects.insert(
            (1, 0),
            Object::Dictionary(entries([("Type", name("Catalog")), ("Pages", Object::Reference((2, 0)))])),
        );
        document.trailer.set("Root", Object::Reference((1, 0)));
        let mut answer = Answer(Vec::with_capacity(256));
        let asked = catch_unwind(AssertUnwindSafe(|| output_doc_page(&document, &mut answer, 1).is_ok()));
        (asked.unwrap_or(false) && answer.0.len() == 256).then_some(answer.0)
    }
}

fn page(font: Dictionary) -> Dictionary {
    let fonts = entries([("F", Object::Dictionary(font))]);
    let size = [0, 0, 612, 792].map(Object::Integer).to_vec();
    entries([
        ("Type", name("Page")),
        ("Parent", Object::Reference((2, 0))),
        ("MediaBox", Object::Array(size)),
        ("Resources", Object::Dictionary(entries([("Font", Object::Dictionary(fonts))]))),
        ("Contents", Object::Reference((4, 0))),
    ])
}

fn name(name: &str) -> Object {
    Object::Name(name.as_bytes().to_vec())
}

fn entries<const N: usize>(entries: [(&str, Object); N]) -> Dictionary {
    let mut dictionary = Dictionary::new();
    for (key, value) in entries {
        dictionary.set(key, value);
    }
    dictionary
}

/// The text and width of each shown code.
struct Answer(Vec<(String, f32)>);

impl OutputDev for Answer {
    fn begin_page(&mut self, _: u32, _: &MediaBox, _: Option<(f64, f64, f64, f64)>) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn output_character(
        &mut self,
        _: &Transform,
        width: f64,
        _: f64,
        _: f64,
        character: &str,
    ) -> Result<(), OutputError> {
        let text = character.chars().filter(|character| !character.is_control()).collect();
        self.0.push((text, if width > 0.0 { (width * 1_000.0) as f32 } else { WIDTH_DEFAULT }));
        Ok(())
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

/// Names of glyphs that state their text themselves, which the library's list does not cover: `uni20AC`, `u1F600`, `f_i`,
/// `a.small`.
fn glyph_names(encoding: Option<&Dictionary>) -> Vec<(usize, String)> {
    let differences = encoding.and_then(|encoding| encoding.get(b"Differences").ok()?.as_array().ok());
    let pairs = differences.map_or(&[][..], Vec::as_slice).chunks_exact(2);
    let texts = pairs.filter_map(|pair| {
        let [Object::Integer(code), Object::Name(name)] = pair else { return None };
        Some((usize::try_from(*code).ok()?, text_of_name(std::str::from_utf8(name).ok()?)?))
    });
    texts.collect()
}

fn text_of_name(name: &str) -> Option<String> {
    let (base, suffix) = name.split_once('.').unwrap_or((name, ""));
    let from_code = |digits: &str| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).map(String::from);
    if let Some(digits) = base.strip_prefix("uni").filter(|digits| digits.len() == 4) {
        return from_code(digits);
    }
    if let Some(digits) = base.strip_prefix('u').filter(|digits| (4..=6).contains(&digits.len())) {
        return from_code(digits);
    }
    // Only single letters can be told without the list of names.
    let parts: Vec<&str> = base.split('_').collect();
    let composed = parts.len() > 1 || !suffix.is_empty();
    (composed && parts.iter().all(|part| part.len() == 1 && part.is_ascii())).then(|| parts.concat())
}

/// The widths that the font states; the standard fonts state none.
fn set_widths(file: &File<'_>, font: &Dictionary, descriptor: &Dictionary, table: &mut [(String, f32)]) {
    let widths = file.get(font, b"Widths");
    let Ok(widths) = widths.as_array() else { return };
    let first = file.get(font, b"FirstChar").as_i64().ok().and_then(|first| usize::try_from(first).ok()).unwrap_or(0);
    // The glyphs of a Type 3 font have a space of their own, usually also of a thousand units.
    let matrix = file.get(font, b"FontMatrix");
    let scale = matrix
        .as_array()
        .ok()
        .and_then(|matrix| float(&file.resolve(matrix.first()?)))
        .map_or(1.0, |scale| (scale * 1_000.0).abs());
    let missing = float(&file.get(descriptor, b"MissingWidth")).map(|width| width as f32);
    for (code, entry) in table.iter_mut().enumerate() {
        let width =
            code.checked_sub(first).and_then(|index| widths.get(index)).and_then(|width| float(&file.resolve(width)));
        entry.1 = match width {
            Some(width) => (width * scale) as f32,
            None => missing.unwrap_or(entry.1),
        };
    }
}

fn is_symbol_font(name: &str) -> bool {
    matches!(name, "Symbol" | "ZapfDingbats")
}

/// The standard font that is nearest to a name.
fn core_font(name: &str) -> &'static str {
    let lower = name.to_lowercase();
    let is_bold = lower.contains("bold");
    match () {
        () if is_symbol_font(name) => {
            if name == "Symbol" {
                "Symbol"
            } else {
                "ZapfDingbats"
            }
        }
        () if lower.contains("courier") || lower.contains("mono") => "Courier",
        () if lower.contains("times") || lower.contains("serif") || lower.contains("roman") => {
            if is_bold {
                "Times-Bold"
            } else {
                "Times-Roman"
            }
        }
        () => {
            if is_bold {
                "Helvetica-Bold"
            } else {
                "Helvetica"
            }
        }
    }
}
