use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::{BlockKind, ParseError, builder::TextBuilder};
use super::lines::Line;

/// Type larger than the body's by this factor makes a heading.
const HEADING_RATIO: f64 = 1.12;
/// Longer runs of large type are not headings.
const HEADING_CHARACTERS_MAX: usize = 200;
/// Longer runs of bold type in the body's size are emphasis, not headings.
const BOLD_HEADING_CHARACTERS_MAX: usize = 120;
/// Lines at the top and at the bottom of a page that may be a running header or footer.
const EDGE_LINES: usize = 2;
/// On how many pages a line has to stand at the same height of the edge to be taken for a running one.
const RUNNING_PAGES_MIN: usize = 3;
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
pub(super) fn push_all(lines: Vec<Line>, builder: &mut TextBuilder<'_>) -> Result<(), ParseError> {
    let lines = without_running_lines(lines);
    let body = commonest(lines.iter().map(|line| (half_points(line.size), line.text.len())));
    let leadings = lines.windows(2).filter_map(|pair| match pair {
        [above, below] if above.page == below.page && half_points(above.size) == half_points(below.size) => {
            let leading = (above.baseline - below.baseline) / above.size;
            (leading > 0.5 && leading < 4.0).then_some(((leading * 20.0).round() as i64, 1))
        }
        _ => None,
    });
    let leading = (commonest(leadings) as f64 / 20.0).max(1.0);
    let paragraphs = join_lines(&lines, Layout { body, leading });
    let levels = heading_levels(&paragraphs, body);
    let body_is_bold = commonest(lines.iter().map(|line| (i64::from(line.is_bold), line.text.len()))) == 1;
    for paragraph in &paragraphs {
        builder.set_page(paragraph.page);
        builder.push(paragraph.kind(body, body_is_bold, &levels), &readable(&paragraph.text))?;
    }
    Ok(())
}

/// Leaves out page numbers, and headers and footers that return on many pages: they would stand in the middle of sentences
/// that go on from one page to the next. The first of each is kept. Also leaves out the copies by which some programs fake bold
/// type.
fn without_running_lines(mut lines: Vec<Line>) -> Vec<Line> {
    lines.dedup_by(|next, line| next.is_copy_of(line));
    let mut edges: Vec<(usize, (String, i64))> = Vec::new();
    let mut start = 0;
    for page in lines.chunk_by(|a, b| a.page == b.page) {
        let is_edge = |index: usize| index < EDGE_LINES || index + EDGE_LINES >= page.len();
        let of_page = page.iter().enumerate().filter(|(index, _)| is_edge(*index));
        edges.extend(of_page.map(|(index, line)| {
            let letters: String = line.text.chars().filter(|c| c.is_alphabetic()).collect();
            (start + index, (letters, line.baseline.round() as i64))
        }));
        start += page.len();
    }
    let mut counts: HashMap<&(String, i64), usize> = HashMap::new();
    edges.iter().for_each(|(_, key)| *counts.entry(key).or_default() += 1);
    let mut seen = HashSet::new();
    let mut dropped = HashSet::new();
    for (index, key) in &edges {
        let has_letters = !key.0.is_empty();
        let returns = counts.get(key).is_some_and(|count| *count >= RUNNING_PAGES_MIN) && !seen.insert(key);
        let is_number = !has_letters && lines.get(*index).is_some_and(|line| is_page_number(&line.text));
        if is_number || (returns && has_letters) {
            dropped.insert(*index);
        }
    }
    let mut index = 0;
    lines.retain(|_| {
        index += 1;
        !dropped.contains(&(index - 1))
    });
    lines
}

fn is_page_number(text: &str) -> bool {
    let text = text.trim_matches(['-', '–', ' ']);
    (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What most of the document looks like.
#[derive(Clone, Copy)]
struct Layout {
    /// The font size of the body, in half points.
    body: i64,
    /// From one line to the next, as a multiple of the font size.
    leading: f64,
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

fn join_lines(lines: &[Line], layout: Layout) -> Vec<Paragraph> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    for line in lines {
        match paragraphs.last_mut() {
            Some(paragraph) if paragraph.continues_with(line, layout) => paragraph.append(line),
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
            // Characters of equal width tell how far a line was indented.
            let indent = ((line.start - self.first_start) / (line.size * 0.6)).round().clamp(0.0, 40.0) as usize;
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', indent));
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

    fn continues_with(&self, line: &Line, Layout { body, leading }: Layout) -> bool {
        let last = &self.last;
        let parallel = last.direction.0 * line.direction.0 + last.direction.1 * line.direction.1 > 0.99;
        if !parallel || self.is_monospaced != line.is_monospaced {
            return false;
        }
        if (line.size - last.size).abs() > last.size * 0.1 || (self.is_bold && !line.is_bold && self.lines < 3) {
            return false;
        }
        let unfinished = hyphenated(&self.text, &line.text)
            || (self.text.ends_with(|c: char| c.is_alphanumeric() || c == ',')
                && line.text.starts_with(char::is_lowercase)
                && !starts_item(&line.text));
        if last.page != line.page {
            return last.page + 1 == line.page && unfinished && !self.is_monospaced && !self.is_large(body);
        }
        let drop = (last.baseline - line.baseline) / last.size;
        if drop <= 0.0 || drop > leading * 3.0 {
            // Another column: only a sentence that is plainly unfinished goes on there.
            return drop <= 0.0 && unfinished && !self.is_monospaced && !self.is_large(body);
        }
        if self.is_large(body) {
            // Two headings may follow one another; the lines of one are set close and begin or stand centered alike.
            let center = |line: &Line| (line.start + line.end) / 2.0;
            let aligned = (last.start - line.start).abs() < last.size * 0.5
                || (center(last) - center(line)).abs() < last.size * 0.5;
            return drop < 1.45 && aligned;
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
        if starts_item(&line.text)
            && line.start <= self.first_start + size * 3.0
            && (self.is_item || sentence_ended || starts_with_bullet(&line.text))
        {
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
        self.size * 2.0 > body as f64 * HEADING_RATIO
            && self.text.chars().count() <= HEADING_CHARACTERS_MAX
            && self.lines <= 4
            && !self.is_monospaced
    }

    fn kind(&self, body: i64, body_is_bold: bool, levels: &BTreeMap<i64, u8>) -> BlockKind {
        // A row of dots belongs to a table of contents.
        let is_wording =
            self.text.chars().any(char::is_alphabetic) && !self.text.contains(". . .") && !self.text.contains("....");
        if self.is_large(body) && is_wording {
            return BlockKind::Heading { level: levels.get(&half_points(self.size)).copied().unwrap_or(1) };
        }
        let is_bold_heading = self.is_bold
            && !body_is_bold
            && is_wording
            && !starts_with_bullet(&self.text)
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

/// Ligatures as letters, so that words can be found; bullets of symbol fonts as bullets; rows of dots, as tables of
/// contents have them, as three.
fn readable(text: &str) -> String {
    let mut readable = String::with_capacity(text.len());
    let mut dots = 0;
    for character in text.chars() {
        match character {
            '.' => dots += 1,
            ' ' if dots > 0 => {}
            _ => dots = 0,
        }
        if dots > 3 {
            continue;
        }
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
