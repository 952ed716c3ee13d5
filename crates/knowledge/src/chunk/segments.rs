use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::parse::BlockKind;

use super::ChunkOptions;

/// A piece longer than this many bytes for each allowed token is not counted before it is divided: it is surely too long.
const BYTES_PER_TOKEN_MAX: usize = 32;
/// The search for the end of a sentence looks ahead over characters that are neither letters nor digits; it is not led over
/// more than this many.
const GAP_MAX: usize = 64;
/// Short neighbors are put together up to this part of a passage; a text of one-letter lines would otherwise take 20 times its
/// size in memory.
const GROUP_PART: usize = 16;
/// Bytes of neighbors that are put together, for what a tokenizer counts as nothing.
const GROUP_BYTES_MAX: usize = 1_024;

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
/// smaller where one of them alone is too long. Together the pieces cover all visible text of the block.
pub(super) fn split(
    text: &str,
    offset: usize,
    kind: BlockKind,
    options: &ChunkOptions,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Vec<Segment> {
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
            Level::Words => {
                for (start, word) in text.split_word_bound_indices() {
                    self.piece(word, offset + start, Level::Characters);
                }
            }
            Level::Characters => self.characters(text, offset),
        }
    }

    /// Keeps a piece if it is short enough, and divides it otherwise.
    fn piece(&mut self, text: &str, offset: usize, next: Level) {
        if text.len() <= self.max_tokens.saturating_mul(BYTES_PER_TOKEN_MAX) {
            let tokens = (self.count_tokens)(text);
            if tokens <= self.max_tokens {
                return self.keep(text, offset, tokens);
            }
        }
        self.split(text, offset, next);
    }

    fn keep(&mut self, text: &str, offset: usize, tokens: usize) {
        // Space between two pieces belongs to neither.
        if text.trim_start().is_empty() {
            return;
        }
        let end = offset + text.len();
        match self.segments.last_mut() {
            Some(last)
                if last.tokens + tokens <= self.max_tokens / GROUP_PART
                    && end - last.range.start <= GROUP_BYTES_MAX =>
            {
                last.range.end = end;
                last.tokens += tokens;
            }
            _ => self.segments.push(Segment { range: offset..end, tokens }),
        }
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
            _ => self.keep(text, offset, tokens),
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
