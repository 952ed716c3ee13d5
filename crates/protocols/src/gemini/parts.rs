//! Parts as they are written, to providers and to clients.

use serde_json::{Map, Value, json};

use super::{media, seal};
use crate::{
    Losses,
    chat::{Content, ToolCall},
};

/// A thought with its seal.
pub(super) fn thought(text: &str, seal: Option<&str>) -> Value {
    let mut part = json!({"thought": true, "text": text});
    if let (Some(seal), Some(part)) = (seal, part.as_object_mut()) {
        part.insert("thoughtSignature".to_owned(), seal.into());
    }
    part
}

/// A function call.
pub(super) fn call(call: &ToolCall, arguments: Map<String, Value>) -> Value {
    if call.id.is_empty() {
        json!({"functionCall": {"name": call.name, "args": arguments}})
    } else {
        json!({"functionCall": {"id": call.id, "name": call.name, "args": arguments}})
    }
}

/// Arguments as the object that Gemini wants; `None` when the text is no JSON object.
pub(super) fn arguments(text: &str) -> Option<Map<String, Value>> {
    if text.trim().is_empty() { Some(Map::new()) } else { serde_json::from_str(text).ok() }
}

/// The signature that waits for the part which it signs.
#[derive(Debug, Default)]
pub(super) struct Pending(Option<String>);

impl Pending {
    /// Keeps a signature. One that waits already has no other part to sign: it gets an empty text.
    pub(super) fn keep(&mut self, signature: &str, parts: &mut Vec<Value>) {
        self.flush(parts);
        self.0 = Some(signature.to_owned());
    }

    /// Puts the waiting signature on this part.
    pub(super) fn sign(&mut self, mut part: Value) -> Value {
        if let (Some(signature), Some(fields)) = (self.0.take(), part.as_object_mut()) {
            fields.insert("thoughtSignature".to_owned(), signature.into());
        }
        part
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.0.is_some()
    }

    /// The waiting signature on an empty text, as Gemini itself ends a signed answer.
    pub(super) fn flush(&mut self, parts: &mut Vec<Value>) {
        if self.is_waiting() {
            parts.push(self.sign(json!({"text": ""})));
        }
    }
}

/// Writes a part of an answer for a client. `field` names it in losses.
pub(super) fn write_answered(
    content: &Content,
    field: &str,
    pending: &mut Pending,
    losses: &mut Losses,
    parts: &mut Vec<Value>,
) {
    match content {
        Content::Text(text) | Content::Refusal(text) => {
            if !text.is_empty() || pending.is_waiting() {
                parts.push(pending.sign(json!({"text": text})));
            }
        }
        Content::Reasoning(reasoning) => match (seal::own(reasoning), seal::write(reasoning)) {
            (Some(own), _) if reasoning.text.is_empty() && reasoning.encrypted.is_none() => pending.keep(own, parts),
            (_, None) if reasoning.text.is_empty() => {}
            (_, seal) => {
                pending.flush(parts);
                parts.push(thought(&reasoning.text, seal.as_deref()));
            }
        },
        Content::ToolCall(tool_call) => {
            // A model may err in its JSON. Its words are kept where an object must stand.
            let arguments = arguments(&tool_call.arguments).unwrap_or_else(|| {
                losses
                    .note(format!("{field}.arguments"), "are no JSON object: they stand in `args.arguments` as a text");
                Map::from_iter([("arguments".to_owned(), tool_call.arguments.as_str().into())])
            });
            parts.push(pending.sign(call(tool_call, arguments)));
        }
        Content::Image(media) | Content::Audio(media) | Content::Video(media) | Content::Document(media) => {
            match media::write(media, field, losses) {
                Ok(part) => parts.push(pending.sign(part)),
                Err(error) => losses.note(field, error.message()),
            }
        }
        Content::ToolResult(_) => losses.note(field, "a Gemini answer holds no results of tools"),
    }
}
