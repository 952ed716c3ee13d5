use pulldown_cmark::{Event, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use super::{BlockKind, Limits, ParseError, Parsed, builder::TextBuilder, html, text};

/// Markdown: the readable text without its markup, by structure.
pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    if bytes.len() > limits.markdown_bytes_max {
        return Err(ParseError::TooLarge { what: "bytes of Markdown", limit: limits.markdown_bytes_max as u64 });
    }
    let text = text::decode(bytes)?;
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut reader = MarkdownReader {
        builder: TextBuilder::new(limits),
        leaf: String::new(),
        marker: String::new(),
        cells: 0,
        lists: Vec::new(),
        markup: None,
        front_title: None,
        limits,
    };
    for event in Parser::new_ext(&text, options) {
        reader.event(event)?;
    }
    reader.flush(BlockKind::Paragraph)?;
    let first_heading = reader.builder.first_text(|kind| kind == BlockKind::Heading { level: 1 }).map(str::to_owned);
    Ok(reader.builder.finish(reader.front_title.or(first_heading)))
}

/// What the text of the current leaf block belongs to, where it is not running text.
enum Markup {
    Code(String),
    Html(String),
    FrontMatter(MetadataBlockKind, String),
}

struct MarkdownReader<'a> {
    builder: TextBuilder<'a>,
    /// The text of the block that is being read.
    leaf: String,
    /// What goes before the text of the next block, such as `- `.
    marker: String,
    /// Cells so far in the current table row.
    cells: usize,
    /// For each open list the number of its next item; `None` for bullets.
    lists: Vec<Option<u64>>,
    markup: Option<Markup>,
    front_title: Option<String>,
    limits: &'a Limits,
}

impl MarkdownReader<'_> {
    fn event(&mut self, event: Event<'_>) -> Result<(), ParseError> {
        match event {
            Event::Start(tag) => self.start(tag)?,
            Event::End(tag) => self.end(tag)?,
            Event::Text(text) => match &mut self.markup {
                Some(Markup::Code(inner) | Markup::Html(inner) | Markup::FrontMatter(_, inner)) => {
                    inner.push_str(&text)
                }
                None => self.leaf.push_str(&text),
            },
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => self.leaf.push_str(&text),
            Event::Html(text) => {
                if let Some(Markup::Html(inner)) = &mut self.markup {
                    inner.push_str(&text);
                }
            }
            Event::InlineHtml(tag) => {
                if tag.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("<br")) {
                    self.leaf.push('\n');
                }
            }
            Event::FootnoteReference(label) => {
                self.leaf.push('[');
                self.leaf.push_str(&label);
                self.leaf.push(']');
            }
            Event::SoftBreak => self.leaf.push(' '),
            Event::HardBreak => self.leaf.push('\n'),
            Event::Rule => {}
            Event::TaskListMarker(done) => self.leaf.push_str(if done { "[x] " } else { "[ ] " }),
        }
        Ok(())
    }

    fn start(&mut self, tag: Tag<'_>) -> Result<(), ParseError> {
        match tag {
            Tag::List(first) => {
                self.flush(BlockKind::ListItem)?;
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush(BlockKind::ListItem)?;
                self.marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let marker = format!("{number}. ");
                        *number = number.saturating_add(1);
                        marker
                    }
                    _ => "- ".to_owned(),
                };
            }
            Tag::Heading { .. } | Tag::BlockQuote(_) | Tag::Table(_) => self.flush(self.paragraph_kind())?,
            Tag::FootnoteDefinition(label) => {
                self.flush(self.paragraph_kind())?;
                self.marker = format!("[{label}] ");
            }
            Tag::CodeBlock(_) => {
                self.flush(self.paragraph_kind())?;
                self.markup = Some(Markup::Code(String::new()));
            }
            Tag::HtmlBlock => {
                self.flush(self.paragraph_kind())?;
                self.markup = Some(Markup::Html(String::new()));
            }
            Tag::MetadataBlock(kind) => self.markup = Some(Markup::FrontMatter(kind, String::new())),
            Tag::TableHead | Tag::TableRow => self.cells = 0,
            Tag::TableCell => {
                if self.cells > 0 {
                    self.leaf.push_str(" | ");
                }
                self.cells += 1;
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, tag: TagEnd) -> Result<(), ParseError> {
        match tag {
            TagEnd::Paragraph | TagEnd::FootnoteDefinition => self.flush(self.paragraph_kind())?,
            TagEnd::Heading(level) => self.flush(BlockKind::Heading { level: level as u8 })?,
            TagEnd::Item => {
                self.flush(BlockKind::ListItem)?;
                self.marker.clear();
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::TableHead | TagEnd::TableRow => self.flush(BlockKind::TableRow)?,
            TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::MetadataBlock(_) => self.end_markup()?,
            _ => {}
        }
        Ok(())
    }

    fn end_markup(&mut self) -> Result<(), ParseError> {
        match self.markup.take() {
            Some(Markup::Code(code)) => self.builder.push(BlockKind::Code, &code),
            Some(Markup::Html(markup)) => html::push_fragment(&markup, &mut self.builder, self.limits),
            Some(Markup::FrontMatter(kind, lines)) => {
                self.front_title = self.front_title.take().or_else(|| front_matter_title(kind, &lines));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn paragraph_kind(&self) -> BlockKind {
        if self.lists.is_empty() { BlockKind::Paragraph } else { BlockKind::ListItem }
    }

    fn flush(&mut self, kind: BlockKind) -> Result<(), ParseError> {
        if self.leaf.trim().is_empty() {
            self.leaf.clear();
            return Ok(());
        }
        if matches!(kind, BlockKind::Paragraph | BlockKind::ListItem) {
            self.leaf.insert_str(0, &self.marker);
        }
        self.marker.clear();
        let result = self.builder.push(kind, &self.leaf);
        self.leaf.clear();
        result
    }
}

/// The value of `title` in YAML (`title: …`) or TOML (`title = …`) front matter.
fn front_matter_title(kind: MetadataBlockKind, lines: &str) -> Option<String> {
    let separator = match kind {
        MetadataBlockKind::YamlStyle => ':',
        MetadataBlockKind::PlusesStyle => '=',
    };
    lines.lines().find_map(|line| {
        let (key, value) = line.split_once(separator)?;
        let value = value.trim();
        let unquoted =
            ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(value);
        (key == key.trim_start() && key.trim() == "title" && !unquoted.is_empty()).then(|| unquoted.to_owned())
    })
}
