//! Streams of Anthropic: `message_start`, then for each block `content_block_start`, `content_block_delta` and
//! `content_block_stop`, then `message_delta` and `message_stop`, with `ping` anywhere and `error` at the end.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    answer::{WireBlock, own_signature, read_stop, text_or_empty},
    error,
    usage::Counts,
};
use crate::{
    SseEvent, Wrong,
    chat::{Delta, PartStart},
};

/// Reads the events of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    started: bool,
    open: Option<Open>,
    stopped: bool,
    counts: Counts,
}

/// The block that is open.
#[derive(Debug)]
struct Open {
    index: Option<u64>,
    kind: Kind,
    /// The arguments that a tool call began with. They count when none follow.
    arguments: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    ToolUse,
    /// It came as a whole.
    Whole,
}

/// Any event. What it carries is read only when its type is known.
#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(rename = "type", default, deserialize_with = "text_or_empty")]
    kind: String,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    index: Option<Value>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct WireStart {
    #[serde(default, deserialize_with = "text_or_empty")]
    id: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    model: String,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct WireDelta {
    #[serde(rename = "type", default, deserialize_with = "text_or_empty")]
    kind: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    text: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    thinking: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    signature: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    partial_json: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    stop_reason: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    stop_sequence: String,
}

impl StreamReader {
    /// A reader of one stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event and appends what it says.
    ///
    /// # Errors
    /// When the event does not follow the protocol, or is an error that the provider tells.
    pub fn read(&mut self, event: &SseEvent, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        // Some servers that resemble Anthropic's end as OpenAI's do.
        if matches!(event.data.trim(), "" | "[DONE]") {
            return Ok(());
        }
        let wire: WireEvent<'_> = serde_json::from_str(&event.data)
            .map_err(|error| Wrong::malformed(format!("an event is no JSON object: {error}")))?;
        let kind = if wire.kind.is_empty() { event.name.as_deref().unwrap_or("") } else { &wire.kind };
        match kind {
            "error" => {
                let error = serde_json::json!({ "error": wire.error });
                return Err(Wrong::Told(error::told(&error)));
            }
            "message_start" => self.start(wire.message.map(parse).transpose()?, deltas),
            "content_block_start" if !self.stopped => {
                let block = wire.content_block.ok_or_else(|| Wrong::malformed("`content_block` is missing"))?;
                self.open(wire.index.as_ref().and_then(Value::as_u64), parse(block)?, deltas);
            }
            "content_block_delta" => {
                let delta = wire.delta.ok_or_else(|| Wrong::malformed("`delta` is missing"))?;
                self.append(wire.index.as_ref().and_then(Value::as_u64), parse(delta)?, deltas)?;
            }
            "content_block_stop" => {
                let index = wire.index.as_ref().and_then(Value::as_u64);
                if self.open.as_ref().is_some_and(|open| is_same(open.index, index)) {
                    self.close(deltas);
                }
            }
            "message_delta" => self.end(wire.delta.map(parse).transpose()?, wire.usage, deltas),
            "message_stop" => self.stop("", String::new(), deltas),
            // `ping`, and what is not known yet.
            _ => {}
        }
        Ok(())
    }

    /// Whether the reason has come why the answer ended: nothing that matters follows.
    pub fn is_complete(&self) -> bool {
        self.stopped
    }

    fn start(&mut self, message: Option<WireStart>, deltas: &mut Vec<Delta>) {
        if self.started {
            return;
        }
        self.started = true;
        let message = message.unwrap_or(WireStart { id: String::new(), model: String::new(), usage: None });
        deltas.push(Delta::Start { id: message.id, model: message.model, created: None });
        self.count(message.usage, deltas);
    }

    fn count(&mut self, usage: Option<Value>, deltas: &mut Vec<Delta>) {
        if let Some(usage) = usage {
            self.counts.merge(&usage);
            deltas.push(Delta::Usage(self.counts.usage()));
        }
    }

    fn open(&mut self, index: Option<u64>, block: WireBlock, deltas: &mut Vec<Delta>) {
        self.start(None, deltas);
        self.close(deltas);
        let mut arguments = String::new();
        let mut text = String::new();
        let mut signature = None;
        let (kind, part) = match block.kind.as_str() {
            "text" => {
                text = block.text;
                (Kind::Text, PartStart::Text)
            }
            "thinking" => {
                text = block.thinking;
                signature = own_signature(block.signature);
                (Kind::Thinking, PartStart::Reasoning { summary: false, id: None })
            }
            "redacted_thinking" => (Kind::Whole, PartStart::Whole(block.into_sealed())),
            "tool_use" => {
                arguments = block.arguments().to_owned();
                (Kind::ToolUse, PartStart::ToolCall { id: block.id, name: block.name })
            }
            // The work of tools that run at the provider: none were asked for. Its deltas find no open block.
            _ => return,
        };
        deltas.push(Delta::Open { choice: 0, part });
        append(text, deltas);
        deltas.extend(signature.map(|signature| Delta::Signature { choice: 0, signature }));
        self.open = Some(Open { index, kind, arguments });
    }

    fn append(&mut self, index: Option<u64>, delta: WireDelta, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if !is_same(open.index, index) {
            return Err(Wrong::malformed("a piece belongs to a block that is not open"));
        }
        match (delta.kind.as_str(), open.kind) {
            ("text_delta", Kind::Text) => append(delta.text, deltas),
            ("thinking_delta", Kind::Thinking) => append(delta.thinking, deltas),
            ("signature_delta", Kind::Thinking) => {
                let signature = own_signature(delta.signature);
                deltas.extend(signature.map(|signature| Delta::Signature { choice: 0, signature }));
            }
            ("input_json_delta", Kind::ToolUse) if !delta.partial_json.is_empty() => {
                open.arguments.clear();
                append(delta.partial_json, deltas);
            }
            // Citations, and what is not known yet.
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, deltas: &mut Vec<Delta>) {
        if let Some(open) = self.open.take() {
            append(open.arguments, deltas);
            deltas.push(Delta::Close { choice: 0 });
        }
    }

    fn end(&mut self, delta: Option<WireDelta>, usage: Option<Value>, deltas: &mut Vec<Delta>) {
        self.start(None, deltas);
        if let Some(delta) = delta
            && !delta.stop_reason.is_empty()
        {
            self.stop(&delta.stop_reason, delta.stop_sequence, deltas);
        }
        self.count(usage, deltas);
    }

    fn stop(&mut self, reason: &str, sequence: String, deltas: &mut Vec<Delta>) {
        if self.stopped {
            return;
        }
        self.start(None, deltas);
        self.close(deltas);
        self.stopped = true;
        let sequence = Some(sequence).filter(|sequence| !sequence.is_empty());
        deltas.push(Delta::Stop { choice: 0, reason: read_stop(reason), sequence });
    }
}

fn append(text: String, deltas: &mut Vec<Delta>) {
    if !text.is_empty() {
        deltas.push(Delta::Append { choice: 0, text });
    }
}

/// Where one of the two does not say which block it means, it is the open one.
fn is_same(open: Option<u64>, index: Option<u64>) -> bool {
    open.is_none() || index.is_none() || open == index
}

fn parse<T: for<'de> Deserialize<'de>>(json: &RawValue) -> Result<T, Wrong> {
    serde_json::from_str(json.get()).map_err(|error| Wrong::malformed(format!("an event is malformed: {error}")))
}
