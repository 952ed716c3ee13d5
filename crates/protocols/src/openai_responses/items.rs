//! Items of an output and their contents, as they are written, and what they mean.

use serde_json::{Value, json};

use super::write_seal;
use crate::chat::{Content, Media, MediaSource, Part, Reasoning, TokenLogprob, ToolCall, Usage};

/// What stands between two sections of thoughts that come separately.
pub(super) const SECTION_BREAK: &str = "\n\n";

/// Thoughts: their summary where there is one, else themselves.
pub(super) fn reasoning_of(summary: Vec<String>, content: Vec<String>, id: Option<String>) -> Reasoning {
    let join =
        |texts: Vec<String>| texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(SECTION_BREAK);
    let summary = join(summary);
    let is_summary = !summary.is_empty();
    let text = if is_summary { summary } else { join(content) };
    Reasoning { text, summary: is_summary, id, ..Reasoning::default() }
}

/// The image of an `image_generation_call`, when there is one.
pub(super) fn image_of(result: &str, format: Option<&str>) -> Option<Part> {
    (!result.is_empty()).then(|| {
        Part::new(Content::Image(Media {
            media_type: Some(format!("image/{}", format.unwrap_or("png"))),
            source: MediaSource::Base64(result.to_owned()),
            name: None,
            detail: None,
        }))
    })
}

pub(super) fn text_content(text: &str, logprobs: &[TokenLogprob]) -> Value {
    let logprobs: Vec<_> = logprobs.iter().map(logprob).collect();
    json!({ "type": "output_text", "annotations": [], "logprobs": logprobs, "text": text })
}

pub(super) fn refusal_content(refusal: &str) -> Value {
    json!({ "type": "refusal", "refusal": refusal })
}

pub(super) fn message_item(id: &str, status: &str, content: Vec<Value>) -> Value {
    json!({ "id": id, "type": "message", "status": status, "role": "assistant", "content": content })
}

pub(super) fn reasoning_item(id: Option<&str>, reasoning: &Reasoning) -> Value {
    let section = |kind: &str| json!([{ "type": kind, "text": reasoning.text }]);
    let mut item = json!({ "type": "reasoning", "summary": [] });
    if let Some(id) = id {
        set(&mut item, "id", id.into());
    }
    if !reasoning.text.is_empty() {
        let (field, kind) = if reasoning.summary { ("summary", "summary_text") } else { ("content", "reasoning_text") };
        set(&mut item, field, section(kind));
    }
    if let Some(seal) = write_seal(reasoning) {
        set(&mut item, "encrypted_content", seal.into());
    }
    item
}

pub(super) fn call_item(id: &str, status: &str, call: &ToolCall) -> Value {
    json!({
        "id": id, "type": "function_call", "status": status,
        "call_id": call.id, "name": call.name, "arguments": arguments_of(call),
    })
}

/// Clients parse the arguments.
pub(super) fn arguments_of(call: &ToolCall) -> &str {
    if call.arguments.is_empty() { "{}" } else { &call.arguments }
}

/// An image that the model made, as the item that holds one in this protocol. `None` when its bytes are elsewhere.
pub(super) fn image_item(id: &str, media: &Media) -> Option<Value> {
    let MediaSource::Base64(data) = &media.source else { return None };
    let format = media.media_type.as_deref().and_then(|kind| kind.strip_prefix("image/")).unwrap_or("png");
    Some(json!({
        "id": id, "type": "image_generation_call", "status": "completed", "result": data, "output_format": format,
    }))
}

pub(super) fn logprob(token: &TokenLogprob) -> Value {
    let top: Vec<_> = token.top.iter().map(token_value).collect();
    let mut value = token_value(token);
    set(&mut value, "top_logprobs", top.into());
    value
}

fn token_value(token: &TokenLogprob) -> Value {
    let bytes = token.bytes.clone().unwrap_or_else(|| token.token.as_bytes().to_vec());
    json!({ "token": token.token, "bytes": bytes, "logprob": token.logprob })
}

pub(super) fn usage_value(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning_tokens },
        "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
    })
}

/// Sets a field of an object.
pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value);
    }
}
