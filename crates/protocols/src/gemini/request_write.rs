//! Requests to Gemini.

use std::collections::HashMap;

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};

use super::{
    config, is_before_gemini_3, media,
    parts::{self, Pending},
    seal, short_name, tools,
};
use crate::{
    Losses,
    chat::{Content, Message, Part, Reasoning, Request, Role, ToolResult},
};

pub(super) const CACHES_BY_ITSELF: &str = "Gemini caches by itself";

/// Writes a request for Gemini. The model's name and whether to stream belong into the URL.
///
/// # Errors
/// `invalid` for what Gemini cannot be asked, naming the field as in [`Request`].
pub fn write_request(request: &Request, losses: &mut Losses) -> Result<Value> {
    if request.user.is_some() {
        losses.note("user", "Gemini has no field for the person behind the caller");
    }
    let mut system = Vec::new();
    write_system(&request.system, "system", losses, &mut system)?;
    let mut writer = ContentsWriter { losses, contents: Vec::new(), names: HashMap::new() };
    for (number, message) in request.messages.iter().enumerate() {
        let place = format!("messages[{number}]");
        if message.role == Role::System {
            writer.losses.note(&place, "instructions in the middle of the conversation stand before it in Gemini");
            write_system(&message.parts, &format!("{place}.parts"), writer.losses, &mut system)?;
        } else {
            writer.write(message, &place)?;
        }
    }
    let mut contents = writer.contents;
    if contents.is_empty() {
        return Err(Error::invalid("messages", "must hold something that is said to the model")
            .remedy("send at least one message of the user"));
    }
    contents.iter_mut().for_each(results_first);
    if needs_signatures(&request.model) {
        contents.iter_mut().for_each(sign_first_call);
    }
    let contents: Vec<Value> =
        contents.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect();
    let mut body = Map::new();
    if !system.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({"parts": system}));
    }
    body.insert("contents".to_owned(), contents.into());
    if let Some(tools) = tools::write(request, losses) {
        body.insert("tools".to_owned(), tools);
    }
    if let Some(choice) = tools::write_choice(request, losses) {
        body.insert("toolConfig".to_owned(), choice);
    }
    let config = config::write(request, losses);
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), config.into());
    }
    Ok(body.into())
}

fn write_system(parts: &[Part], place: &str, losses: &mut Losses, system: &mut Vec<Value>) -> Result<()> {
    for (number, part) in parts.iter().enumerate() {
        let Content::Text(text) = &part.content else {
            return Err(Error::invalid(
                format!("{place}[{number}]"),
                "cannot be an instruction for Gemini: it takes texts",
            )
            .remedy("send it in a message of the user"));
        };
        if part.cache.is_some() {
            losses.note("cache", CACHES_BY_ITSELF);
        }
        if !text.is_empty() {
            system.push(json!({"text": text}));
        }
    }
    Ok(())
}

/// Gemini 3 refuses the first function call of a turn when it has no signature; older models and other families do not.
fn needs_signatures(model: &str) -> bool {
    short_name(model).starts_with("gemini-") && !is_before_gemini_3(model)
}

/// The results of functions must follow their calls directly.
fn results_first((_, parts): &mut (&'static str, Vec<Value>)) {
    parts.sort_by_key(|part| part.get("functionResponse").is_none());
}

fn sign_first_call((role, parts): &mut (&'static str, Vec<Value>)) {
    let call = parts.iter_mut().find(|part| part.get("functionCall").is_some()).and_then(Value::as_object_mut);
    if let Some(call) = call.filter(|_| *role == "model") {
        call.entry("thoughtSignature").or_insert_with(|| seal::PLACEHOLDER.into());
    }
}

struct ContentsWriter<'a, 'b> {
    losses: &'a mut Losses,
    /// Roles with their parts; no role comes twice in a row.
    contents: Vec<(&'static str, Vec<Value>)>,
    /// The names of the functions that were called, by the ids of the calls.
    names: HashMap<&'b str, &'b str>,
}

impl<'b> ContentsWriter<'_, 'b> {
    fn write(&mut self, message: &'b Message, place: &str) -> Result<()> {
        if message.name.is_some() {
            self.losses.note(format!("{place}.name"), "Gemini does not tell participants of one role apart");
        }
        let mut written = Vec::with_capacity(message.parts.len());
        let mut pending = Pending::default();
        for (number, part) in message.parts.iter().enumerate() {
            let place = format!("{place}.parts[{number}]");
            if part.cache.is_some() {
                self.losses.note("cache", CACHES_BY_ITSELF);
            }
            match message.role {
                Role::Assistant => self.write_model_part(&part.content, &place, &mut pending, &mut written)?,
                _ => self.write_user_part(&part.content, &place, &mut written)?,
            }
        }
        pending.flush(&mut written);
        if written.is_empty() {
            return Ok(());
        }
        let role = if message.role == Role::Assistant { "model" } else { "user" };
        match self.contents.last_mut().filter(|(last, _)| *last == role) {
            Some((_, parts)) => parts.append(&mut written),
            None => self.contents.push((role, written)),
        }
        Ok(())
    }

    fn write_user_part(&mut self, content: &'b Content, place: &str, written: &mut Vec<Value>) -> Result<()> {
        match content {
            // Gemini refuses empty texts.
            Content::Text(text) | Content::Refusal(text) if text.is_empty() => {}
            Content::Text(text) | Content::Refusal(text) => written.push(json!({"text": text})),
            Content::Image(media) | Content::Audio(media) | Content::Video(media) | Content::Document(media) => {
                written.push(media::write(media, place, self.losses)?);
            }
            Content::ToolResult(result) => written.push(self.write_result(result, place)?),
            Content::Reasoning(_) => self.losses.note(place, "thoughts are the model's, not the user's"),
            Content::ToolCall(_) => {
                return Err(Error::invalid(place, "a tool call cannot stand in a message of the user"));
            }
        }
        Ok(())
    }

    fn write_model_part(
        &mut self,
        content: &'b Content,
        place: &str,
        pending: &mut Pending,
        written: &mut Vec<Value>,
    ) -> Result<()> {
        match content {
            Content::Text(text) | Content::Refusal(text) => {
                if matches!(content, Content::Refusal(_)) {
                    self.losses.note(place, "a refusal is a text in Gemini");
                }
                if !text.is_empty() || pending.is_waiting() {
                    written.push(pending.sign(json!({"text": text})));
                }
            }
            Content::Reasoning(reasoning) => self.write_reasoning(reasoning, pending, written),
            Content::ToolCall(call) => {
                self.names.insert(&call.id, &call.name);
                let arguments = parts::arguments(&call.arguments).ok_or_else(|| {
                    Error::invalid(format!("{place}.arguments"), "are not a JSON object, which Gemini demands")
                        .remedy("mend the arguments of this tool call, or leave the call and its result out")
                })?;
                written.push(pending.sign(parts::call(call, arguments)));
            }
            Content::Image(media) | Content::Audio(media) | Content::Video(media) | Content::Document(media) => {
                written.push(pending.sign(media::write(media, place, self.losses)?));
            }
            Content::ToolResult(_) => {
                return Err(Error::invalid(place, "the result of a tool cannot stand in a message of the model"));
            }
        }
        Ok(())
    }

    /// Thoughts without a seal may come back; seals must be Gemini's own.
    fn write_reasoning(&mut self, reasoning: &Reasoning, pending: &mut Pending, written: &mut Vec<Value>) {
        let own = seal::own(reasoning);
        let is_foreign = reasoning.encrypted.is_some() || (reasoning.signature.is_some() && own.is_none());
        match own {
            _ if is_foreign => self.losses.note("reasoning", "the sealed thoughts of another provider are left out"),
            Some(own) if reasoning.text.is_empty() => pending.keep(own, written),
            None if reasoning.text.is_empty() => {}
            own => {
                pending.flush(written);
                written.push(parts::thought(&reasoning.text, own));
            }
        }
    }

    fn write_result(&mut self, result: &'b ToolResult, place: &str) -> Result<Value> {
        let called = self.names.get(result.call_id.as_str()).copied();
        let name = called.or(result.name.as_deref()).ok_or_else(|| {
            Error::invalid(
                format!("{place}.call_id"),
                "answers no tool call of the messages before it, and Gemini must know the tool's name",
            )
            .remedy("send the message of the model with the tool call before its result")
        })?;
        let mut texts = Vec::new();
        let mut inline = Vec::new();
        for (number, part) in result.parts.iter().enumerate() {
            let place = format!("{place}.parts[{number}]");
            match &part.content {
                Content::Text(text) => texts.push(text.as_str()),
                Content::Image(media) | Content::Audio(media) | Content::Video(media) | Content::Document(media) => {
                    let written = media::write(media, &place, self.losses)?;
                    if written.get("inlineData").is_none() {
                        return Err(Error::invalid(place, "cannot be an address or a file in the result of a tool")
                            .remedy("send the bytes as base64"));
                    }
                    inline.push(written);
                }
                _ => {
                    return Err(Error::invalid(
                        place,
                        "cannot stand in the result of a tool: Gemini takes texts and media",
                    ));
                }
            }
        }
        let mut response = json!({
            "functionResponse": {"name": name, "response": result_object(&texts.join("\n"), !texts.is_empty(), result.is_error)},
        });
        if let Some(fields) = response.get_mut("functionResponse").and_then(Value::as_object_mut) {
            if !result.call_id.is_empty() {
                fields.insert("id".to_owned(), result.call_id.as_str().into());
            }
            // Taken by Gemini 3 and later ("Multimodal function responses").
            if !inline.is_empty() {
                fields.insert("parts".to_owned(), inline.into());
            }
        }
        Ok(response)
    }
}

/// What a function answered as the object that Gemini wants.
fn result_object(text: &str, has_text: bool, is_error: bool) -> Value {
    if is_error {
        return json!({"error": text});
    }
    if !has_text {
        return json!({});
    }
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => object,
        _ => json!({"result": text}),
    }
}
