use super::super::{BlockKind, Limits, ParseError};
use super::tokens::{Token, Tokens, attribute};

/// Lists nested deeper than this are read as if they were this deep; it bounds the memory for unclosed lists.
const LIST_DEPTH_MAX: usize = 64;

/// A block of a page with its character references unresolved.
pub(super) struct Segment {
    pub(super) kind: BlockKind,
    pub(super) text: String,
    pub(super) in_main: bool,
    pub(super) in_article: bool,
}

/// The blocks of a page in order, and its title.
pub(super) struct Blocks {
    pub(super) segments: Vec<Segment>,
    pub(super) title: Option<String>,
}

/// Reads the blocks of a page. `skip_decoration` leaves out navigation, side notes and hidden parts.
pub(super) fn collect(markup: &str, skip_decoration: bool, limits: &Limits) -> Result<Blocks, ParseError> {
    let mut collector = Collector { skip_decoration, blocks_max: limits.blocks_max, ..Collector::default() };
    for token in Tokens::new(markup) {
        match token {
            Token::Text(text) => collector.text(text),
            Token::Start { name, attributes } => collector.start(&name, attributes)?,
            Token::End { name } => collector.end(&name)?,
        }
    }
    collector.flush()?;
    Ok(Blocks { segments: collector.segments, title: collector.title })
}

/// An element whose end is awaited: its name and how many elements of this name are open inside it, itself included.
struct Open {
    name: String,
    depth: usize,
}

impl Open {
    fn new(name: &str) -> Option<Self> {
        Some(Self { name: name.to_owned(), depth: 1 })
    }

    /// Counts a start tag.
    fn enter(open: &mut Option<Self>, name: &str) {
        if let Some(open) = open.as_mut().filter(|open| open.name == name) {
            open.depth += 1;
        }
    }

    /// Counts an end tag; forgets the element when it was its own.
    fn leave(open: &mut Option<Self>, name: &str) {
        if let Some(element) = open.as_mut().filter(|element| element.name == name) {
            element.depth -= 1;
            if element.depth == 0 {
                *open = None;
            }
        }
    }
}

#[derive(Default)]
struct Collector {
    skip_decoration: bool,
    blocks_max: usize,
    segments: Vec<Segment>,
    title: Option<String>,
    in_title: bool,
    /// The text of the block that is being read.
    leaf: String,
    /// What goes before the text of the next list item.
    marker: String,
    /// For each open list the number of its next item; `None` for bullets.
    lists: Vec<Option<u64>>,
    heading: Option<u8>,
    preformatted: bool,
    /// Cells so far in the open table row.
    row: Option<usize>,
    skipped: Option<Open>,
    main: Option<Open>,
    articles: usize,
}

impl Collector {
    fn text(&mut self, text: &str) {
        if self.skipped.is_some() {
            return;
        }
        if self.in_title {
            self.title.get_or_insert_default().push_str(text);
        } else if self.preformatted {
            self.leaf.push_str(text);
        } else {
            push_collapsed(&mut self.leaf, text);
        }
    }

    fn start(&mut self, name: &str, attributes: &str) -> Result<(), ParseError> {
        if self.skipped.is_some() {
            Open::enter(&mut self.skipped, name);
            return Ok(());
        }
        if self.is_skipped(name, attributes) {
            if !is_inline_skip(name) {
                self.boundary()?;
            }
            self.skipped = Open::new(name);
            return Ok(());
        }
        Open::enter(&mut self.main, name);
        match name {
            "title" => self.in_title = self.title.is_none(),
            "br" => self.leaf.push('\n'),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.flush()?;
                self.row = None;
                self.heading = name.as_bytes().get(1).map(|digit| digit - b'0');
            }
            "pre" | "listing" => {
                self.flush()?;
                self.row = None;
                self.preformatted = true;
            }
            "ul" | "ol" | "menu" => {
                self.close_heading()?;
                self.boundary()?;
                let first = (name == "ol")
                    .then(|| attribute(attributes, "start").and_then(|start| start.parse().ok()).unwrap_or(1));
                if self.lists.len() < LIST_DEPTH_MAX {
                    self.lists.push(first);
                }
            }
            "li" => self.start_item()?,
            "table" => {
                self.flush()?;
                self.row = None;
            }
            "tr" => {
                self.flush()?;
                self.row = Some(0);
            }
            "td" | "th" => self.start_cell(),
            "p" => {
                self.close_heading()?;
                self.boundary()?;
            }
            name if is_block(name) => self.boundary()?,
            _ => {}
        }
        if self.main.is_none() && (name == "main" || attribute(attributes, "role") == Some("main")) {
            self.main = Open::new(name);
        }
        self.articles += usize::from(name == "article");
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<(), ParseError> {
        if self.skipped.is_some() {
            Open::leave(&mut self.skipped, name);
            return Ok(());
        }
        match name {
            "title" => self.in_title = false,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.close_heading()?,
            "pre" | "listing" => {
                self.flush()?;
                self.preformatted = false;
            }
            "ul" | "ol" | "menu" => {
                self.boundary()?;
                self.lists.pop();
                self.marker.clear();
            }
            "li" => {
                self.boundary()?;
                self.marker.clear();
            }
            "tr" | "table" => {
                self.flush()?;
                self.row = None;
            }
            name if is_block(name) => self.boundary()?,
            _ => {}
        }
        Open::leave(&mut self.main, name);
        if name == "article" {
            self.articles = self.articles.saturating_sub(1);
        }
        Ok(())
    }

    fn start_item(&mut self) -> Result<(), ParseError> {
        self.close_heading()?;
        self.boundary()?;
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ => "- ".to_owned(),
        };
        if self.row.is_some() {
            self.leaf.push_str(&marker);
        } else {
            self.marker = marker;
        }
        Ok(())
    }

    fn start_cell(&mut self) {
        let cells = self.row.get_or_insert(0);
        if *cells > 0 {
            self.leaf.truncate(self.leaf.trim_end().len());
            self.leaf.push_str(" | ");
        }
        *cells += 1;
    }

    /// Between two blocks. Inside a heading or a table cell, where everything stays together, only a break.
    fn boundary(&mut self) -> Result<(), ParseError> {
        if self.preformatted {
            return Ok(());
        }
        if self.heading.is_some() {
            push_collapsed(&mut self.leaf, " ");
        } else if self.row.is_some() {
            let kept = self.leaf.trim_end_matches(' ').len();
            if !self.leaf.is_empty() && !self.leaf.ends_with("| ") && !self.leaf.ends_with('\n') {
                self.leaf.truncate(kept);
                self.leaf.push('\n');
            }
        } else {
            self.flush()?;
        }
        Ok(())
    }

    fn close_heading(&mut self) -> Result<(), ParseError> {
        if self.heading.is_some() {
            self.flush()?;
            self.heading = None;
        }
        Ok(())
    }

    /// Ends the current block.
    fn flush(&mut self) -> Result<(), ParseError> {
        let text = std::mem::take(&mut self.leaf);
        let has_text = text.chars().any(|c| !c.is_whitespace() && c != '|');
        if !has_text {
            return Ok(());
        }
        if self.segments.len() >= self.blocks_max {
            return Err(ParseError::TooLarge { what: "paragraphs", limit: self.blocks_max as u64 });
        }
        let (kind, text) = match (self.heading, self.row) {
            (Some(level), _) => (BlockKind::Heading { level }, text),
            (None, Some(_)) => (BlockKind::TableRow, text),
            (None, None) if self.preformatted => (BlockKind::Code, text),
            (None, None) if self.lists.is_empty() && self.marker.is_empty() => (BlockKind::Paragraph, text),
            (None, None) => (BlockKind::ListItem, std::mem::take(&mut self.marker) + text.trim_start()),
        };
        self.segments.push(Segment { kind, text, in_main: self.main.is_some(), in_article: self.articles > 0 });
        Ok(())
    }

    fn is_skipped(&self, name: &str, attributes: &str) -> bool {
        match name {
            "svg" => !attributes.trim_end().ends_with('/'),
            "script" | "style" | "template" | "noscript" | "canvas" | "object" | "audio" | "video" | "iframe"
            | "select" | "datalist" | "button" | "textarea" | "xmp" | "noembed" | "noframes" | "dialog" => true,
            // The paragraph sign by which generators let a heading be linked to.
            "a" => attribute(attributes, "class").is_some_and(|class| {
                class
                    .split_ascii_whitespace()
                    .any(|class| matches!(class, "headerlink" | "header-anchor" | "anchor-link"))
            }),
            "nav" => self.skip_decoration,
            "footer" | "aside" => self.skip_decoration && self.main.is_none() && self.articles == 0,
            // Elements whose end tag may be left out are kept: their end could not be found.
            "div" | "section" | "span" | "ul" | "ol" | "table" | "figure" | "article" | "header" => {
                self.skip_decoration
                    && (attribute(attributes, "hidden").is_some()
                        || attribute(attributes, "aria-hidden") == Some("true")
                        || attribute(attributes, "role") == Some("navigation"))
            }
            _ => false,
        }
    }
}

fn is_inline_skip(name: &str) -> bool {
    matches!(name, "a" | "script" | "span" | "svg" | "button" | "select" | "template" | "noscript" | "style")
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "section"
            | "article"
            | "main"
            | "header"
            | "footer"
            | "aside"
            | "nav"
            | "body"
            | "blockquote"
            | "address"
            | "center"
            | "dl"
            | "dt"
            | "dd"
            | "figure"
            | "figcaption"
            | "caption"
            | "fieldset"
            | "legend"
            | "form"
            | "details"
            | "summary"
            | "hr"
            | "hgroup"
            | "search"
            | "thead"
            | "tbody"
            | "tfoot"
            | "optgroup"
            | "option"
    )
}

/// Appends text with every run of whitespace as one space.
fn push_collapsed(leaf: &mut String, text: &str) {
    for character in text.chars() {
        if !character.is_ascii_whitespace() {
            leaf.push(character);
        } else if !leaf.is_empty() && !leaf.ends_with([' ', '\n']) {
            leaf.push(' ');
        }
    }
}
