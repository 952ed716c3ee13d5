//! `instructions` and `input` of a client's request.

use plasma_kernel::{Error, Result};
use serde_json::Value;

use super::{items, read_seal, request::NO_COUNTERPART};
use crate::{
    Fields, Losses,
    chat::{CacheControl, Content, Media, MediaSource, Message, Part, Role, ToolCall, ToolResult},
};

/// The instructions before the conversation, and the conversation.
///
/// # Errors
/// `invalid`, naming the field.
pub(super) fn read(fields: &mut Fields, losses: &mut Losses) -> Result<(Vec<Part>, Vec<Message>)> {
    let mut conversation = Conversation { system: Vec::new(), messages: Vec::new(), losses };
    conversation.system.extend(fields.text("instructions")?.map(Part::text));
    let input = fields.take("input");
    match fields.need("input", input)? {
        Value::String(text) => conversation.push(Role::User, vec![Part::text(text)]),
        Value::Array(items) => {
            for (index, item) in items.into_iter().enumerate() {
                conversation.item(Fields::of(item, format!("input[{index}]"))?)?;
            }
        }
        _ => return Err(Error::invalid("input", "must be a text or a list of items")),
    }
    Ok((conversation.system, conversation.messages))
}

struct Conversation<'a> {
    system: Vec<Part>,
    messages: Vec<Message>,
    losses: &'a mut Losses,
}

impl Conversation<'_> {
    fn push(&mut self, role: Role, parts: Vec<Part>) {
        if role == Role::System && self.messages.is_empty() {
            self.system.extend(parts);
            return;
        }
        match self.messages.last_mut() {
            Some(message) if message.role == role => message.parts.extend(parts),
            _ if parts.is_empty() => {}
            _ => self.messages.push(Message { role, name: None, parts }),
        }
    }

    fn item(&mut self, mut fields: Fields) -> Result<()> {
        let kind = fields.text("type")?;
        let kind = match kind {
            None if fields.has("role") => "message".to_owned(),
            None if fields.has("id") => "item_reference".to_owned(),
            kind => fields.need("type", kind)?,
        };
        let id = fields.text("id")?;
        // Whether it was complete when it was written.
        fields.take("status");
        match kind.as_str() {
            "message" => self.message(&mut fields)?,
            "function_call" => {
                let (id, name) = (fields.text("call_id")?, fields.text("name")?);
                let call = ToolCall {
                    id: fields.need("call_id", id)?,
                    name: fields.need("name", name)?,
                    arguments: fields.text("arguments")?.unwrap_or_default(),
                };
                self.push(Role::Assistant, vec![Part::new(Content::ToolCall(call))]);
            }
            "function_call_output" => {
                let call_id = fields.text("call_id")?;
                let result = ToolResult {
                    call_id: fields.need("call_id", call_id)?,
                    name: fields.text("name")?,
                    parts: self.parts(&mut fields, "output", Role::User)?,
                    is_error: false,
                };
                self.push(Role::User, vec![Part::new(Content::ToolResult(result))]);
            }
            "reasoning" => self.reasoning(&mut fields, id)?,
            "image_generation_call" => {
                let (result, format) = (fields.text("result")?, fields.text("output_format")?);
                let image = items::image_of(result.as_deref().unwrap_or(""), format.as_deref());
                self.push(Role::Assistant, image.into_iter().collect());
            }
            "item_reference" => {
                return Err(Error::invalid(
                    fields.place("type"),
                    "cannot be `item_reference`: no items are stored here",
                )
                .remedy("send the whole item"));
            }
            other => {
                let what = format!("cannot be `{other}`: only the protocol's own provider understands such items");
                return Err(Error::invalid(fields.place("type"), what)
                    .remedy("leave it out, or use a model of a provider that speaks this protocol"));
            }
        }
        fields.finish(NO_COUNTERPART, self.losses);
        Ok(())
    }

    fn message(&mut self, fields: &mut Fields) -> Result<()> {
        let role = fields.text("role")?;
        let role = match fields.need("role", role)?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" | "developer" => Role::System,
            other => {
                return Err(Error::invalid(fields.place("role"), format!("cannot be `{other}`"))
                    .remedy("use user, assistant, system or developer"));
            }
        };
        let parts = self.parts(fields, "content", role)?;
        self.push(role, parts);
        Ok(())
    }

    /// A text or a list of parts.
    fn parts(&mut self, fields: &mut Fields, name: &str, role: Role) -> Result<Vec<Part>> {
        let place = fields.place(name);
        let value = fields.take(name);
        match fields.need(name, value)? {
            Value::String(text) if text.is_empty() => Ok(Vec::new()),
            Value::String(text) => Ok(vec![Part::text(text)]),
            Value::Array(list) => {
                let parts = list.into_iter().enumerate();
                parts.map(|(index, part)| self.part(Fields::of(part, format!("{place}[{index}]"))?, role)).collect()
            }
            _ => Err(Error::invalid(place, "must be a text or a list of parts")),
        }
    }

    fn part(&mut self, mut fields: Fields, role: Role) -> Result<Part> {
        let kind = fields.text("type")?;
        let kind = fields.need("type", kind)?;
        let content = match kind.as_str() {
            "input_text" | "output_text" | "text" => {
                let text = fields.text("text")?;
                let text = fields.need("text", text)?;
                // Of an earlier answer, sent back.
                fields.take("logprobs");
                if !fields.list("annotations")?.is_empty() {
                    self.losses.note(fields.place("annotations"), NO_COUNTERPART);
                }
                Content::Text(text)
            }
            "refusal" if role == Role::Assistant => {
                let refusal = fields.text("refusal")?;
                Content::Refusal(fields.need("refusal", refusal)?)
            }
            "input_image" => Content::Image(read_image(&mut fields)?),
            "input_file" => read_file(&mut fields)?.into_content(),
            "input_audio" => {
                let audio = fields.object("input_audio")?;
                Content::Audio(read_audio(fields.need("input_audio", audio)?, self.losses)?)
            }
            other => {
                return Err(Error::invalid(fields.place("type"), format!("cannot be `{other}` here")).remedy(
                    "use input_text, input_image or input_file; output_text or refusal in the model's messages",
                ));
            }
        };
        let cache = self.cache_mark(&mut fields)?;
        fields.finish(NO_COUNTERPART, self.losses);
        Ok(Part { content, cache })
    }

    /// The mark is carried; how long it lasts is not, for every provider counts differently.
    fn cache_mark(&mut self, fields: &mut Fields) -> Result<Option<CacheControl>> {
        let Some(mut mark) = fields.object("prompt_cache_breakpoint")? else { return Ok(None) };
        mark.take("mode");
        mark.finish("other providers keep a cache for other times", self.losses);
        Ok(Some(CacheControl::default()))
    }

    fn reasoning(&mut self, fields: &mut Fields, id: Option<String>) -> Result<()> {
        let place = fields.place("content");
        let summary = read_texts(fields, "summary")?;
        let content = read_texts(fields, "content")?;
        if !summary.is_empty() && !content.is_empty() {
            self.losses.note(place, "the summary is carried instead");
        }
        let mut reasoning = items::reasoning_of(summary, content, id);
        read_seal(fields.text("encrypted_content")?.as_deref().unwrap_or(""), &mut reasoning);
        if reasoning.text.is_empty() && reasoning.signature.is_none() && reasoning.encrypted.is_none() {
            let why =
                "holds nothing without the provider's state; ask for `reasoning.encrypted_content` with `include`";
            self.losses.note(fields.place("encrypted_content"), why);
            return Ok(());
        }
        self.push(Role::Assistant, vec![Part::new(Content::Reasoning(reasoning))]);
        Ok(())
    }
}

/// The texts of a list of `{"type", "text"}`.
fn read_texts(fields: &mut Fields, name: &str) -> Result<Vec<String>> {
    let place = fields.place(name);
    let mut texts = Vec::new();
    for (index, part) in fields.list(name)?.into_iter().enumerate() {
        texts.extend(Fields::of(part, format!("{place}[{index}]"))?.text("text")?);
    }
    Ok(texts)
}

fn read_image(fields: &mut Fields) -> Result<Media> {
    let (url, file) = (fields.text("image_url")?, fields.text("file_id")?);
    let media = match (url, file) {
        (Some(url), _) => Media::from_url(&url),
        (None, Some(file)) => stored(file),
        (None, None) => return Err(Error::invalid(fields.place("image_url"), "is missing")),
    };
    // `auto` is what the field's absence means.
    Ok(Media { detail: fields.text("detail")?.filter(|detail| detail != "auto"), ..media })
}

fn read_file(fields: &mut Fields) -> Result<Media> {
    let (data, url, file) = (fields.text("file_data")?, fields.text("file_url")?, fields.text("file_id")?);
    let media = match (data, url, file) {
        (Some(data), ..) if data.starts_with("data:") => Media::from_url(&data),
        (Some(data), ..) => Media { source: MediaSource::Base64(data), ..stored(String::new()) },
        (None, Some(url), _) => Media::from_url(&url),
        (None, None, Some(file)) => stored(file),
        (None, None, None) => return Err(Error::invalid(fields.place("file_data"), "is missing")),
    };
    let detail = fields.text("detail")?.filter(|detail| detail != "auto");
    Ok(Media { name: fields.text("filename")?, detail, ..media })
}

fn read_audio(mut fields: Fields, losses: &mut Losses) -> Result<Media> {
    let (data, format) = (fields.text("data")?, fields.text("format")?);
    let (data, format) = (fields.need("data", data)?, fields.need("format", format)?);
    fields.finish(NO_COUNTERPART, losses);
    let media_type = match format.as_str() {
        "mp3" => "audio/mpeg".to_owned(),
        other => format!("audio/{other}"),
    };
    Ok(Media { media_type: Some(media_type), source: MediaSource::Base64(data), name: None, detail: None })
}

fn stored(file: String) -> Media {
    Media { media_type: None, source: MediaSource::File(file), name: None, detail: None }
}
