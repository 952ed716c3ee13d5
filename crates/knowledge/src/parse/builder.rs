use super::{Block, BlockKind, Limits, ParseError, Parsed};

/// Longest title that is kept, in characters; longer ones are cut.
const TITLE_CHARACTERS_MAX: usize = 300;

/// Collects blocks of text in order, cleans them and enforces the limits on text.
pub(super) struct TextBuilder<'a> {
    limits: &'a Limits,
    text: String,
    blocks: Vec<Block>,
    page: Option<u32>,
}

impl<'a> TextBuilder<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self { limits, text: String::new(), blocks: Vec::new(), page: None }
    }

    /// The page that the following blocks are on, counted from 1.
    pub(super) fn set_page(&mut self, page: u32) {
        self.page = Some(page);
    }

    /// Adds a block; one without visible text is left out.
    pub(super) fn push(&mut self, kind: BlockKind, raw: &str) -> Result<(), ParseError> {
        let restore = self.text.len();
        let separator = self.separator(kind, raw);
        self.text.push_str(separator);
        let start = self.text.len();
        push_clean(&mut self.text, raw);
        let is_code = kind == BlockKind::Code;
        let kept = trimmed(self.text.get(start..).unwrap_or_default(), is_code);
        if kept.is_empty() {
            self.text.truncate(restore);
            return Ok(());
        }
        self.text.truncate(start + kept.end);
        self.text.drain(start..start + kept.start);
        if self.text.len() > self.limits.text_bytes_max {
            return Err(self.too_much_text());
        }
        if self.blocks.len() >= self.limits.blocks_max {
            return Err(ParseError::TooLarge { what: "paragraphs", limit: self.limits.blocks_max as u64 });
        }
        self.blocks.push(Block { range: start..self.text.len(), kind, page: self.page });
        Ok(())
    }

    /// Whether nothing visible was added yet.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The first block that `select` accepts, as text.
    pub(super) fn first_text(&self, select: impl Fn(BlockKind) -> bool) -> Option<&str> {
        let block = self.blocks.iter().find(|block| select(block.kind))?;
        self.text.get(block.range.clone())
    }

    pub(super) fn finish(self, title: Option<String>) -> Parsed {
        let title = title.and_then(|title| clean_title(&title));
        Parsed { title, text: self.text, blocks: self.blocks }
    }

    /// Items of one list and rows of one table stand close together, everything else apart.
    fn separator(&self, kind: BlockKind, raw: &str) -> &'static str {
        let Some(previous) = self.blocks.last() else { return "" };
        let close = match (previous.kind, kind) {
            (BlockKind::ListItem, BlockKind::ListItem) => true,
            (BlockKind::TableRow, BlockKind::TableRow) => {
                let one_line = |text: &str| !text.trim().contains('\n');
                one_line(raw) && self.text.get(previous.range.clone()).is_some_and(one_line)
            }
            _ => false,
        };
        if close { "\n" } else { "\n\n" }
    }

    fn too_much_text(&self) -> ParseError {
        ParseError::TooLarge { what: "bytes of text", limit: self.limits.text_bytes_max as u64 }
    }
}

/// A title in one line of bounded length, or none if nothing visible is in it.
pub(super) fn clean_title(raw: &str) -> Option<String> {
    let mut clean = String::with_capacity(raw.len().min(TITLE_CHARACTERS_MAX * 4));
    push_clean(&mut clean, raw);
    let mut words = String::new();
    for word in clean.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    if let Some((cut, _)) = words.char_indices().nth(TITLE_CHARACTERS_MAX) {
        words.truncate(cut);
    }
    (!words.is_empty()).then_some(words)
}

/// Appends `raw` with uniform line breaks and without characters that are not text: control characters, byte order marks
/// and soft hyphens (which would hide a word from search).
fn push_clean(text: &mut String, raw: &str) {
    text.reserve(raw.len());
    let mut characters = raw.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                characters.next_if_eq(&'\n');
                text.push('\n');
            }
            '\n' | '\t' => text.push(character),
            '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => text.push('\n'),
            '\u{ad}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {}
            character if character.is_control() => {}
            character => text.push(character),
        }
    }
}

/// The range without surrounding whitespace. Code keeps the indentation of its first line.
fn trimmed(text: &str, is_code: bool) -> std::ops::Range<usize> {
    let end = text.trim_end().len();
    if end == 0 {
        return 0..0;
    }
    let first = text.len() - text.trim_start().len();
    if !is_code {
        return first..end;
    }
    let line_start = text.get(..first).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    line_start..end
}
