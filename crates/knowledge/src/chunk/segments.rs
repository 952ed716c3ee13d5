use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::parse::BlockKind;

use super::ChunkOptions;

/// A piece longer than this many bytes for each allowed token is not counted before it is divided: it is surely too long.
const BYTES_PER_TOKEN_MAX: usize = 32;
/// The search for the end of a sentence looks ahead over characters that are neither letters nor digits; it is not led over
/// more than this many.
const GAP_MAX: usize = 64;
/// Words are put together up to this part of a passage.
const WORDS_PART: usize = 8;

/// A piece of a block that is not divided any more.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Byte offsets into the document's text.
    pub(super) range: Range<usize>,
    pub(super) tokens: usize,
}

/// Where to divide, from gentle to rough.
#[derive(Clone, Copy)]
enum Level {
    Sentences,
    Lines,
    Words,
    Characters,
}

/// Divides a block into pieces of at most [`ChunkOptions::max_tokens`]: sentences for prose, lines for code and tables, and
/// smaller where one of them alone is too long. Together the pieces cover the block.
pub(super) fn split(text: &str, offset: usize, kind: BlockKind, options: &ChunkOptions, count_tokens: &dyn Fn(&str) -> usize) -> Vec<Segment> {
    let level = match kind {
        BlockKind::Code | BlockKind::TableRow => Level::Lines,
        BlockKind::Heading { .. } | BlockKind::Paragraph | BlockKind::ListItem => Level::Sentences,
    };
    let mut splitter = Splitter { max_tokens: options.max_tokens.max(1), count_tokens, segments: Vec::new() };
    splitter.split(text, offset, level);
    splitter.segments
}

struct Splitter<'a> {
    max_tokens: usize,
    count_tokens: &'a dyn Fn(&str) -> usize,
    segments: Vec<Segment>,
}

impl Splitter<'_> {
    fn split(&mut self, text: &str, offset: usize, level: Level) {
        match level {
            Level::Sentences => sentences(text, &mut |piece, start| self.piece(piece, offset + start, Level::Lines)),
            Level::Lines => {
                let mut start = offset;
                for line in text.split_inclusive('\n') {
                    self.piece(line, start, Level::Words);
                    start += line.len();
                }
            }
            Level::Words => self.words(text, offset),
            Level::Characters => self.characters(text, offset),
        }
    }

    /// Keeps a piece if it is short enough, and divides it otherwise.
    fn piece(&mut self, text: &str, offset: usize, next: Level) {
        if text.len() <= self.max_tokens.saturating_mul(BYTES_PER_TOKEN_MAX) {
            let tokens = (self.count_tokens)(text);
            if tokens <= self.max_tokens {
                self.segments.push(Segment { range: offset..offset + text.len(), tokens });
                return;
            }
        }
        self.split(text, offset, next);
    }

    fn words(&mut self, text: &str, offset: usize) {
        let group_max = (self.max_tokens / WORDS_PART).max(1);
        let mut group: Option<Segment> = None;
        for (start, word) in text.split_word_bound_indices() {
            let start = offset + start;
            let is_short = word.len() <= self.max_tokens.saturating_mul(BYTES_PER_TOKEN_MAX);
            let tokens = if is_short { (self.count_tokens)(word) } else { usize::MAX };
            if tokens > self.max_tokens {
                self.segments.extend(group.take());
                self.split(word, start, Level::Characters);
                continue;
            }
            match &mut group {
                Some(group) if group.tokens + tokens <= group_max => {
                    group.tokens += tokens;
                    group.range.end = start + word.len();
                }
                _ => self.segments.extend(group.replace(Segment { range: start..start + word.len(), tokens })),
            }
        }
        self.segments.extend(group);
    }

    /// Pieces of as many characters as tokens are allowed, halved where a character has several tokens.
    fn characters(&mut self, text: &str, offset: usize) {
        let mut start = offset;
        let mut rest = text;
        while !rest.is_empty() {
            let cut = rest.char_indices().nth(self.max_tokens).map_or(rest.len(), |(cut, _)| cut);
            let (piece, after) = rest.split_at_checked(cut).unwrap_or((rest, ""));
            self.halves(piece, start);
            start += piece.len();
            rest = after;
        }
    }

    fn halves(&mut self, text: &str, offset: usize) {
        let tokens = (self.count_tokens)(text);
        let middle = (text.len() / 2..text.len()).find(|middle| *middle > 0 && text.is_char_boundary(*middle));
        match middle.and_then(|middle| text.split_at_checked(middle)) {
            Some((left, right)) if tokens > self.max_tokens => {
                self.halves(left, offset);
                self.halves(right, offset + left.len());
            }
            _ => self.segments.push(Segment { range: offset..offset + text.len(), tokens }),
        }
    }
}

/// Calls `visit` with each sentence and where it starts. A line break within a paragraph does not end a sentence, but is
/// often where a text was wrapped.
fn sentences(text: &str, visit: &mut dyn FnMut(&str, usize)) {
    let unwrapped = text.replace('\n', " ");
    let mut window_start = 0;
    for window in windows(&unwrapped) {
        for (start, sentence) in window.split_sentence_bound_indices() {
            let start = window_start + start;
            // A line break and a space have one byte each, so the offsets are the same.
            if let Some(original) = text.get(start..start + sentence.len()) {
                visit(original, start);
            }
        }
        window_start += window.len();
    }
}

/// Divides a text wherever neither letter nor digit comes for long, which ends a sentence anyway.
fn windows(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut gap = 0;
        let cut = rest.char_indices().find_map(|(index, character)| {
            gap = if character.is_alphanumeric() { 0 } else { gap + 1 };
            (gap > GAP_MAX).then_some(index)
        });
        let (window, after) = rest.split_at_checked(cut.unwrap_or(rest.len())).unwrap_or((rest, ""));
        rest = after;
        Some(window)
    })
}
