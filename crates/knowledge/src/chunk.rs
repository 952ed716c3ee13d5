//! Parsed documents to passages that an embedding model can read: pure, deterministic and linear in the text.

mod pack;
mod position;
mod segments;

#[cfg(test)]
mod tests;

use crate::parse::Parsed;

pub use position::CodePointIndex;

/// How passages are cut.
#[derive(Clone, Debug)]
pub struct ChunkOptions {
    /// Tokens that a passage is filled up to. 160 keeps a passage about one thing, and a search result readable.
    pub target_tokens: usize,
    /// Tokens that a passage never exceeds. 240 because MiniLM reads 256 with its special tokens and the heading before it.
    pub max_tokens: usize,
    /// Tokens of the last sentence that are repeated at the start of the next passage when a paragraph has to be divided, so
    /// that a reference to the sentence before is understood. Longer sentences are not repeated.
    pub overlap_tokens: usize,
    /// Bytes of the heading path of a passage; the outermost headings are left out first.
    pub heading_bytes_max: usize,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        Self { target_tokens: 160, max_tokens: 240, overlap_tokens: 20, heading_bytes_max: 200 }
    }
}

/// A passage: a range of the document's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Place in the document, from 0.
    pub ordinal: u32,
    /// Byte offset of the first character into [`Parsed::text`].
    pub start: usize,
    /// Byte offset after the last character.
    pub end: usize,
    /// The headings that the passage stands under, outermost first, as in `Guide > Install`.
    pub heading: Option<String>,
    /// The page it starts on, counted from 1, where the format has pages.
    pub page: Option<u32>,
    /// What `count_tokens` says about its parts, summed up.
    pub tokens: usize,
}

impl Chunk {
    /// The passage's text, given the text of its document.
    pub fn text<'a>(&self, document_text: &'a str) -> &'a str {
        document_text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Cuts a document into passages along its structure.
///
/// A passage never crosses a heading: it begins with one or stands under one. Paragraphs are packed together up to
/// [`ChunkOptions::target_tokens`]; one that is longer than [`ChunkOptions::max_tokens`] is divided at ends of sentences,
/// then of lines, then of words, and only a giant word within. All visible text is in at least one passage.
///
/// `count_tokens` is called about once for every sentence, because it is the expensive part; a passage's count is the sum of
/// its sentences. The whole must not have more tokens than its parts together, which holds for every tokenizer that splits at
/// word boundaries.
pub fn chunk(parsed: &Parsed, options: &ChunkOptions, count_tokens: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
    pack::pack(parsed, options, count_tokens)
}
