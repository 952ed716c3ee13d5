#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod answer;
mod read_request;
mod stream;
mod thinking;
mod write_request;

use serde_json::Value;

use super::*;
use crate::{
    Losses, Protocol, WireEvent, Wrong,
    chat::{Answer, Collector, Content, Delta, Media, MediaSource, Part, Reasoning, Request, Signature, ToolCall},
};

fn read(body: Value) -> (Request, Losses) {
    let mut losses = Losses::default();
    let request = read_request(body, &mut losses).unwrap();
    (request, losses)
}

/// The field and the whole text of the error.
fn refused(body: Value) -> (String, String) {
    let error = read_request(body, &mut Losses::default()).unwrap_err();
    (error.field_name().unwrap_or("").to_owned(), error.to_string())
}

fn write(request: &Request) -> (Value, Losses) {
    let mut losses = Losses::default();
    let body = write_request(request, &mut losses).unwrap();
    (body, losses)
}

/// The field and the whole text of the error, which must say how to mend it.
fn unwritable(request: &Request) -> (String, String) {
    let error = write_request(request, &mut Losses::default()).unwrap_err();
    assert!(error.remedy_text().is_some(), "{error}");
    (error.field_name().unwrap_or("").to_owned(), error.to_string())
}

fn lost(losses: &Losses) -> Vec<&str> {
    losses.iter().map(|loss| loss.field.as_str()).collect()
}

fn signature(maker: Protocol, text: &str) -> Signature {
    Signature { maker, text: text.to_owned() }
}

fn thoughts(text: &str, signature: Option<Signature>) -> Part {
    Part::new(Content::Reasoning(Reasoning { text: text.to_owned(), signature, ..Reasoning::default() }))
}

fn sealed(maker: Protocol, text: &str) -> Part {
    let encrypted = Some(signature(maker, text));
    Part::new(Content::Reasoning(Reasoning { encrypted, ..Reasoning::default() }))
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    let (id, name, arguments) = (id.to_owned(), name.to_owned(), arguments.to_owned());
    Part::new(Content::ToolCall(ToolCall { id, name, arguments }))
}

fn media(media_type: Option<&str>, source: MediaSource) -> Media {
    Media { media_type: media_type.map(str::to_owned), source, name: None, detail: None }
}
