//! Answers as they come from Gemini. A whole answer is a stream of one event.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{error::told_in, media, proto::integer, time};
use crate::{
    Protocol, SseEvent, Wrong,
    chat::{Delta, Part, PartStart, Signature, StopReason, TokenLogprob, Usage},
};

/// Candidates of one answer. Gemini gives at most 8.
const CANDIDATES_MAX: usize = 128;
/// Characters of the answer's id that go into the ids of its function calls, which other protocols keep to 40 characters.
const ID_CHARS_MAX: usize = 20;
/// What stands for the logarithm of a probability of 0, which JSON cannot say.
const LOGPROB_MIN: f64 = -9_999.0;

/// Reads the events of `streamGenerateContent`, each of which is a whole `GenerateContentResponse`.
///
/// Thoughts that are images and the parts of Gemini's built-in tools are left out.
#[derive(Debug, Default)]
pub struct StreamReader {
    has_started: bool,
    /// What tells the ids of this answer's function calls from those of other answers.
    id: String,
    candidates: BTreeMap<u32, Candidate>,
    calls: usize,
    usage: Option<Usage>,
}

#[derive(Debug, Default)]
struct Candidate {
    open: Option<Open>,
    has_calls: bool,
    has_stopped: bool,
    /// They wait for a text to belong to.
    logprobs: Vec<TokenLogprob>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Reasoning,
}

impl StreamReader {
    /// A reader of one stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next event.
    ///
    /// # Errors
    /// When it is an error that the provider tells, or does not follow the protocol.
    pub fn read(&mut self, event: &SseEvent, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        let data = event.data.trim();
        if data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let response =
            serde_json::from_str(data).map_err(|error| Wrong::malformed(format!("an event is not JSON: {error}")))?;
        self.read_response(response, deltas)
    }

    /// Whether every candidate that has begun has said why it ended.
    pub fn is_complete(&self) -> bool {
        !self.candidates.is_empty() && self.candidates.values().all(|candidate| candidate.has_stopped)
    }

    /// Whether there is any answer, be it a refusal.
    pub(super) fn has_candidates(&self) -> bool {
        !self.candidates.is_empty()
    }

    pub(super) fn read_response(&mut self, response: Value, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        if let Some(told) = told_in(&response) {
            return Err(Wrong::Told(told));
        }
        let Value::Object(mut response) = response else {
            return Err(Wrong::malformed("the answer is not an object"));
        };
        let known = ["candidates", "promptFeedback", "usageMetadata", "responseId", "modelVersion"];
        if !known.iter().any(|name| response.contains_key(*name)) {
            return Ok(());
        }
        self.start(&response, deltas);
        match response.remove("candidates") {
            None | Some(Value::Null) => {}
            Some(Value::Array(candidates)) => {
                for candidate in candidates {
                    self.read_candidate(candidate, deltas)?;
                }
            }
            Some(_) => return Err(Wrong::malformed("`candidates` is not a list")),
        }
        let is_blocked = response.get("promptFeedback").is_some_and(|feedback| is_some(feedback.get("blockReason")));
        if is_blocked && self.candidates.is_empty() {
            self.candidates.insert(0, Candidate { has_stopped: true, ..Candidate::default() });
            deltas.push(Delta::Stop { choice: 0, reason: StopReason::Refusal, sequence: None });
        }
        if let Some(usage) = response.get("usageMetadata").filter(|usage| usage.is_object()) {
            let usage = read_usage(usage);
            if self.usage.replace(usage) != Some(usage) {
                deltas.push(Delta::Usage(usage));
            }
        }
        Ok(())
    }

    fn start(&mut self, response: &Map<String, Value>, deltas: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let text = |name: &str| response.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = text("responseId");
        let letters = id.chars().filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
        self.id = letters.take(ID_CHARS_MAX).collect();
        let created = time::to_seconds(&text("createTime"));
        deltas.push(Delta::Start { id, model: text("modelVersion"), created });
    }

    fn read_candidate(&mut self, candidate: Value, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        let Value::Object(candidate) = candidate else {
            return Err(Wrong::malformed("a candidate is not an object"));
        };
        // Zero is not written in this protocol.
        let index = candidate.get("index").filter(|index| !index.is_null()).map_or(Some(0), integer);
        let index = index.and_then(|index| u32::try_from(index).ok());
        let index = index.ok_or_else(|| Wrong::malformed("a candidate's `index` is not a small whole number"))?;
        if !self.candidates.contains_key(&index) && self.candidates.len() == CANDIDATES_MAX {
            return Err(Wrong::malformed(format!("there are more than {CANDIDATES_MAX} candidates")));
        }
        let state = self.candidates.entry(index).or_default();
        let mut out = Out { choice: index, state, deltas };
        out.state.logprobs.extend(read_logprobs(candidate.get("logprobsResult")));
        let parts = candidate.get("content").and_then(|content| content.get("parts"));
        for part in parts.and_then(Value::as_array).into_iter().flatten() {
            let Some(part) = part.as_object() else { return Err(Wrong::malformed("a part is not an object")) };
            out.read_part(part, &self.id, &mut self.calls)?;
        }
        out.flush_logprobs(false);
        if let Some(reason) = candidate.get("finishReason").filter(|reason| is_some(Some(reason))) {
            out.stop(reason.as_str().unwrap_or("OTHER"));
        }
        Ok(())
    }

    /// Ends what has not said why it ended: a whole answer need not.
    pub(super) fn finish(&mut self, deltas: &mut Vec<Delta>) {
        for (choice, state) in &mut self.candidates {
            Out { choice: *choice, state, deltas }.stop("STOP");
        }
    }
}

/// The deltas of one candidate.
struct Out<'a> {
    choice: u32,
    state: &'a mut Candidate,
    deltas: &'a mut Vec<Delta>,
}

impl Out<'_> {
    fn read_part(&mut self, part: &Map<String, Value>, id: &str, calls: &mut usize) -> Result<(), Wrong> {
        let text = |name: &str| part.get(name).and_then(Value::as_str).unwrap_or_default();
        let signature = text("thoughtSignature");
        let is_thought = part.get("thought").and_then(Value::as_bool) == Some(true);
        let call = part.get("functionCall").and_then(Value::as_object);
        // Anything else is of a built-in tool, or new. Its signature is nobody else's.
        let is_text = part.contains_key("text")
            || part.keys().all(|name| matches!(name.as_str(), "thought" | "thoughtSignature"));
        if self.state.has_stopped {
            // Half of an answer must not pass as the whole of it. A bare signature or nothing at all is harmless.
            let is_empty = text("text").is_empty() && call.is_none() && media::read_answered(part).is_none();
            return if is_empty {
                Ok(())
            } else {
                Err(Wrong::malformed("a candidate goes on after its `finishReason`"))
            };
        }
        if let Some(call) = call {
            self.seal(signature);
            return self.read_call(call, id, calls);
        }
        if let Some(content) = media::read_answered(part) {
            if !is_thought {
                self.seal(signature);
                self.begin(PartStart::Whole(Part::new(content)));
                self.end();
            }
            return Ok(());
        }
        match (is_thought, text("text")) {
            _ if !is_text => {}
            (true, "") if signature.is_empty() => {}
            (true, "") if self.state.open != Some(Open::Reasoning) => self.seal(signature),
            (true, text) => {
                if self.state.open != Some(Open::Reasoning) {
                    // Gemini shows summaries of its thoughts, not the thoughts themselves.
                    self.begin(PartStart::Reasoning { summary: true, id: None });
                    self.state.open = Some(Open::Reasoning);
                }
                self.append(text);
                if !signature.is_empty() {
                    self.sign(signature);
                    self.end();
                }
            }
            (false, text) => {
                self.seal(signature);
                if text.is_empty() {
                    return Ok(());
                }
                if self.state.open != Some(Open::Text) {
                    self.begin(PartStart::Text);
                    self.state.open = Some(Open::Text);
                }
                self.append(text);
                self.flush_logprobs(false);
            }
        }
        Ok(())
    }

    fn read_call(&mut self, call: &Map<String, Value>, answer_id: &str, calls: &mut usize) -> Result<(), Wrong> {
        let text = |name: &str| call.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let name = text("name").ok_or_else(|| Wrong::malformed("a `functionCall` has no name"))?.to_owned();
        let id = text("id").map_or_else(
            || {
                if answer_id.is_empty() {
                    format!("call_gemini_{calls}")
                } else {
                    format!("call_gemini_{answer_id}_{calls}")
                }
            },
            str::to_owned,
        );
        *calls += 1;
        let arguments = match call.get("args") {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(arguments) => arguments.to_string(),
        };
        self.begin(PartStart::ToolCall { id, name });
        self.append(&arguments);
        self.end();
        self.state.has_calls = true;
        Ok(())
    }

    fn begin(&mut self, part: PartStart) {
        self.close();
        self.deltas.push(Delta::Open { choice: self.choice, part });
    }

    fn append(&mut self, text: &str) {
        if !text.is_empty() {
            self.deltas.push(Delta::Append { choice: self.choice, text: text.to_owned() });
        }
    }

    fn sign(&mut self, signature: &str) {
        let signature = Signature { maker: Protocol::Gemini, text: signature.to_owned() };
        self.deltas.push(Delta::Signature { choice: self.choice, signature });
    }

    /// The signature of the part that follows, as reasoning without text.
    fn seal(&mut self, signature: &str) {
        if !signature.is_empty() {
            self.begin(PartStart::Reasoning { summary: false, id: None });
            self.sign(signature);
            self.end();
        }
    }

    fn end(&mut self) {
        self.state.open = None;
        self.deltas.push(Delta::Close { choice: self.choice });
    }

    fn close(&mut self) {
        if self.state.open.is_some() {
            self.end();
        }
    }

    fn flush_logprobs(&mut self, is_last: bool) {
        if !self.state.logprobs.is_empty() && (is_last || self.state.open == Some(Open::Text)) {
            let tokens = std::mem::take(&mut self.state.logprobs);
            self.deltas.push(Delta::Logprobs { choice: self.choice, tokens });
        }
    }

    fn stop(&mut self, reason: &str) {
        if std::mem::replace(&mut self.state.has_stopped, true) {
            return;
        }
        // An answer without text has them as well, such as a function call.
        self.flush_logprobs(true);
        self.close();
        let reason = match reason {
            "STOP" if self.state.has_calls => StopReason::ToolUse,
            "STOP" => StopReason::End,
            "MAX_TOKENS" => StopReason::MaxTokens,
            "SAFETY"
            | "RECITATION"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "MODEL_ARMOR"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => StopReason::Refusal,
            other => StopReason::Other(other.to_owned()),
        };
        self.deltas.push(Delta::Stop { choice: self.choice, reason, sequence: None });
    }
}

/// Whether an enum is there and says something.
fn is_some(word: Option<&Value>) -> bool {
    match word {
        None | Some(Value::Null) => false,
        Some(Value::String(word)) => !word.is_empty() && word != "FINISH_REASON_UNSPECIFIED",
        Some(_) => true,
    }
}

fn read_usage(usage: &Value) -> Usage {
    let count = |name| usage.get(name).and_then(integer).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    let reasoning_tokens = count("thoughtsTokenCount");
    Usage {
        input_tokens: count("promptTokenCount").saturating_add(count("toolUsePromptTokenCount")),
        cached_input_tokens: count("cachedContentTokenCount"),
        cache_write_tokens: 0,
        output_tokens: count("candidatesTokenCount").saturating_add(reasoning_tokens),
        reasoning_tokens,
    }
    .bounded()
}

/// `logprobsResult`: the tokens that were chosen, and the likeliest ones at each place.
fn read_logprobs(result: Option<&Value>) -> Vec<TokenLogprob> {
    let list = |value: Option<&Value>, name: &str| {
        value.and_then(|value| value.get(name)).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let token = |value: &Value, top: Vec<TokenLogprob>| {
        let logprob = match value.get("logProbability") {
            // Zero is not written in this protocol.
            None => 0.0,
            Some(number) => number.as_f64().unwrap_or(LOGPROB_MIN),
        };
        let token = value.get("token").and_then(Value::as_str).unwrap_or_default().to_owned();
        TokenLogprob { token, bytes: None, logprob, top }
    };
    let mut tops = list(result, "topCandidates").into_iter();
    let chosen = list(result, "chosenCandidates");
    let tops = std::iter::from_fn(|| Some(tops.next().unwrap_or_default()));
    chosen
        .iter()
        .zip(tops)
        .map(|(chosen, top)| {
            let top = list(Some(&top), "candidates").iter().map(|likely| token(likely, Vec::new())).collect();
            token(chosen, top)
        })
        .collect()
}
