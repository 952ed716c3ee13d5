//! Documents to readable text with structure: pure, synchronous functions that never panic on any input.
//!
//! Every byte comes from outside, so every size, count and depth has a limit ([`Limits`]), nothing recurses without a
//! bound, and decompression is counted while it runs.

mod archive;
mod builder;
mod csv;
mod detect;
mod docx;
mod error;
mod html;
mod markdown;
mod pdf;
mod text;

#[cfg(test)]
mod tests;

use std::{fmt, ops::Range};

pub use detect::detect;
pub use error::ParseError;

/// The kinds of documents that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// CommonMark with tables, footnotes, task lists and front matter.
    Markdown,
    /// Plain text: paragraphs separated by blank lines.
    Text,
    /// A web page.
    Html,
    /// Portable Document Format.
    Pdf,
    /// Office Open XML text (Word 2007 and later).
    Docx,
    /// Separated values; the separator is recognized.
    Csv,
    /// Values separated by tabs.
    Tsv,
}

impl Format {
    /// The supported formats, for messages.
    pub const SUPPORTED: &'static str = "Markdown, plain text, HTML, PDF, DOCX, CSV and TSV";

    /// The media type that the document is stored and served with.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown",
            Self::Text => "text/plain",
            Self::Html => "text/html",
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
        }
    }

    /// The format with this media type (parameters such as `charset` are ignored), if it is one that can be read.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/markdown" | "text/x-markdown" => Some(Self::Markdown),
            "text/plain" => Some(Self::Text),
            "text/html" | "application/xhtml+xml" => Some(Self::Html),
            "application/pdf" | "application/x-pdf" => Some(Self::Pdf),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
            | "application/vnd.openxmlformats-officedocument.wordprocessingml.template"
            | "application/vnd.ms-word.document.macroenabled.12" => Some(Self::Docx),
            "text/csv" | "application/csv" => Some(Self::Csv),
            "text/tab-separated-values" => Some(Self::Tsv),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Markdown => "Markdown",
            Self::Text => "text",
            Self::Html => "HTML",
            Self::Pdf => "PDF",
            Self::Docx => "DOCX",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
        })
    }
}

/// How much a document may hold. The defaults suit the largest documents that people read, and keep the memory of one
/// parse in the low hundreds of megabytes at worst.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the file itself. 25 MiB: the upload limit of the API.
    pub input_bytes_max: usize,
    /// Bytes of a Markdown document. 8 MiB is longer than any book; the parser's tree takes up to 70 times the size of text that
    /// is made of markup only.
    pub markdown_bytes_max: usize,
    /// Bytes of readable text. 20 MiB is about 7,000 printed pages; embedding more would take hours on two cores.
    pub text_bytes_max: usize,
    /// Blocks (paragraphs, rows, list items). A million keeps the block table under 64 MB.
    pub blocks_max: usize,
    /// Nested elements in the XML of a DOCX. Word itself nests about 20 deep.
    pub xml_depth_max: usize,
    /// Entries in a DOCX archive. A document with a thousand pictures has about 1,100.
    pub archive_entries_max: usize,
    /// Unpacked bytes of one archive entry that is read (pictures never are). The text of a 1,000-page book takes 30 MiB of XML.
    pub archive_entry_bytes_max: u64,
    /// Unpacked bytes of all archive entries that are read, together.
    pub archive_bytes_max: u64,
    /// Rows of a table file. Each becomes a passage, and a larger table belongs in the analytics store.
    pub rows_max: usize,
    /// Columns of a table file; more than this is a wrong separator or binary data.
    pub columns_max: usize,
    /// Pages of a PDF. The longest manuals have about 5,000.
    pub pages_max: usize,
    /// Unpacked bytes of all content that a PDF's pages execute, repeated parts counted each time. Drawings and maps reach
    /// tens of MiB; this bounds the time of one parse to seconds.
    pub pdf_expanded_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_bytes_max: 25 * 1024 * 1024,
            markdown_bytes_max: 8 * 1024 * 1024,
            text_bytes_max: 20 * 1024 * 1024,
            blocks_max: 1_000_000,
            xml_depth_max: 256,
            archive_entries_max: 4_096,
            archive_entry_bytes_max: 64 * 1024 * 1024,
            archive_bytes_max: 96 * 1024 * 1024,
            rows_max: 100_000,
            columns_max: 1_024,
            pages_max: 10_000,
            pdf_expanded_bytes_max: 256 * 1024 * 1024,
        }
    }
}

/// What a block of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// A heading; 1 is the highest level, 6 the lowest.
    Heading {
        /// 1 to 6.
        level: u8,
    },
    /// Running text.
    Paragraph,
    /// One item of a list, with its marker.
    ListItem,
    /// Preformatted text, line breaks and indentation kept.
    Code,
    /// One row of a table: cells separated by ` | `, or `column: value` lines for table files.
    TableRow,
}

/// A run of [`Parsed::text`] that belongs together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Byte offsets into [`Parsed::text`], on character boundaries, not empty, without surrounding whitespace
    /// (code keeps its indentation).
    pub range: Range<usize>,
    /// What it is.
    pub kind: BlockKind,
    /// The page it starts on, counted from 1, where the format has pages.
    pub page: Option<u32>,
}

/// A document's readable text and its structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The document's own title, if it states one.
    pub title: Option<String>,
    /// The plain text that is shown, searched and cited. Only `\n` and `\t` of the control characters occur in it.
    pub text: String,
    /// In order, not overlapping; all text outside of them is line breaks.
    pub blocks: Vec<Block>,
}

/// Reads a document of a known format.
///
/// # Errors
///
/// [`ParseError`]: never transient, the same bytes give the same error again.
pub fn parse(format: Format, bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    if bytes.is_empty() {
        return Err(ParseError::Empty);
    }
    if bytes.len() > limits.input_bytes_max {
        return Err(ParseError::TooLarge { what: "bytes", limit: limits.input_bytes_max as u64 });
    }
    let parsed = match format {
        Format::Markdown => markdown::parse(bytes, limits),
        Format::Text => text::parse(bytes, limits),
        Format::Html => html::parse(bytes, limits),
        Format::Pdf => pdf::parse(bytes, limits),
        Format::Docx => docx::parse(bytes, limits),
        Format::Csv => csv::parse(bytes, None, limits),
        Format::Tsv => csv::parse(bytes, Some(b'\t'), limits),
    }?;
    if parsed.blocks.is_empty() { Err(ParseError::Empty) } else { Ok(parsed) }
}
