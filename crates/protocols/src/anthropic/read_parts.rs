//! Content blocks of a client's request.

use plasma_kernel::{Error, Result};
use serde_json::Value;

use crate::{
    Fields, Losses, Protocol,
    chat::{CacheControl, Content, Media, MediaSource, Part, Reasoning, Signature, ToolCall, ToolResult},
};

/// Why a field that is not understood is lost.
pub(super) const NOT_CARRIED: &str = "is not carried to other providers";

/// The parts of a field that holds a text or a list of blocks; absent is empty.
pub(super) fn read_content(fields: &mut Fields, name: &str, losses: &mut Losses) -> Result<Vec<Part>> {
    let place = fields.place(name);
    match fields.take(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(blocks)) => {
            let mut parts = Vec::with_capacity(blocks.len());
            for (index, block) in blocks.into_iter().enumerate() {
                let part = read_part(block, format!("{place}[{index}]"), losses)?;
                push(&mut parts, part);
            }
            Ok(parts)
        }
        Some(_) => Err(Error::invalid(place, "must be a text or a list of content blocks")),
    }
}

/// Appends a part. Thoughts of another maker that have both a text and a sealed form were written as two blocks
/// (`write_answer`): they become one part again.
fn push(parts: &mut Vec<Part>, part: Part) {
    if let Content::Reasoning(Reasoning { encrypted: Some(sealed), text, .. }) = &part.content
        && sealed.maker != Protocol::Anthropic
        && text.is_empty()
        && let Some(Content::Reasoning(before)) = parts.last_mut().map(|part| &mut part.content)
        && before.signature.is_none()
        && before.encrypted.is_none()
    {
        before.encrypted = Some(sealed.clone());
        return;
    }
    parts.push(part);
}

fn read_part(block: Value, place: String, losses: &mut Losses) -> Result<Part> {
    let mut block = Fields::of(block, place)?;
    let kind = need_text(&mut block, "type")?;
    let cache = read_cache(&mut block, losses)?;
    let content = match kind.as_str() {
        "text" => {
            drop_citations(&mut block, losses);
            Content::Text(need_text(&mut block, "text")?)
        }
        "image" => Content::Image(read_source(&mut block, losses)?),
        "document" => Content::Document(read_document(&mut block, losses)?),
        "thinking" => {
            let text = need_text(&mut block, "thinking")?;
            let signature = block.text("signature")?.filter(|signature| !signature.is_empty());
            let signature = signature.map(|signature| Signature::read(Protocol::Anthropic, &signature));
            Content::Reasoning(Reasoning { text, signature, ..Reasoning::default() })
        }
        "redacted_thinking" => {
            let sealed = Signature::read(Protocol::Anthropic, &need_text(&mut block, "data")?);
            Content::Reasoning(Reasoning { encrypted: Some(sealed), ..Reasoning::default() })
        }
        "tool_use" => Content::ToolCall(read_tool_call(&mut block)?),
        "tool_result" => {
            let call_id = need_text(&mut block, "tool_use_id")?;
            let parts = read_content(&mut block, "content", losses)?;
            let is_error = block.flag("is_error")?.unwrap_or(false);
            Content::ToolResult(ToolResult { call_id, name: None, parts, is_error })
        }
        other => {
            let message = format!("a block of type `{other}` cannot be carried to another provider");
            return Err(Error::invalid(block.place("type"), message)
                .remedy("leave it out, give its content as `text`, or use a model of Anthropic"));
        }
    };
    block.finish(NOT_CARRIED, losses);
    Ok(Part { content, cache })
}

/// A text that must be there.
pub(super) fn need_text(fields: &mut Fields, name: &str) -> Result<String> {
    let text = fields.text(name)?;
    fields.need(name, text)
}

/// The mark of a block, a tool or the whole request.
pub(super) fn read_cache(fields: &mut Fields, losses: &mut Losses) -> Result<Option<CacheControl>> {
    let Some(mut cache) = fields.object("cache_control")? else { return Ok(None) };
    // The only type there is.
    if let Some(kind) = cache.text("type")?
        && kind != "ephemeral"
    {
        losses.note(cache.place("type"), "only `ephemeral` is known");
    }
    let ttl = cache.text("ttl")?;
    cache.finish(NOT_CARRIED, losses);
    Ok(Some(CacheControl { ttl }))
}

/// An empty list and `{"enabled":false}` say nothing.
fn drop_citations(block: &mut Fields, losses: &mut Losses) {
    let says_something = match block.take("citations") {
        None => false,
        Some(Value::Array(citations)) => !citations.is_empty(),
        Some(Value::Object(citations)) => citations.get("enabled") != Some(&Value::Bool(false)),
        Some(_) => true,
    };
    if says_something {
        losses.note(block.place("citations"), "citations are not carried to other providers");
    }
}

fn read_tool_call(block: &mut Fields) -> Result<ToolCall> {
    let id = need_text(block, "id")?;
    let name = need_text(block, "name")?;
    let input = block.take("input");
    let input = block.need("input", input)?;
    if !input.is_object() {
        return Err(Error::invalid(block.place("input"), "must be an object"));
    }
    Ok(ToolCall { id, name, arguments: input.to_string() })
}

fn read_document(block: &mut Fields, losses: &mut Losses) -> Result<Media> {
    drop_citations(block, losses);
    let name = block.text("title")?;
    let mut media = read_source(block, losses)?;
    media.name = name;
    // The only documents that Anthropic fetches.
    if matches!(media.source, MediaSource::Url(_)) {
        media.media_type.get_or_insert_with(|| "application/pdf".to_owned());
    }
    Ok(media)
}

fn read_source(block: &mut Fields, losses: &mut Losses) -> Result<Media> {
    let source = block.object("source")?;
    let mut source = block.need("source", source)?;
    let kind = need_text(&mut source, "type")?;
    let media = |media_type, source| Media { media_type, source, name: None, detail: None };
    let media = match kind.as_str() {
        "base64" => {
            let media_type = need_text(&mut source, "media_type")?;
            media(Some(media_type), MediaSource::Base64(need_text(&mut source, "data")?))
        }
        "text" => {
            let media_type = source.text("media_type")?.unwrap_or_else(|| "text/plain".to_owned());
            media(Some(media_type), MediaSource::Text(need_text(&mut source, "data")?))
        }
        "url" => Media::from_url(&need_text(&mut source, "url")?),
        "file" => media(None, MediaSource::File(need_text(&mut source, "file_id")?)),
        "content" => media(Some("text/plain".to_owned()), MediaSource::Text(read_chunks(&mut source, losses)?)),
        other => {
            let message = format!("a source of type `{other}` cannot be carried to another provider");
            return Err(Error::invalid(source.place("type"), message).remedy("use `base64`, `text` or `url`"));
        }
    };
    source.finish(NOT_CARRIED, losses);
    Ok(media)
}

/// A document in chunks that the caller cut for citations: one text elsewhere.
fn read_chunks(source: &mut Fields, losses: &mut Losses) -> Result<String> {
    let place = source.place("content");
    let mut texts = Vec::new();
    for part in read_content(source, "content", losses)? {
        match part.content {
            Content::Text(text) => texts.push(text),
            _ => {
                return Err(Error::invalid(place, "a document of anything but texts cannot be carried")
                    .remedy("give its images as blocks of the message"));
            }
        }
    }
    if texts.len() > 1 {
        losses.note(place, "the chunks are joined to one text");
    }
    Ok(texts.join("\n\n"))
}
