//! The conversation of a request for Bedrock: turns that alternate, and their content blocks.

use std::borrow::Cow;

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::media::{self, Names};
use crate::{
    Losses, Protocol,
    chat::{CacheControl, Content, Part, Reasoning, Request, Role, ToolCall, ToolResult},
};

/// Cache points in one request ("Prompt caching for faster model inference"); more are refused.
const CACHE_POINTS_MAX: usize = 4;
/// Characters of a tool call's id (`ToolUseBlock`).
const TOOL_ID_CHARS_MAX: usize = 64;

/// Writes blocks and keeps count of what a request may hold once or a few times.
pub(super) struct Blocks<'a> {
    pub(super) losses: &'a mut Losses,
    names: Names,
    cache_points: usize,
    /// Whether the model may know cache points, and those of tools.
    caches: bool,
    caches_tools: bool,
    unsigned_noted: bool,
}

/// What one side says before the other does.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) role: Role,
    /// The results of tools, which must come first; the order is kept otherwise.
    pub(super) results: Vec<Value>,
    pub(super) blocks: Vec<Value>,
}

impl Turn {
    fn is_empty(&self) -> bool {
        self.results.is_empty() && self.blocks.is_empty()
    }

    pub(super) fn into_value(mut self) -> Value {
        let role = if self.role == Role::Assistant { "assistant" } else { "user" };
        self.results.append(&mut self.blocks);
        json!({ "role": role, "content": self.results })
    }
}

impl<'a> Blocks<'a> {
    /// Of models, Anthropic's and Amazon's Nova know cache points; others refuse them. The address of an inference
    /// profile does not say whose model it is, so there the caller's word counts.
    pub(super) fn new(model: &str, losses: &'a mut Losses) -> Self {
        let is_nova = model.contains("nova");
        let caches = is_nova || model.contains("anthropic") || model.starts_with("arn:");
        Self { losses, names: Names::default(), cache_points: 0, caches, caches_tools: !is_nova, unsigned_noted: false }
    }

    /// The instructions, and after them those from the middle of the conversation.
    pub(super) fn system(&mut self, request: &Request) -> Result<Vec<Value>> {
        let mut blocks = Vec::new();
        self.system_parts(&request.system, "system", &mut blocks)?;
        let mut in_front = true;
        for (index, message) in request.messages.iter().enumerate() {
            if message.role != Role::System {
                in_front = false;
                continue;
            }
            let place = format!("messages[{index}]");
            self.system_parts(&message.parts, &format!("{place}.parts"), &mut blocks)?;
            if !in_front {
                self.losses.note(
                    place,
                    "moved to the end of the instructions: most models at Bedrock have them in front only",
                );
            }
        }
        Ok(blocks)
    }

    fn system_parts(&mut self, parts: &[Part], place: &str, blocks: &mut Vec<Value>) -> Result<()> {
        for (index, part) in parts.iter().enumerate() {
            let place = format!("{place}[{index}]");
            let Content::Text(text) = &part.content else {
                return Err(Error::invalid(place, "Bedrock cannot take anything but text as instructions")
                    .remedy("give it in a message of the user"));
            };
            if !text.trim().is_empty() {
                blocks.push(json!({ "text": text }));
                self.cache_point(part.cache.as_ref(), &place, blocks);
            }
        }
        Ok(())
    }

    /// The turns, those of the user and the assistant in alternation, the user's first.
    pub(super) fn turns(&mut self, request: &Request) -> Result<Vec<Turn>> {
        let mut turns: Vec<Turn> = Vec::new();
        for (index, message) in request.messages.iter().enumerate() {
            let place = format!("messages[{index}]");
            if message.name.is_some() {
                self.losses.note(format!("{place}.name"), "Bedrock has no names of participants");
            }
            if message.role == Role::System {
                continue;
            }
            let mut turn = Turn { role: message.role, results: Vec::new(), blocks: Vec::new() };
            for (index, part) in message.parts.iter().enumerate() {
                self.part(part, &format!("{place}.parts[{index}]"), &mut turn)?;
            }
            if turn.is_empty() {
                continue;
            }
            match turns.last_mut() {
                None if turn.role == Role::Assistant => {
                    return Err(Error::invalid(place, "Bedrock cannot begin with a message of the assistant")
                        .remedy("begin with a message of the user that is not empty"));
                }
                Some(last) if last.role == turn.role => {
                    last.results.append(&mut turn.results);
                    last.blocks.append(&mut turn.blocks);
                }
                _ => turns.push(turn),
            }
        }
        if turns.is_empty() {
            return Err(Error::invalid("messages", "say nothing").remedy("give a message of the user with content"));
        }
        self.trim_end(&mut turns);
        Ok(turns)
    }

    /// An answer that the caller began must not end in white space.
    fn trim_end(&mut self, turns: &mut [Turn]) {
        if let Some(Turn { role: Role::Assistant, blocks, .. }) = turns.last_mut()
            && let Some(Value::String(text)) = blocks.last_mut().and_then(|block| block.get_mut("text"))
        {
            let length = text.trim_end().len();
            if length < text.len() {
                text.truncate(length);
                self.losses.note("messages", "white space at the end of the answer's beginning was left out");
            }
        }
    }

    fn part(&mut self, part: &Part, place: &str, turn: &mut Turn) -> Result<()> {
        let block = match &part.content {
            Content::Reasoning(reasoning) => {
                self.reasoning(reasoning, turn.role, place, &mut turn.blocks);
                return Ok(());
            }
            Content::ToolResult(result) => {
                let cache = part.cache.as_ref().or_else(|| result.parts.iter().find_map(|part| part.cache.as_ref()));
                let block = self.tool_result(result, place)?;
                turn.results.push(block);
                self.cache_point(cache, place, &mut turn.results);
                return Ok(());
            }
            Content::ToolCall(call) => Some(tool_use(call, place)?),
            Content::Text(_) | Content::Refusal(_) => self.content(part, place)?,
            // What models draw and say comes back as a part of their own messages.
            _ if turn.role == Role::Assistant => {
                return Err(Error::invalid(place, "Bedrock cannot take media in a message of the assistant")
                    .remedy("give them in a message of the user, or leave them out"));
            }
            _ => self.content(part, place)?,
        };
        if let Some(block) = block {
            turn.blocks.push(block);
            self.cache_point(part.cache.as_ref(), place, &mut turn.blocks);
        }
        Ok(())
    }

    /// A text or a medium; `None` for a text that is empty or blank, which Bedrock refuses.
    fn content(&mut self, part: &Part, place: &str) -> Result<Option<Value>> {
        Ok(Some(match &part.content {
            Content::Text(text) | Content::Refusal(text) if text.trim().is_empty() => return Ok(None),
            Content::Text(text) | Content::Refusal(text) => json!({ "text": text }),
            Content::Image(image) => media::block(&media::IMAGE, image, place, self.losses)?,
            Content::Audio(audio) => media::block(&media::AUDIO, audio, place, self.losses)?,
            Content::Video(video) => media::block(&media::VIDEO, video, place, self.losses)?,
            Content::Document(document) => self.names.document(document, place, self.losses)?,
            Content::Reasoning(_) | Content::ToolCall(_) | Content::ToolResult(_) => {
                return Err(Error::invalid(place, "cannot stand in the result of a tool").remedy("give text"));
            }
        }))
    }

    fn tool_result(&mut self, result: &ToolResult, place: &str) -> Result<Value> {
        let mut content = Vec::with_capacity(result.parts.len());
        for (index, part) in result.parts.iter().enumerate() {
            let place = format!("{place}.parts[{index}]");
            if matches!(part.content, Content::Audio(_)) {
                return Err(Error::invalid(place, "Bedrock cannot take a sound in the result of a tool")
                    .remedy("give it in a message of the user, or a transcript as text"));
            }
            content.extend(self.content(part, &place)?);
        }
        let mut block = Map::new();
        block.insert("toolUseId".to_owned(), tool_id(&result.call_id).into());
        block.insert("content".to_owned(), Value::Array(content));
        // Only some models know a status, and success is what they assume.
        if result.is_error {
            block.insert("status".to_owned(), "error".into());
        }
        Ok(json!({ "toolResult": block }))
    }

    /// Only thoughts that a model at Bedrock has signed or sealed are accepted back.
    fn reasoning(&mut self, reasoning: &Reasoning, role: Role, place: &str, blocks: &mut Vec<Value>) {
        let own = |signature: &&crate::chat::Signature| role == Role::Assistant && signature.maker == Protocol::Bedrock;
        let before = blocks.len();
        if let Some(signature) = reasoning.signature.as_ref().filter(own) {
            let thought = json!({ "text": reasoning.text, "signature": signature.text });
            blocks.push(json!({ "reasoningContent": { "reasoningText": thought } }));
        }
        if let Some(sealed) = reasoning.encrypted.as_ref().filter(own) {
            blocks.push(json!({ "reasoningContent": { "redactedContent": sealed.text } }));
        }
        if blocks.len() == before && !self.unsigned_noted {
            self.unsigned_noted = true;
            self.losses.note(place, "thoughts that no model at Bedrock has signed are left out");
        }
    }

    /// The point behind a tool up to which is cached.
    pub(super) fn tool_cache_point(&mut self, cache: Option<&CacheControl>, place: &str, tools: &mut Vec<Value>) {
        if cache.is_some() && self.caches && !self.caches_tools {
            self.losses.note(format!("{place}.cache"), "Amazon's Nova models do not cache tools");
        } else {
            self.cache_point(cache, place, tools);
        }
    }

    fn cache_point(&mut self, cache: Option<&CacheControl>, place: &str, blocks: &mut Vec<Value>) {
        let Some(cache) = cache else { return };
        let field = format!("{place}.cache");
        if !self.caches {
            return self.losses.note(field, "at Bedrock, only Anthropic's and Nova's models are told what to cache");
        }
        if self.cache_points == CACHE_POINTS_MAX {
            return self.losses.note(field, format!("Bedrock takes {CACHE_POINTS_MAX} cache points"));
        }
        self.cache_points += 1;
        let mut point = Map::new();
        point.insert("type".to_owned(), "default".into());
        match cache.ttl.as_deref() {
            // Five minutes are the default, and some models know nothing else.
            None | Some("5m") => {}
            Some("1h") => {
                point.insert("ttl".to_owned(), "1h".into());
            }
            Some(_) => self.losses.note(field, "Bedrock caches for `5m` or `1h`"),
        }
        blocks.push(json!({ "cachePoint": point }));
    }
}

fn tool_use(call: &ToolCall, place: &str) -> Result<Value> {
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let input = serde_json::from_str::<Value>(arguments).ok().filter(Value::is_object);
    let input = input.ok_or_else(|| {
        let message = "Bedrock cannot take arguments of a tool call that are not a JSON object";
        Error::invalid(format!("{place}.arguments"), message).remedy("mend them, or leave the call and its result out")
    })?;
    Ok(json!({ "toolUse": { "toolUseId": tool_id(&call.id), "name": call.name, "input": input } }))
}

/// Bedrock takes up to 64 letters, digits, `_`, `-`, `.` and `:`. Other providers' ids may be longer or hold more; they
/// are sent as their hash, so that call and result change alike and no two become one.
fn tool_id(id: &str) -> Cow<'_, str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    if (1..=TOOL_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(allowed) {
        return Cow::Borrowed(id);
    }
    let hash = Sha256::digest(id);
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Cow::Owned(format!("call_{digits}"))
}

#[cfg(test)]
mod tests;
