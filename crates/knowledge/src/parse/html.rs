mod blocks;
mod tokens;

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use scraper::Html;

use super::{BlockKind, Limits, ParseError, Parsed, builder::TextBuilder, text};
use blocks::{Blocks, Segment, collect};

/// A page states its encoding within this many bytes.
const CHARSET_BYTES: usize = 2_048;
/// Separates texts while their character references are resolved together; it never occurs in them.
const SEPARATOR: char = '\u{1}';

/// A web page: its main content where the page marks it, without navigation, scripts and forms.
pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let markup = decode(bytes)?;
    let mut page = collect(&markup, true, limits)?;
    if page.segments.is_empty() {
        // Everything stood in parts that are usually decoration, or one of them was never closed.
        page = collect(&markup, false, limits)?;
    }
    let Blocks { segments, title } = page;
    let mut segments = main_content(segments);
    let mut texts: Vec<String> = segments.iter_mut().map(|segment| std::mem::take(&mut segment.text)).collect();
    texts.push(title.unwrap_or_default());
    let mut texts = resolve_references(texts);
    let title = texts.pop().filter(|title| !title.trim().is_empty());
    let mut builder = TextBuilder::new(limits);
    for (segment, text) in segments.iter().zip(&texts) {
        builder.push(segment.kind, text)?;
    }
    let first_heading = builder.first_text(|kind| kind == BlockKind::Heading { level: 1 }).map(str::to_owned);
    Ok(builder.finish(title.or(first_heading)))
}

/// Adds the text of a piece of markup, such as an HTML block within Markdown.
pub(super) fn push_fragment(markup: &str, builder: &mut TextBuilder<'_>, limits: &Limits) -> Result<(), ParseError> {
    let mut segments = collect(markup, false, limits)?.segments;
    let texts = resolve_references(segments.iter_mut().map(|segment| std::mem::take(&mut segment.text)).collect());
    segments.iter().zip(&texts).try_for_each(|(segment, text)| builder.push(segment.kind, text))
}

/// The encoding that a byte order mark or `<meta charset>` states, otherwise as for plain text.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, ParseError> {
    let marked = [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| bytes.starts_with(mark));
    match stated_encoding(bytes) {
        Some(encoding) if !marked && encoding != UTF_8 => {
            let (text, malformed) = encoding.decode_without_bom_handling(bytes);
            if malformed {
                return Err(ParseError::NotText {
                    detail: format!("the page states the encoding {}, but is not valid in it", encoding.name()),
                });
            }
            Ok(text)
        }
        _ => text::decode(bytes),
    }
}

fn stated_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..bytes.len().min(CHARSET_BYTES))?.to_ascii_lowercase();
    let key = b"charset=";
    let start = head.windows(key.len()).position(|window| window == key)? + key.len();
    let label: Vec<u8> = head
        .get(start..)?
        .iter()
        .copied()
        .skip_while(|byte| matches!(byte, b'"' | b'\'' | b' '))
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(byte))
        .collect();
    // A page that could be read as ASCII up to here is not UTF-16, whatever it states.
    Encoding::for_label(&label).map(|encoding| if encoding.is_ascii_compatible() { encoding } else { UTF_8 })
}

/// What stands in `<main>`; without one, what stands in `<article>` if that is most of the page; otherwise everything.
fn main_content(segments: Vec<Segment>) -> Vec<Segment> {
    if segments.iter().any(|segment| segment.in_main) {
        return segments.into_iter().filter(|segment| segment.in_main).collect();
    }
    let length = |in_article: bool| -> usize {
        segments.iter().filter(|segment| segment.in_article == in_article).map(|segment| segment.text.len()).sum()
    };
    if length(true) > length(false) {
        segments.into_iter().filter(|segment| segment.in_article).collect()
    } else {
        segments
    }
}

/// Resolves character references such as `&eacute;` by the rules of HTML, all texts in one go.
fn resolve_references(mut texts: Vec<String>) -> Vec<String> {
    let with_references: Vec<usize> =
        texts.iter().enumerate().filter(|(_, text)| text.contains('&')).map(|(index, _)| index).collect();
    if with_references.is_empty() {
        return texts;
    }
    let mut joined = String::new();
    for index in &with_references {
        let Some(text) = texts.get(*index) else { continue };
        for character in text.chars() {
            match character {
                '<' => joined.push_str("&lt;"),
                SEPARATOR | '\0' => {}
                character => joined.push(character),
            }
        }
        joined.push(SEPARATOR);
    }
    let resolved: String = Html::parse_fragment(&joined).root_element().text().collect();
    for (index, text) in with_references.iter().zip(resolved.split(SEPARATOR)) {
        if let Some(place) = texts.get_mut(*index) {
            text.clone_into(place);
        }
    }
    texts
}
