//! One call's request and answer on their way into its record.

use std::sync::Arc;

use plasma_kernel::{Error, Result};
use plasma_protocols::{Losses, Protocol, anthropic, chat::Answer, gemini, openai_chat, openai_responses};
use serde_json::Value;

use super::{Capture, KeptText};
use crate::{
    calls::DAY_MICROS,
    gateway::{Asked, Question},
};

/// Bytes of text that are kept of a request or an answer.
const PART_BYTES_MAX: usize = 128 << 10;
/// Bytes of its JSON: names, brackets and numbers come to the texts.
const JSON_BYTES_MAX: usize = 2 * PART_BYTES_MAX;
/// A text from this length on that is nothing but base64 is a picture or a recording.
const DATA_BYTES_MIN: usize = 1_000;

/// What is kept of a call.
pub(crate) struct Payload {
    capture: Arc<Capture>,
    protocol: Protocol,
    pub(crate) request: Option<KeptText>,
    pub(crate) answer: Option<KeptText>,
}

impl Payload {
    /// Of a call that asks `question`.
    pub(super) fn asking(capture: Arc<Capture>, question: &Question) -> Self {
        let protocol = question.protocol().unwrap_or(Protocol::OpenAiChat);
        let request = match capture.settings.request.then(|| request(question)) {
            Some(Ok(value)) => Some(kept(&capture, value)),
            Some(Err(error)) => {
                tracing::debug!(?error, "a request cannot be kept");
                None
            }
            None => None,
        };
        Self { capture, protocol, request, answer: None }
    }

    pub(crate) fn wants_answer(&self) -> bool {
        self.capture.settings.answer
    }

    /// The answer of `model` has come, as far as it came.
    pub(crate) fn answered(&mut self, answer: &Answer, model: &str) {
        if !self.wants_answer() || answer.choices.is_empty() {
            return;
        }
        let mut answer = answer.clone();
        model.clone_into(&mut answer.model);
        let mut losses = Losses::default();
        let value = match self.protocol {
            Protocol::OpenAiChat | Protocol::Bedrock => openai_chat::write_answer(&answer, &mut losses),
            Protocol::OpenAiResponses => openai_responses::write_answer(&answer, &mut losses),
            Protocol::Anthropic => anthropic::write_answer(&answer, &mut losses),
            Protocol::Gemini => gemini::write_answer(&answer, &mut losses),
        };
        self.answer = Some(kept(&self.capture, value));
    }

    /// How long it is kept, in microseconds.
    pub(crate) fn retention(&self) -> i64 {
        i64::from(self.capture.settings.retention_days) * DAY_MICROS
    }
}

fn request(question: &Question) -> Result<Value> {
    match &question.asked {
        Asked::Client { body, .. } => serde_json::from_str(&body.to_json()?)
            .map_err(|error| Error::from_source("a JSON object could not be read again", error)),
        Asked::Ours(request) => openai_chat::write_request(request, &mut Losses::default()),
    }
}

/// Redacts and cuts.
fn kept(capture: &Capture, mut value: Value) -> KeptText {
    let mut pen = Pen { capture, left: PART_BYTES_MAX, truncated: false };
    pen.redact(&mut value);
    let mut text = value.to_string();
    if text.len() > JSON_BYTES_MAX {
        let end = text.floor_char_boundary(JSON_BYTES_MAX);
        let mark = left_out(text.len() - end);
        text.truncate(end);
        text.push_str(&mark);
        pen.truncated = true;
    }
    KeptText { text, truncated: pen.truncated }
}

fn left_out(bytes: usize) -> String {
    format!("[{bytes} bytes left out]")
}

struct Pen<'a> {
    capture: &'a Capture,
    /// Bytes of text that may still be kept.
    left: usize,
    truncated: bool,
}

impl Pen<'_> {
    /// Every value costs something, so that what is left bounds the work, too. The depth is bounded: serde_json reads 128
    /// levels at most.
    fn redact(&mut self, value: &mut Value) {
        self.left = self.left.saturating_sub(1);
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Number(number) => {
                // A card's number may be one.
                let text = number.to_string();
                self.left = self.left.saturating_sub(text.len());
                let clean = self.capture.redactions.apply(&text, text.len());
                if clean != text {
                    *value = Value::String(clean);
                }
            }
            Value::Array(values) => {
                for place in 0..values.len() {
                    if self.left == 0 {
                        let rest = self.rest(values.len() - place);
                        values.truncate(place);
                        values.push(rest);
                        return;
                    }
                    values.get_mut(place).into_iter().for_each(|value| self.redact(value));
                }
            }
            Value::Object(fields) => {
                let count = fields.len();
                for (place, (name, mut value)) in std::mem::take(fields).into_iter().enumerate() {
                    if self.left == 0 {
                        fields.insert("...".to_owned(), self.rest(count - place));
                        return;
                    }
                    let name = self.text(&name);
                    self.redact(&mut value);
                    fields.insert(name, value);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// What stands for values that are left out.
    fn rest(&mut self, values: usize) -> Value {
        self.truncated = true;
        Value::String(format!("[{values} values left out]"))
    }

    fn text(&mut self, text: &str) -> String {
        if is_data(text) {
            return left_out(text.len());
        }
        let limit = text.len().min(self.left);
        self.left -= limit;
        let mut clean = self.capture.redactions.apply(text, limit);
        if limit < text.len() {
            self.truncated = true;
            clean.push_str(&left_out(text.len() - limit));
        }
        clean
    }
}

/// Whether a text is the base64 of something, with or without `data:…;base64,` before it.
fn is_data(text: &str) -> bool {
    let data = match text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((_, data)) => data,
        None => text,
    };
    text.len() >= DATA_BYTES_MIN
        && data
            .bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'+' | b'/' | b'=' | b'-' | b'_'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::CaptureSettings;

    fn keep(value: Value) -> KeptText {
        kept(&Capture::new(CaptureSettings { enabled: true, ..CaptureSettings::default() }).unwrap(), value)
    }

    #[test]
    fn every_text_name_and_number_is_redacted_whatever_its_escapes() {
        let value: Value = serde_json::from_str(
            r#"{"messages":[{"content":"mail \u0061da\u0040example.org"}],"metadata":{"bob@example.org":4111111111111111},"n":1.5}"#,
        )
        .unwrap();
        let expected = json!({
            "messages": [{ "content": "mail [email]" }], "metadata": { "[email]": "[card number]" }, "n": 1.5
        });
        let kept = keep(value);
        assert_eq!((serde_json::from_str::<Value>(&kept.text).unwrap(), kept.truncated), (expected, false));
    }

    #[test]
    fn long_texts_are_cut_with_a_mark_and_stay_json() {
        let words = "word ".repeat(PART_BYTES_MAX / 5 + 10);
        let kept = keep(json!({ "a": words, "b": "later" }));
        let value: Value = serde_json::from_str(&kept.text).unwrap();
        // The object, the name and the text itself cost a byte or two.
        let left = words.len() - PART_BYTES_MAX + 3;
        assert!(value["a"].as_str().unwrap().ends_with(&format!("[{left} bytes left out]")));
        assert_eq!((&value["b"], &value["..."]), (&Value::Null, &json!("[1 values left out]")));
        assert!(kept.truncated && kept.text.len() < JSON_BYTES_MAX);
    }

    #[test]
    fn of_very_many_small_values_the_first_are_kept() {
        let kept = keep(json!({ "a": vec![1; JSON_BYTES_MAX] }));
        let value: Value = serde_json::from_str(&kept.text).unwrap();
        let values = value["a"].as_array().unwrap();
        assert_eq!(values.len(), PART_BYTES_MAX / 2);
        assert_eq!(values.last().unwrap(), &json!(format!("[{} values left out]", JSON_BYTES_MAX - values.len() + 1)));
        assert!(kept.truncated && kept.text.len() < JSON_BYTES_MAX);
    }

    #[test]
    fn what_escapes_make_too_long_is_cut_at_its_end() {
        let kept = keep(json!({ "a": "\u{1}".repeat(PART_BYTES_MAX - 10) }));
        assert!(kept.truncated && kept.text.ends_with(" bytes left out]") && kept.text.len() < JSON_BYTES_MAX + 100);
    }

    #[test]
    fn pictures_are_left_out() {
        let kept = keep(
            json!({ "url": format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(200)), "text": "Was ist das?" }),
        );
        let value: Value = serde_json::from_str(&kept.text).unwrap();
        assert_eq!(value, json!({ "url": "[2222 bytes left out]", "text": "Was ist das?" }));
    }
}
