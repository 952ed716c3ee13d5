mod answer;
mod error;
mod features;
mod properties;
mod request;
mod stream;

use serde_json::{Value, json};

use super::*;
use crate::{
    Losses, Protocol, SseEvent, WireEvent,
    chat::{Content, Delta, Message, Part, Reasoning, Request, Role, Signature, ToolCall, ToolResult},
};

fn lost(losses: &Losses) -> Vec<&str> {
    losses.iter().map(|loss| loss.field.as_str()).collect()
}

/// Reads a client's request that loses nothing.
fn read(body: Value) -> Request {
    let mut losses = Losses::default();
    let request = read_request(body, &mut losses).unwrap();
    assert!(losses.is_empty(), "{losses:?}");
    request
}

fn read_losing(body: Value) -> (Request, Losses) {
    let mut losses = Losses::default();
    let request = read_request(body, &mut losses).unwrap();
    (request, losses)
}

/// The field and the text of the error that a client's request ends with.
fn refused(body: Value) -> (String, String) {
    let error = read_request(body, &mut Losses::default()).unwrap_err();
    (error.field_name().unwrap_or_default().to_owned(), error.to_string())
}

/// Writes a request that loses nothing.
fn write(request: &Request) -> Value {
    let mut losses = Losses::default();
    let body = write_request(request, &mut losses).unwrap();
    assert!(losses.is_empty(), "{losses:?}");
    body
}

fn write_refused(request: &Request) -> (String, String) {
    let error = write_request(request, &mut Losses::default()).unwrap_err();
    (error.field_name().unwrap_or_default().to_owned(), error.to_string())
}

fn asked(parts: Vec<Part>) -> Request {
    Request {
        model: "gemini-3-pro".to_owned(),
        messages: vec![Message { role: Role::User, name: None, parts }],
        stream_usage: true,
        ..Request::default()
    }
}

fn said(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts }
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::new(Content::ToolCall(ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }))
}

fn result(call_id: &str, name: &str, text: &str) -> Part {
    Part::new(Content::ToolResult(ToolResult {
        call_id: call_id.to_owned(),
        name: Some(name.to_owned()),
        parts: vec![Part::text(text)],
        is_error: false,
    }))
}

fn signature(maker: Protocol, text: &str) -> Option<Signature> {
    Some(Signature { maker, text: text.to_owned() })
}

/// The signature of the part that follows.
fn seal_part(text: &str) -> Part {
    Part::new(Content::Reasoning(Reasoning { signature: signature(Protocol::Gemini, text), ..Reasoning::default() }))
}

fn thought(text: &str, signature: Option<Signature>) -> Part {
    Part::new(Content::Reasoning(Reasoning { text: text.to_owned(), summary: true, signature, ..Reasoning::default() }))
}

fn event(data: Value) -> SseEvent {
    SseEvent { name: None, data: data.to_string() }
}

fn written(deltas: Vec<Delta>) -> Vec<Value> {
    let mut writer = StreamWriter::new(false);
    let mut events = Vec::new();
    for delta in deltas {
        writer.write(delta, &mut events);
    }
    writer.finish(&mut events);
    events
        .iter()
        .map(|WireEvent { name, data }| {
            assert_eq!(*name, None);
            serde_json::from_str(data).unwrap()
        })
        .collect()
}

/// A body with one part of the user.
fn with_part(part: Value) -> Value {
    json!({"contents": [{"role": "user", "parts": [part]}]})
}
