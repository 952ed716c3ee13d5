//! The clauses by which genai-prices recognizes a model from a name.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Compared with names in lowercase.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Clause {
    Equals(String),
    Any(Vec<Clause>),
    Word(Word),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(Pattern),
    All(Vec<Clause>),
    Not(Box<Clause>),
}

impl Clause {
    pub(super) fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Equals(text) => name == text,
            Self::Any(clauses) => clauses.iter().any(|clause| clause.is_match(name)),
            Self::Word(Word::StartsWith(text)) => name.starts_with(text),
            Self::Word(Word::EndsWith(text)) => name.ends_with(text),
            Self::Word(Word::Contains(text)) => name.contains(text),
            Self::Word(Word::Regex(pattern)) => pattern.is_match(name),
            Self::Word(Word::All(clauses)) => clauses.iter().all(|clause| clause.is_match(name)),
            Self::Word(Word::Not(clause)) => !clause.is_match(name),
        }
    }

    #[cfg(test)]
    pub(super) fn patterns(&self) -> Vec<&Pattern> {
        match self {
            Self::Word(Word::Regex(pattern)) => vec![pattern],
            Self::Any(clauses) | Self::Word(Word::All(clauses)) => clauses.iter().flat_map(Self::patterns).collect(),
            Self::Word(Word::Not(clause)) => clause.patterns(),
            _ => Vec::new(),
        }
    }
}

/// A regular expression that is compiled when it is first needed.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self { text, compiled: OnceLock::new() }
    }
}

impl Pattern {
    /// Whether the pattern is found in `text`. One that cannot be compiled is found nowhere.
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.compiled().is_some_and(|regex| regex.is_match(text))
    }

    /// Whether the pattern is found at the beginning of `text`.
    pub(super) fn is_match_at_start(&self, text: &str) -> bool {
        // The leftmost match is at the beginning if there is one.
        self.compiled().and_then(|regex| regex.find(text)).is_some_and(|found| found.start() == 0)
    }

    pub(super) fn compiled(&self) -> Option<&Regex> {
        let compiled = self.compiled.get_or_init(|| {
            RegexBuilder::new(&self.text)
                .size_limit(PATTERN_BYTES_MAX)
                .build()
                .inspect_err(
                    |error| tracing::error!(%error, pattern = self.text, "a pattern of the price book is wrong"),
                )
                .ok()
        });
        compiled.as_ref()
    }
}
