use super::super::{Limits, ParseError};

/// Lines of a whole file. A line takes about 100 bytes, so this bounds the memory of pages that place every letter alone.
const LINES_MAX: usize = 1_000_000;
/// A gap wider than this part of the font size is a space.
const SPACE_GAP: f64 = 0.13;
/// Characters further apart than this part of the font size across the line are on different lines. Raised and lowered
/// signs stay on theirs.
const BASELINE_TOLERANCE: f64 = 0.5;

/// A character where a page shows it. Coordinates are in the space of the page, y upwards.
pub(super) struct Glyph<'a> {
    pub(super) text: &'a str,
    pub(super) position: (f64, f64),
    /// Along the line; any length.
    pub(super) direction: (f64, f64),
    /// How far the character reaches along the line.
    pub(super) advance: f64,
    /// The font size.
    pub(super) size: f64,
    pub(super) is_bold: bool,
    pub(super) is_monospaced: bool,
}

/// A line of text as it stands on the page, in a frame along its own direction.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) page: u32,
    pub(super) text: String,
    pub(super) direction: (f64, f64),
    /// Where it starts and ends along its direction.
    pub(super) start: f64,
    pub(super) end: f64,
    /// How high it stands across its direction.
    pub(super) baseline: f64,
    /// The font size of most of its characters.
    pub(super) size: f64,
    /// By how many characters this size is ahead of others.
    size_lead: usize,
    pub(super) is_bold: bool,
    pub(super) is_monospaced: bool,
    /// Where the last character starts, to drop the copies by which some programs fake bold type.
    last_start: f64,
}

/// Puts characters together to lines in the order of the content, which is the reading order in nearly all files.
pub(super) struct Lines {
    pub(super) lines: Vec<Line>,
    page: u32,
    text_bytes: usize,
    text_bytes_max: usize,
    pending_space: bool,
    /// Characters whose font does not say what they are.
    pub(super) unreadable: usize,
}

impl Lines {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            lines: Vec::new(),
            page: 0,
            text_bytes: 0,
            text_bytes_max: limits.text_bytes_max,
            pending_space: false,
            unreadable: 0,
        }
    }

    pub(super) fn start_page(&mut self, page: u32) {
        self.page = page;
        self.pending_space = false;
    }

    pub(super) fn add(&mut self, glyph: Glyph<'_>) -> Result<(), ParseError> {
        if glyph.text.is_empty() {
            self.unreadable += 1;
            return Ok(());
        }
        if glyph.text.trim().is_empty() {
            self.pending_space = true;
            return Ok(());
        }
        let length = glyph.direction.0.hypot(glyph.direction.1);
        let usable = length.is_normal()
            && glyph.size.is_normal()
            && glyph.position.0.is_finite()
            && glyph.position.1.is_finite()
            && glyph.advance.is_finite();
        if !usable {
            return Ok(());
        }
        self.text_bytes += glyph.text.len() + 1;
        if self.text_bytes > self.text_bytes_max * 2 {
            return Err(ParseError::TooLarge { what: "bytes of text", limit: self.text_bytes_max as u64 });
        }
        let direction = (glyph.direction.0 / length, glyph.direction.1 / length);
        let had_space = std::mem::take(&mut self.pending_space);
        let page = self.page;
        if let Some(line) = self.lines.last_mut().filter(|line| line.page == page) {
            let start = glyph.position.0 * line.direction.0 + glyph.position.1 * line.direction.1;
            match line.fit(&glyph, direction, start) {
                Fit::Copy => return Ok(()),
                Fit::Next => {
                    if had_space || start - line.end > glyph.size * SPACE_GAP {
                        line.text.push(' ');
                    }
                    line.text.push_str(glyph.text);
                    line.end = line.end.max(start + glyph.advance);
                    line.last_start = start;
                    line.vote_size(glyph.size);
                    line.is_bold &= glyph.is_bold;
                    line.is_monospaced &= glyph.is_monospaced;
                    return Ok(());
                }
                Fit::Other => {}
            }
        }
        if self.lines.len() >= LINES_MAX {
            return Err(ParseError::TooLarge { what: "lines of text", limit: LINES_MAX as u64 });
        }
        self.lines.push(Line::new(page, &glyph, direction));
        Ok(())
    }
}

/// How a character relates to the line before it.
enum Fit {
    /// It continues the line.
    Next,
    /// It is the last character again, a little aside.
    Copy,
    /// It starts another line.
    Other,
}

impl Line {
    fn new(page: u32, glyph: &Glyph<'_>, direction: (f64, f64)) -> Self {
        let (x, y) = glyph.position;
        let start = x * direction.0 + y * direction.1;
        Self {
            page,
            text: glyph.text.to_owned(),
            direction,
            start,
            end: start + glyph.advance,
            baseline: y * direction.0 - x * direction.1,
            size: glyph.size,
            size_lead: 1,
            is_bold: glyph.is_bold,
            is_monospaced: glyph.is_monospaced,
            last_start: start,
        }
    }

    /// Keeps the size that most characters have, whatever the first one (often a bullet) has.
    fn vote_size(&mut self, size: f64) {
        if (size - self.size).abs() < 0.05 {
            self.size_lead += 1;
        } else if self.size_lead == 0 {
            (self.size, self.size_lead) = (size, 1);
        } else {
            self.size_lead -= 1;
        }
    }

    /// Whether this is the same text at nearly the same place.
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() < self.size * 0.3;
        self.page == other.page
            && self.text == other.text
            && near(self.start, other.start)
            && near(self.baseline, other.baseline)
    }

    fn fit(&self, glyph: &Glyph<'_>, direction: (f64, f64), start: f64) -> Fit {
        let parallel = direction.0 * self.direction.0 + direction.1 * self.direction.1 > 0.99;
        let baseline = glyph.position.1 * self.direction.0 - glyph.position.0 * self.direction.1;
        let size = self.size.max(glyph.size);
        if !parallel || (baseline - self.baseline).abs() > size * BASELINE_TOLERANCE {
            return Fit::Other;
        }
        if (start - self.last_start).abs() < size * 0.15
            && self.text.ends_with(glyph.text)
            && start < self.end - glyph.advance * 0.5
        {
            return Fit::Copy;
        }
        if start < self.end - size * 0.6 { Fit::Other } else { Fit::Next }
    }
}
