//! A stream of `chat.completion.chunk`s for a client.

use plasma_kernel::Error;
use serde_json::{Map, Value, json};

use super::{error, reasoning, wire};
use crate::{
    WireEvent,
    chat::{Content, Delta, Part, PartStart, Reasoning, Usage},
};

/// Writes a stream for a client. Thoughts go out as `reasoning_content`; when they are complete and sealed, they follow
/// once more as a whole item of `reasoning_details`, for clients that gather these do not agree on how to put pieces
/// together.
#[derive(Debug)]
pub struct StreamWriter {
    stream_usage: bool,
    id: String,
    model: String,
    created: i64,
    usage: Option<Usage>,
    choices: Vec<ChoiceWriter>,
}

/// What has been written of a choice.
#[derive(Debug)]
struct ChoiceWriter {
    index: u32,
    open: Open,
    /// Tool calls begun.
    calls: usize,
    /// Items of `reasoning_details` written.
    details: usize,
    refused: bool,
    /// A seal without thoughts, kept until it is known whether it is the next tool call's.
    seal: Option<Reasoning>,
}

/// The open part.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    Text,
    Refusal,
    /// What has come of it, for the seal that may follow.
    Reasoning(Reasoning),
    /// Whether arguments have come.
    Call(bool),
}

impl StreamWriter {
    /// A writer of one stream; `stream_usage` as in [`Request::stream_usage`](crate::chat::Request::stream_usage).
    pub fn new(stream_usage: bool) -> Self {
        Self { stream_usage, id: String::new(), model: String::new(), created: 0, usage: None, choices: Vec::new() }
    }

    /// Writes the next piece.
    pub fn write(&mut self, delta: Delta, events: &mut Vec<WireEvent>) {
        match delta {
            Delta::Start { id, model, created } => {
                self.id = id;
                self.model = model;
                self.created = created.unwrap_or_default();
                // At once, so that the client sees that the answer has begun.
                self.choice(0, events);
            }
            Delta::Open { choice, part } => self.open(choice, part, events),
            Delta::Append { choice, text } => self.append(choice, text, events),
            Delta::Signature { choice, signature } => {
                if let Open::Reasoning(reasoning) = &mut self.choice(choice, events).open {
                    reasoning.signature = Some(signature);
                }
            }
            Delta::Close { choice } => self.close(choice, events),
            Delta::Logprobs { choice, tokens } => {
                let of_refusal = matches!(self.choice(choice, events).open, Open::Refusal);
                let logprobs = wire::write_logprobs(&tokens, of_refusal);
                self.chunk(choice, json!({}), logprobs, None, events);
            }
            Delta::Stop { choice, reason, sequence: _ } => {
                self.flush_seal(choice, None, events);
                let refused = self.choice(choice, events).refused;
                let reason = wire::write_stop(&reason, refused);
                self.chunk(choice, json!({}), Value::Null, Some(reason), events);
            }
            Delta::Usage(usage) => self.usage = Some(usage),
        }
    }

    /// Ends the stream of a complete answer: the tokens used, when the client wants them, and `[DONE]`.
    pub fn finish(&mut self, events: &mut Vec<WireEvent>) {
        if let Some(usage) = self.usage.filter(|_| self.stream_usage) {
            let usage = wire::write_usage(&usage);
            self.event(Vec::new(), usage, events);
        }
        events.push(WireEvent { name: None, data: "[DONE]".to_owned() });
    }

    /// Ends the stream with an error, in the shape of [`write_error`](super::write_error).
    pub fn error(&mut self, error: &Error, events: &mut Vec<WireEvent>) {
        let body = error::write_error(error, &error::public_message(error), 0);
        events.push(WireEvent { name: None, data: body.to_string() });
    }

    /// The state of a choice. Its first chunk says who speaks.
    fn choice(&mut self, index: u32, events: &mut Vec<WireEvent>) -> &mut ChoiceWriter {
        let place = match self.choices.iter().position(|choice| choice.index == index) {
            Some(place) => place,
            None => {
                let delta = json!({"role": "assistant", "content": "", "refusal": null});
                self.chunk(index, delta, Value::Null, None, events);
                self.choices.push(ChoiceWriter {
                    index,
                    open: Open::Nothing,
                    calls: 0,
                    details: 0,
                    refused: false,
                    seal: None,
                });
                self.choices.len() - 1
            }
        };
        #[allow(clippy::indexing_slicing)] // found or pushed above
        &mut self.choices[place]
    }

    fn open(&mut self, choice: u32, part: PartStart, events: &mut Vec<WireEvent>) {
        let call = match &part {
            PartStart::ToolCall { id, .. } => Some(id.as_str()),
            _ => None,
        };
        self.flush_seal(choice, call, events);
        let state = self.choice(choice, events);
        match part {
            PartStart::Text => state.open = Open::Text,
            PartStart::Refusal => {
                state.open = Open::Refusal;
                state.refused = true;
            }
            PartStart::Reasoning { summary, id } => {
                state.open = Open::Reasoning(Reasoning { summary, id, ..Reasoning::default() });
            }
            PartStart::ToolCall { id, name } => {
                state.open = Open::Call(false);
                state.calls += 1;
                let function = json!({"name": name, "arguments": ""});
                let call = json!({"index": state.calls - 1, "id": id, "type": "function", "function": function});
                self.delta(choice, "tool_calls", json!([call]), events);
            }
            PartStart::Whole(part) => self.whole(choice, part, events),
        }
    }

    fn append(&mut self, choice: u32, text: String, events: &mut Vec<WireEvent>) {
        let state = self.choice(choice, events);
        let (name, value) = match &mut state.open {
            Open::Text => ("content", Value::String(text)),
            Open::Refusal => ("refusal", Value::String(text)),
            Open::Reasoning(reasoning) => {
                reasoning.text.push_str(&text);
                ("reasoning_content", Value::String(text))
            }
            Open::Call(has_arguments) => {
                *has_arguments = true;
                let call = json!({"index": state.calls.saturating_sub(1), "function": {"arguments": text}});
                ("tool_calls", json!([call]))
            }
            Open::Nothing => return,
        };
        self.delta(choice, name, value, events);
    }

    fn close(&mut self, choice: u32, events: &mut Vec<WireEvent>) {
        match std::mem::take(&mut self.choice(choice, events).open) {
            Open::Reasoning(reasoning) if reasoning.text.is_empty() && reasoning.signature.is_some() => {
                self.choice(choice, events).seal = Some(reasoning);
            }
            Open::Reasoning(reasoning) => self.details(choice, &reasoning, None, events),
            // Clients parse the arguments, and an empty text is not JSON.
            Open::Call(false) => {
                self.choice(choice, events).open = Open::Call(false);
                self.append(choice, wire::arguments("").to_owned(), events);
                self.choice(choice, events).open = Open::Nothing;
            }
            Open::Nothing | Open::Text | Open::Refusal | Open::Call(true) => {}
        }
    }

    /// A part that comes as a whole. Sound and documents have no place in this protocol's answers.
    fn whole(&mut self, choice: u32, part: Part, events: &mut Vec<WireEvent>) {
        match part.content {
            Content::Text(text) if !text.is_empty() => self.delta(choice, "content", Value::String(text), events),
            Content::Reasoning(reasoning) => {
                if !reasoning.text.is_empty() {
                    self.delta(choice, "reasoning_content", json!(reasoning.text), events);
                }
                self.details(choice, &reasoning, None, events);
            }
            Content::Image(media) => {
                if let Some(url) = media.to_url() {
                    let image = json!({"type": "image_url", "image_url": {"url": url}});
                    self.delta(choice, "images", json!([image]), events);
                }
            }
            _ => {}
        }
    }

    fn flush_seal(&mut self, choice: u32, call: Option<&str>, events: &mut Vec<WireEvent>) {
        if let Some(seal) = self.choice(choice, events).seal.take() {
            self.details(choice, &seal, call, events);
        }
    }

    fn details(&mut self, choice: u32, reasoning: &Reasoning, call: Option<&str>, events: &mut Vec<WireEvent>) {
        let state = self.choice(choice, events);
        let items = reasoning::write_details(reasoning, call, state.details);
        state.details += items.len();
        if !items.is_empty() {
            self.delta(choice, "reasoning_details", Value::Array(items), events);
        }
    }

    fn delta(&self, choice: u32, name: &str, value: Value, events: &mut Vec<WireEvent>) {
        let mut delta = Map::new();
        delta.insert(name.to_owned(), value);
        self.chunk(choice, Value::Object(delta), Value::Null, None, events);
    }

    fn chunk(
        &self,
        choice: u32,
        delta: Value,
        logprobs: Value,
        finish_reason: Option<&str>,
        events: &mut Vec<WireEvent>,
    ) {
        let choice = json!({"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason});
        self.event(vec![choice], Value::Null, events);
    }

    fn event(&self, choices: Vec<Value>, usage: Value, events: &mut Vec<WireEvent>) {
        let mut chunk = json!({
            "id": wire::answer_id(&self.id),
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        // Null on all chunks but the last, and absent when it is not wanted.
        if let (true, Value::Object(fields)) = (self.stream_usage, &mut chunk) {
            fields.insert("usage".to_owned(), usage);
        }
        events.push(WireEvent { name: None, data: chunk.to_string() });
    }
}
