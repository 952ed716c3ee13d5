//! What whole answers and streams have in common: tokens, probabilities, reasons, tool calls.

use std::hash::{BuildHasher, Hasher, RandomState};

use serde_json::{Map, Value, json};

use super::parts::thinking_text;
use crate::{
    chat::{Media, StopReason, TokenLogprob, Usage},
    read::Wrong,
};

/// OpenAI's word for a probability that is as good as none.
const LOGPROB_MIN: f64 = -9999.0;

/// The text of a field; empty when it is absent or something else.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a field that is a list; none when it is absent or something else.
pub(super) fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// A field that is there and not null.
pub(super) fn present<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|value| !value.is_null())
}

/// The choice's place: what it says, or where it stands.
pub(super) fn choice_index(choice: &Value, position: usize) -> Result<u32, Wrong> {
    let index = match present(choice, "index") {
        Some(index) => index.as_u64().and_then(|index| u32::try_from(index).ok()),
        None => u32::try_from(position).ok(),
    };
    index
        .filter(|index| *index < super::CHOICES_MAX)
        .ok_or_else(|| Wrong::malformed(format!("the index of a choice is not 0 to {}", super::CHOICES_MAX - 1)))
}

/// A piece of a message's content.
pub(super) enum Piece {
    /// Text.
    Text(String),
    /// Mistral's thoughts.
    Thought(String),
    /// An image that the model made.
    Image(Media),
}

/// The content of a message or a delta: a text, or Mistral's list of parts. Empty pieces are left out.
pub(super) fn pieces(message: &Value) -> Vec<Piece> {
    let piece = |part: &Value| match text(part, "type") {
        "text" => Some(Piece::Text(text(part, "text").to_owned())),
        "thinking" => part.get("thinking").map(|thinking| Piece::Thought(thinking_text(thinking))),
        "image_url" => image(part).map(Piece::Image),
        _ => None,
    };
    let mut pieces = match message.get("content") {
        Some(Value::String(text)) => vec![Piece::Text(text.clone())],
        Some(Value::Array(parts)) => parts.iter().filter_map(piece).collect(),
        _ => Vec::new(),
    };
    pieces.retain(|piece| match piece {
        Piece::Text(text) | Piece::Thought(text) => !text.is_empty(),
        Piece::Image(_) => true,
    });
    pieces
}

/// OpenRouter's `{"type": "image_url", "image_url": {"url"}}`.
pub(super) fn image(part: &Value) -> Option<Media> {
    let address = part.get("image_url")?;
    let url = address.as_str().unwrap_or_else(|| text(address, "url"));
    (!url.is_empty()).then(|| Media::from_url(url))
}

/// The items of `reasoning_details`.
pub(super) fn details(message: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    items(message, "reasoning_details").filter_map(Value::as_object)
}

/// Thoughts outside of `reasoning_details`, and whether their field is `reasoning_content`.
pub(super) fn plain_thoughts(message: &Value) -> Option<(&str, bool)> {
    let fields = [("reasoning_content", true), ("reasoning", false)];
    fields.into_iter().map(|(name, own)| (text(message, name), own)).find(|(text, _)| !text.is_empty())
}

/// A tool call, or a piece of one.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) index: Option<u64>,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

impl Call {
    /// An item of `tool_calls`.
    pub(super) fn read(call: &Value) -> Self {
        let function = call.get("function").unwrap_or(&Value::Null);
        Self {
            index: call.get("index").and_then(Value::as_u64),
            id: text(call, "id").to_owned(),
            ..Self::read_function(function)
        }
    }

    /// A `function_call` of the older protocol.
    pub(super) fn read_function(function: &Value) -> Self {
        Self {
            name: text(function, "name").to_owned(),
            arguments: match function.get("arguments") {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                // Some servers write the object itself.
                Some(other) => other.to_string(),
            },
            ..Self::default()
        }
    }

    /// Its id, or one made up where the server gives none.
    pub(super) fn id_or_new(&self) -> String {
        if self.id.is_empty() {
            // Random, for it must differ from those of former turns.
            format!("call_{:016x}", RandomState::new().build_hasher().finish())
        } else {
            self.id.clone()
        }
    }
}

fn count(value: &Value, name: &str) -> u64 {
    match value.get(name) {
        // `as` saturates: negative numbers are 0.
        Some(Value::Number(number)) => {
            number.as_u64().or_else(|| number.as_f64().map(|number| number as u64)).unwrap_or_default()
        }
        _ => 0,
    }
}

/// `usage` of a whole answer or a chunk; `None` when it is not told.
pub(super) fn read_usage(usage: Option<&Value>) -> Option<Usage> {
    let usage = usage.filter(|usage| usage.is_object())?;
    let input = usage.get("prompt_tokens_details").unwrap_or(&Value::Null);
    let output = usage.get("completion_tokens_details").unwrap_or(&Value::Null);
    let input_tokens = count(usage, "prompt_tokens");
    let mut output_tokens = count(usage, "completion_tokens");
    // xAI's own place is the flat one.
    let reasoning_tokens = count(output, "reasoning_tokens").max(count(usage, "reasoning_tokens"));
    // xAI counts thoughts beside the answer and not within it; the total tells.
    let beside = input_tokens.saturating_add(output_tokens).saturating_add(reasoning_tokens);
    if reasoning_tokens > output_tokens || (reasoning_tokens > 0 && count(usage, "total_tokens") == beside) {
        output_tokens = output_tokens.saturating_add(reasoning_tokens);
    }
    // In this order: OpenAI's, Moonshot's, DeepSeek's, LiteLLM's.
    let cached = [
        count(input, "cached_tokens"),
        count(usage, "cached_tokens"),
        count(usage, "prompt_cache_hit_tokens"),
        count(usage, "cache_read_input_tokens"),
    ];
    // OpenRouter's, LiteLLM's.
    let written = [count(input, "cache_write_tokens"), count(usage, "cache_creation_input_tokens")];
    let usage = Usage {
        input_tokens,
        cached_input_tokens: cached.into_iter().max().unwrap_or_default(),
        cache_write_tokens: written.into_iter().max().unwrap_or_default(),
        output_tokens,
        reasoning_tokens,
    };
    Some(usage.bounded())
}

/// `usage` for a client.
pub(super) fn write_usage(usage: &Usage) -> Value {
    let mut input = json!({"cached_tokens": usage.cached_input_tokens});
    if usage.cache_write_tokens > 0
        && let Value::Object(input) = &mut input
    {
        input.insert("cache_write_tokens".to_owned(), json!(usage.cache_write_tokens));
    }
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
        "prompt_tokens_details": input,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    })
}

/// The probabilities in a choice: of its text, or of its refusal.
pub(super) fn read_logprobs(choice: &Value) -> Vec<TokenLogprob> {
    let Some(logprobs) = choice.get("logprobs") else { return Vec::new() };
    items(logprobs, "content").chain(items(logprobs, "refusal")).filter_map(|token| read_token(token, true)).collect()
}

fn read_token(token: &Value, with_top: bool) -> Option<TokenLogprob> {
    let byte = |byte: &Value| byte.as_u64().and_then(|byte| u8::try_from(byte).ok());
    Some(TokenLogprob {
        token: token.get("token")?.as_str()?.to_owned(),
        bytes: token.get("bytes").and_then(Value::as_array).and_then(|bytes| bytes.iter().map(byte).collect()),
        logprob: token.get("logprob")?.as_f64()?,
        top: if with_top {
            items(token, "top_logprobs").filter_map(|token| read_token(token, false)).collect()
        } else {
            Vec::new()
        },
    })
}

/// `logprobs` for a client; null when there are none.
pub(super) fn write_logprobs(tokens: &[TokenLogprob], of_refusal: bool) -> Value {
    if tokens.is_empty() {
        return Value::Null;
    }
    let tokens: Vec<Value> = tokens
        .iter()
        .map(|token| {
            let mut written = write_token(token);
            let top: Vec<Value> = token.top.iter().map(write_token).collect();
            if let Value::Object(fields) = &mut written {
                fields.insert("top_logprobs".to_owned(), Value::Array(top));
            }
            written
        })
        .collect();
    if of_refusal { json!({"content": null, "refusal": tokens}) } else { json!({"content": tokens, "refusal": null}) }
}

fn write_token(token: &TokenLogprob) -> Value {
    // JSON has no infinity.
    let logprob = if token.logprob.is_finite() { token.logprob } else { LOGPROB_MIN };
    json!({"token": token.token, "logprob": logprob, "bytes": token.bytes})
}

/// Why a choice ended, and which stop sequence did it, which vLLM says in `stop_reason`. Servers say `stop` after tool
/// calls and refusals too.
pub(super) fn read_stop(choice: &Value, called: bool, refused: bool) -> (StopReason, Option<String>) {
    let sequence = text(choice, "stop_reason");
    let reason = match text(choice, "finish_reason") {
        "length" | "model_length" | "max_tokens" => StopReason::MaxTokens,
        "tool_calls" | "function_call" | "tool_use" => StopReason::ToolUse,
        "content_filter" | "refusal" => StopReason::Refusal,
        "" | "stop" | "stop_sequence" | "eos" | "eos_token" | "end_turn" if called => StopReason::ToolUse,
        "" | "stop" | "stop_sequence" | "eos" | "eos_token" | "end_turn" if refused => StopReason::Refusal,
        "stop" if !sequence.is_empty() => return (StopReason::StopSequence, Some(sequence.to_owned())),
        "stop_sequence" => {
            return (StopReason::StopSequence, Some(sequence.to_owned()).filter(|text| !text.is_empty()));
        }
        "" | "stop" | "eos" | "eos_token" | "end_turn" => StopReason::End,
        other => StopReason::Other(other.to_owned()),
    };
    (reason, None)
}

/// `finish_reason` for a client. A refusal in the model's own words ends with `stop`, as OpenAI has it.
pub(super) fn write_stop(reason: &StopReason, refused: bool) -> &'static str {
    match reason {
        StopReason::MaxTokens => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::Refusal if !refused => "content_filter",
        // The turn is not over, which is what a client understands by this word.
        StopReason::Pause => "length",
        StopReason::End | StopReason::StopSequence | StopReason::Refusal | StopReason::Other(_) => "stop",
    }
}

/// The id of an answer for a client; SDKs need one.
pub(super) fn answer_id(id: &str) -> &str {
    if id.is_empty() { "chatcmpl-plasma" } else { id }
}

/// The arguments of a call for those who parse them.
pub(super) fn arguments(text: &str) -> &str {
    if text.is_empty() { "{}" } else { text }
}
