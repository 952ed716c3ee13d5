//! Whole answers of `Converse`, and what they share with streams.

use serde_json::Value;

use super::error::read_error;
use crate::{
    Protocol, Wrong,
    chat::{Answer, Choice, Content, Media, MediaSource, Part, Reasoning, Signature, StopReason, ToolCall, Usage},
};

/// Reads an answer. Bedrock gives it neither an id nor a model's name.
///
/// # Errors
/// [`Wrong::Malformed`] when it is not JSON or has no message, [`Wrong::Told`] when it is an error.
pub fn read_answer(body: &str) -> Result<Answer, Wrong> {
    let answer: Value =
        serde_json::from_str(body).map_err(|error| Wrong::Malformed(format!("the answer is not JSON: {error}")))?;
    let message = answer.get("output").and_then(|output| output.get("message"));
    let Some(Value::Array(blocks)) = message.and_then(|message| message.get("content")) else {
        let told = read_error(body.as_bytes(), None);
        if told.kind.is_empty() && told.message.is_empty() {
            return Err(Wrong::malformed("`output.message.content` is missing"));
        }
        return Err(Wrong::Told(told));
    };
    let choice = Choice {
        index: 0,
        parts: blocks.iter().filter_map(read_block).map(Part::new).collect(),
        stop: stop_reason(&answer),
        stop_sequence: stop_sequence(&answer),
        logprobs: Vec::new(),
    };
    Ok(Answer { choices: vec![choice], usage: answer.get("usage").and_then(read_usage), ..Answer::default() })
}

/// A part; `None` for one that is empty or that was not asked for, such as the call of a tool that runs at AWS.
fn read_block(block: &Value) -> Option<Content> {
    block.as_object()?.iter().find_map(|(kind, inner)| read_member(kind, inner))
}

/// A block has one member, which says what it is.
fn read_member(kind: &str, inner: &Value) -> Option<Content> {
    match kind {
        "text" => text_content(inner.as_str()?.to_owned()),
        "citationsContent" => {
            let texts = inner.get("content")?.as_array()?.iter().filter_map(|part| part.get("text")?.as_str());
            text_content(texts.collect())
        }
        "reasoningContent" => read_reasoning(inner).map(Content::Reasoning),
        "toolUse" if !is_server_tool(inner) => Some(Content::ToolCall(ToolCall {
            id: text(inner, "toolUseId").to_owned(),
            name: text(inner, "name").to_owned(),
            arguments: match inner.get("input") {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(raw)) => raw.clone(),
                Some(input) => input.to_string(),
            },
        })),
        "image" => {
            let data = text(inner.get("source")?, "bytes");
            (!data.is_empty()).then(|| image(text(inner, "format"), data.to_owned()))
        }
        _ => None,
    }
}

fn text_content(text: String) -> Option<Content> {
    (!text.is_empty()).then_some(Content::Text(text))
}

fn read_reasoning(block: &Value) -> Option<Reasoning> {
    if let Some(sealed) = block.get("redactedContent").and_then(Value::as_str) {
        return Some(redacted(sealed.to_owned()));
    }
    let thought = block.get("reasoningText")?;
    let (text, signature) = (text(thought, "text"), signature(text(thought, "signature").to_owned()));
    let is_empty = text.is_empty() && signature.is_none();
    (!is_empty).then(|| Reasoning { text: text.to_owned(), signature, ..Reasoning::default() })
}

/// Thoughts that only the model can read, in base64.
pub(super) fn redacted(text: String) -> Reasoning {
    Reasoning { encrypted: signature(text), ..Reasoning::default() }
}

/// The seal of thoughts, when there is one.
pub(super) fn signature(text: String) -> Option<Signature> {
    (!text.is_empty()).then_some(Signature { maker: Protocol::Bedrock, text })
}

/// An image that the model drew, in base64.
pub(super) fn image(format: &str, data: String) -> Content {
    let media_type = (!format.is_empty()).then(|| format!("image/{format}"));
    Content::Image(Media { media_type, source: MediaSource::Base64(data), name: None, detail: None })
}

/// Whether a tool's call or result is of a tool that runs at AWS.
pub(super) fn is_server_tool(tool_use: &Value) -> bool {
    text(tool_use, "type") == "server_tool_use"
}

/// The text of a field; empty when it is absent or something else.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("")
}

/// Of the answer, or of a stream's `messageStop`.
pub(super) fn stop_reason(answer: &Value) -> StopReason {
    match text(answer, "stopReason") {
        "end_turn" | "" => StopReason::End,
        "tool_use" => StopReason::ToolUse,
        "max_tokens" | "model_context_window_exceeded" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "guardrail_intervened" | "content_filtered" | "refusal" => StopReason::Refusal,
        other => StopReason::Other(other.to_owned()),
    }
}

/// Which stop sequence ended the answer: Anthropic's models say it in the fields of their own that a request asks for.
pub(super) fn stop_sequence(answer: &Value) -> Option<String> {
    let fields = answer.get("additionalModelResponseFields")?;
    let found = STOP_SEQUENCE_PATHS.iter().find_map(|path| fields.pointer(path)?.as_str());
    found.map(str::to_owned)
}

/// Where an answer of an Anthropic model, and a stream of one, say the stop sequence.
pub(super) const STOP_SEQUENCE_PATHS: [&str; 2] = ["/stop_sequence", "/delta/stop_sequence"];

/// The tokens used; `None` when it is not an object. What a cache answered or took stands beside the input here.
pub(super) fn read_usage(usage: &Value) -> Option<Usage> {
    usage.as_object()?;
    let count = |name: &str| {
        let value = usage.get(name)?;
        // `as` saturates: a fraction, a negative or an absurd number of a confused server does no harm.
        value.as_u64().or_else(|| value.as_f64().map(|number| number as u64))
    };
    let count = |name: &str| count(name).unwrap_or(0);
    let (cached, written) = (count("cacheReadInputTokens"), count("cacheWriteInputTokens"));
    let usage = Usage {
        input_tokens: count("inputTokens").saturating_add(cached).saturating_add(written),
        cached_input_tokens: cached,
        cache_write_tokens: written,
        output_tokens: count("outputTokens"),
        reasoning_tokens: 0,
    };
    Some(usage.bounded())
}

#[cfg(test)]
mod tests;
