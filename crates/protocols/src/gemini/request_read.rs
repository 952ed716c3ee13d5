//! Requests of clients.

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value};

use super::{config, media, proto::ProtoFields, seal, tools};
use crate::{
    Losses,
    chat::{Content, Message, Part, Reasoning, Request, Role, ToolCall, ToolResult},
};

/// What only Gemini's built-in tools write.
const BUILT_IN_PARTS: [&str; 4] = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];

/// Reads a client's request. `model` and `stream` stand in the URL and are left for the caller to set.
///
/// Contents of one role that follow each other become one message, and texts of the model that follow each other one text:
/// client libraries keep each event of a stream as a content of its own.
///
/// # Errors
/// `invalid`, naming the field as the client wrote it.
pub fn read_request(body: Value, losses: &mut Losses) -> Result<Request> {
    let mut body = ProtoFields::of(body, "")?;
    let mut request = Request { stream_usage: true, ..Request::default() };
    // It stands in the URL; a copy here, as for `countTokens`, says nothing new.
    body.take("model");
    if body.has("cachedContent") {
        return Err(Error::invalid(body.place("cachedContent"), "is kept by Gemini and cannot be translated")
            .remedy("send the contents themselves, or ask a Gemini model"));
    }
    if let Some(system) = body.object("systemInstruction")? {
        request.system = read_system(system, losses)?;
    }
    request.tools = tools::read(body.items("tools"), losses)?;
    if let Some(choice) = body.object("toolConfig")? {
        request.tool_choice = tools::read_choice(choice, losses)?;
    }
    if let Some(generation) = body.object("generationConfig")? {
        config::read(generation, &mut request, losses)?;
    }
    let contents = body.items("contents");
    if contents.is_empty() {
        return Err(Error::invalid(body.place("contents"), "is missing"));
    }
    let mut reader = ContentsReader { losses, messages: Vec::new(), calls: Vec::new(), number: 0 };
    for (place, content) in contents {
        reader.read(ProtoFields::of(content, place)?)?;
    }
    request.messages = reader.messages;
    request.messages.retain(|message| !message.parts.is_empty());
    body.finish(losses);
    Ok(request)
}

fn read_system(mut system: ProtoFields, losses: &mut Losses) -> Result<Vec<Part>> {
    // It means nothing here, and client libraries write `user` or `system`.
    system.take("role");
    let mut parts = Vec::new();
    for (place, part) in system.items("parts") {
        let mut part = ProtoFields::of(part, place)?;
        let text = part.text("text")?;
        parts.push(Part::text(part.need("text", text)?));
        part.finish(losses);
    }
    system.finish(losses);
    Ok(parts)
}

struct ContentsReader<'a> {
    losses: &'a mut Losses,
    messages: Vec<Message>,
    /// The function calls so far.
    calls: Vec<Call>,
    /// How many there were, for ids.
    number: usize,
}

struct Call {
    id: String,
    name: String,
    is_answered: bool,
}

impl ContentsReader<'_> {
    fn read(&mut self, mut content: ProtoFields) -> Result<()> {
        let role_place = content.place("role");
        let role = match content.text("role")?.as_deref() {
            None | Some("" | "user" | "function") => Role::User,
            Some("model") => Role::Assistant,
            Some(_) => return Err(Error::invalid(role_place, "must be user or model")),
        };
        if self.messages.last().is_none_or(|last| last.role != role) {
            self.messages.push(Message { role, name: None, parts: Vec::new() });
        }
        for (place, part) in content.items("parts") {
            let part = ProtoFields::of(part, place.clone())?;
            match role {
                Role::Assistant => self.read_model_part(part, &place)?,
                _ => self.read_user_part(part, &place)?,
            }
        }
        content.finish(self.losses);
        Ok(())
    }

    fn push(&mut self, content: Content) {
        if let Some(message) = self.messages.last_mut() {
            message.parts.push(Part::new(content));
        }
    }

    fn last(&mut self) -> Option<&mut Content> {
        self.messages.last_mut()?.parts.last_mut().map(|part| &mut part.content)
    }

    fn read_user_part(&mut self, mut part: ProtoFields, place: &str) -> Result<()> {
        part.take("thought");
        part.take("thoughtSignature");
        if part.has("functionCall") {
            return Err(Error::invalid(part.place("functionCall"), "must stand in a content of the role model"));
        }
        let content = match part.object("functionResponse")? {
            Some(response) => Content::ToolResult(self.read_result(response)?),
            None => match read_plain(&mut part, self.losses)? {
                Some(content) => content,
                None => return Err(unknown(place)),
            },
        };
        self.push(content);
        part.finish(self.losses);
        Ok(())
    }

    fn read_model_part(&mut self, mut part: ProtoFields, place: &str) -> Result<()> {
        let is_thought = part.flag("thought")? == Some(true);
        let signature = part.text("thoughtSignature")?;
        let has_signature = signature.is_some();
        let sealed = signature.and_then(|signature| seal::read(&signature));
        if part.has("functionResponse") {
            return Err(Error::invalid(part.place("functionResponse"), "must stand in a content of the role user"));
        }
        if let Some(call) = part.object("functionCall")? {
            self.push_seal(sealed);
            let call = self.read_call(call)?;
            self.push(Content::ToolCall(call));
        } else {
            match read_plain(&mut part, self.losses)? {
                Some(Content::Text(text)) if is_thought => self.push_thought(text, sealed),
                Some(Content::Text(text)) => {
                    self.push_seal(sealed);
                    self.push_text(text);
                }
                Some(_) if is_thought => self.losses.note(place, "a thought that is an image cannot be carried"),
                Some(content) => {
                    self.push_seal(sealed);
                    self.push(content);
                }
                None if is_thought => self.push_thought(String::new(), sealed),
                None if has_signature => self.push_seal(sealed),
                None => return Err(unknown(place)),
            }
        }
        part.finish(self.losses);
        Ok(())
    }

    /// The signature of the part that follows.
    fn push_seal(&mut self, sealed: Option<Reasoning>) {
        if let Some(sealed) = sealed {
            self.push(Content::Reasoning(sealed));
        }
    }

    fn push_text(&mut self, more: String) {
        match self.last() {
            _ if more.is_empty() => {}
            Some(Content::Text(text)) => text.push_str(&more),
            _ => self.push(Content::Text(more)),
        }
    }

    /// Thoughts go on until they are sealed: their seal may come with an empty text.
    fn push_thought(&mut self, more: String, sealed: Option<Reasoning>) {
        let sealed = sealed.unwrap_or_default();
        if let Some(Content::Reasoning(open)) = self.last()
            && !open.text.is_empty()
            && (&open.signature, &open.encrypted, &open.id) == (&None, &None, &None)
        {
            open.text.push_str(&more);
            (open.signature, open.encrypted, open.id) = (sealed.signature, sealed.encrypted, sealed.id);
        } else if !more.is_empty() || sealed != Reasoning::default() {
            let summary = !more.is_empty();
            self.push(Content::Reasoning(Reasoning { text: more, summary, ..sealed }));
        }
    }

    fn read_call(&mut self, mut call: ProtoFields) -> Result<ToolCall> {
        let name = call.text("name")?;
        let name = call.need("name", name)?;
        let id = call.text("id")?.filter(|id| !id.is_empty());
        let args_place = call.place("args");
        let arguments = match call.take("args") {
            None => "{}".to_owned(),
            Some(Value::Object(arguments)) => Value::Object(arguments).to_string(),
            Some(_) => return Err(Error::invalid(args_place, "must be an object")),
        };
        call.finish(self.losses);
        let id = id.unwrap_or_else(|| self.new_id());
        self.number += 1;
        self.calls.push(Call { id: id.clone(), name: name.clone(), is_answered: false });
        Ok(ToolCall { id, name, arguments })
    }

    fn new_id(&self) -> String {
        let mut id = format!("call_gemini_{}", self.number);
        while self.calls.iter().any(|call| call.id == id) {
            id.push('_');
        }
        id
    }

    fn read_result(&mut self, mut result: ProtoFields) -> Result<ToolResult> {
        let name = result.text("name")?.filter(|name| !name.is_empty());
        let id = result.text("id")?.filter(|id| !id.is_empty());
        let place = result.place("response");
        let response = match result.take("response") {
            None => Map::new(),
            Some(Value::Object(response)) => response,
            Some(_) => return Err(Error::invalid(place, "must be an object")),
        };
        let (text, is_error) = result_text(response);
        let mut parts: Vec<Part> = text.map(Part::text).into_iter().collect();
        for (place, part) in result.items("parts") {
            let mut part = ProtoFields::of(part, place.clone())?;
            let content = read_plain(&mut part, self.losses)?.ok_or_else(|| unknown(&place))?;
            parts.push(Part::new(content));
            part.finish(self.losses);
        }
        let call_id = self.answered_call(id, name.as_deref()).ok_or_else(|| {
            Error::invalid(result.place("name"), "answers no functionCall of the contents before it")
                .remedy("send the model's functionCall in a content of the role model before its functionResponse")
        })?;
        result.finish(self.losses);
        Ok(ToolResult { call_id, name, parts, is_error })
    }

    /// The id of the call that a result answers: the stated one, else the first open call of this name, else the first open
    /// call.
    fn answered_call(&mut self, id: Option<String>, name: Option<&str>) -> Option<String> {
        let open = |calls: &[Call], fits: &dyn Fn(&Call) -> bool| {
            calls.iter().position(|call| !call.is_answered && fits(call))
        };
        let place = id
            .as_deref()
            .and_then(|id| open(&self.calls, &|call| call.id == id))
            .or_else(|| open(&self.calls, &|call| name == Some(call.name.as_str())))
            .or_else(|| open(&self.calls, &|_| name.is_none()));
        let answered = place.and_then(|place| self.calls.get_mut(place)).map(|call| {
            call.is_answered = true;
            call.id.clone()
        });
        answered.or(id)
    }
}

/// Text or a medium; `None` when it is neither.
fn read_plain(part: &mut ProtoFields, losses: &mut Losses) -> Result<Option<Content>> {
    for name in BUILT_IN_PARTS {
        if part.has(name) {
            return Err(Error::invalid(part.place(name), "is of a tool of Gemini's own, which cannot be translated")
                .remedy("remove it, or ask a Gemini model"));
        }
    }
    if part.has("videoMetadata") {
        return Err(Error::invalid(part.place("videoMetadata"), "cannot be translated")
            .remedy("send the part of the video that is meant, or ask a Gemini model"));
    }
    if let Some(text) = part.text("text")? {
        return Ok(Some(Content::Text(text)));
    }
    if let Some(blob) = part.object("inlineData")? {
        return media::read_inline(blob, losses).map(Some);
    }
    part.object("fileData")?.map(|file| media::read_file(file, losses)).transpose()
}

fn unknown(place: &str) -> Error {
    Error::invalid(place, "holds nothing that can be translated")
        .remedy("use text, inlineData, fileData, functionCall or functionResponse")
}

/// What a function answered as text, and whether it is an error. Gemini's documentation has the fields `result`, `output` and
/// `error` for answers that are no objects.
fn result_text(response: Map<String, Value>) -> (Option<String>, bool) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut fields = response.iter();
    match (fields.next(), fields.next()) {
        (None, _) => (None, false),
        (Some((name, value)), None) if name == "error" => (Some(text(value)), true),
        (Some((name, value)), None) if name == "result" || name == "output" => (Some(text(value)), false),
        _ => (Some(Value::Object(response).to_string()), false),
    }
}
