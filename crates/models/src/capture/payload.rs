//! One call's request and answer on their way into its record.

use std::{collections::VecDeque, fmt, sync::Arc};

use plasma_kernel::{Error, Result};
use plasma_protocols::{Losses, Protocol, anthropic, chat::Answer, gemini, openai_chat, openai_responses};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{Capture, KeptText};
use crate::{
    calls::DAY_MICROS,
    gateway::{Asked, Question},
    upstream::RawObject,
};

/// Bytes of text that are kept of a request or an answer.
const PART_BYTES_MAX: usize = 128 << 10;
/// Bytes of its JSON: names, brackets and numbers come to the texts.
const JSON_BYTES_MAX: usize = 2 * PART_BYTES_MAX;
/// Bytes of a request's value from which on it is cut before it is read: its values would take many times its memory.
const WHOLE_BYTES_MAX: usize = 256 << 10;
/// Bytes of a request that are read.
const READ_BYTES_MAX: usize = 2 << 20;
/// Bytes of a list's item that is short: it holds no picture.
const ITEM_BYTES_MAX: usize = 4 << 10;
/// Levels at which long values are cut: a picture in a tool's result in a message is not deeper.
const CUT_LEVELS_MAX: usize = 8;
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
            Some(Ok((value, cut))) => Some(kept(&capture, value, cut)),
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
        self.answer = Some(kept(&self.capture, value, false));
    }

    /// How long it is kept, in microseconds.
    pub(crate) fn retention(&self) -> i64 {
        i64::from(self.capture.settings.retention_days) * DAY_MICROS
    }
}

/// The request, and whether a part of it is left out already.
fn request(question: &Question) -> Result<(Value, bool)> {
    match &question.asked {
        Asked::Client { body, .. } => {
            let mut scissors = Scissors { left: READ_BYTES_MAX, truncated: false };
            let value = scissors
                .object(body, 0)
                .map_err(|error| Error::from_source("a JSON object could not be read again", error))?;
            Ok((value, scissors.truncated))
        }
        Asked::Ours(request) => Ok((openai_chat::write_request(request, &mut Losses::default())?, false)),
    }
}

/// Reads JSON without what is too long to be kept.
struct Scissors {
    /// Bytes that may still be read.
    left: usize,
    truncated: bool,
}

impl Scissors {
    fn value(&mut self, json: &str, depth: usize) -> serde_json::Result<Value> {
        let first = json.as_bytes().first();
        let is_text = first == Some(&b'"');
        // A text takes no more memory than its JSON, and what of it is kept is said later.
        if json.len() <= self.left && (json.len() <= WHOLE_BYTES_MAX || is_text) {
            self.left -= json.len();
            return serde_json::from_str(json);
        }
        match first {
            Some(b'[') if depth < CUT_LEVELS_MAX => return self.list(json, depth),
            Some(b'{') if depth < CUT_LEVELS_MAX => {
                // One with too many fields is left out.
                if let Ok(object) = RawObject::parse(json) {
                    return self.object(&object, depth);
                }
            }
            _ => {}
        }
        self.truncated |= !(is_text && is_data(json.trim_matches('"')));
        Ok(Value::String(left_out(json.len())))
    }

    /// Without its fields that are null: they say as much as absent ones.
    fn object(&mut self, object: &RawObject, depth: usize) -> serde_json::Result<Value> {
        let mut fields = serde_json::Map::new();
        for (name, json) in object.fields() {
            fields.insert(name.to_owned(), self.value(json, depth + 1)?);
        }
        Ok(Value::Object(fields))
    }

    /// Of a long list the last ones are kept: in a conversation they are the newest.
    fn list(&mut self, json: &str, depth: usize) -> serde_json::Result<Value> {
        let Newest { items, mut before } = serde_json::from_str(json)?;
        let mut values = VecDeque::with_capacity(items.len() + 1);
        let mut room = PART_BYTES_MAX;
        for (place, item) in items.iter().enumerate().rev() {
            let value = self.value(item.get(), depth + 1)?;
            let bytes = weight(&value);
            if bytes > room && !values.is_empty() {
                before += place + 1;
                break;
            }
            room = room.saturating_sub(bytes);
            values.push_front(value);
        }
        if before > 0 {
            self.truncated = true;
            values.push_front(Value::String(values_left_out(before)));
        }
        Ok(Value::Array(values.into()))
    }
}

/// What a value takes of the bytes that are kept.
fn weight(value: &Value) -> usize {
    1 + match value {
        Value::String(text) if is_data(text) => 0,
        Value::String(text) => text.len(),
        Value::Number(number) => number.to_string().len(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + weight(value)).sum(),
        Value::Null | Value::Bool(_) => 0,
    }
}

/// The last items of a list that may be kept, at least one, and how many stand before them. Those that may hold pictures do not
/// count here: what remains of them is known later.
struct Newest<'a> {
    items: VecDeque<&'a RawValue>,
    before: usize,
}

impl<'de> Deserialize<'de> for Newest<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;

        impl<'de> Visitor<'de> for Items {
            type Value = Newest<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Newest<'de>, A::Error> {
                let bytes_of = |item: &RawValue| Some(item.get().len()).filter(|bytes| *bytes <= ITEM_BYTES_MAX);
                let (mut newest, mut bytes) = (Newest { items: VecDeque::new(), before: 0 }, 0_usize);
                while let Some(item) = list.next_element::<&'de RawValue>()? {
                    bytes += bytes_of(item).unwrap_or(0);
                    newest.items.push_back(item);
                    while bytes > PART_BYTES_MAX && newest.items.len() > 1 {
                        bytes -= newest.items.pop_front().and_then(bytes_of).unwrap_or(0);
                        newest.before += 1;
                    }
                }
                Ok(newest)
            }
        }

        deserializer.deserialize_seq(Items)
    }
}

/// Redacts and cuts. `cut`: a part is left out already.
fn kept(capture: &Capture, mut value: Value, cut: bool) -> KeptText {
    let mut pen = Pen { capture, left: PART_BYTES_MAX, truncated: cut };
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

fn values_left_out(values: usize) -> String {
    format!("[{values} values left out]")
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
        Value::String(values_left_out(values))
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
        kept(&Capture::new(CaptureSettings { enabled: true, ..CaptureSettings::default() }).unwrap(), value, false)
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
    /// What is read of a request's JSON, and whether a part is left out.
    fn read(json: &str) -> (Value, bool) {
        let mut scissors = Scissors { left: READ_BYTES_MAX, truncated: false };
        let value = scissors.object(&RawObject::parse(json).unwrap(), 0).unwrap();
        (value, scissors.truncated)
    }

    #[test]
    fn of_a_long_conversation_the_newest_messages_are_read() {
        let message = |place: usize| json!({ "role": "user", "content": format!("{place} {}", "word ".repeat(2_000)) });
        let messages: Vec<Value> = (0..100).map(message).collect();
        let (value, truncated) = read(&json!({ "messages": messages, "model": "acme/large" }).to_string());
        let kept = value["messages"].as_array().unwrap();
        assert_eq!((kept.last(), kept.len() < 20, truncated), (messages.last(), true, true));
        assert_eq!(kept.first(), Some(&json!(format!("[{} values left out]", 101 - kept.len()))));
        assert_eq!(value["model"], "acme/large");
        let short = json!({ "messages": [message(1)], "model": "acme/large" });
        assert_eq!(read(&short.to_string()), (short, false));
    }

    #[test]
    fn of_a_long_message_only_the_picture_is_left_out() {
        let url = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(300_000));
        let asked = |url: &str| {
            let picture = json!({ "type": "image_url", "image_url": { "url": url } });
            let text = json!({ "type": "text", "text": "Was ist das?" });
            json!({ "messages": [{ "role": "user", "content": [picture, text] }, { "role": "user", "content": "?" }] })
        };
        let left_out = format!("[{} bytes left out]", url.len() + 2);
        assert_eq!(read(&asked(&url).to_string()), (asked(&left_out), false));
    }

    #[test]
    fn a_long_text_makes_no_newer_one_fall_away() {
        let long = json!({ "role": "user", "content": "word ".repeat(80_000) });
        let short = json!({ "role": "user", "content": "And now?" });
        let (value, truncated) = read(&json!({ "messages": [long, short] }).to_string());
        assert_eq!((value, truncated), (json!({ "messages": ["[1 values left out]", short] }), true));
    }

    #[test]
    fn values_that_are_too_many_are_not_read() {
        let (list, number) = ("1,".repeat(1_000_000), "1".repeat(300_000));
        let (value, truncated) = read(&format!("{{\"a\":[{list}1],\"b\":{number}}}"));
        assert!(truncated && value["a"].as_array().unwrap().len() <= PART_BYTES_MAX + 1);
        assert_eq!(value["b"], "[300000 bytes left out]");
    }
}
