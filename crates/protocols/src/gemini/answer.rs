//! Whole answers.

use serde_json::{Map, Value, json};

use super::{
    parts::{self, Pending},
    stream_read::StreamReader,
    time,
};
use crate::{
    Losses, Wrong,
    chat::{Answer, Choice, Collector, StopReason, TokenLogprob, Usage},
};

/// Reads a provider's whole answer. A list of answers, as a stream without `alt=sse` is, is read as well.
///
/// Texts that follow each other become one, as they do in a stream.
///
/// # Errors
/// When it is an error that the provider tells, or does not follow the protocol.
pub fn read_answer(body: &str) -> Result<Answer, Wrong> {
    let body = serde_json::from_str(body).map_err(|error| Wrong::malformed(format!("is not JSON: {error}")))?;
    let responses = match body {
        Value::Array(list) => list,
        other => vec![other],
    };
    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    for response in responses {
        reader.read_response(response, &mut deltas)?;
    }
    if !reader.has_candidates() {
        return Err(Wrong::malformed("`candidates` is missing"));
    }
    reader.finish(&mut deltas);
    let mut collector = Collector::default();
    for delta in deltas {
        collector.push(delta);
    }
    Ok(collector.finish())
}

/// Writes a whole answer for a client.
pub fn write_answer(answer: &Answer, losses: &mut Losses) -> Value {
    let candidates = answer.choices.iter().enumerate().map(|(number, choice)| {
        let place = format!("choices[{number}]");
        write_choice(choice, &place, losses)
    });
    let candidates: Vec<Value> = candidates.collect();
    Response { candidates, usage: answer.usage }.write(&answer.id, &answer.model, answer.created)
}

/// A `GenerateContentResponse`: an answer, or an event of a stream.
pub(super) struct Response {
    pub(super) candidates: Vec<Value>,
    pub(super) usage: Option<Usage>,
}

impl Response {
    pub(super) fn write(self, id: &str, model: &str, created: Option<i64>) -> Value {
        let mut response = Map::new();
        if !self.candidates.is_empty() {
            response.insert("candidates".to_owned(), self.candidates.into());
        }
        if let Some(usage) = self.usage {
            response.insert("usageMetadata".to_owned(), write_usage(usage));
        }
        response.insert("modelVersion".to_owned(), model.into());
        if !id.is_empty() {
            response.insert("responseId".to_owned(), id.into());
        }
        if let Some(created) = created.and_then(time::from_seconds) {
            response.insert("createTime".to_owned(), created.into());
        }
        response.into()
    }
}

fn write_choice(choice: &Choice, place: &str, losses: &mut Losses) -> Value {
    let mut written = Vec::with_capacity(choice.parts.len());
    let mut pending = Pending::default();
    for (number, part) in choice.parts.iter().enumerate() {
        let field = format!("{place}.parts[{number}]");
        parts::write_answered(&part.content, &field, &mut pending, losses, &mut written);
    }
    pending.flush(&mut written);
    if choice.stop_sequence.is_some() {
        losses.note(format!("{place}.stop_sequence"), "Gemini does not say which stop sequence ended an answer");
    }
    let mut candidate = candidate(choice.index, written);
    candidate.insert("finishReason".to_owned(), finish_reason(&choice.stop).into());
    if !choice.logprobs.is_empty() {
        let sum: f64 = choice.logprobs.iter().map(|token| token.logprob).sum();
        candidate.insert("avgLogprobs".to_owned(), (sum / choice.logprobs.len() as f64).into());
        candidate.insert("logprobsResult".to_owned(), write_logprobs(&choice.logprobs));
    }
    candidate.into()
}

/// A candidate with these parts.
pub(super) fn candidate(index: u32, parts: Vec<Value>) -> Map<String, Value> {
    let mut candidate = Map::new();
    candidate.insert("content".to_owned(), json!({"parts": parts, "role": "model"}));
    candidate.insert("index".to_owned(), index.into());
    candidate
}

/// Gemini's word for the end of an answer. It says `STOP` after function calls as well.
pub(super) fn finish_reason(stop: &StopReason) -> &str {
    match stop {
        StopReason::End | StopReason::StopSequence | StopReason::ToolUse | StopReason::Pause => "STOP",
        StopReason::MaxTokens => "MAX_TOKENS",
        StopReason::Refusal => "SAFETY",
        StopReason::Other(word) => match word.as_str() {
            "LANGUAGE"
            | "MALFORMED_FUNCTION_CALL"
            | "MALFORMED_RESPONSE"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MISSING_THOUGHT_SIGNATURE"
            | "IMAGE_OTHER"
            | "NO_IMAGE" => word,
            _ => "OTHER",
        },
    }
}

/// The counts as Gemini takes them apart. What was written to a cache is part of the prompt.
fn write_usage(usage: Usage) -> Value {
    let mut counts = Map::new();
    let mut set = |name: &str, count: u64| counts.insert(name.to_owned(), count.into());
    set("promptTokenCount", usage.input_tokens);
    if usage.cached_input_tokens > 0 {
        set("cachedContentTokenCount", usage.cached_input_tokens);
    }
    set("candidatesTokenCount", usage.output_tokens.saturating_sub(usage.reasoning_tokens));
    if usage.reasoning_tokens > 0 {
        set("thoughtsTokenCount", usage.reasoning_tokens);
    }
    set("totalTokenCount", usage.input_tokens.saturating_add(usage.output_tokens));
    counts.into()
}

/// `logprobsResult`.
pub(super) fn write_logprobs(tokens: &[TokenLogprob]) -> Value {
    let write = |token: &TokenLogprob| json!({"token": token.token, "logProbability": token.logprob});
    let chosen: Vec<Value> = tokens.iter().map(write).collect();
    let top: Vec<Value> =
        tokens.iter().map(|token| json!({"candidates": token.top.iter().map(write).collect::<Vec<Value>>()})).collect();
    json!({"topCandidates": top, "chosenCandidates": chosen})
}
