//! Requests to test with.

use serde_json::Value;

use super::write_request;
use crate::{
    Losses, Protocol,
    chat::{
        CacheControl, Content, Media, MediaSource, Message, Part, Reasoning, Request, Role, Signature, Tool, ToolCall,
        ToolResult,
    },
};

pub(super) const CLAUDE: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
pub(super) const LLAMA: &str = "meta.llama3-1-70b-instruct-v1:0";

pub(super) fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts }
}

pub(super) fn user(text: &str) -> Message {
    message(Role::User, vec![Part::text(text)])
}

pub(super) fn assistant(parts: Vec<Content>) -> Message {
    message(Role::Assistant, parts.into_iter().map(Part::new).collect())
}

pub(super) fn request(messages: Vec<Message>) -> Request {
    Request { model: CLAUDE.to_owned(), messages, ..Request::default() }
}

pub(super) fn call(id: &str, arguments: &str) -> Content {
    Content::ToolCall(ToolCall { id: id.to_owned(), name: "weather".to_owned(), arguments: arguments.to_owned() })
}

pub(super) fn result(id: &str, parts: Vec<Part>, is_error: bool) -> Part {
    Part::new(Content::ToolResult(ToolResult { call_id: id.to_owned(), name: None, parts, is_error }))
}

pub(super) fn tool(name: &str) -> Tool {
    Tool { name: name.to_owned(), description: None, parameters: None, strict: None, cache: None }
}

pub(super) fn media(media_type: Option<&str>, source: MediaSource, name: Option<&str>) -> Media {
    Media { media_type: media_type.map(str::to_owned), source, name: name.map(str::to_owned), detail: None }
}

pub(super) fn bytes(media_type: &str) -> Media {
    media(Some(media_type), MediaSource::Base64("AAEC".to_owned()), None)
}

pub(super) fn cached(mut part: Part, ttl: Option<&str>) -> Part {
    part.cache = Some(CacheControl { ttl: ttl.map(str::to_owned) });
    part
}

pub(super) fn signed(text: &str, maker: Protocol) -> Reasoning {
    let signature = Some(Signature { maker, text: "c2VhbA==".to_owned() });
    Reasoning { text: text.to_owned(), signature, ..Reasoning::default() }
}

pub(super) fn write(request: &Request) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = write_request(request, &mut losses).unwrap();
    (body, losses.iter().map(|loss| loss.field.clone()).collect())
}

/// What is written when nothing is lost.
pub(super) fn lossless(request: &Request) -> Value {
    let (body, losses) = write(request);
    assert!(losses.is_empty(), "{losses:?}");
    body
}

/// The field at fault and its remedy.
pub(super) fn refused(request: &Request) -> (String, String) {
    let error = write_request(request, &mut Losses::default()).unwrap_err();
    (error.field_name().unwrap().to_owned(), error.remedy_text().unwrap_or("").to_owned())
}
