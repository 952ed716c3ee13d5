use std::collections::BTreeMap;

use super::super::{BlockKind, ParseError, builder::TextBuilder};
use super::lines::Line;

/// Type larger than the body's by this factor makes a heading.
const HEADING_RATIO: f64 = 1.12;
/// Longer runs of large type are not headings.
const HEADING_CHARACTERS_MAX: usize = 200;
/// Longer runs of bold type in the body's size are emphasis, not headings.
const BOLD_HEADING_CHARACTERS_MAX: usize = 120;
/// Characters that begin the items of lists.
const BULLETS: [char; 12] = ['•', '‣', '◦', '▪', '▫', '●', '○', '■', '□', '–', '➢', '\u{f0b7}'];

/// Lines that belong together.
struct Paragraph {
    page: u32,
    text: String,
    lines: usize,
    size: f64,
    is_bold: bool,
    is_monospaced: bool,
    is_item: bool,
    first_start: f64,
    /// Where the longest line ends.
    end: f64,
    last: Line,
}

/// Adds the lines of a document as headings, paragraphs, list items and code.
pub(super) fn push_all(lines: &[Line], builder: &mut TextBuilder<'_>) -> Result<(), ParseError> {
    let body = commonest(lines.iter().map(|line| (half_points(line.size), line.text.len())));
    let leadings = lines.windows(2).filter_map(|pair| match pair {
        [above, below] if above.page == below.page && half_points(above.size) == half_points(below.size) => {
            let leading = (above.baseline - below.baseline) / above.size;
            (leading > 0.5 && leading < 4.0).then_some(((leading * 20.0).round() as i64, 1))
        }
        _ => None,
    });
    let leading = (commonest(leadings) as f64 / 20.0).max(1.0);
    let paragraphs = join_lines(lines, leading);
    let levels = heading_levels(&paragraphs, body);
    let body_is_bold = commonest(lines.iter().map(|line| (i64::from(line.is_bold), line.text.len()))) == 1;
    for (index, paragraph) in paragraphs.iter().enumerate() {
        let on_edge = |other: Option<&Paragraph>| other.is_none_or(|other| other.page != paragraph.page);
        let is_edge = on_edge(index.checked_sub(1).and_then(|before| paragraphs.get(before))) || on_edge(paragraphs.get(index + 1));
        if is_edge && is_page_number(&paragraph.text) {
            continue;
        }
        builder.set_page(paragraph.page);
        builder.push(paragraph.kind(body, body_is_bold, &levels), &readable(&paragraph.text))?;
    }
    Ok(())
}

/// A font size in half points, so that nearly equal sizes count as one.
fn half_points(size: f64) -> i64 {
    (size * 2.0).round() as i64
}

/// The value with the greatest weight in total; 0 of nothing.
fn commonest(values: impl Iterator<Item = (i64, usize)>) -> i64 {
    let mut weights: BTreeMap<i64, usize> = BTreeMap::new();
    for (value, weight) in values {
        *weights.entry(value).or_default() += weight;
    }
    weights.into_iter().max_by_key(|(_, weight)| *weight).map_or(0, |(value, _)| value)
}

fn join_lines(lines: &[Line], leading: f64) -> Vec<Paragraph> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    for line in lines {
        match paragraphs.last_mut() {
            Some(paragraph) if paragraph.continues_with(line, leading) => paragraph.append(line),
            _ => paragraphs.push(Paragraph::new(line)),
        }
    }
    paragraphs
}

/// The level of each size of type above the body's, the largest first.
fn heading_levels(paragraphs: &[Paragraph], body: i64) -> BTreeMap<i64, u8> {
    let headings = paragraphs.iter().filter(|paragraph| paragraph.is_large(body));
    let mut sizes: Vec<i64> = headings.map(|paragraph| half_points(paragraph.size)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    sizes.into_iter().zip((1..=6_u8).chain(std::iter::repeat(6))).collect()
}

impl Paragraph {
    fn new(line: &Line) -> Self {
        Self {
            page: line.page,
            text: line.text.clone(),
            lines: 1,
            size: line.size,
            is_bold: line.is_bold,
            is_monospaced: line.is_monospaced,
            is_item: starts_item(&line.text),
            first_start: line.start,
            end: line.end,
            last: line.clone(),
        }
    }

    fn append(&mut self, line: &Line) {
        let hyphenated = hyphenated(&self.text, &line.text);
        if self.is_monospaced {
            self.text.push('\n');
        } else if hyphenated {
            self.text.pop();
        } else if !self.text.ends_with(['-', '\u{2010}', '/']) || ends_with_dash(&self.text) {
            self.text.push(' ');
        }
        self.text.push_str(&line.text);
        self.lines += 1;
        self.is_bold &= line.is_bold;
        self.end = self.end.max(line.end);
        self.last = line.clone();
    }

    fn continues_with(&self, line: &Line, leading: f64) -> bool {
        let last = &self.last;
        let parallel = last.direction.0 * line.direction.0 + last.direction.1 * line.direction.1 > 0.99;
        if self.page != line.page || !parallel || self.is_monospaced != line.is_monospaced {
            return false;
        }
        if (line.size - last.size).abs() > last.size * 0.1 || (self.is_bold && !line.is_bold && self.lines < 3) {
            return false;
        }
        let drop = (last.baseline - line.baseline) / last.size;
        if drop <= 0.0 || drop > leading * 3.0 {
            // Another column or the next page of a spread: only a sentence that is plainly unfinished goes on there.
            return drop <= 0.0 && hyphenated(&self.text, &line.text);
        }
        if drop > leading * 1.25 + 0.1 {
            return false;
        }
        self.is_monospaced || !self.starts_new_paragraph(line)
    }

    /// Whether a line at the usual distance begins a new paragraph all the same.
    fn starts_new_paragraph(&self, line: &Line) -> bool {
        let size = self.last.size;
        let sentence_ended = self.text.ends_with(['.', '!', '?', ':', '…', '”', '"', ')']);
        if starts_item(&line.text) && line.start <= self.first_start + size * 3.0 && (self.is_item || sentence_ended || starts_with_bullet(&line.text)) {
            return true;
        }
        // A first line that is indented.
        let indented = line.start > self.last.start + size * 0.8;
        if indented && sentence_ended && !(self.is_item && self.lines == 1) {
            return true;
        }
        // The body of a list ends where a line stands left of it.
        if self.is_item && line.start < self.last.start - size * 0.8 && (self.lines > 1 || sentence_ended) {
            return true;
        }
        // The last line of a paragraph leaves room for the word that comes next.
        let first_word = line.text.split(' ').next().unwrap_or_default().chars().count() as f64 * size * 0.5;
        sentence_ended && self.end.max(line.end) - self.last.end > first_word + size
    }

    fn is_large(&self, body: i64) -> bool {
        self.size * 2.0 > body as f64 * HEADING_RATIO && self.text.chars().count() <= HEADING_CHARACTERS_MAX && self.lines <= 4 && !self.is_monospaced
    }

    fn kind(&self, body: i64, body_is_bold: bool, levels: &BTreeMap<i64, u8>) -> BlockKind {
        let has_letters = self.text.chars().any(char::is_alphabetic);
        if self.is_large(body) && has_letters {
            return BlockKind::Heading { level: levels.get(&half_points(self.size)).copied().unwrap_or(1) };
        }
        let is_bold_heading = self.is_bold
            && !body_is_bold
            && has_letters
            && !self.is_item_text()
            && self.lines <= 2
            && half_points(self.size) >= body - 1
            && self.text.chars().count() <= BOLD_HEADING_CHARACTERS_MAX
            && !self.text.ends_with(['.', ',', ';', ':']);
        if is_bold_heading {
            let level = u8::try_from(levels.len() + 1).unwrap_or(6).min(6);
            return BlockKind::Heading { level };
        }
        match (self.is_monospaced, self.is_item) {
            (true, _) => BlockKind::Code,
            (false, true) => BlockKind::ListItem,
            (false, false) => BlockKind::Paragraph,
        }
    }

    /// An item by its bullet; a bold line with a number may be a heading such as "2. Results".
    fn is_item_text(&self) -> bool {
        starts_with_bullet(&self.text)
    }
}

fn starts_with_bullet(text: &str) -> bool {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(bullet), Some(' ')) => BULLETS.contains(&bullet) || bullet == '-' || bullet == '*',
        (Some(bullet), None) => BULLETS.contains(&bullet),
        _ => false,
    }
}

/// Whether a line begins with a bullet or with a number such as `3.`, `3)` or `(a)`.
fn starts_item(text: &str) -> bool {
    if starts_with_bullet(text) {
        return true;
    }
    let Some((marker, _)) = text.split_once(' ') else { return false };
    let inner = marker.trim_start_matches('(');
    let Some(label) = inner.strip_suffix(['.', ')']) else { return false };
    let is_number = label.len() <= 3 && !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
    let is_letter = label.len() == 1 && label.bytes().all(|byte| byte.is_ascii_lowercase()) && marker.ends_with(')');
    is_number || is_letter
}

/// Whether a word is divided between two lines.
fn hyphenated(above: &str, below: &str) -> bool {
    let mut end = above.chars().rev();
    let divided = matches!(end.next(), Some('-' | '\u{2010}' | '\u{ad}')) && end.next().is_some_and(char::is_lowercase);
    divided && below.chars().next().is_some_and(char::is_lowercase)
}

/// Whether the text ends with a dash that stands alone.
fn ends_with_dash(text: &str) -> bool {
    text.ends_with(" -") || text.ends_with("--")
}

fn is_page_number(text: &str) -> bool {
    let text = text.trim_matches(['-', '–', ' ']);
    (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Ligatures as letters, so that words can be found, and bullets of symbol fonts as bullets.
fn readable(text: &str) -> String {
    let mut readable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{fb00}' => readable.push_str("ff"),
            '\u{fb01}' => readable.push_str("fi"),
            '\u{fb02}' => readable.push_str("fl"),
            '\u{fb03}' => readable.push_str("ffi"),
            '\u{fb04}' => readable.push_str("ffl"),
            '\u{fb05}' | '\u{fb06}' => readable.push_str("st"),
            '\u{f0b7}' | '\u{f0a7}' => readable.push('•'),
            '\u{a0}' => readable.push(' '),
            character => readable.push(character),
        }
    }
    readable
}
