#![doc = include_str!("../README.md")]

pub mod anthropic;
pub mod bedrock;
pub mod chat;
pub mod gemini;
mod media;
pub mod openai_chat;
pub mod openai_responses;
mod read;
mod sse;

use std::{fmt, str::FromStr};

pub use read::{Fields, Told, Wrong};
pub use sse::{SseEvent, SseParser, write_sse_event};

/// A chat protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// OpenAI Chat Completions.
    OpenAiChat,
    /// OpenAI Responses.
    OpenAiResponses,
    /// Anthropic Messages.
    Anthropic,
    /// Gemini `generateContent`.
    Gemini,
    /// Amazon Bedrock Converse. Only spoken to providers.
    Bedrock,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::OpenAiChat, Self::OpenAiResponses, Self::Anthropic, Self::Gemini, Self::Bedrock];

    /// Its short name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai",
            Self::OpenAiResponses => "responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == name).ok_or(())
    }
}

/// Something that a translation could not carry and that does not change what is asked: the caller is told with the header
/// `plasma-warning`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The field as the caller wrote it, such as `metadata` or `messages[2].name`.
    pub field: String,
    /// Why, such as `Gemini has no such field`.
    pub why: String,
}

/// The losses of one translation, at most [`Losses::MAX`] of them.
#[derive(Clone, Debug, Default)]
pub struct Losses(Vec<Loss>);

impl Losses {
    /// More are counted as one: headers must stay short.
    pub const MAX: usize = 16;

    /// Notes a loss; the same field is noted once.
    pub fn note(&mut self, field: impl Into<String>, why: impl Into<String>) {
        let field = field.into();
        if self.0.iter().any(|loss| loss.field == field) {
            return;
        }
        match self.0.len() {
            len if len < Self::MAX => self.0.push(Loss { field, why: why.into() }),
            Self::MAX => self.0.push(Loss { field: "…".to_owned(), why: "and more".to_owned() }),
            _ => {}
        }
    }

    /// What has been lost.
    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.0.iter()
    }

    /// The same losses, each field under the name that `rename` gives it.
    #[must_use]
    pub fn renamed(self, rename: impl Fn(&str) -> String) -> Self {
        let mut renamed = Self::default();
        for Loss { field, why } in self.0 {
            renamed.note(rename(&field), why);
        }
        renamed
    }

    /// These losses and then `more`.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        for Loss { field, why } in more.0 {
            self.note(field, why);
        }
        self
    }

    /// Whether nothing has been lost.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An event of a stream, to be written as server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireEvent {
    /// The event's name, where the protocol names them.
    pub name: Option<&'static str>,
    /// One line of JSON, or `[DONE]`.
    pub data: String,
}
