//! Writing a conversation to a provider.

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};

use super::{
    parts,
    reasoning::{self, CONTENT_FIELD},
    wire,
};
use crate::{
    Losses,
    chat::{Content, Message, Part, Reasoning, Request, Role, ToolResult},
};

/// Between texts that become one.
const BETWEEN_TEXTS: &str = "\n\n";

/// The `messages`. Results of tools directly follow their calls, whatever stood between them. Contents of nothing but
/// text are one text, for not every server takes lists: DeepSeek and Groq refuse them for some roles.
pub(super) fn write_messages(request: &Request, losses: &mut Losses) -> Result<Vec<Value>> {
    let mut all = request.messages.iter().flat_map(|message| &message.parts);
    let gives_back_thoughts =
        all.any(|part| matches!(&part.content, Content::Reasoning(thoughts) if reasoning::is_content_field(thoughts)));
    let mut writer = Writer { written: Vec::new(), losses, noted: Vec::new(), gives_back_thoughts };
    writer.note_cache(&request.system);
    if !request.system.is_empty() {
        let content = writer.system_text(&request.system, "system")?;
        writer.written.push(json!({"role": "system", "content": content}));
    }
    let mut first = 0;
    for turn in request.messages.chunk_by(|one, next| is_model(one) == is_model(next)) {
        if turn.first().is_some_and(is_model) {
            for (offset, message) in turn.iter().enumerate() {
                let before = (first + offset).checked_sub(1).and_then(|place| request.messages.get(place));
                writer.assistant(message, before, &format!("messages[{}]", first + offset))?;
            }
        } else {
            writer.turn(turn, first)?;
        }
        first += turn.len();
    }
    Ok(writer.written)
}

fn is_model(message: &Message) -> bool {
    message.role == Role::Assistant
}

fn is_result(part: &Part) -> bool {
    matches!(part.content, Content::ToolResult(_))
}

struct Writer<'a> {
    written: Vec<Value>,
    losses: &'a mut Losses,
    /// Reasons that have been noted: of many fields with the same one, the first is named.
    noted: Vec<&'static str>,
    /// Whether the model's thoughts go back as `reasoning_content`.
    gives_back_thoughts: bool,
}

impl Writer<'_> {
    fn note_once(&mut self, field: String, why: &'static str) {
        if !self.noted.contains(&why) {
            self.noted.push(why);
            self.losses.note(field, why);
        }
    }

    fn note_cache(&mut self, parts: &[Part]) {
        if parts.iter().any(|part| part.cache.is_some()) {
            parts::note_cache(self.losses);
        }
    }

    fn system_text(&self, parts: &[Part], field: &str) -> Result<String> {
        let text = |(number, part): (usize, &Part)| {
            parts::plain_text(&part.content).ok_or_else(|| {
                Error::invalid(format!("{field}[{number}]"), "instructions cannot hold anything but text")
                    .remedy("move it to a message of the user")
            })
        };
        Ok(parts.iter().enumerate().map(text).collect::<Result<Vec<_>>>()?.join(BETWEEN_TEXTS))
    }

    fn push(&mut self, role: &str, name: Option<&str>, content: Value, more: Map<String, Value>) {
        let mut message = Map::new();
        message.insert("role".to_owned(), json!(role));
        message.extend(name.map(|name| ("name".to_owned(), json!(name))));
        message.insert("content".to_owned(), content);
        message.extend(more);
        self.written.push(Value::Object(message));
    }

    /// The messages between two of the model: first the results of tools, then what else was said.
    fn turn(&mut self, messages: &[Message], first: usize) -> Result<()> {
        let field = |offset: usize, number: usize| format!("messages[{}].parts[{number}]", first + offset);
        let mut moved = Vec::new();
        for (offset, message) in messages.iter().enumerate() {
            self.note_cache(&message.parts);
            for (number, part) in message.parts.iter().enumerate() {
                if let Content::ToolResult(result) = &part.content {
                    self.result(result, &field(offset, number), &mut moved)?;
                }
            }
        }
        for (offset, message) in messages.iter().enumerate() {
            let name = message.name.as_deref();
            if message.role == Role::System {
                self.moved(&mut moved);
                let text = self.system_text(&message.parts, &format!("messages[{}].parts", first + offset))?;
                self.push("system", name, Value::String(text), Map::new());
            } else if message.parts.is_empty() || !message.parts.iter().all(is_result) {
                let mut content = std::mem::take(&mut moved);
                for (number, part) in message.parts.iter().enumerate().filter(|(_, part)| !is_result(part)) {
                    content.push(parts::write_part(&part.content, &field(offset, number))?);
                }
                self.push("user", name, join_texts(content), Map::new());
            }
        }
        self.moved(&mut moved);
        Ok(())
    }

    /// A message of what no result of a tool can hold.
    fn moved(&mut self, moved: &mut Vec<Value>) {
        if !moved.is_empty() {
            self.push("user", None, Value::Array(std::mem::take(moved)), Map::new());
        }
    }

    /// A message of a tool. It holds only text; the rest goes to `moved`.
    fn result(&mut self, result: &ToolResult, field: &str, moved: &mut Vec<Value>) -> Result<()> {
        self.note_cache(&result.parts);
        let mut texts = Vec::new();
        let mut media = Vec::new();
        for (number, part) in result.parts.iter().enumerate() {
            match parts::plain_text(&part.content) {
                Some(text) => texts.push(text),
                None => media.push(parts::write_part(&part.content, &format!("{field}.parts[{number}]"))?),
            }
        }
        if !media.is_empty() {
            self.note_once(field.to_owned(), "a tool's message holds only text: the rest stands in the next message");
            if texts.is_empty() {
                texts.push("The result stands in the next message.".to_owned());
            }
            moved.push(json!({"type": "text", "text": format!("The result of the tool call {}:", result.call_id)}));
            moved.append(&mut media);
        }
        if result.is_error {
            self.note_once(format!("{field}.is_error"), "a tool's message cannot say that the tool failed");
        }
        let more = Map::from_iter([("tool_call_id".to_owned(), json!(result.call_id))]);
        self.push("tool", None, Value::String(texts.join(BETWEEN_TEXTS)), more);
        Ok(())
    }

    fn assistant(&mut self, message: &Message, before: Option<&Message>, field: &str) -> Result<()> {
        self.note_cache(&message.parts);
        let mut text: Option<String> = None;
        let mut refusal: Option<String> = None;
        let (mut calls, mut details) = (Vec::new(), Vec::new());
        let mut thoughts = String::new();
        for (number, part) in message.parts.iter().enumerate() {
            let field = || format!("{field}.parts[{number}]");
            match &part.content {
                // The model wrote it in one go, so nothing stands between its texts.
                Content::Text(more) => text.get_or_insert_default().push_str(more),
                Content::Refusal(more) => refusal.get_or_insert_default().push_str(more),
                Content::Reasoning(reasoning) => self.thoughts(reasoning, field(), &mut details, &mut thoughts),
                Content::ToolCall(call) => calls.push(json!({
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": wire::arguments(&call.arguments)},
                })),
                Content::ToolResult(_) => {
                    return Err(Error::invalid(field(), "the model's message cannot hold the result of a tool")
                        .remedy("move it to a message of the user"));
                }
                Content::Image(_) | Content::Audio(_) | Content::Video(_) | Content::Document(_) => {
                    return Err(Error::invalid(field(), "the model's message cannot hold anything but text here")
                        .remedy("move it to a message of the user"));
                }
            }
        }
        let mut more = Map::new();
        let in_tool_turn = !calls.is_empty() || before.is_some_and(|before| before.parts.iter().any(is_result));
        if self.gives_back_thoughts && in_tool_turn {
            // Empty where the model thought nothing: DeepSeek misses the field otherwise.
            more.insert(CONTENT_FIELD.to_owned(), Value::String(thoughts));
        }
        if text.is_none() && refusal.is_none() && calls.is_empty() {
            text = Some(String::new());
        }
        more.extend(refusal.map(|refusal| ("refusal".to_owned(), Value::String(refusal))));
        for (name, list) in [("reasoning_details", details), ("tool_calls", calls)] {
            if !list.is_empty() {
                more.insert(name.to_owned(), Value::Array(list));
            }
        }
        self.push("assistant", message.name.as_deref(), json!(text), more);
        Ok(())
    }

    /// Only what a provider of this protocol sealed goes back. Bare thoughts are of no use to it.
    fn thoughts(&mut self, reasoning: &Reasoning, field: String, details: &mut Vec<Value>, thoughts: &mut String) {
        if reasoning::is_foreign(reasoning) {
            self.note_once(field, "thoughts that another provider sealed are left out");
        } else if reasoning::is_content_field(reasoning) {
            thoughts.push_str(&reasoning.text);
        } else {
            details.extend(reasoning::write_details(reasoning, None, details.len()));
        }
    }
}

/// One text when there is nothing else.
fn join_texts(parts: Vec<Value>) -> Value {
    let text = |part: &'_ Value| (wire::text(part, "type") == "text").then(|| wire::text(part, "text").to_owned());
    match parts.iter().map(text).collect::<Option<Vec<String>>>() {
        Some(texts) => Value::String(texts.join(BETWEEN_TEXTS)),
        None => Value::Array(parts),
    }
}
