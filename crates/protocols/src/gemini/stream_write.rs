//! Answers as streams for clients.

use std::collections::BTreeMap;

use plasma_kernel::Error;
use serde_json::{Map, Value, json};

use super::{
    answer::{Response, candidate, finish_reason, write_logprobs},
    error::write_in_stream,
    parts::{Pending, thought, write_answered},
    seal,
};
use crate::{
    Losses, WireEvent,
    chat::{Content, Delta, Part, PartStart, Reasoning, StopReason, TokenLogprob, ToolCall, Usage},
};

/// Writes the events of `streamGenerateContent`: unnamed ones, and no `[DONE]`.
///
/// Function calls come whole, in one part. Why the candidates ended and what was used stand in the last event.
#[derive(Debug, Default)]
pub struct StreamWriter {
    id: String,
    model: String,
    created: Option<i64>,
    choices: BTreeMap<u32, Open>,
    stops: Vec<(u32, StopReason)>,
    usage: Option<Usage>,
}

#[derive(Debug, Default)]
struct Open {
    part: Option<OpenPart>,
    pending: Pending,
}

#[derive(Debug)]
enum OpenPart {
    Text,
    /// What was said of the thoughts beside their text, and whether there was any text.
    Reasoning(Reasoning, bool),
    /// Gathered until it is complete.
    ToolCall(ToolCall),
    Whole(Part),
}

impl StreamWriter {
    /// A writer of one stream. The protocol does not let callers choose whether usage is told: it always is, when known.
    pub fn new(_stream_usage: bool) -> Self {
        Self::default()
    }

    /// Writes the next piece.
    pub fn write(&mut self, delta: Delta, events: &mut Vec<WireEvent>) {
        let mut parts = Vec::new();
        let choice = match delta {
            Delta::Start { id, model, created } => {
                (self.id, self.model, self.created) = (id, model, created);
                return;
            }
            Delta::Usage(usage) => {
                self.usage = Some(usage);
                return;
            }
            Delta::Logprobs { choice, tokens } => {
                self.write_logprobs(choice, &tokens, events);
                return;
            }
            Delta::Open { choice, part } => {
                self.choices.entry(choice).or_default().part = Some(OpenPart::of(part));
                choice
            }
            Delta::Append { choice, text } => {
                self.choices.entry(choice).or_default().append(&text, &mut parts);
                choice
            }
            Delta::Signature { choice, signature } => {
                if let Some(OpenPart::Reasoning(reasoning, _)) = &mut self.choices.entry(choice).or_default().part {
                    reasoning.signature = Some(signature);
                }
                choice
            }
            Delta::Close { choice } => {
                self.choices.entry(choice).or_default().close(&mut parts);
                choice
            }
            Delta::Stop { choice, reason, .. } => {
                let open = self.choices.entry(choice).or_default();
                open.close(&mut parts);
                open.pending.flush(&mut parts);
                self.stops.push((choice, reason));
                choice
            }
        };
        if !parts.is_empty() {
            self.event(vec![candidate(choice, parts).into()], None, events);
        }
    }

    fn write_logprobs(&mut self, choice: u32, tokens: &[TokenLogprob], events: &mut Vec<WireEvent>) {
        if !tokens.is_empty() {
            let mut candidate = empty_candidate(choice);
            candidate.insert("logprobsResult".to_owned(), write_logprobs(tokens));
            self.event(vec![candidate.into()], None, events);
        }
    }

    /// Ends the stream of a complete answer.
    pub fn finish(&mut self, events: &mut Vec<WireEvent>) {
        let ends = std::mem::take(&mut self.stops).into_iter().map(|(choice, reason)| {
            let mut candidate = empty_candidate(choice);
            candidate.insert("finishReason".to_owned(), finish_reason(&reason).into());
            candidate.into()
        });
        self.event(ends.collect(), self.usage, events);
    }

    /// Ends the stream with an error.
    pub fn error(&mut self, error: &Error, events: &mut Vec<WireEvent>) {
        events.push(WireEvent { name: None, data: write_in_stream(error).to_string() });
    }

    fn event(&self, candidates: Vec<Value>, usage: Option<Usage>, events: &mut Vec<WireEvent>) {
        let response = Response { candidates, usage }.write(&self.id, &self.model, self.created);
        events.push(WireEvent { name: None, data: response.to_string() });
    }
}

/// A candidate without news. There is an empty text in it because many clients expect a part.
fn empty_candidate(choice: u32) -> Map<String, Value> {
    candidate(choice, vec![json!({"text": ""})])
}

impl OpenPart {
    fn of(part: PartStart) -> Self {
        match part {
            PartStart::Text | PartStart::Refusal => Self::Text,
            PartStart::Reasoning { summary, id } => {
                Self::Reasoning(Reasoning { summary, id, ..Reasoning::default() }, false)
            }
            PartStart::ToolCall { id, name } => Self::ToolCall(ToolCall { id, name, arguments: String::new() }),
            PartStart::Whole(part) => Self::Whole(part),
        }
    }
}

impl Open {
    fn append(&mut self, text: &str, parts: &mut Vec<Value>) {
        match &mut self.part {
            Some(OpenPart::Text) => parts.push(self.pending.sign(json!({"text": text}))),
            Some(OpenPart::Reasoning(_, has_text)) => {
                *has_text = true;
                self.pending.flush(parts);
                parts.push(thought(text, None));
            }
            Some(OpenPart::ToolCall(call)) => call.arguments.push_str(text),
            Some(OpenPart::Whole(_)) | None => {}
        }
    }

    fn close(&mut self, parts: &mut Vec<Value>) {
        let content = match self.part.take() {
            None | Some(OpenPart::Text) => return,
            // The thoughts have been written; their seal follows.
            Some(OpenPart::Reasoning(reasoning, true)) => {
                parts.extend(seal::write(&reasoning).map(|seal| thought("", Some(&seal))));
                return;
            }
            Some(OpenPart::Reasoning(reasoning, false)) => Content::Reasoning(reasoning),
            Some(OpenPart::ToolCall(call)) => Content::ToolCall(call),
            Some(OpenPart::Whole(part)) => part.content,
        };
        // The header that tells losses has been sent before the stream.
        write_answered(&content, "", &mut self.pending, &mut Losses::default(), parts);
    }
}
