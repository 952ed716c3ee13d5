//! A chat request of the OpenAI format for a local model: what it honors, what changes nothing, and what is refused.

use plasma_kernel::{Error, Result};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, value::RawValue};

use super::openai_answers::not_for_local_models;
use crate::{ChatMessage, ChatRequest, Purpose, Role, chat, manifest::ModelEntry, openai::RawObject};

/// Fields that decide the answer.
const HONORED: [&str; 12] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
];

/// Fields for the books or the speed of a provider: an answer is as right without them.
const HARMLESS: [&str; 9] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prediction",
    "parallel_tool_calls",
];

/// Parts of one message's content.
const PARTS_MAX: usize = 1_024;

/// The limits that hold for every chat, also for one that is passed on.
pub(super) fn check_limits(body: &RawObject) -> Result<()> {
    let messages: Vec<IgnoredAny> = body.get("messages")?.unwrap_or_default();
    chat::check_size(messages.len(), 0)
}

/// The request that a local model is asked with.
pub(super) fn for_local_model(body: &RawObject, entry: &ModelEntry) -> Result<ChatRequest> {
    if let Some(field) = refused_field(body) {
        return Err(not_for_local_models(field));
    }
    let messages: Vec<Box<RawValue>> = body.get("messages")?.unwrap_or_default();
    let messages = messages.iter().enumerate().map(|(index, text)| message(text, index)).collect::<Result<Vec<_>>>()?;
    let mut request = ChatRequest::new(Purpose::Api, messages);
    request.max_tokens = max_tokens(body, entry)?;
    request.temperature = body.get("temperature")?;
    request.top_p = body.get("top_p")?;
    request.stop = stop(body)?;
    // OpenAI's seeds are signed; each has its own unsigned one.
    request.seed = body.get::<i64>("seed")?.map(i64::cast_unsigned);
    request.frequency_penalty = body.get("frequency_penalty")?;
    request.presence_penalty = body.get("presence_penalty")?;
    Ok(request)
}

/// The first field that asks for what a local model cannot do.
fn refused_field(body: &RawObject) -> Option<&str> {
    let is_known = |name: &str| HONORED.contains(&name) || HARMLESS.contains(&name);
    body.fields().find(|(name, text)| !is_known(name) && !changes_nothing(name, text)).map(|(name, _)| name)
}

/// Whether the value asks for what happens anyway.
fn changes_nothing(name: &str, text: &str) -> bool {
    /// No value that changes nothing is longer; a longer one is not worth the memory.
    const BYTES_MAX: usize = 200;
    if text.len() > BYTES_MAX {
        return false;
    }
    let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
    match name {
        "n" => value == 1,
        "logprobs" => value == false,
        "top_logprobs" => value == 0,
        "tools" | "functions" => value.as_array().is_some_and(Vec::is_empty),
        "tool_choice" | "function_call" => value == "none" || value == "auto",
        "logit_bias" => value.as_object().is_some_and(serde_json::Map::is_empty),
        "modalities" => value.as_array().is_some_and(|modalities| modalities == &["text"]),
        "response_format" => value.get("type").is_some_and(|kind| kind == "text"),
        _ => false,
    }
}

fn max_tokens(body: &RawObject, entry: &ModelEntry) -> Result<Option<u32>> {
    for field in ["max_completion_tokens", "max_tokens"] {
        if let Some(tokens) = body.get::<u32>(field)? {
            if tokens == 0 || tokens as usize > entry.context_length {
                let message = format!("must be 1 to {} for `{}`", entry.context_length, entry.id);
                return Err(Error::invalid(field, message));
            }
            return Ok(Some(tokens));
        }
    }
    Ok(None)
}

fn stop(body: &RawObject) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a string or a list of strings")]
    enum Stop {
        One(String),
        Many(Vec<String>),
    }
    Ok(match body.get("stop")? {
        None => Vec::new(),
        Some(Stop::One(stop)) => vec![stop],
        Some(Stop::Many(stops)) => stops,
    })
}

fn message(text: &RawValue, index: usize) -> Result<ChatMessage> {
    let at = |field: &str| format!("messages[{index}].{field}");
    let body = RawObject::parse(text.get())
        .map_err(|error| Error::invalid(format!("messages[{index}]"), error.to_string()))?;
    if let Some((other, _)) = body.fields().find(|(name, _)| !matches!(*name, "role" | "content")) {
        return Err(not_for_local_models(at(other)));
    }
    let role: Option<String> = body.get("role").map_err(|error| error.field(at("role")))?;
    let role = match role.as_deref() {
        // `developer` is what newer clients call `system`.
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => return Err(not_for_local_models(at("role"))),
        _ => return Err(Error::invalid(at("role"), "must be system, developer, user or assistant")),
    };
    Ok(ChatMessage { role, content: content(&body, &at("content"))? })
}

/// A text, or a list of parts that are texts.
fn content(body: &RawObject, at: &str) -> Result<String> {
    match body.text("content") {
        Some(text) if text.starts_with('"') => return Ok(body.get("content")?.unwrap_or_default()),
        Some(text) if text.starts_with('[') => {}
        _ => return Err(Error::invalid(at, "must be a text or a list of parts")),
    }
    let parts: Vec<IgnoredAny> = body.get("content")?.unwrap_or_default();
    if parts.len() > PARTS_MAX {
        return Err(Error::too_large(at, format!("{} parts, the limit is {PARTS_MAX}", parts.len())));
    }
    let parts: Vec<Value> = body.get("content")?.unwrap_or_default();
    let mut texts = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let place = format!("{at}[{index}]");
        match (part.get("type").and_then(Value::as_str), part.get("text").and_then(Value::as_str)) {
            (Some("text"), Some(text)) => texts.push(text),
            (Some("text") | None, _) => return Err(Error::invalid(place, "must be an object with `type` and `text`")),
            (Some(_), _) => return Err(not_for_local_models(place)),
        }
    }
    Ok(texts.join("\n"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::Manifest;

    fn parse(fields: &str) -> Result<ChatRequest> {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{fields}}}"#);
        let entry = Manifest::builtin().unwrap().models.into_iter().find(|entry| entry.dimensions.is_none()).unwrap();
        for_local_model(&RawObject::parse(&body).unwrap(), &entry)
    }

    #[track_caller]
    fn refused(fields: &str) -> String {
        parse(fields).unwrap_err().field_name().unwrap().to_owned()
    }

    #[test]
    fn what_cannot_be_honored_is_refused_by_name() {
        for (field, value) in [
            ("tools", r#"[{"type":"function"}]"#),
            ("tool_choice", "\"required\""),
            ("response_format", r#"{"type":"json_schema"}"#),
            ("response_format", r#"{"type":"json_object"}"#),
            ("logprobs", "true"),
            ("top_logprobs", "3"),
            ("n", "2"),
            ("logit_bias", r#"{"5":1}"#),
            ("modalities", r#"["text","audio"]"#),
            ("reasoning_effort", "\"low\""),
            ("never_heard_of", "1"),
        ] {
            assert_eq!(refused(&format!(r#","{field}":{value}"#)), field);
        }
        assert_eq!(refused(r#","max_tokens":0"#), "max_tokens");
        assert_eq!(refused(r#","max_completion_tokens":9999999"#), "max_completion_tokens");
        assert_eq!(refused(r#","temperature":"hot""#), "temperature");
        assert_eq!(refused(r#","stop":7"#), "stop");
    }

    #[test]
    fn what_changes_nothing_is_accepted() {
        parse(
            r#","user":"u","metadata":{"a":"b"},"store":true,"service_tier":"auto","parallel_tool_calls":true,"n":1,
               "logprobs":false,"tools":[],"tool_choice":"auto","response_format":{"type":"text"},"modalities":["text"],
               "logit_bias":{},"functions":[],"response_format_x":null,"stream_options":null"#,
        )
        .unwrap();
    }

    #[test]
    fn settings_reach_the_model() {
        let request =
            parse(r#","max_tokens":7,"temperature":0.5,"top_p":0.9,"stop":"END","seed":-1,"presence_penalty":1"#)
                .unwrap();
        assert_eq!(request.max_tokens, Some(7));
        assert_eq!((request.temperature, request.top_p, request.presence_penalty), (Some(0.5), Some(0.9), Some(1.0)));
        assert_eq!((request.stop, request.seed), (vec!["END".to_owned()], Some(u64::MAX)));
        assert_eq!(parse(r#","max_tokens":7,"max_completion_tokens":9"#).unwrap().max_tokens, Some(9));
    }

    #[test]
    fn messages_are_texts_of_three_roles() {
        let messages = |json: &str| {
            let entry =
                Manifest::builtin().unwrap().models.into_iter().find(|entry| entry.dimensions.is_none()).unwrap();
            for_local_model(&RawObject::parse(&format!(r#"{{"messages":{json}}}"#)).unwrap(), &entry)
                .map(|request| request.messages)
        };
        let parts = messages(
            r#"[{"role":"developer","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]}]"#,
        )
        .unwrap();
        assert_eq!(parts[0].role, Role::System);
        assert_eq!(parts[1].content, "b\nc");
        let field = |json: &str| messages(json).unwrap_err().field_name().unwrap().to_owned();
        assert_eq!(
            field(r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]"#),
            "messages[0].content[0]"
        );
        assert_eq!(
            field(r#"[{"role":"user","content":"a"},{"role":"tool","content":"x","tool_call_id":"1"}]"#),
            "messages[1].tool_call_id"
        );
        assert_eq!(field(r#"[{"role":"assistant","content":null,"tool_calls":[]}]"#), "messages[0].tool_calls");
        assert_eq!(field(r#"[{"role":"wizard","content":"x"}]"#), "messages[0].role");
        assert_eq!(field(r#"[{"role":"user"}]"#), "messages[0].content");
        assert_eq!(field(r#"["hi"]"#), "messages[0]");
        let parts = format!(r#"[{{"role":"user","content":[{}0]}}]"#, "0,".repeat(PARTS_MAX));
        assert_eq!(field(&parts), "messages[0].content");
        assert_eq!(field(r#"{"role":"user"}"#), "messages");
    }
}
