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

/// The events of one stream under our name of the model.
pub(super) struct EventNames {
    protocol: Protocol,
    model: String,
    usage_wanted: bool,
    /// How the last ordinary chunk began, up to the end of its name, and the same under our name: the chunks of one stream
    /// begin alike, so that most need not be taken apart.
    beginning: Option<(String, String)>,
}

impl EventNames {
    pub(super) fn new(protocol: Protocol, model: &str, usage_wanted: bool) -> Self {
        Self { protocol, model: model.to_owned(), usage_wanted, beginning: None }
    }

    /// An event under our name of the model. `None`: the event carries only the usage that we asked for ourselves.
    pub(super) fn rename(&mut self, event: &SseEvent) -> Result<Option<String>> {
        match self.protocol {
            Protocol::OpenAiChat => {
                if let Some(renamed) = self.ordinary_chunk(&event.data) {
                    return Ok(Some(renamed));
                }
                let mut chunk = parse(&event.data)?;
                if !self.usage_wanted {
                    if chunk.has("usage") && chunk.text("choices").is_none_or(|choices| choices.trim() == "[]") {
                        return Ok(None);
                    }
                    if !chunk.has("usage") {
                        chunk.remove("usage");
                    }
                }
                chunk.set("model", &self.model)?;
                chunk.to_json().map(Some)
            }
            Protocol::Anthropic => nested(event, "message_start", "message", &self.model).map(Some),
            Protocol::OpenAiResponses => nested(event, "response.", "response", &self.model).map(Some),
            Protocol::Gemini => answer(self.protocol, &event.data, &self.model).map(Some),
            Protocol::Bedrock => Ok(Some(event.data.clone())),
        }
    }

    /// A chunk of a stream with its name replaced where it stands: most chunks need no more, and there are many. `None`: it
    /// needs to be taken apart.
    fn ordinary_chunk(&mut self, data: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            model: &'a RawValue,
        }

        let mut data = Cow::Borrowed(data);
        if !self.usage_wanted && data.contains(r#""usage""#) {
            // Quotes inside of JSON's strings are escaped, so this is a field; many providers send it with every chunk.
            data = Cow::Owned(data.replacen(r#","usage":null"#, "", 1));
            if data.contains(r#""usage""#) {
                return None;
            }
        }
        if let Some((beginning, renamed)) = &self.beginning
            && let Some(rest) = data.strip_prefix(beginning.as_str())
        {
            return Some([renamed, rest].concat());
        }
        let named: Named<'_> = serde_json::from_str(&data).ok()?;
        let start = (named.model.get().as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        let end = start + named.model.get().len();
        let (before, beginning, rest) = (data.get(..start)?, data.get(..end)?, data.get(end..)?);
        let renamed = before.to_owned() + &serde_json::to_string(&self.model).ok()?;
        let whole = [&renamed, rest].concat();
        self.beginning = Some((beginning.to_owned(), renamed));
        Some(whole)
    }
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

    fn event(protocol: Protocol, event: &SseEvent, model: &str, usage_wanted: bool) -> Option<String> {
        EventNames::new(protocol, model, usage_wanted).rename(event).unwrap()
    }

    #[test]
    fn chunks_that_begin_otherwise_are_renamed_too() {
        let mut names = EventNames::new(Protocol::OpenAiChat, "acme/a", true);
        for (chunk, expected) in [
            (r#"{"id":"1","model":"up","n":1}"#, r#"{"id":"1","model":"acme/a","n":1}"#),
            (r#"{"id":"1","model":"up","n":2}"#, r#"{"id":"1","model":"acme/a","n":2}"#),
            (r#"{"id":"2","model":"upper","n":3}"#, r#"{"id":"2","model":"acme/a","n":3}"#),
            (r#"{"id":"1","model":"up","n":4}"#, r#"{"id":"1","model":"acme/a","n":4}"#),
            (r#"{"model":"up","n":5}"#, r#"{"model":"acme/a","n":5}"#),
        ] {
            let renamed = names.rename(&SseEvent { name: None, data: chunk.to_owned() });
            assert_eq!(renamed.unwrap().unwrap(), expected);
        }
    }

    #[test]
    fn only_the_name_changes() {
        let start = named("message_start", r#"{"type":"message_start","message":{"id":"m","model":"up","x":1.50}}"#);
        let renamed = event(Protocol::Anthropic, &start, "acme/a", true).unwrap();
        assert!(renamed.contains(r#""model":"acme/a""#) && renamed.contains("1.50"), "{renamed}");
        let other = named("content_block_delta", r#"{"model":"not a name", "y":  1}"#);
        assert_eq!(event(Protocol::Anthropic, &other, "acme/a", true).unwrap(), other.data);
        let created = named("response.created", r#"{"response":{"model":"up","output":[]}}"#);
        let renamed = event(Protocol::OpenAiResponses, &created, "acme/a", true).unwrap();
        assert!(renamed.contains(r#""model":"acme/a""#), "{renamed}");
        assert!(answer(Protocol::Gemini, r#"{"modelVersion":"up"}"#, "acme/a").unwrap().contains("acme/a"));
    }

    #[test]
    fn chunks_keep_every_other_byte() {
        let renamed = |data: &str, wanted| {
            event(Protocol::OpenAiChat, &SseEvent { name: None, data: data.to_owned() }, "acme/a", wanted).unwrap()
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
            event(Protocol::OpenAiChat, &chunk, "m", wanted)
        };
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":1}}"#;
        assert_eq!(chunk(usage, false), None);
        assert!(chunk(usage, true).unwrap().contains("prompt_tokens"));
        assert!(!chunk(r#"{"choices":[{}],"usage":null}"#, false).unwrap().contains("usage"));
        assert!(chunk(r#"{"choices":[{}],"usage":{"prompt_tokens":1}}"#, false).unwrap().contains("usage"));
    }
}
