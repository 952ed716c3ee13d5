//! The input of a request for a provider.

use base64::{Engine, engine::general_purpose::STANDARD};
use plasma_kernel::{Error, Result};
use serde_json::{Value, json};

use super::{HERE, items};
use crate::{
    Losses,
    chat::{Content, Media, MediaSource, Message, Part, Reasoning, Role, ToolResult},
};

/// With this begin the ids of files in OpenAI's store.
const FILE_ID_PREFIX: &str = "file-";

/// Writes messages as items.
pub(super) struct Sender<'a> {
    items: Vec<Value>,
    losses: &'a mut Losses,
    thoughts_sent: bool,
    thoughts_lost: bool,
}

impl<'a> Sender<'a> {
    pub(super) fn new(losses: &'a mut Losses) -> Self {
        Self { items: Vec::new(), losses, thoughts_sent: false, thoughts_lost: false }
    }

    /// The items, and whether thoughts are among them.
    pub(super) fn finish(self) -> (Vec<Value>, bool) {
        (self.items, self.thoughts_sent)
    }

    /// One text is the request's `instructions`; several are the contents of a first message.
    pub(super) fn system<'p>(&mut self, parts: &'p [Part]) -> Result<Option<&'p str>> {
        match parts {
            [Part { content: Content::Text(text), .. }] => Ok(Some(text)),
            parts => self.instruct(parts, "system").map(|()| None),
        }
    }

    fn instruct(&mut self, parts: &[Part], place: &str) -> Result<()> {
        let mut content = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            match &part.content {
                Content::Text(text) => content.push(input_text(text)),
                _ => {
                    return Err(Error::invalid(format!("{place}[{index}]"), "cannot be sent: instructions are text")
                        .remedy("put it in a message of the user"));
                }
            }
        }
        self.put_message("system", content);
        Ok(())
    }

    fn put_message(&mut self, role: &str, content: Vec<Value>) {
        if !content.is_empty() {
            self.items.push(json!({ "type": "message", "role": role, "content": content }));
        }
    }

    pub(super) fn message(&mut self, message: &Message, place: &str) -> Result<()> {
        if message.name.is_some() {
            self.losses.note(format!("{place}.name"), "the Responses API has no names of participants");
        }
        match message.role {
            Role::System => self.instruct(&message.parts, &format!("{place}.parts")),
            Role::User => self.user(&message.parts, place),
            Role::Assistant => self.assistant(&message.parts, place),
        }
    }

    fn user(&mut self, parts: &[Part], place: &str) -> Result<()> {
        let mut content = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let place = format!("{place}.parts[{index}]");
            match &part.content {
                Content::ToolResult(result) => {
                    self.put_message("user", std::mem::take(&mut content));
                    self.tool_result(result, &place)?;
                }
                other => content.push(self.input(other, &place)?),
            }
        }
        self.put_message("user", content);
        Ok(())
    }

    fn tool_result(&mut self, result: &ToolResult, place: &str) -> Result<()> {
        if result.is_error {
            self.losses
                .note(format!("{place}.is_error"), "the Responses API does not mark the results of failed calls");
        }
        let output = match result.parts.as_slice() {
            [] => json!(""),
            [Part { content: Content::Text(text), .. }] => json!(text),
            parts => {
                let parts = parts.iter().enumerate();
                parts
                    .map(|(index, part)| self.input(&part.content, &format!("{place}.parts[{index}]")))
                    .collect::<Result<Value>>()?
            }
        };
        self.items.push(json!({ "type": "function_call_output", "call_id": result.call_id, "output": output }));
        Ok(())
    }

    fn assistant(&mut self, parts: &[Part], place: &str) -> Result<()> {
        let mut content = Vec::new();
        // Thoughts without anything after them are refused: the answer was cut off while the model thought.
        let last = parts.iter().rposition(|part| !matches!(part.content, Content::Reasoning(_))).unwrap_or(0);
        for (index, part) in parts.iter().enumerate() {
            let place = format!("{place}.parts[{index}]");
            match &part.content {
                Content::Text(text) => content.push(items::text_content(text, &[])),
                Content::Refusal(refusal) => content.push(items::refusal_content(refusal)),
                Content::Reasoning(reasoning) => {
                    self.answered(&mut content);
                    self.reasoning(reasoning, index < last, place);
                }
                Content::ToolCall(call) => {
                    self.answered(&mut content);
                    self.items.push(json!({
                        "type": "function_call", "call_id": call.id, "name": call.name,
                        "arguments": items::arguments_of(call),
                    }));
                }
                _ => {
                    return Err(Error::invalid(place, "cannot be sent as the model's own words in the Responses API")
                        .remedy("leave it out, or put it in a message of the user"));
                }
            }
        }
        self.answered(&mut content);
        Ok(())
    }

    /// A message of the model. A text alone is written in the short form that every compatible server understands.
    fn answered(&mut self, content: &mut Vec<Value>) {
        let content = std::mem::take(content);
        match content.as_slice() {
            [only] if only.get("text").is_some() => {
                let text = only.get("text");
                self.items.push(json!({ "type": "message", "role": "assistant", "content": text }));
            }
            _ => self.put_message("assistant", content),
        }
    }

    /// Thoughts go back to their maker only, and only sealed.
    fn reasoning(&mut self, reasoning: &Reasoning, is_followed: bool, place: String) {
        let seal = reasoning.encrypted.as_ref().or(reasoning.signature.as_ref());
        if is_followed && seal.is_some_and(|seal| seal.maker == HERE) {
            self.thoughts_sent = true;
            self.items.push(items::reasoning_item(reasoning.id.as_deref(), reasoning));
        } else if !std::mem::replace(&mut self.thoughts_lost, true) {
            self.losses.note(place, "thoughts are only sent with the seal of a provider of the Responses API");
        }
    }

    /// A part of what the user or a function says.
    fn input(&mut self, content: &Content, place: &str) -> Result<Value> {
        match content {
            Content::Text(text) => Ok(input_text(text)),
            Content::Image(image) => input_image(image, place),
            Content::Document(document) => self.input_file(document, place),
            Content::Audio(_) => Err(Error::invalid(place, "cannot be sent: the Responses API takes no sound")
                .remedy("send a transcript, or use a model of another provider")),
            Content::Video(_) => Err(Error::invalid(place, "cannot be sent: the Responses API takes no videos")
                .remedy("send single images, or use a model of another provider")),
            Content::Reasoning(_) | Content::ToolCall(_) | Content::ToolResult(_) | Content::Refusal(_) => {
                Err(Error::invalid(place, "cannot be sent here: it belongs to the model's messages")
                    .remedy("put it in a message of the assistant"))
            }
        }
    }

    fn input_file(&mut self, document: &Media, place: &str) -> Result<Value> {
        let mut file = json!({ "type": "input_file" });
        let mut name = None;
        match &document.source {
            MediaSource::Text(text) => {
                let media_type = document.media_type.as_deref().unwrap_or("text/plain");
                items::set(
                    &mut file,
                    "file_data",
                    json!(format!("data:{media_type};base64,{}", STANDARD.encode(text))),
                );
                name = Some(document.name.as_deref().unwrap_or("document.txt"));
            }
            MediaSource::Base64(_) => {
                items::set(&mut file, "file_data", json!(document.to_url()));
                // The name is needed here and not everywhere.
                name = Some(document.name.as_deref().unwrap_or(match document.media_type.as_deref() {
                    Some("text/plain") => "document.txt",
                    _ => "document.pdf",
                }));
            }
            MediaSource::Url(url) => items::set(&mut file, "file_url", json!(url)),
            MediaSource::File(id) => items::set(&mut file, "file_id", json!(own_file(id, place)?)),
        }
        match name {
            Some(name) => items::set(&mut file, "filename", json!(name)),
            None if document.name.is_some() => {
                self.losses.note(format!("{place}.name"), "only a file that is sent as bytes has a name");
            }
            None => {}
        }
        if let Some(detail) = &document.detail {
            items::set(&mut file, "detail", json!(detail));
        }
        Ok(file)
    }
}

fn input_text(text: &str) -> Value {
    json!({ "type": "input_text", "text": text })
}

fn input_image(image: &Media, place: &str) -> Result<Value> {
    let detail = image.detail.as_deref().unwrap_or("auto");
    let (field, value) = match &image.source {
        MediaSource::File(id) => ("file_id", Some(own_file(id, place)?.to_owned())),
        _ => ("image_url", image.to_url()),
    };
    let value = value.ok_or_else(|| {
        Error::invalid(place, "cannot be sent: an image is no text").remedy("send its bytes in base64, or its address")
    })?;
    let mut item = json!({ "type": "input_image", "detail": detail });
    items::set(&mut item, field, value.into());
    Ok(item)
}

/// The id of a file in OpenAI's own store.
fn own_file<'i>(id: &'i str, place: &str) -> Result<&'i str> {
    if id.starts_with(FILE_ID_PREFIX) {
        return Ok(id);
    }
    Err(Error::invalid(place, "cannot be sent: it is a file in another provider's store")
        .remedy("send the file's bytes in base64, or its address"))
}
