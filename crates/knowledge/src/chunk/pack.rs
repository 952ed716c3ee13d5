use crate::parse::{Block, BlockKind, Parsed};

use super::{
    Chunk, ChunkOptions,
    segments::{Segment, split},
};

/// Characters of one heading within a path.
const HEADING_CHARACTERS_MAX: usize = 80;
/// Bytes of a passage. Tokenizers may count long runs of spaces or of letters as nothing or as one token; this keeps such a
/// passage from growing without end.
const PASSAGE_BYTES_MAX: usize = 16 * 1024;
/// Stands between the headings of a path.
const PATH_SEPARATOR: &str = " > ";

pub(super) fn pack(parsed: &Parsed, options: &ChunkOptions, count_tokens: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
    let mut packer = Packer { parsed, options, chunks: Vec::new(), open: None, headings: Vec::new() };
    for block in &parsed.blocks {
        let text = parsed.text.get(block.range.clone()).unwrap_or_default();
        let segments = split(text, block.range.start, block.kind, options, count_tokens);
        match block.kind {
            BlockKind::Heading { level } => packer.heading(block, level, text, &segments),
            _ => packer.block(block, &segments),
        }
    }
    packer.close();
    packer.chunks
}

struct Packer<'a> {
    parsed: &'a Parsed,
    options: &'a ChunkOptions,
    chunks: Vec<Chunk>,
    open: Option<Open>,
    /// Level and text of the headings that the current place stands under.
    headings: Vec<(u8, String)>,
}

/// The passage that is being filled.
struct Open {
    start: usize,
    end: usize,
    tokens: usize,
    page: Option<u32>,
    heading: Option<String>,
    /// Nothing but headings so far; such a passage waits for the text under them.
    only_headings: bool,
}

impl Open {
    /// Whether more text that ends at `end` still fits.
    fn has_room(&self, end: usize, tokens: usize, limit: usize) -> bool {
        self.tokens + tokens <= limit && end - self.start <= PASSAGE_BYTES_MAX
    }
}

impl Packer<'_> {
    fn heading(&mut self, block: &Block, level: u8, text: &str, segments: &[Segment]) {
        let tokens: usize = segments.iter().map(|segment| segment.tokens).sum();
        // A heading with nothing but a deeper heading under it stands with that one.
        let is_deeper = self.headings.last().is_some_and(|(above, _)| *above < level);
        let has_room = |open: &Open| open.has_room(block.range.end, tokens, self.options.target_tokens);
        let joins = is_deeper && self.open.as_ref().is_some_and(|open| open.only_headings && has_room(open));
        if !joins {
            self.close();
        }
        while self.headings.last().is_some_and(|(above, _)| *above >= level) {
            self.headings.pop();
        }
        self.headings.push((level, one_line(text)));
        self.divided(block, segments, tokens);
        let path = self.path();
        if let Some(open) = &mut self.open {
            open.heading = path;
            open.only_headings = true;
        }
    }

    fn block(&mut self, block: &Block, segments: &[Segment]) {
        let tokens: usize = segments.iter().map(|segment| segment.tokens).sum();
        let (filled, only_headings) = self.open.as_ref().map_or((0, false), |open| (open.tokens, open.only_headings));
        let limit = if only_headings { self.options.max_tokens } else { self.options.target_tokens };
        let fits_alone = tokens <= self.options.max_tokens && block.range.len() <= PASSAGE_BYTES_MAX;
        let fits = match &self.open {
            Some(open) => open.has_room(block.range.end, tokens, limit),
            None => fits_alone && tokens <= limit,
        };
        if fits || (fits_alone && !only_headings) {
            if !fits {
                self.close();
            }
            segments.iter().for_each(|segment| self.append(block, segment));
        } else {
            // A passage that is mostly full already is not filled up with the first sentence of something long.
            if !only_headings && filled > self.options.target_tokens / 2 {
                self.close();
            }
            self.divided(block, segments, tokens);
        }
        if let Some(open) = &mut self.open {
            open.only_headings = false;
        }
    }

    /// Spreads a long block over passages of about equal size.
    fn divided(&mut self, block: &Block, segments: &[Segment], tokens: usize) {
        let target = self.options.target_tokens.max(1);
        let goal = tokens.div_ceil(tokens.div_ceil(target).max(1));
        let overlaps = matches!(block.kind, BlockKind::Paragraph | BlockKind::ListItem);
        let mut previous: Option<&Segment> = None;
        for segment in segments {
            let full = self.open.as_ref().is_some_and(|open| {
                let limit = if open.only_headings { self.options.max_tokens } else { target };
                let balanced = open.only_headings || open.tokens + segment.tokens / 2 <= goal;
                !balanced || !open.has_room(segment.range.end, segment.tokens, limit)
            });
            if full {
                let closed_start = self.open.as_ref().map_or(0, |open| open.start);
                self.close();
                let repeated = previous.filter(|previous| {
                    overlaps
                        && previous.range.start > closed_start
                        && previous.tokens > 0
                        && previous.tokens <= self.options.overlap_tokens
                        && previous.tokens + segment.tokens <= self.options.max_tokens
                });
                repeated.into_iter().for_each(|segment| self.append(block, segment));
            }
            self.append(block, segment);
            if let Some(open) = self.open.as_mut().filter(|_| !matches!(block.kind, BlockKind::Heading { .. })) {
                open.only_headings = false;
            }
            previous = Some(segment);
        }
    }

    fn append(&mut self, block: &Block, segment: &Segment) {
        match &mut self.open {
            Some(open) => {
                open.end = segment.range.end;
                open.tokens += segment.tokens;
            }
            None => {
                let is_heading = matches!(block.kind, BlockKind::Heading { .. });
                self.open = Some(Open {
                    start: segment.range.start,
                    end: segment.range.end,
                    tokens: segment.tokens,
                    page: block.page,
                    heading: self.path(),
                    only_headings: is_heading,
                });
            }
        }
    }

    /// Ends the passage that is being filled.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let text = self.parsed.text.get(open.start..open.end).unwrap_or_default();
        let start = open.start + (text.len() - text.trim_start().len());
        let end = open.start + text.trim_end().len();
        if start >= end {
            return;
        }
        let ordinal = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        self.chunks.push(Chunk { ordinal, start, end, heading: open.heading, page: open.page, tokens: open.tokens });
    }

    /// The headings of the current place, the outermost left out where it gets too long.
    fn path(&self) -> Option<String> {
        let mut path = String::new();
        for (_, heading) in self.headings.iter().rev() {
            let separator = if path.is_empty() { "" } else { PATH_SEPARATOR };
            if path.len() + separator.len() + heading.len() > self.options.heading_bytes_max {
                break;
            }
            path.insert_str(0, separator);
            path.insert_str(0, heading);
        }
        if path.is_empty() {
            let (_, innermost) = self.headings.last()?;
            let cut = (0..=self.options.heading_bytes_max.min(innermost.len()))
                .rev()
                .find(|cut| innermost.is_char_boundary(*cut))?;
            path.push_str(innermost.get(..cut)?);
        }
        (!path.is_empty()).then_some(path)
    }
}

/// A heading on one line, cut where it is very long.
fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(HEADING_CHARACTERS_MAX) {
        line.truncate(cut);
        line.push('…');
    }
    line
}
