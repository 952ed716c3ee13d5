//! Reading a caller's messages.

use std::collections::VecDeque;

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value};

use super::{
    UNKNOWN, parts,
    reasoning::{self, Sender},
    tools,
};
use crate::{
    Losses,
    chat::{CacheControl, Content, Message, Part, Reasoning, Role, ToolCall, ToolResult},
    read::Fields,
};

/// What has been read of a conversation.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The instructions before it.
    pub(super) system: Vec<Part>,
    /// The messages after them.
    pub(super) messages: Vec<Message>,
    /// Calls of the older protocol without ids (names, then made-up ids) that no `function` message has answered yet.
    unanswered: VecDeque<(String, String)>,
    /// Ids made up so far.
    made_up: usize,
    /// The last message was the answer of a tool.
    after_tool: bool,
}

impl Conversation {
    pub(super) fn read(messages: Vec<Value>, losses: &mut Losses) -> Result<Self> {
        let mut conversation = Self::default();
        for (number, message) in messages.into_iter().enumerate() {
            conversation.message(Fields::of(message, format!("messages[{number}]"))?, losses)?;
        }
        Ok(conversation)
    }

    fn message(&mut self, mut message: Fields, losses: &mut Losses) -> Result<()> {
        let role = message.text("role")?;
        let role = message.need("role", role)?;
        let cache = parts::read_cache(&mut message, losses)?;
        let is_result = matches!(role.as_str(), "tool" | "function");
        match role.as_str() {
            "system" | "developer" => self.system(&mut message, cache, losses)?,
            "user" => self.spoken(Role::User, &mut message, cache, losses)?,
            "assistant" => self.assistant(&mut message, cache, losses)?,
            "tool" | "function" => self.result(&role, &mut message, cache, losses)?,
            other => {
                return Err(Error::invalid(message.place("role"), format!("`{other}` is not a role"))
                    .remedy("use `system`, `developer`, `user`, `assistant` or `tool`"));
            }
        }
        self.after_tool = is_result;
        message.finish(UNKNOWN, losses);
        Ok(())
    }

    fn system(&mut self, message: &mut Fields, cache: Option<CacheControl>, losses: &mut Losses) -> Result<()> {
        if !self.messages.is_empty() {
            return self.spoken(Role::System, message, cache, losses);
        }
        // A name stays with the fields that are lost: instructions have none.
        let mut parts = parts::read_content(message.take("content"), &message.place("content"), losses)?;
        mark_last(&mut parts, cache);
        self.system.append(&mut parts);
        Ok(())
    }

    fn spoken(
        &mut self,
        role: Role,
        message: &mut Fields,
        cache: Option<CacheControl>,
        losses: &mut Losses,
    ) -> Result<()> {
        let content = message.take("content");
        let content = message.need("content", content)?;
        let mut parts = parts::read_content(Some(content), &message.place("content"), losses)?;
        mark_last(&mut parts, cache);
        self.messages.push(Message { role, name: message.text("name")?, parts });
        Ok(())
    }

    fn assistant(&mut self, message: &mut Fields, cache: Option<CacheControl>, losses: &mut Losses) -> Result<()> {
        if message.has("audio") {
            return Err(Error::invalid(
                message.place("audio"),
                "an answer in audio cannot be carried to this provider",
            )
            .remedy("send its transcript as `content`"));
        }
        // Part of every answer of OpenAI, mostly empty, and sent back by most clients.
        let annotations = message.list("annotations")?;
        if !annotations.is_empty() {
            losses.note(message.place("annotations"), UNKNOWN);
        }
        // What OpenAI's own package makes of the content, when it sends its objects back.
        message.take("parsed");
        let mut thoughts = read_thoughts(message)?;
        let content = parts::read_content(message.take("content"), &message.place("content"), losses)?;
        let refusal = message.text("refusal")?.filter(|refusal| !refusal.is_empty());
        let calls = self.calls(message, losses)?;
        // A seal without thoughts that bears the id of a call belongs right before it.
        let mut anchored: Vec<Reasoning> = Vec::new();
        thoughts.retain(|thought| {
            let is_anchored =
                thought.text.is_empty() && calls.iter().any(|call| thought.id.as_deref() == Some(call.id.as_str()));
            if is_anchored {
                anchored.push(thought.clone());
            }
            !is_anchored
        });
        let mut parts: Vec<Part> = thoughts.into_iter().map(|thought| Part::new(Content::Reasoning(thought))).collect();
        // The empty text beside tool calls says nothing, and some providers refuse it.
        parts.extend(
            content.into_iter().filter(|part| !matches!(&part.content, Content::Text(text) if text.is_empty())),
        );
        parts.extend(refusal.map(|refusal| Part::new(Content::Refusal(refusal))));
        for call in calls {
            for thought in anchored.extract_if(.., |thought| thought.id.as_deref() == Some(call.id.as_str())) {
                parts.push(Part::new(Content::Reasoning(Reasoning { id: None, ..thought })));
            }
            parts.push(Part::new(Content::ToolCall(call)));
        }
        mark_last(&mut parts, cache);
        self.messages.push(Message { role: Role::Assistant, name: message.text("name")?, parts });
        Ok(())
    }

    fn calls(&mut self, message: &mut Fields, losses: &mut Losses) -> Result<Vec<ToolCall>> {
        let mut calls = Vec::new();
        let place = message.place("tool_calls");
        for (number, value) in message.list("tool_calls")?.into_iter().enumerate() {
            let mut call = Fields::of(value, format!("{place}[{number}]"))?;
            tools::expect_function(&mut call)?;
            let id = call.text("id")?;
            let id = call.need("id", id)?;
            let function = call.object("function")?;
            let (name, arguments) = read_call(call.need("function", function)?, losses)?;
            calls.push(ToolCall { id, name, arguments });
            // The place in a stream, which some clients keep.
            call.take("index");
            call.finish(UNKNOWN, losses);
        }
        if let Some(call) = message.object("function_call")? {
            let (name, arguments) = read_call(call, losses)?;
            let id = format!("call_function_{}", self.made_up);
            self.made_up += 1;
            self.unanswered.push_back((name.clone(), id.clone()));
            calls.push(ToolCall { id, name, arguments });
        }
        Ok(calls)
    }

    fn result(
        &mut self,
        role: &str,
        message: &mut Fields,
        cache: Option<CacheControl>,
        losses: &mut Losses,
    ) -> Result<()> {
        let name = message.text("name")?;
        let (call_id, name) = if role == "tool" {
            let id = message.text("tool_call_id")?;
            (message.need("tool_call_id", id)?, name)
        } else {
            let name = message.need("name", name)?;
            let place = self.unanswered.iter().position(|(called, _)| *called == name);
            match place.and_then(|place| self.unanswered.remove(place)) {
                Some((name, id)) => (id, Some(name)),
                None => {
                    return Err(Error::invalid(
                        message.place("name"),
                        format!("no call of `{name}` waits for a result"),
                    )
                    .remedy("put the assistant's message with the `function_call` before it"));
                }
            }
        };
        let parts = parts::read_content(message.take("content"), &message.place("content"), losses)?;
        let result = Content::ToolResult(ToolResult { call_id, name, parts, is_error: false });
        let part = Part { content: result, cache };
        match self.messages.last_mut().filter(|_| self.after_tool) {
            Some(last) => last.parts.push(part),
            None => self.messages.push(Message { role: Role::User, name: None, parts: vec![part] }),
        }
        Ok(())
    }
}

/// A mark on the whole message stands for one on its last part.
fn mark_last(parts: &mut [Part], cache: Option<CacheControl>) {
    if let (Some(cache), Some(last)) = (cache, parts.last_mut()) {
        last.cache = Some(cache);
    }
}

/// The name and the arguments, which stay as they are: models err, and what they wrote is what they are shown.
fn read_call(mut function: Fields, losses: &mut Losses) -> Result<(String, String)> {
    let name = function.text("name")?;
    let name = function.need("name", name)?;
    // What OpenAI's own package makes of the arguments: it sends it back with its objects.
    function.take("parsed_arguments");
    let arguments = match function.take("arguments") {
        None => String::new(),
        Some(Value::String(text)) => text,
        // Ollama's own protocol has an object here.
        Some(object @ Value::Object(_)) => object.to_string(),
        Some(_) => return Err(Error::invalid(function.place("arguments"), "must be a JSON object as text")),
    };
    function.finish(UNKNOWN, losses);
    Ok((name, arguments))
}

/// `reasoning_details`, and the text that comes without them.
fn read_thoughts(message: &mut Fields) -> Result<Vec<Reasoning>> {
    let place = message.place("reasoning_details");
    let mut details: Vec<Map<String, Value>> = Vec::new();
    for (number, item) in message.list("reasoning_details")?.into_iter().enumerate() {
        match item {
            Value::Object(item) => details.push(item),
            _ => return Err(Error::invalid(format!("{place}[{number}]"), "must be an object")),
        }
    }
    let text = message.text("reasoning_content")?;
    let other = message.text("reasoning")?;
    let plain = text.filter(|text| !text.is_empty()).or(other);
    let plain = plain.map(|text| Reasoning { text, ..Reasoning::default() });
    Ok(reasoning::read_thoughts(details, plain, Sender::Client))
}
