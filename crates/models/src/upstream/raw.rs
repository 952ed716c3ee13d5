//! JSON as it goes over the wire: objects whose values stay untouched text, and the few fields that are read.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{Code, Error, Result};
use plasma_protocols::Told;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::TokenUsage;

/// Nesting that is passed on: deeper JSON makes other programs' parsers overflow.
const DEPTH_MAX: usize = 128;
/// No call uses a billion tokens. A provider that says so is held at this, so that sums stay within 64 bits.
pub(super) const TOKENS_MAX: u64 = 1_000_000_000;

/// Fields of an object. A real one has some dozens; millions of tiny ones would cost far more memory than their text.
const FIELDS_MAX: usize = 1_000;

/// A JSON object of which only the first level is parsed; values keep their exact text, known to us or not.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct RawObject(BTreeMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = RawObject;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    if fields.len() == FIELDS_MAX {
                        return Err(de::Error::custom(format!("an object has more than {FIELDS_MAX} fields")));
                    }
                    fields.insert(name, value);
                }
                Ok(RawObject(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

impl RawObject {
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The fields of a JSON object.
    ///
    /// # Errors
    /// `internal` when it is something else.
    pub(crate) fn of(value: &serde_json::Value) -> Result<Self> {
        let raw = |value| serde_json::value::to_raw_value(value);
        let object = value.as_object().ok_or_else(|| Error::internal("a request must be a JSON object"))?;
        let fields = object.iter().map(|(name, value)| Ok((name.clone(), raw(value)?))).collect::<Result<_, _>>();
        fields
            .map(Self)
            .map_err(|error: serde_json::Error| Error::from_source("a JSON object could not be written", error))
    }

    /// The field as a `T`; `None` when it is absent or null.
    ///
    /// # Errors
    /// `invalid`, naming the field.
    pub(crate) fn get<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Result<Option<T>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => serde_json::from_str(value.get()).map_err(|error| Error::invalid(name, error.to_string())),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        let value = serde_json::value::to_raw_value(value)
            .map_err(|error| Error::from_source(format!("the field {name} could not be written"), error))?;
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    /// Sets the field when there is a value.
    pub(crate) fn set_some(&mut self, name: &str, value: Option<impl Serialize>) -> Result<()> {
        value.map_or(Ok(()), |value| self.set(name, &value))
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Whether the field is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    pub(crate) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::from_source("a JSON object could not be written", error))
    }

    /// The text of a field that is there and not null.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.get()).filter(|text| *text != "null")
    }

    /// The names and texts of all fields that are not null.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.get())).filter(|(_, text)| *text != "null")
    }

    /// The values as they were written.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|value| value.get())
    }
}

/// Whether JSON text nests at most 128 levels. The text is known to be valid JSON.
pub(crate) fn depth_allowed(json: &str) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return false;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// `usage` as the protocol writes it. Servers leave parts out, send null, or add their own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WireUsage {
    #[serde(deserialize_with = "null_is_default")]
    prompt_tokens: u64,
    #[serde(deserialize_with = "null_is_default")]
    completion_tokens: u64,
    #[serde(deserialize_with = "null_is_default")]
    prompt_tokens_details: WirePromptDetails,
    #[serde(deserialize_with = "null_is_default")]
    completion_tokens_details: WireCompletionDetails,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WirePromptDetails {
    #[serde(deserialize_with = "null_is_default")]
    cached_tokens: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireCompletionDetails {
    #[serde(deserialize_with = "null_is_default")]
    reasoning_tokens: u64,
}

pub(crate) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl From<WireUsage> for TokenUsage {
    fn from(usage: WireUsage) -> Self {
        let input_tokens = usage.prompt_tokens.min(TOKENS_MAX);
        let output_tokens = usage.completion_tokens.min(TOKENS_MAX);
        Self {
            input_tokens,
            cached_input_tokens: usage.prompt_tokens_details.cached_tokens.min(input_tokens),
            output_tokens,
            reasoning_tokens: usage.completion_tokens_details.reasoning_tokens.min(output_tokens),
            // The protocol has no word for them.
            cache_write_tokens: 0,
        }
    }
}

pub(crate) fn invalid_answer(what: impl std::fmt::Display) -> Error {
    Error::new(
        Code::Upstream,
        "provider_answer_invalid",
        format!("the provider's answer does not follow the OpenAI format: {what}"),
    )
    .remedy("check that the provider's base URL is that of an OpenAI-compatible server")
}

/// An `error` object inside an answer or a stream, as [`plasma_protocols::openai_chat::read_error`] reads it in a body.
pub(super) fn told(error: &RawValue) -> Told {
    plasma_protocols::openai_chat::read_error(format!("{{\"error\":{}}}", error.get()).as_bytes())
}

/// What an embeddings answer used. Refuses what is not one.
pub(crate) fn embeddings_usage(answer: &RawObject) -> Result<Option<TokenUsage>> {
    if !answer.has("data") {
        return Err(invalid_answer("`data` is missing"));
    }
    Ok(answer.get::<WireUsage>("usage").map_err(invalid_answer)?.map(TokenUsage::from))
}

/// What an answer of Chat Completions or embeddings used; `None` when it does not say.
pub(crate) fn usage_of(answer: &RawObject) -> Option<TokenUsage> {
    answer.get::<WireUsage>("usage").ok().flatten().map(TokenUsage::from)
}

#[derive(Deserialize)]
struct WireEmbedding {
    index: Option<usize>,
    embedding: Box<RawValue>,
}

/// A vector as a list of numbers, or as little-endian 32-bit numbers in base64. `None` when it is neither.
fn vector(written: &RawValue) -> Option<Vec<f32>> {
    let written = written.get();
    if !written.starts_with('"') {
        return serde_json::from_str(written).ok();
    }
    let bytes = STANDARD.decode(serde_json::from_str::<String>(written).ok()?).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

/// The vectors of an embeddings answer in the order of the `count` inputs.
pub(crate) fn embeddings_answer(answer: &RawObject, count: usize) -> Result<Vec<Vec<f32>>> {
    let data: Vec<WireEmbedding> =
        answer.get("data").map_err(invalid_answer)?.ok_or_else(|| invalid_answer("`data` is missing"))?;
    if data.len() != count {
        return Err(invalid_answer(format!("{} vectors for {count} inputs", data.len())));
    }
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; count];
    let mut dimensions = None;
    for (position, item) in data.into_iter().enumerate() {
        let index = item.index.unwrap_or(position);
        let embedding = vector(&item.embedding).ok_or_else(|| invalid_answer("a vector is no list of numbers"))?;
        if embedding.len() != *dimensions.get_or_insert(embedding.len()) || embedding.is_empty() {
            return Err(invalid_answer("the vectors are empty or of different lengths"));
        }
        if !embedding.iter().all(|number| number.is_finite()) {
            return Err(invalid_answer(format!("vector {index} holds a number that is not finite")));
        }
        match vectors.get_mut(index) {
            Some(slot @ None) => *slot = Some(embedding),
            _ => return Err(invalid_answer(format!("index {index} is out of range or comes twice"))),
        }
    }
    // Every slot is full: as many items as slots, none twice.
    Ok(vectors.into_iter().flatten().collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_exact_text() {
        let text = r#"{"model":"a","big":12345678901234567890123,"half":0.10000000000000000001,"deep":{"b":[1, 2]}}"#;
        let mut object = RawObject::parse(text).unwrap();
        object.set("model", &"b/c").unwrap();
        let written = object.to_json().unwrap();
        for kept in ["12345678901234567890123", "0.10000000000000000001", r#"{"b":[1, 2]}"#, r#""model":"b/c""#] {
            assert!(written.contains(kept), "{kept} is missing in {written}");
        }
    }

    #[test]
    fn an_object_of_very_many_fields_is_refused() {
        let object = |fields: usize| {
            let fields: Vec<String> = (0..fields).map(|field| format!("\"{field}\":0")).collect();
            RawObject::parse(&format!("{{{}}}", fields.join(",")))
        };
        assert!(object(FIELDS_MAX).is_ok());
        assert!(object(FIELDS_MAX + 1).is_err());
        assert!(RawObject::parse("[]").is_err());
    }

    #[test]
    fn depth_ignores_brackets_in_strings() {
        assert!(depth_allowed(&format!("{}{}", "[".repeat(128), "]".repeat(128))));
        assert!(!depth_allowed(&format!("{}{}", "[".repeat(129), "]".repeat(129))));
        assert!(depth_allowed(&format!("\"\\\"{}\"", "[".repeat(1_000))));
    }

    #[test]
    fn usage_survives_what_servers_really_send() {
        let usage = |text: &str| {
            let answer = RawObject::parse(&format!("{{\"data\":[{{}}],\"usage\":{text}}}")).unwrap();
            embeddings_usage(&answer).unwrap()
        };
        let seven = TokenUsage { input_tokens: 7, ..TokenUsage::default() };
        assert_eq!(usage("null"), None);
        assert_eq!(usage("{}"), Some(TokenUsage::default()));
        let full = usage(
            r#"{"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":5,"x":1},
                "completion_tokens_details":{"reasoning_tokens":9}}"#,
        );
        let expected = TokenUsage { cached_input_tokens: 5, output_tokens: 2, reasoning_tokens: 2, ..seven };
        assert_eq!(full, Some(expected));
        let nulls = usage(r#"{"prompt_tokens":7,"completion_tokens":null,"prompt_tokens_details":null}"#);
        assert_eq!(nulls, Some(seven));
        assert_eq!(usage(r#"{"prompt_tokens":18446744073709551615}"#).unwrap().input_tokens, TOKENS_MAX);
    }

    #[test]
    fn embeddings_are_put_in_the_order_of_the_inputs_or_refused() {
        let vectors = |data: &str, count| embeddings_answer(&RawObject::parse(data).unwrap(), count);
        let swapped = r#"{"data":[{"index":1,"embedding":[2,2]},{"index":0,"embedding":[1,1]}]}"#;
        assert_eq!(vectors(swapped, 2).unwrap(), [[1.0, 1.0], [2.0, 2.0]]);
        assert_eq!(vectors(r#"{"data":[{"index":0,"embedding":"AACAPwAAIMA="}]}"#, 1).unwrap(), [[1.0, -2.5]]);
        for neither in [r#""AACAP""#, r#""AACAPwA=""#, r#""!""#, "{}", "1"] {
            assert!(vectors(&format!(r#"{{"data":[{{"index":0,"embedding":{neither}}}]}}"#), 1).is_err(), "{neither}");
        }
        assert!(vectors(swapped, 3).is_err());
        assert!(vectors(r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#, 2).is_err());
        assert!(vectors(r#"{"data":[{"index":9,"embedding":[1]}]}"#, 1).is_err());
        assert!(vectors(r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}"#, 2).is_err());
        assert!(vectors(r#"{"data":[{"index":0,"embedding":[1e39]}]}"#, 1).is_err());
        assert!(vectors(r#"{"data":[{"index":0,"embedding":[]}]}"#, 1).is_err());
    }
}
