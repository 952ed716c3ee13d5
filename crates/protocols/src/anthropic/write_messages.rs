//! The conversation of a request for Anthropic: turns that alternate, and their content blocks.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};

use crate::{
    Losses, Protocol,
    chat::{CacheControl, Content, Media, MediaSource, Part, Reasoning, Request, Role, ToolCall, ToolResult},
};

/// Cache marks in one request (guide "Prompt caching"); more are refused.
const CACHE_MARKS_MAX: usize = 4;
/// The images that Anthropic reads (guide "Vision").
const IMAGE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// How ids of Anthropic's Files API begin.
const FILE_ID: &str = "file_";

/// Writes blocks and keeps count of what a request may hold once or a few times.
pub(super) struct Blocks<'a> {
    losses: &'a mut Losses,
    cache_marks: usize,
    unsigned_noted: bool,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(losses: &'a mut Losses) -> Self {
        Self { losses, cache_marks: 0, unsigned_noted: false }
    }

    /// The instructions, and after them those from the middle of the conversation.
    pub(super) fn system(&mut self, request: &Request) -> Result<Vec<Value>> {
        let mut blocks = Vec::new();
        self.system_parts(&request.system, "system", &mut blocks)?;
        for (index, message) in request.messages.iter().enumerate() {
            if message.role == Role::System {
                let place = format!("messages[{index}]");
                self.system_parts(&message.parts, &format!("{place}.parts"), &mut blocks)?;
                self.losses.note(place, "moved to the end of the instructions: Anthropic has them in front only");
            }
        }
        Ok(blocks)
    }

    fn system_parts(&mut self, parts: &[Part], place: &str, blocks: &mut Vec<Value>) -> Result<()> {
        for (index, part) in parts.iter().enumerate() {
            let place = format!("{place}[{index}]");
            if !matches!(part.content, Content::Text(_)) {
                return Err(Error::invalid(place, "Anthropic cannot take anything but text as instructions")
                    .remedy("give it in a message of the user"));
            }
            self.part(part, &place, blocks)?;
        }
        Ok(())
    }

    /// The turns, those of the user and the assistant in alternation, the user's first.
    pub(super) fn messages(&mut self, request: &Request) -> Result<Vec<Value>> {
        let mut turns: Vec<(Role, Vec<Value>)> = Vec::new();
        for (index, message) in request.messages.iter().enumerate() {
            if message.role == Role::System {
                continue;
            }
            let place = format!("messages[{index}]");
            if message.name.is_some() {
                self.losses.note(format!("{place}.name"), "Anthropic has no names of participants");
            }
            let mut blocks = Vec::with_capacity(message.parts.len());
            for (part_index, part) in message.parts.iter().enumerate() {
                let place = format!("{place}.parts[{part_index}]");
                if message.role == Role::User && matches!(part.content, Content::Reasoning(_)) {
                    self.losses.note(place, "only a model has thoughts");
                    continue;
                }
                self.part(part, &place, &mut blocks)?;
            }
            if turns.is_empty() && message.role == Role::Assistant {
                return Err(Error::invalid(place, "Anthropic cannot begin with a message of the assistant")
                    .remedy("begin with a message of the user that is not empty"));
            }
            match turns.last_mut() {
                _ if blocks.is_empty() => {}
                Some((role, turn)) if *role == message.role => turn.append(&mut blocks),
                _ => turns.push((message.role, blocks)),
            }
        }
        if turns.is_empty() {
            return Err(Error::invalid("messages", "say nothing").remedy("give a message of the user with content"));
        }
        self.trim_end(&mut turns);
        Ok(turns.into_iter().map(|(role, blocks)| turn(role, blocks)).collect())
    }

    /// An answer that the caller began must not end in white space.
    fn trim_end(&mut self, turns: &mut [(Role, Vec<Value>)]) {
        if let Some((Role::Assistant, blocks)) = turns.last_mut()
            && let Some(Value::String(text)) = blocks.last_mut().and_then(|block| block.get_mut("text"))
        {
            let length = text.trim_end().len();
            if length < text.len() {
                text.truncate(length);
                self.losses.note("messages", "white space at the end of the answer's beginning was left out");
            }
        }
    }

    fn part(&mut self, part: &Part, place: &str, blocks: &mut Vec<Value>) -> Result<()> {
        let mut block = match &part.content {
            // Empty texts, and those of nothing but white space, are refused.
            Content::Text(text) | Content::Refusal(text) if text.trim().is_empty() => return Ok(()),
            Content::Text(text) | Content::Refusal(text) => text_block(text),
            Content::Image(media) => self.image(media, place)?,
            Content::Document(media) => self.document(media, place)?,
            Content::Audio(_) => return Err(refused(place, "sound", "give a transcript as text")),
            Content::Video(_) => return Err(refused(place, "a video", "give single images of it")),
            // Thoughts take no mark.
            Content::Reasoning(reasoning) => {
                self.reasoning(reasoning, place, blocks);
                return Ok(());
            }
            Content::ToolCall(call) => tool_use(call, place)?,
            Content::ToolResult(result) => self.tool_result(result, place)?,
        };
        self.mark(&mut block, part.cache.as_ref(), place);
        blocks.push(Value::Object(block));
        Ok(())
    }

    /// Sets the mark of a block or a tool.
    pub(super) fn mark(&mut self, block: &mut Map<String, Value>, cache: Option<&CacheControl>, place: &str) {
        let Some(cache) = cache else { return };
        let field = format!("{place}.cache");
        if self.cache_marks == CACHE_MARKS_MAX {
            self.losses.note(field, format!("Anthropic takes {CACHE_MARKS_MAX} cache marks"));
            return;
        }
        self.cache_marks += 1;
        let mut mark = Map::new();
        mark.insert("type".to_owned(), "ephemeral".into());
        match cache.ttl.as_deref() {
            None => {}
            Some(ttl @ ("5m" | "1h")) => {
                mark.insert("ttl".to_owned(), ttl.into());
            }
            Some(_) => self.losses.note(field, "Anthropic caches for `5m` or `1h`"),
        }
        block.insert("cache_control".to_owned(), Value::Object(mark));
    }

    /// Only thoughts that Anthropic has signed or sealed are accepted back.
    fn reasoning(&mut self, reasoning: &Reasoning, place: &str, blocks: &mut Vec<Value>) {
        let before = blocks.len();
        if let Some(signature) = reasoning.signature.as_ref().filter(|one| one.maker == Protocol::Anthropic) {
            let (text, signature) = (&reasoning.text, &signature.text);
            blocks.push(json!({ "type": "thinking", "thinking": text, "signature": signature }));
        }
        if let Some(sealed) = reasoning.encrypted.as_ref().filter(|one| one.maker == Protocol::Anthropic) {
            blocks.push(json!({ "type": "redacted_thinking", "data": sealed.text }));
        }
        if blocks.len() == before && !self.unsigned_noted {
            self.unsigned_noted = true;
            self.losses.note(place, "thoughts that Anthropic has not signed are left out");
        }
    }

    fn image(&mut self, media: &Media, place: &str) -> Result<Map<String, Value>> {
        if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
            self.losses.note(format!("{place}.detail"), "Anthropic has no such field");
        }
        if media.name.is_some() {
            self.losses.note(format!("{place}.name"), "Anthropic's images have no name");
        }
        let source = match &media.source {
            MediaSource::Base64(data) => {
                let media_type = match media.media_type.as_deref() {
                    Some("image/jpg") => "image/jpeg",
                    other => other.unwrap_or(""),
                };
                if !IMAGE_TYPES.contains(&media_type) {
                    let message = "Anthropic cannot read an image of this type, or its type is missing";
                    return Err(
                        Error::invalid(place, message).remedy("give a JPEG, PNG, GIF or WebP image with its type")
                    );
                }
                json!({ "type": "base64", "media_type": media_type, "data": data })
            }
            MediaSource::Url(url) => json!({ "type": "url", "url": url }),
            MediaSource::File(id) => file(id, place)?,
            MediaSource::Text(_) => return Err(refused(place, "an image as text", "give its bytes in base64")),
        };
        Ok(sourced("image", source))
    }

    fn document(&mut self, media: &Media, place: &str) -> Result<Map<String, Value>> {
        let media_type = media.media_type.as_deref().map(essence);
        let source = match &media.source {
            MediaSource::Base64(data) => match media_type.as_deref() {
                Some("application/pdf") => json!({ "type": "base64", "media_type": "application/pdf", "data": data }),
                Some(text) if text.starts_with("text/") || text == "application/json" => {
                    let text = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                    let text = text.ok_or_else(|| Error::invalid(place, "is not text in UTF-8, written in base64"))?;
                    text_source(&text)
                }
                _ => return Err(unreadable(place)),
            },
            MediaSource::Text(text) => text_source(text),
            MediaSource::Url(url) => match media_type.as_deref() {
                None | Some("application/pdf") => json!({ "type": "url", "url": url }),
                Some(_) => return Err(unreadable(place)),
            },
            MediaSource::File(id) => file(id, place)?,
        };
        let mut block = sourced("document", source);
        if let Some(name) = &media.name {
            block.insert("title".to_owned(), name.clone().into());
        }
        Ok(block)
    }

    fn tool_result(&mut self, result: &ToolResult, place: &str) -> Result<Map<String, Value>> {
        let mut content = Vec::with_capacity(result.parts.len());
        for (index, part) in result.parts.iter().enumerate() {
            let place = format!("{place}.parts[{index}]");
            match part.content {
                Content::Reasoning(_) | Content::ToolCall(_) | Content::ToolResult(_) => {
                    return Err(Error::invalid(place, "cannot stand in the result of a tool").remedy("give text"));
                }
                _ => self.part(part, &place, &mut content)?,
            }
        }
        let mut block = Map::new();
        block.insert("type".to_owned(), "tool_result".into());
        block.insert("tool_use_id".to_owned(), tool_id(&result.call_id).into());
        if !content.is_empty() {
            block.insert("content".to_owned(), Value::Array(content));
        }
        if result.is_error {
            block.insert("is_error".to_owned(), true.into());
        }
        Ok(block)
    }
}

fn turn(role: Role, mut blocks: Vec<Value>) -> Value {
    if role == Role::User {
        // Results of tools must come first; the order is kept otherwise.
        blocks.sort_by_key(|block| !is_kind(block, &["tool_result"]));
    }
    let role = if role == Role::User { "user" } else { "assistant" };
    json!({ "role": role, "content": blocks })
}

/// Whether the turns end in results of tools, and no turn of the assistant since the user last spoke begins with
/// thoughts.
pub(super) fn is_unsigned_tool_loop(turns: &[Value]) -> bool {
    let begins_with = |turn: &Value, kinds: &[&str]| {
        let first = turn.get("content").and_then(|content| content.get(0));
        first.is_some_and(|block| is_kind(block, kinds))
    };
    let mut backwards = turns.iter().rev();
    let mut in_loop = false;
    while let Some(user) = backwards.next()
        && begins_with(user, &["tool_result"])
        && let Some(assistant) = backwards.next()
    {
        if begins_with(assistant, &["thinking", "redacted_thinking"]) {
            return false;
        }
        in_loop = true;
    }
    in_loop
}

fn is_kind(block: &Value, kinds: &[&str]) -> bool {
    block.get("type").and_then(Value::as_str).is_some_and(|kind| kinds.contains(&kind))
}

fn text_block(text: &str) -> Map<String, Value> {
    let mut block = Map::new();
    block.insert("type".to_owned(), "text".into());
    block.insert("text".to_owned(), text.into());
    block
}

fn sourced(kind: &str, source: Value) -> Map<String, Value> {
    let mut block = Map::new();
    block.insert("type".to_owned(), kind.into());
    block.insert("source".to_owned(), source);
    block
}

/// Anthropic knows one type of text.
fn text_source(text: &str) -> Value {
    json!({ "type": "text", "media_type": "text/plain", "data": text })
}

/// A MIME type without its parameters.
fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn tool_use(call: &ToolCall, place: &str) -> Result<Map<String, Value>> {
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let input = serde_json::from_str::<Value>(arguments).ok().filter(Value::is_object);
    let input = input.ok_or_else(|| {
        let message = "Anthropic cannot take arguments of a tool call that are not a JSON object";
        Error::invalid(format!("{place}.arguments"), message).remedy("mend them, or leave the call and its result out")
    })?;
    let mut block = Map::new();
    block.insert("type".to_owned(), "tool_use".into());
    block.insert("id".to_owned(), tool_id(&call.id).into());
    block.insert("name".to_owned(), call.name.clone().into());
    block.insert("input".to_owned(), input);
    Ok(block)
}

/// Anthropic takes letters, digits, `_` and `-`. Other providers' ids may hold more; call and result change alike.
fn tool_id(id: &str) -> Cow<'_, str> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if id.chars().all(allowed) {
        return Cow::Borrowed(id);
    }
    id.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect()
}

fn file(id: &str, place: &str) -> Result<Value> {
    if !id.starts_with(FILE_ID) {
        let message = "Anthropic cannot read a file in the store of another provider";
        return Err(Error::invalid(place, message).remedy("give the file's content or an address"));
    }
    Ok(json!({ "type": "file", "file_id": id }))
}

fn refused(place: &str, what: &str, remedy: &str) -> Error {
    Error::invalid(place, format!("Anthropic cannot take {what}")).remedy(remedy)
}

fn unreadable(place: &str) -> Error {
    Error::invalid(place, "Anthropic cannot read a document of this type, or its type is missing")
        .remedy("give a PDF or a plain text with its type")
}
