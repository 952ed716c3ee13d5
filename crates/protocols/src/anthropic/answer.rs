//! Whole answers.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json, value::RawValue};

use super::{error, usage};
use crate::{
    Losses, Protocol, Wrong,
    chat::{Answer, Choice, Content, Part, Reasoning, Signature, StopReason, ToolCall},
};

#[derive(Deserialize)]
struct WireMessage {
    #[serde(default, deserialize_with = "text_or_empty")]
    id: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    model: String,
    content: Option<Vec<WireBlock>>,
    #[serde(default, deserialize_with = "text_or_empty")]
    stop_reason: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    stop_sequence: String,
    usage: Option<Value>,
    error: Option<Value>,
}

/// A content block of an answer, with the fields of all kinds that are read.
#[derive(Deserialize)]
pub(super) struct WireBlock {
    #[serde(rename = "type", default, deserialize_with = "text_or_empty")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub(super) text: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub(super) thinking: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub(super) signature: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    data: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub(super) id: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub(super) name: String,
    /// Kept as the provider wrote it.
    pub(super) input: Option<Box<RawValue>>,
}

/// A text; anything else in its place says nothing.
pub(super) fn text_or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        _ => String::new(),
    })
}

/// A signature or sealed thoughts of Anthropic's; empty is none.
pub(super) fn own_signature(text: String) -> Option<Signature> {
    (!text.is_empty()).then_some(Signature { maker: Protocol::Anthropic, text })
}

impl WireBlock {
    /// The arguments of a tool call as text.
    pub(super) fn arguments(&self) -> &str {
        self.input.as_ref().map_or("", |input| input.get())
    }

    /// Thoughts that only the provider can read.
    pub(super) fn into_sealed(self) -> Part {
        let encrypted = own_signature(self.data);
        Part::new(Content::Reasoning(Reasoning { encrypted, ..Reasoning::default() }))
    }

    /// `None` for what is of no known kind, such as the work of tools that run at the provider.
    fn into_part(self) -> Option<Part> {
        Some(Part::new(match self.kind.as_str() {
            "text" => Content::Text(self.text),
            "thinking" => {
                let signature = own_signature(self.signature);
                Content::Reasoning(Reasoning { text: self.thinking, signature, ..Reasoning::default() })
            }
            "redacted_thinking" => return Some(self.into_sealed()),
            "tool_use" => {
                let arguments = self.arguments().to_owned();
                Content::ToolCall(ToolCall { id: self.id, name: self.name, arguments })
            }
            _ => return None,
        }))
    }
}

/// Reads a whole answer of `/v1/messages`.
///
/// # Errors
/// When it is not one, or an error that the provider tells.
pub fn read_answer(body: &str) -> Result<Answer, Wrong> {
    let message: WireMessage =
        serde_json::from_str(body).map_err(|error| Wrong::malformed(format!("the answer is no message: {error}")))?;
    let Some(content) = message.content else {
        return Err(match message.error {
            Some(error) => Wrong::Told(error::told(&json!({ "error": error }))),
            None => Wrong::malformed("`content` is missing"),
        });
    };
    let choice = Choice {
        index: 0,
        parts: content.into_iter().filter_map(WireBlock::into_part).collect(),
        stop: read_stop(&message.stop_reason),
        stop_sequence: Some(message.stop_sequence).filter(|sequence| !sequence.is_empty()),
        logprobs: Vec::new(),
    };
    Ok(Answer {
        id: message.id,
        model: message.model,
        created: None,
        choices: vec![choice],
        usage: message.usage.as_ref().map(usage::read),
    })
}

pub(super) fn read_stop(reason: &str) -> StopReason {
    match reason {
        "" | "end_turn" => StopReason::End,
        // The model's window of context is a limit of tokens as well: the answer is cut.
        "max_tokens" | "model_context_window_exceeded" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "tool_use" => StopReason::ToolUse,
        "refusal" => StopReason::Refusal,
        "pause_turn" => StopReason::Pause,
        other => StopReason::Other(other.to_owned()),
    }
}

/// `refused`: a part of the answer is a refusal. `called`: a part is a tool call; clients call tools only when the
/// reason says so, and some providers do not say it when the tool was forced.
pub(super) fn write_stop(reason: &StopReason, refused: bool, called: bool) -> &'static str {
    match reason {
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ToolUse => "tool_use",
        StopReason::Refusal => "refusal",
        StopReason::Pause => "pause_turn",
        StopReason::End | StopReason::Other(_) if refused => "refusal",
        StopReason::End | StopReason::Other(_) if called => "tool_use",
        StopReason::End | StopReason::Other(_) => "end_turn",
    }
}

/// Anthropic's ids begin with `msg_`.
pub(super) fn answer_id(id: &str) -> String {
    match id {
        "" => "msg_plasma".to_owned(),
        id if id.starts_with("msg_") => id.to_owned(),
        id => format!("msg_{id}"),
    }
}

/// Writes an answer for a client. It has room for one choice, texts, thoughts and tool calls; the rest is noted as
/// lost.
pub fn write_answer(answer: &Answer, losses: &mut Losses) -> Value {
    if answer.choices.len() > 1 {
        losses.note("choices", "Anthropic's answers have one choice");
    }
    let choice = answer.choices.first();
    let parts = choice.map_or(&[][..], |choice| &choice.parts);
    let mut content = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        write_part(part, index, &mut content, losses);
    }
    if choice.is_some_and(|choice| !choice.logprobs.is_empty()) {
        losses.note("logprobs", "Anthropic's answers have none");
    }
    let end = StopReason::End;
    let stop = choice.map_or(&end, |choice| &choice.stop);
    if let StopReason::Other(reason) = stop {
        losses.note("stop", format!("`{reason}` is none of Anthropic's reasons"));
    }
    let refused = parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    let called = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    json!({
        "id": answer_id(&answer.id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": write_stop(stop, refused, called),
        "stop_sequence": choice.and_then(|choice| choice.stop_sequence.as_ref()),
        "usage": usage::write(answer.usage),
    })
}

fn write_part(part: &Part, index: usize, content: &mut Vec<Value>, losses: &mut Losses) {
    match &part.content {
        // A client would send an empty text back, and it would be refused.
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => {}
        Content::Text(text) | Content::Refusal(text) => content.push(json!({ "type": "text", "text": text })),
        Content::Reasoning(reasoning) => content.extend(reasoning_blocks(reasoning)),
        Content::ToolCall(call) => {
            let (id, name) = (&call.id, &call.name);
            let input = write_input(&call.arguments, index, losses);
            content.push(json!({ "type": "tool_use", "id": id, "name": name, "input": input }));
        }
        Content::Image(_) | Content::Audio(_) | Content::Video(_) | Content::Document(_) | Content::ToolResult(_) => {
            losses.note(format!("parts[{index}]"), "Anthropic's answers hold only text, thoughts and tool calls");
        }
    }
}

/// Thoughts that can be read or have a signature, then those that only their maker can read.
pub(super) fn reasoning_blocks(reasoning: &Reasoning) -> impl Iterator<Item = Value> {
    let signature = reasoning.signature.as_ref().map(|signature| signature.write(Protocol::Anthropic));
    let readable = (!reasoning.text.is_empty() || signature.is_some()).then(|| {
        let signature = signature.unwrap_or_default();
        json!({ "type": "thinking", "thinking": reasoning.text, "signature": signature })
    });
    let sealed = reasoning.encrypted.as_ref().map(|sealed| sealed.write(Protocol::Anthropic));
    let sealed = sealed.map(|data| json!({ "type": "redacted_thinking", "data": data }));
    readable.into_iter().chain(sealed)
}

/// Models err: arguments that are not JSON are kept as a text, so that the client sees what is wrong.
fn write_input(arguments: &str, index: usize, losses: &mut Losses) -> Value {
    if arguments.trim().is_empty() {
        return json!({});
    }
    serde_json::from_str(arguments).unwrap_or_else(|_| {
        losses.note(format!("parts[{index}].arguments"), "are not JSON and stand as text");
        Value::String(arguments.to_owned())
    })
}
