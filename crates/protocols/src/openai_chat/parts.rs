//! The parts of a message's content, both ways.

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};

use super::UNKNOWN;
use crate::{
    Losses,
    chat::{CacheControl, Content, Media, MediaSource, Part, Reasoning},
    read::Fields,
};

/// The content that stands at `place`: a text, or a list of parts.
pub(super) fn read_content(content: Option<Value>, place: &str, losses: &mut Losses) -> Result<Vec<Part>> {
    match content {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(items)) => {
            let read = |(number, item)| read_part(item, format!("{place}[{number}]"), losses);
            items.into_iter().enumerate().map(read).collect()
        }
        Some(_) => Err(Error::invalid(place, "must be a text or a list of parts")),
    }
}

/// The mark that OpenRouter and LiteLLM take over from Anthropic.
pub(super) fn read_cache(fields: &mut Fields, losses: &mut Losses) -> Result<Option<CacheControl>> {
    let Some(mut mark) = fields.object("cache_control")? else { return Ok(None) };
    mark.take("type");
    let ttl = mark.text("ttl")?;
    mark.finish(UNKNOWN, losses);
    Ok(Some(CacheControl { ttl }))
}

/// Marks are not sent: OpenAI and most others cache by themselves and refuse the field.
pub(super) fn note_cache(losses: &mut Losses) {
    losses.note("cache", "this provider caches by itself and takes no marks");
}

fn read_part(value: Value, place: String, losses: &mut Losses) -> Result<Part> {
    let mut part = Fields::of(value, place)?;
    let kind = part.text("type")?;
    let kind = part.need("type", kind)?;
    let cache = read_cache(&mut part, losses)?;
    let content = match kind.as_str() {
        "text" => Content::Text(need_text(&mut part, "text")?),
        "refusal" => Content::Refusal(need_text(&mut part, "refusal")?),
        "image_url" => read_image(&mut part, losses)?,
        "input_audio" => read_audio(&mut part, losses)?,
        "file" => read_file(&mut part, losses)?,
        // vLLM's and OpenRouter's.
        "video_url" => Content::Video(read_address(&mut part, "video_url", losses)?),
        "audio_url" => Content::Audio(read_address(&mut part, "audio_url", losses)?),
        // Mistral's.
        "thinking" => Content::Reasoning(Reasoning {
            text: part.take("thinking").map(|thinking| thinking_text(&thinking)).unwrap_or_default(),
            ..Reasoning::default()
        }),
        other => {
            let what = format!("a part of the type `{other}` cannot be said to this model's provider");
            return Err(Error::invalid(part.place("type"), what)
                .remedy("use `text`, `image_url`, `input_audio`, `file` or `video_url`"));
        }
    };
    part.finish(UNKNOWN, losses);
    Ok(Part { content, cache })
}

fn need_text(fields: &mut Fields, name: &str) -> Result<String> {
    let text = fields.text(name)?;
    fields.need(name, text)
}

/// What Mistral's thinking part says: a list of text parts, or a text.
pub(super) fn thinking_text(thinking: &Value) -> String {
    match thinking {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(|item| item.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

/// `{"url"}` in the field `name`; Mistral also takes the bare address.
fn read_address(part: &mut Fields, name: &str, losses: &mut Losses) -> Result<Media> {
    let place = part.place(name);
    let value = part.take(name);
    match part.need(name, value)? {
        Value::String(url) => Ok(Media::from_url(&url)),
        other => {
            let mut fields = Fields::of(other, place)?;
            let url = need_text(&mut fields, "url")?;
            let detail = fields.text("detail")?;
            // LiteLLM's name for the MIME type of an address that does not tell it.
            let media_type = fields.text("format")?;
            fields.finish(UNKNOWN, losses);
            let media = Media::from_url(&url);
            Ok(Media { detail, media_type: media.media_type.or(media_type), ..media })
        }
    }
}

fn read_image(part: &mut Fields, losses: &mut Losses) -> Result<Content> {
    let media = read_address(part, "image_url", losses)?;
    // LiteLLM's clients put PDFs in here too.
    Ok(if media.media_type.is_some() { media.into_content() } else { Content::Image(media) })
}

fn read_audio(part: &mut Fields, losses: &mut Losses) -> Result<Content> {
    let audio = part.object("input_audio")?;
    let mut audio = part.need("input_audio", audio)?;
    let data = need_text(&mut audio, "data")?;
    let format = audio.text("format")?;
    audio.finish(UNKNOWN, losses);
    let media_type = format.map(|format| match format.as_str() {
        "mp3" => "audio/mpeg".to_owned(),
        _ => format!("audio/{format}"),
    });
    let media = bytes_or_address(data);
    Ok(Content::Audio(Media { media_type: media_type.or(media.media_type.clone()), ..media }))
}

fn read_file(part: &mut Fields, losses: &mut Losses) -> Result<Content> {
    let file = part.object("file")?;
    let mut file = part.need("file", file)?;
    let name = file.text("filename")?;
    let format = file.text("format")?;
    let id = file.text("file_id")?;
    let data = file.text("file_data")?;
    let place = file.place("file_data");
    file.finish(UNKNOWN, losses);
    let media = match (data, id) {
        (Some(data), _) => bytes_or_address(data),
        (None, Some(id)) => Media { media_type: None, source: MediaSource::File(id), name: None, detail: None },
        (None, None) => return Err(Error::invalid(place, "is missing").remedy("give `file_data` or `file_id`")),
    };
    let by_name = || {
        let ending = name.as_deref()?.rsplit_once('.')?.1;
        ending.eq_ignore_ascii_case("pdf").then(|| "application/pdf".to_owned())
    };
    let media_type = media.media_type.clone().or(format).or_else(by_name);
    Ok(Media { media_type, name, ..media }.into_content())
}

/// A `data:` URL, an address, or base64 without anything around it.
fn bytes_or_address(data: String) -> Media {
    if data.starts_with("data:") || data.starts_with("http://") || data.starts_with("https://") {
        Media::from_url(&data)
    } else {
        Media { media_type: None, source: MediaSource::Base64(data), name: None, detail: None }
    }
}

/// What a part says as text: a text, or a document that is one, after its name.
pub(super) fn plain_text(content: &Content) -> Option<String> {
    match content {
        Content::Text(text) => Some(text.clone()),
        Content::Document(Media { source: MediaSource::Text(text), name, .. }) => Some(match name {
            Some(name) => format!("{name}\n\n{text}"),
            None => text.clone(),
        }),
        _ => None,
    }
}

/// A part of a person's message for a provider; `field` names it in errors.
pub(super) fn write_part(content: &Content, field: &str) -> Result<Value> {
    if let Some(text) = plain_text(content) {
        return Ok(json!({"type": "text", "text": text}));
    }
    match content {
        Content::Image(media) => {
            let mut image = Map::new();
            image.insert("url".to_owned(), Value::String(address(media, field, "an image")?));
            image.extend(media.detail.clone().map(|detail| ("detail".to_owned(), Value::String(detail))));
            Ok(json!({"type": "image_url", "image_url": image}))
        }
        // Not OpenAI's: vLLM and OpenRouter watch videos, others refuse the part by its name.
        Content::Video(media) => {
            Ok(json!({"type": "video_url", "video_url": {"url": address(media, field, "a video")?}}))
        }
        Content::Audio(media) => write_audio(media, field),
        Content::Document(media) => write_document(media, field),
        _ => Err(Error::invalid(field, "a person's message cannot hold what only a model says")
            .remedy("move it to a message of the assistant")),
    }
}

fn address(media: &Media, field: &str, what: &str) -> Result<String> {
    media.to_url().ok_or_else(|| {
        Error::invalid(field, format!("{what} in a file store cannot be reached by this model's provider"))
            .remedy("send its bytes in base64, or its address")
    })
}

fn write_audio(media: &Media, field: &str) -> Result<Value> {
    let MediaSource::Base64(data) = &media.source else {
        return Err(
            Error::invalid(field, "this model's provider cannot fetch audio").remedy("send its bytes in base64")
        );
    };
    let class = media.media_type.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let format = match class.strip_prefix("audio/") {
        Some("mpeg" | "mp3" | "mpga" | "x-mp3") => "mp3",
        Some("wav" | "x-wav" | "wave" | "vnd.wave") => "wav",
        Some(other) if !other.is_empty() => other,
        _ => {
            return Err(Error::invalid(field, "audio of an unknown format cannot be sent").remedy("say its MIME type"));
        }
    };
    Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
}

/// A file, as bytes or by its id in OpenAI's store, whose ids begin with `file-`.
fn write_document(media: &Media, field: &str) -> Result<Value> {
    let mut file = Map::new();
    file.extend(media.name.clone().map(|name| ("filename".to_owned(), Value::String(name))));
    let (name, value) = match &media.source {
        MediaSource::File(id) if id.starts_with("file-") => ("file_id", id.clone()),
        MediaSource::Base64(_) => ("file_data", media.to_url().unwrap_or_default()),
        MediaSource::File(_) => {
            return Err(Error::invalid(field, "a file in another provider's store cannot be reached by this provider")
                .remedy("send its bytes in base64"));
        }
        _ => {
            return Err(Error::invalid(field, "this model's provider cannot fetch documents")
                .remedy("send its bytes in base64"));
        }
    };
    file.insert(name.to_owned(), Value::String(value));
    Ok(json!({"type": "file", "file": file}))
}
