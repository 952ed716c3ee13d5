//! The model's name in answers that pass through.

use std::borrow::Cow;

use plasma_kernel::{Error, Result};
use plasma_protocols::{Protocol, SseEvent};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::upstream::RawObject;

fn parse(json: &str) -> Result<RawObject> {
    RawObject::parse(json).map_err(|error| Error::from_source("an answer is not an object", error))
}

/// A whole answer under our name of the model.
pub(super) fn answer(protocol: Protocol, json: &str, model: &str) -> Result<String> {
    let mut answer = parse(json)?;
    let field = if protocol == Protocol::Gemini { "modelVersion" } else { "model" };
    answer.set(field, &model)?;
    answer.to_json()
}

/// An event of a stream under our name of the model. `None`: the event carries only the usage that we asked for ourselves.
pub(super) fn event(protocol: Protocol, event: &SseEvent, model: &str, usage_wanted: bool) -> Result<Option<String>> {
    match protocol {
        Protocol::OpenAiChat => {
            if let Some(renamed) = ordinary_chunk(&event.data, model, usage_wanted) {
                return Ok(Some(renamed));
            }
            let mut chunk = parse(&event.data)?;
            if !usage_wanted {
                if chunk.has("usage") && chunk.text("choices").is_none_or(|choices| choices.trim() == "[]") {
                    return Ok(None);
                }
                if !chunk.has("usage") {
                    chunk.remove("usage");
                }
            }
            chunk.set("model", &model)?;
            chunk.to_json().map(Some)
        }
        Protocol::Anthropic => nested(event, "message_start", "message", model).map(Some),
        Protocol::OpenAiResponses => nested(event, "response.", "response", model).map(Some),
        Protocol::Gemini => answer(protocol, &event.data, model).map(Some),
        Protocol::Bedrock => Ok(Some(event.data.clone())),
    }
}

/// A chunk of a stream with its name replaced where it stands: most chunks need no more, and there are many. `None`: it needs to
/// be taken apart.
fn ordinary_chunk(data: &str, model: &str, usage_wanted: bool) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        model: &'a RawValue,
    }

    let mut data = Cow::Borrowed(data);
    if !usage_wanted && data.contains(r#""usage""#) {
        // Quotes inside of JSON's strings are escaped, so this is a field; many providers send it with every chunk.
        data = Cow::Owned(data.replacen(r#","usage":null"#, "", 1));
        if data.contains(r#""usage""#) {
            return None;
        }
    }
    let named: Named<'_> = serde_json::from_str(&data).ok()?;
    let start = (named.model.get().as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
    let (before, after) = (data.get(..start)?, data.get(start + named.model.get().len()..)?);
    Some([before, &serde_json::to_string(model).ok()?, after].concat())
}

/// The name stands in an object of some events only; the others pass untouched.
fn nested(event: &SseEvent, named: &str, field: &str, model: &str) -> Result<String> {
    if !event.name.as_deref().is_none_or(|name| name.starts_with(named)) {
        return Ok(event.data.clone());
    }
    let mut outer = parse(&event.data)?;
    let Some(mut inner) = outer.get::<RawObject>(field).ok().flatten().filter(|inner| inner.has("model")) else {
        return Ok(event.data.clone());
    };
    inner.set("model", &model)?;
    outer.set(field, &inner)?;
    outer.to_json()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn named(name: &str, data: &str) -> SseEvent {
        SseEvent { name: Some(name.to_owned()), data: data.to_owned() }
    }

    #[test]
    fn only_the_name_changes() {
        let start = named("message_start", r#"{"type":"message_start","message":{"id":"m","model":"up","x":1.50}}"#);
        let renamed = event(Protocol::Anthropic, &start, "acme/a", true).unwrap().unwrap();
        assert!(renamed.contains(r#""model":"acme/a""#) && renamed.contains("1.50"), "{renamed}");
        let other = named("content_block_delta", r#"{"model":"not a name", "y":  1}"#);
        assert_eq!(event(Protocol::Anthropic, &other, "acme/a", true).unwrap().unwrap(), other.data);
        let created = named("response.created", r#"{"response":{"model":"up","output":[]}}"#);
        let renamed = event(Protocol::OpenAiResponses, &created, "acme/a", true).unwrap().unwrap();
        assert!(renamed.contains(r#""model":"acme/a""#), "{renamed}");
        assert!(answer(Protocol::Gemini, r#"{"modelVersion":"up"}"#, "acme/a").unwrap().contains("acme/a"));
    }

    #[test]
    fn chunks_keep_every_other_byte() {
        let renamed = |data: &str, wanted| {
            event(Protocol::OpenAiChat, &SseEvent { name: None, data: data.to_owned() }, "acme/a", wanted)
                .unwrap()
                .unwrap()
        };
        let chunk = r#"{"id":"c", "model": "up\u0041" ,"choices":[{"delta":{"content":"\"model\":\"x\",\"usage\":null 1.50"}}],"x":1.50}"#;
        for wanted in [true, false] {
            assert_eq!(renamed(chunk, wanted), chunk.replace(r#""up\u0041""#, r#""acme/a""#));
        }
        let with_null = r#"{"model":"up","choices":[],"usage":null,"y":2}"#;
        assert_eq!(renamed(with_null, false), r#"{"model":"acme/a","choices":[],"y":2}"#);
        assert_eq!(renamed(with_null, true), r#"{"model":"acme/a","choices":[],"usage":null,"y":2}"#);
        assert_eq!(renamed(r#"{"choices":[]}"#, true), r#"{"choices":[],"model":"acme/a"}"#);
    }

    #[test]
    fn usage_that_only_we_asked_for_is_hidden() {
        let chunk = |data: &str, wanted| {
            let chunk = SseEvent { name: None, data: data.to_owned() };
            event(Protocol::OpenAiChat, &chunk, "m", wanted).unwrap()
        };
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":1}}"#;
        assert_eq!(chunk(usage, false), None);
        assert!(chunk(usage, true).unwrap().contains("prompt_tokens"));
        assert!(!chunk(r#"{"choices":[{}],"usage":null}"#, false).unwrap().contains("usage"));
        assert!(chunk(r#"{"choices":[{}],"usage":{"prompt_tokens":1}}"#, false).unwrap().contains("usage"));
    }
}
