use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use plasma_kernel::Result;
use reqwest::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Endpoint,
    sse::{SseEvent, SseParser},
    wire::{self, WireUsage},
};
use crate::TokenUsage;

/// Bytes of one event: an image in an answer fits.
const EVENT_BYTES_MAX: usize = 16 << 20;
/// Bytes of a whole stream.
const STREAM_BYTES_MAX: usize = 256 << 20;

/// A chat's answer in chunks, as they come from the provider. Dropping it closes the connection, which tells the
/// provider to stop.
pub(crate) struct ChunkStream {
    endpoint: Endpoint,
    response: Response,
    stall_timeout: Duration,
    parser: SseParser,
    events: VecDeque<SseEvent>,
    bytes: usize,
    /// Choices that have begun.
    begun: BTreeSet<u32>,
    /// Those of them that have said why they ended.
    finished: BTreeSet<u32>,
}

/// One `chat.completion.chunk`.
pub(crate) struct Chunk {
    /// Its JSON, as the provider wrote it.
    pub(crate) json: String,
    /// The text that it adds to the first choice.
    pub(crate) text: String,
    /// Whether it adds anything to a choice: text, reasoning, a tool call.
    pub(crate) has_content: bool,
    /// Why the first choice ended.
    pub(crate) finish_reason: Option<String>,
    /// The tokens used, on the last chunk or on each.
    pub(crate) usage: Option<TokenUsage>,
    /// Whether it carries nothing but `usage`.
    pub(crate) only_usage: bool,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct ChunkView<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "wire::null_is_default")]
    choices: Vec<ChoiceView>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct ChoiceView {
    #[serde(default, deserialize_with = "wire::null_is_default")]
    index: u32,
    #[serde(default, deserialize_with = "wire::null_is_default")]
    delta: DeltaView,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct DeltaView {
    #[serde(default, deserialize_with = "wire::null_is_default")]
    content: String,
    #[serde(default, deserialize_with = "wire::null_is_default")]
    reasoning_content: String,
    #[serde(default)]
    tool_calls: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    refusal: Option<serde::de::IgnoredAny>,
}

impl DeltaView {
    fn has_content(&self) -> bool {
        !self.content.is_empty()
            || !self.reasoning_content.is_empty()
            || self.tool_calls.is_some()
            || self.refusal.is_some()
    }
}

impl ChunkStream {
    pub(super) fn new(endpoint: Endpoint, response: Response, stall_timeout: Duration) -> Self {
        Self {
            endpoint,
            response,
            stall_timeout,
            parser: SseParser::new(EVENT_BYTES_MAX),
            events: VecDeque::new(),
            bytes: 0,
            begun: BTreeSet::new(),
            finished: BTreeSet::new(),
        }
    }

    /// The next chunk; `None` when the answer is complete.
    ///
    /// # Errors
    /// `upstream` (`provider_stream_cut`) when the stream ends early, `timeout` when it stalls, or what an error object in
    /// the stream says.
    pub(crate) async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            while let Some(event) = self.events.pop_front() {
                if event.data.trim() == "[DONE]" {
                    return Ok(None);
                }
                // Some servers keep the connection alive with empty events.
                if !event.data.is_empty() {
                    return self.chunk(event).map(Some);
                }
            }
            let piece = tokio::time::timeout(self.stall_timeout, self.response.chunk())
                .await
                .map_err(|_| {
                    self.endpoint.timeout(&format!("sent nothing for {} s", self.stall_timeout.as_secs_f32()))
                })?
                .map_err(|error| self.endpoint.broken(error))?;
            let Some(piece) = piece else {
                // Some servers leave `[DONE]` out; then every choice must have said why it ended.
                let complete = !self.begun.is_empty() && self.begun == self.finished;
                return if complete { Ok(None) } else { Err(self.endpoint.cut()) };
            };
            self.bytes += piece.len();
            if self.bytes > STREAM_BYTES_MAX {
                return Err(self.endpoint.too_large(STREAM_BYTES_MAX));
            }
            self.parser.push(&piece, &mut self.events)?;
        }
    }

    fn chunk(&mut self, event: SseEvent) -> Result<Chunk> {
        let view: ChunkView = serde_json::from_str(&event.data)
            .map_err(|error| wire::invalid_answer(format!("a chunk of the stream is wrong: {error}")))?;
        if let Some(error) = view.error {
            return Err(self.endpoint.told_error(error));
        }
        if event.name.as_deref() == Some("error") {
            let error: &RawValue = serde_json::from_str(&event.data).map_err(wire::invalid_answer)?;
            return Err(self.endpoint.told_error(error));
        }
        for choice in &view.choices {
            self.begun.insert(choice.index);
            if choice.finish_reason.is_some() {
                self.finished.insert(choice.index);
            }
        }
        let usage = view.usage.map(TokenUsage::from);
        let only_usage = view.choices.is_empty() && usage.is_some();
        let has_content = view.choices.iter().any(|choice| choice.delta.has_content());
        let first = view.choices.into_iter().find(|choice| choice.index == 0);
        let (text, finish_reason) =
            first.map(|choice| (choice.delta.content, choice.finish_reason)).unwrap_or_default();
        Ok(Chunk { json: event.data, text, has_content, finish_reason, usage, only_usage })
    }
}
