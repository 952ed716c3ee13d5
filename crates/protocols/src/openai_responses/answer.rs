//! A provider's whole answer. Readers here are lenient: what is absent or of another type counts as empty.

use serde_json::Value;

use super::{HERE, error::told, items};
use crate::{
    Told, Wrong,
    chat::{Answer, Choice, Content, Part, Reasoning, Signature, StopReason, TokenLogprob, ToolCall, Usage},
};

/// A provider's whole answer.
///
/// # Errors
/// When it is not one: `Told` when the provider says that it failed.
pub fn read_answer(body: &str) -> Result<Answer, Wrong> {
    let body: Value =
        serde_json::from_str(body).map_err(|error| Wrong::malformed(format!("the answer is not JSON: {error}")))?;
    let status = text(&body, "status");
    if status == "failed" || body.get("error").is_some_and(|error| !error.is_null()) {
        return Err(failed(&body));
    }
    if matches!(status, "queued" | "in_progress") {
        return Err(Wrong::malformed(format!("the answer is not complete: its status is `{status}`")));
    }
    let output = body.get("output").and_then(Value::as_array);
    let output = output.ok_or_else(|| Wrong::malformed("the answer has no list `output`"))?;
    let (mut parts, mut logprobs) = (Vec::new(), Vec::new());
    for item in output {
        read_item(item, &mut parts, &mut logprobs)?;
    }
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let refuses = parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    let stop = match status {
        "" | "completed" => completed(calls, refuses),
        "incomplete" => incomplete(&body),
        other => StopReason::Other(other.to_owned()),
    };
    Ok(Answer {
        id: text(&body, "id").to_owned(),
        model: text(&body, "model").to_owned(),
        created: created(&body),
        choices: vec![Choice { index: 0, parts, stop, stop_sequence: None, logprobs }],
        usage: usage(&body),
    })
}

fn read_item(item: &Value, parts: &mut Vec<Part>, logprobs: &mut Vec<TokenLogprob>) -> Result<(), Wrong> {
    match text(item, "type") {
        "message" => {
            for content in list(item, "content") {
                match text(content, "type") {
                    "output_text" => {
                        parts.push(Part::text(text(content, "text")));
                        logprobs.extend(read_logprobs(content));
                    }
                    "refusal" => parts.push(Part::new(Content::Refusal(text(content, "refusal").to_owned()))),
                    _ => {}
                }
            }
        }
        "reasoning" => parts.extend(read_reasoning(item).map(|reasoning| Part::new(Content::Reasoning(reasoning)))),
        "function_call" => parts.push(Part::new(Content::ToolCall(read_call(item)?))),
        "image_generation_call" => {
            parts.extend(items::image_of(text(item, "result"), item.get("output_format").and_then(Value::as_str)));
        }
        // Calls of tools that ran at the provider, and what is not known yet.
        _ => {}
    }
    Ok(())
}

/// Thoughts; `None` when neither they nor their seal are given.
pub(super) fn read_reasoning(item: &Value) -> Option<Reasoning> {
    let texts = |name| list(item, name).iter().map(|part| text(part, "text").to_owned()).collect();
    let mut reasoning = items::reasoning_of(texts("summary"), texts("content"), reasoning_id(item));
    reasoning.signature = read_signature(item);
    (!reasoning.text.is_empty() || reasoning.signature.is_some()).then_some(reasoning)
}

pub(super) fn reasoning_id(item: &Value) -> Option<String> {
    Some(text(item, "id")).filter(|id| !id.is_empty()).map(str::to_owned)
}

/// The seal over thoughts. Some servers write an empty one.
pub(super) fn read_signature(item: &Value) -> Option<Signature> {
    let seal = text(item, "encrypted_content");
    (!seal.is_empty()).then(|| Signature { maker: HERE, text: seal.to_owned() })
}

/// A function call; servers without `call_id` have only the item's id.
pub(super) fn read_call(item: &Value) -> Result<ToolCall, Wrong> {
    let id = [text(item, "call_id"), text(item, "id")].into_iter().find(|id| !id.is_empty());
    let name = text(item, "name");
    match id {
        Some(id) if !name.is_empty() => {
            Ok(ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: text(item, "arguments").to_owned() })
        }
        _ => Err(Wrong::malformed("a function call has no name or no id")),
    }
}

/// Why a complete answer ended.
pub(super) fn completed(calls: bool, refuses: bool) -> StopReason {
    match (calls, refuses) {
        (true, _) => StopReason::ToolUse,
        (false, true) => StopReason::Refusal,
        (false, false) => StopReason::End,
    }
}

/// Why an answer is incomplete.
pub(super) fn incomplete(response: &Value) -> StopReason {
    match response.get("incomplete_details").map_or("", |details| text(details, "reason")) {
        // Some servers give no reason. It was cut, which a word that other protocols do not know would hide.
        "max_output_tokens" | "" => StopReason::MaxTokens,
        "content_filter" => StopReason::Refusal,
        "pause" => StopReason::Pause,
        other => StopReason::Other(other.to_owned()),
    }
}

/// What a failed response says.
pub(super) fn failed(response: &Value) -> Wrong {
    let mut told = response.get("error").map_or_else(Told::default, told);
    if told.message.is_empty() {
        told.message = "the answer failed".to_owned();
    }
    Wrong::Told(told)
}

/// Some servers write a fraction. `as` saturates.
pub(super) fn created(response: &Value) -> Option<i64> {
    let created = response.get("created_at")?;
    created.as_i64().or_else(|| created.as_f64().map(|seconds| seconds as i64))
}

pub(super) fn usage(response: &Value) -> Option<Usage> {
    let usage = response.get("usage").filter(|usage| usage.is_object())?;
    let count = |value: Option<&Value>, name: &str| value.and_then(|value| value.get(name)?.as_u64()).unwrap_or(0);
    let input = usage.get("input_tokens_details");
    let usage = Usage {
        input_tokens: count(Some(usage), "input_tokens"),
        cached_input_tokens: count(input, "cached_tokens"),
        cache_write_tokens: count(input, "cache_write_tokens"),
        output_tokens: count(Some(usage), "output_tokens"),
        reasoning_tokens: count(usage.get("output_tokens_details"), "reasoning_tokens"),
    };
    Some(usage.bounded())
}

/// The `logprobs` of a text or of a piece of one.
pub(super) fn read_logprobs(value: &Value) -> Vec<TokenLogprob> {
    list(value, "logprobs").iter().map(|token| read_token(token, true)).collect()
}

fn read_token(token: &Value, with_top: bool) -> TokenLogprob {
    let byte = |byte: &Value| byte.as_u64().and_then(|byte| u8::try_from(byte).ok());
    let bytes = token.get("bytes").and_then(Value::as_array);
    let top = if with_top { list(token, "top_logprobs") } else { &[] };
    TokenLogprob {
        token: text(token, "token").to_owned(),
        bytes: bytes.and_then(|bytes| bytes.iter().map(byte).collect()),
        logprob: token.get("logprob").and_then(Value::as_f64).unwrap_or(0.0),
        top: top.iter().map(|token| read_token(token, false)).collect(),
    }
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("")
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
