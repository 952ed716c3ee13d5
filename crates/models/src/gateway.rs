//! The gateway: one question, the candidates that may answer it, and one answer, whatever protocols they speak.
//!
//! A question goes to the first candidate. What fails before anything of the answer has reached the caller is tried again or
//! goes to the next candidate; every attempt is kept for the call's record. Where caller and provider speak the same
//! protocol, the text of requests and answers passes through; else it is translated by `plasma-protocols`.

mod attempt;
mod by_quality;
mod callers_words;
mod complexity;
mod count;
mod exchange;
mod health;
mod kept;
mod local_source;
mod needs;
mod plan;
mod probe;
mod rename;
mod request;
mod reserve;
mod spoken;

use std::sync::OnceLock;

use plasma_kernel::{Error, Result};
use plasma_protocols::{Losses, Protocol, anthropic, chat, gemini, openai_chat, openai_responses};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

pub use complexity::Complexity;
pub(crate) use exchange::{Exchange, Step, Whole};
pub(crate) use health::Health;
pub(crate) use kept::KeptAnswer;
pub(crate) use local_source::not_for_local_models;
pub use plan::{Considered, Decision};
pub use probe::ModelHealth;

use crate::{PromptUse, Purpose, caches::CacheWish, upstream::RawObject};

/// What is asked, and for what.
pub(crate) struct Question {
    pub(crate) purpose: Purpose,
    pub(crate) asked: Asked,
    /// Whether the answer goes to the caller piece by piece.
    pub(crate) streamed: bool,
    /// Whether an answer may be one of the cache.
    pub(crate) cache: CacheWish,
    /// What the caller says that it is for.
    named_task: Option<String>,
    /// The prompt whose messages are in it.
    pub(crate) prompt: Option<PromptUse>,
    /// Whether answers are translated even where caller and provider speak the same protocol.
    never_raw: bool,
    /// The question in the middle form, made when it is first needed.
    translated: OnceLock<Result<(chat::Request, Losses)>>,
}

/// Where a question comes from.
pub(crate) enum Asked {
    /// From a client, in its own words.
    Client {
        /// The client's protocol.
        protocol: Protocol,
        /// The request's body.
        body: RawObject,
        /// A header of the client that belongs to the protocol.
        header: Option<(HeaderName, HeaderValue)>,
    },
    /// From Plasma itself.
    Ours(Box<chat::Request>),
}

impl Question {
    pub(crate) fn new(purpose: Purpose, asked: Asked, streamed: bool) -> Self {
        Self {
            purpose,
            asked,
            streamed,
            prompt: None,
            cache: CacheWish::default(),
            named_task: None,
            never_raw: false,
            translated: OnceLock::new(),
        }
    }

    /// The same under the caller's name for what it is for.
    pub(crate) fn for_task(self, task: Option<String>) -> Self {
        Self { named_task: task, ..self }
    }

    /// Under what scores of the answer are summed up: the caller's word, or the purpose.
    pub(crate) fn task(&self) -> &str {
        self.named_task.as_deref().unwrap_or_else(|| self.purpose.as_str())
    }

    /// How much memory the question holds, about.
    pub(crate) fn bytes_about(&self) -> usize {
        match &self.asked {
            Asked::Client { body, .. } => body.values().map(str::len).sum(),
            Asked::Ours(request) => request.messages.iter().flat_map(|message| &message.parts).map(text_bytes).sum(),
        }
    }

    /// The protocol in which the caller wants the answer; `None` for Plasma itself.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        match &self.asked {
            Asked::Client { protocol, .. } => Some(*protocol),
            Asked::Ours(_) => None,
        }
    }

    /// The question in the middle form, and what the caller's own fields lost on the way.
    ///
    /// # Errors
    /// `invalid` naming the caller's field.
    pub(crate) fn translated(&self) -> Result<(&chat::Request, Losses)> {
        let translated = match (&self.asked, self.translated.get()) {
            (_, Some(translated)) => translated,
            (Asked::Ours(request), None) => return Ok((request, Losses::default())),
            (Asked::Client { protocol, body, .. }, None) => self.translated.get_or_init(|| translate(*protocol, body)),
        };
        match translated {
            Ok((request, losses)) => Ok((request, losses.clone())),
            Err(error) => Err(copy_of(error)),
        }
    }
}

fn text_bytes(part: &chat::Part) -> usize {
    match &part.content {
        chat::Content::Text(text) => text.len(),
        _ => 0,
    }
}

fn translate(protocol: Protocol, body: &RawObject) -> Result<(chat::Request, Losses)> {
    let value: Value = serde_json::from_str(&body.to_json()?)
        .map_err(|error| Error::from_source("a JSON object could not be read again", error))?;
    let mut losses = Losses::default();
    let request = match protocol {
        Protocol::OpenAiChat => openai_chat::read_request(value, &mut losses),
        Protocol::OpenAiResponses => openai_responses::read_request(value, &mut losses),
        Protocol::Anthropic => anthropic::read_request(value, &mut losses),
        Protocol::Gemini => gemini::read_request(value, &mut losses),
        Protocol::Bedrock => Err(Error::internal("Bedrock's protocol is not spoken to clients")),
    }?;
    Ok((request, losses))
}

impl Question {
    /// Turns the question into the one that asks for the rest of an answer of which `text` has gone out.
    fn goes_on_after(&mut self, text: &str) -> Result<()> {
        /// Providers that demand a user's turn at the end get one; the others lose nothing by it.
        const GO_ON: &str = "Continue your last message exactly where it ends, without repeating anything.";
        let (request, losses) = self.translated()?;
        let mut request = request.clone();
        for (role, text) in [(chat::Role::Assistant, text), (chat::Role::User, GO_ON)] {
            request.messages.push(chat::Message { role, name: None, parts: vec![chat::Part::text(text)] });
        }
        self.translated = OnceLock::from(Ok((request, losses)));
        Ok(())
    }
}

/// The same refusal once more: a question may meet several candidates.
fn copy_of(error: &Error) -> Error {
    let mut copy = Error::new(error.code(), error.reason(), error.message());
    if let Some(field) = error.field_name() {
        copy = copy.field(field);
    }
    if let Some(remedy) = error.remedy_text() {
        copy = copy.remedy(remedy);
    }
    copy
}
