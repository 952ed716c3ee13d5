//! Streams for clients that speak Anthropic's protocol.

use plasma_kernel::{Code, Error};
use serde_json::{Value, json};

use super::{
    answer::{answer_id, reasoning_blocks, write_stop},
    error::write_error,
    usage,
};
use crate::{
    Protocol, WireEvent,
    chat::{Content, Delta, Part, PartStart, StopReason, Usage},
};

/// Writes the events of one stream, for the first choice: the protocol has room for one. Probabilities of tokens and
/// parts other than texts, thoughts and tool calls have no place in it.
#[derive(Debug)]
pub struct StreamWriter {
    id: String,
    model: String,
    begun: bool,
    /// The index of the next block.
    next: u64,
    open: Open,
    refused: bool,
    called: bool,
    stop: StopReason,
    stop_sequence: Option<String>,
    usage: Option<Usage>,
}

/// The part that is open, and its block. A text or a thought has no block before it says something, for empty blocks
/// would be refused when the client sends them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    None,
    Text { begun: bool },
    Thinking { begun: bool },
    ToolUse,
}

impl StreamWriter {
    /// A writer of one stream. The protocol tells the tokens used whether the client wants it or not.
    pub fn new(_stream_usage: bool) -> Self {
        Self {
            id: String::new(),
            model: String::new(),
            begun: false,
            next: 0,
            open: Open::None,
            refused: false,
            called: false,
            stop: StopReason::End,
            stop_sequence: None,
            usage: None,
        }
    }

    /// Takes the next piece and appends the events that it makes.
    pub fn write(&mut self, delta: Delta, events: &mut Vec<WireEvent>) {
        match delta {
            // Held until something follows, so that `message_start` tells the tokens read when they are known by then.
            Delta::Start { id, model, .. } => {
                self.id = id;
                self.model = model;
            }
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Open { choice: 0, part } => {
                self.begin(events);
                self.open(part, events);
            }
            Delta::Append { choice: 0, text } => self.append(&text, events),
            Delta::Signature { choice: 0, signature } => {
                if let Open::Thinking { .. } = self.open {
                    self.begin_block(events);
                    let signature = signature.write(Protocol::Anthropic);
                    self.delta(json!({ "type": "signature_delta", "signature": signature }), events);
                }
            }
            Delta::Close { choice: 0 } => self.close(events),
            Delta::Stop { choice: 0, reason, sequence } => {
                self.stop = reason;
                self.stop_sequence = sequence;
            }
            // Other choices, and probabilities.
            _ => {}
        }
    }

    /// Ends the stream of a complete answer.
    pub fn finish(&mut self, events: &mut Vec<WireEvent>) {
        self.begin(events);
        self.close(events);
        let delta = json!({
            "type": "message_delta",
            "delta": {
                "stop_reason": write_stop(&self.stop, self.refused, self.called),
                "stop_sequence": self.stop_sequence,
            },
            "usage": usage::write(self.usage),
        });
        events.push(event("message_delta", &delta));
        events.push(event("message_stop", &json!({ "type": "message_stop" })));
    }

    /// Ends the stream with an error.
    pub fn error(&mut self, error: &Error, events: &mut Vec<WireEvent>) {
        let message = match error.code() {
            // Its own words are for the log.
            Code::Internal => "something went wrong on our side".to_owned(),
            _ => error.to_string(),
        };
        events.push(event("error", &write_error(error, &message, 200)));
    }

    fn begin(&mut self, events: &mut Vec<WireEvent>) {
        if self.begun {
            return;
        }
        self.begun = true;
        let start = json!({
            "type": "message_start",
            "message": {
                "id": answer_id(&self.id),
                "type": "message",
                "role": "assistant",
                "model": self.model,
                "content": [],
                "stop_reason": null,
                "stop_sequence": null,
                "usage": usage::write(self.usage),
            },
        });
        events.push(event("message_start", &start));
    }

    fn open(&mut self, part: PartStart, events: &mut Vec<WireEvent>) {
        self.close(events);
        match part {
            PartStart::Text => self.open = Open::Text { begun: false },
            PartStart::Refusal => {
                self.refused = true;
                self.open = Open::Text { begun: false };
            }
            PartStart::Reasoning { .. } => self.open = Open::Thinking { begun: false },
            PartStart::ToolCall { id, name } => {
                self.called = true;
                self.open = Open::ToolUse;
                self.block_start(json!({ "type": "tool_use", "id": id, "name": name, "input": {} }), events);
            }
            PartStart::Whole(part) => self.whole(part, events),
        }
    }

    fn whole(&mut self, part: Part, events: &mut Vec<WireEvent>) {
        let (start, text) = match part.content {
            Content::Text(text) => (PartStart::Text, text),
            Content::Refusal(text) => (PartStart::Refusal, text),
            Content::ToolCall(call) => (PartStart::ToolCall { id: call.id, name: call.name }, call.arguments),
            Content::Reasoning(reasoning) => {
                for block in reasoning_blocks(&reasoning) {
                    self.whole_thoughts(&block, events);
                }
                return;
            }
            Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::Document(_)
            | Content::ToolResult(_) => return,
        };
        self.open(start, events);
        self.append(&text, events);
        self.close(events);
    }

    /// Clients put thoughts together from deltas; sealed ones stand in the start of their block.
    fn whole_thoughts(&mut self, block: &Value, events: &mut Vec<WireEvent>) {
        let text = |name: &str| block.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if text("data").is_some() {
            self.block_start(block.clone(), events);
            self.block_stop(events);
            return;
        }
        self.open = Open::Thinking { begun: false };
        self.append(text("thinking").unwrap_or(""), events);
        if let Some(signature) = text("signature") {
            self.begin_block(events);
            self.delta(json!({ "type": "signature_delta", "signature": signature }), events);
        }
        self.close(events);
    }

    fn append(&mut self, text: &str, events: &mut Vec<WireEvent>) {
        if text.is_empty() {
            return;
        }
        self.begin_block(events);
        let delta = match self.open {
            Open::None => return,
            Open::Text { .. } => json!({ "type": "text_delta", "text": text }),
            Open::Thinking { .. } => json!({ "type": "thinking_delta", "thinking": text }),
            Open::ToolUse => json!({ "type": "input_json_delta", "partial_json": text }),
        };
        self.delta(delta, events);
    }

    /// Begins the block of the open part, unless it has begun.
    fn begin_block(&mut self, events: &mut Vec<WireEvent>) {
        match self.open {
            Open::Text { begun: false } => {
                self.open = Open::Text { begun: true };
                self.block_start(json!({ "type": "text", "text": "" }), events);
            }
            Open::Thinking { begun: false } => {
                self.open = Open::Thinking { begun: true };
                self.block_start(json!({ "type": "thinking", "thinking": "", "signature": "" }), events);
            }
            Open::None | Open::Text { .. } | Open::Thinking { .. } | Open::ToolUse => {}
        }
    }

    fn close(&mut self, events: &mut Vec<WireEvent>) {
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None | Open::Text { begun: false } | Open::Thinking { begun: false } => {}
            Open::Text { .. } | Open::Thinking { .. } | Open::ToolUse => self.block_stop(events),
        }
    }

    fn block_start(&mut self, block: Value, events: &mut Vec<WireEvent>) {
        let start = json!({ "type": "content_block_start", "index": self.next, "content_block": block });
        events.push(event("content_block_start", &start));
    }

    fn delta(&self, delta: Value, events: &mut Vec<WireEvent>) {
        let delta = json!({ "type": "content_block_delta", "index": self.next, "delta": delta });
        events.push(event("content_block_delta", &delta));
    }

    fn block_stop(&mut self, events: &mut Vec<WireEvent>) {
        let stop = json!({ "type": "content_block_stop", "index": self.next });
        events.push(event("content_block_stop", &stop));
        self.next += 1;
    }
}

fn event(name: &'static str, data: &Value) -> WireEvent {
    WireEvent { name: Some(name), data: data.to_string() }
}
