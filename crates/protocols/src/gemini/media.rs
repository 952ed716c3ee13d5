//! Images, sounds, videos and documents: `inlineData` and `fileData`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};

use super::{proto::ProtoFields, seal::standard_alphabet};
use crate::{
    Losses,
    chat::{Content, Media, MediaSource},
};

/// Where Gemini keeps files.
const FILE_STORE: &str = "https://generativelanguage.googleapis.com/";

/// The types that Gemini takes, by the ending of an address ("File input methods").
const TYPES: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("bmp", "image/bmp"),
    ("gif", "image/gif"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("xml", "text/xml"),
    ("rtf", "text/rtf"),
    ("json", "application/json"),
    ("mp3", "audio/mp3"),
    ("wav", "audio/wav"),
    ("aac", "audio/aac"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("aiff", "audio/aiff"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpg"),
    ("mov", "video/mov"),
    ("avi", "video/avi"),
    ("flv", "video/x-flv"),
    ("webm", "video/webm"),
    ("wmv", "video/wmv"),
    ("3gp", "video/3gpp"),
];

/// `inlineData` of a request.
pub(super) fn read_inline(mut blob: ProtoFields, losses: &mut Losses) -> Result<Content> {
    let data = blob.text("data")?;
    let data = blob.need("data", data)?;
    let media_type = blob.text("mimeType")?;
    let media_type = Some(blob.need("mimeType", media_type)?);
    let name = blob.text("displayName")?;
    blob.finish(losses);
    Ok(Media { media_type, source: inline_source(&data), name, detail: None }.into_content())
}

/// `fileData` of a request: a file in Gemini's store, or a public address.
pub(super) fn read_file(mut file: ProtoFields, losses: &mut Losses) -> Result<Content> {
    let uri = file.text("fileUri")?;
    let uri = file.need("fileUri", uri)?;
    let media_type = file.text("mimeType")?;
    let name = file.text("displayName")?;
    file.finish(losses);
    let mut content = file_content(uri, media_type);
    if let Content::Image(media) | Content::Audio(media) | Content::Video(media) | Content::Document(media) =
        &mut content
    {
        media.name = name;
    }
    Ok(content)
}

/// `inlineData` or `fileData` of a provider's answer; `None` when it is neither.
pub(super) fn read_answered(part: &Map<String, Value>) -> Option<Content> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    if let Some(blob) = part.get("inlineData") {
        let source = inline_source(&text(blob, "data")?);
        return Some(Media { media_type: text(blob, "mimeType"), source, name: None, detail: None }.into_content());
    }
    let file = part.get("fileData")?;
    Some(file_content(text(file, "fileUri")?, text(file, "mimeType")))
}

fn inline_source(data: &str) -> MediaSource {
    let mut data = standard_alphabet(data);
    while !data.len().is_multiple_of(4) {
        data.push('=');
    }
    MediaSource::Base64(data)
}

fn file_content(uri: String, media_type: Option<String>) -> Content {
    let media_type = media_type.or_else(|| type_of(&uri).map(str::to_owned));
    let is_video = media_type.is_none() && is_youtube(&uri);
    let source = if is_stored(&uri) { MediaSource::File(uri) } else { MediaSource::Url(uri) };
    let media = Media { media_type, source, name: None, detail: None };
    if is_video { Content::Video(media) } else { media.into_content() }
}

/// The part for a medium that stands at `field`.
///
/// # Errors
/// `invalid` when Gemini cannot get at its bytes or would not know their type.
pub(super) fn write(media: &Media, field: &str, losses: &mut Losses) -> Result<Value> {
    if media.name.is_some() {
        losses.note(format!("{field}.name"), "Gemini does not look at the names of media");
    }
    if media.detail.is_some() {
        losses.note(format!("{field}.detail"), "Gemini chooses the detail by itself");
    }
    match &media.source {
        MediaSource::Base64(data) => {
            let Some(media_type) = &media.media_type else {
                return Err(Error::invalid(field, "has no media type, which Gemini must know")
                    .remedy("state the media type, such as image/png"));
            };
            Ok(json!({"inlineData": {"mimeType": media_type, "data": data}}))
        }
        MediaSource::Text(text) => {
            let media_type = media.media_type.as_deref().unwrap_or("text/plain");
            Ok(json!({"inlineData": {"mimeType": media_type, "data": STANDARD.encode(text)}}))
        }
        MediaSource::Url(url) if url.starts_with("https://") => {
            let media_type = media.media_type.as_deref().or_else(|| type_of(url));
            match media_type {
                Some(media_type) => Ok(json!({"fileData": {"mimeType": media_type, "fileUri": url}})),
                None if is_youtube(url) => Ok(json!({"fileData": {"fileUri": url}})),
                None => Err(Error::invalid(field, "has no media type, and its address ends in none that Gemini takes")
                    .remedy("send the bytes as base64, or an address that ends in .png, .jpg, .pdf or the like")),
            }
        }
        MediaSource::Url(_) => Err(Error::invalid(field, "is at an address that Gemini cannot fetch")
            .remedy("send the bytes as base64, or a public https address")),
        MediaSource::File(file) if is_stored(file) => {
            let uri = if file.starts_with("files/") { format!("{FILE_STORE}v1beta/{file}") } else { file.clone() };
            let mut data = json!({"fileUri": uri});
            if let (Some(media_type), Some(data)) = (&media.media_type, data.as_object_mut()) {
                data.insert("mimeType".to_owned(), media_type.as_str().into());
            }
            Ok(json!({"fileData": data}))
        }
        MediaSource::File(_) => {
            Err(Error::invalid(field, "is a file in another provider's store, which Gemini cannot read")
                .remedy("send the bytes as base64"))
        }
    }
}

/// Whether the file lies in Gemini's store, or in Google Cloud Storage.
fn is_stored(uri: &str) -> bool {
    let in_store = uri.strip_prefix(FILE_STORE).is_some_and(|path| path.contains("files/"));
    in_store || uri.starts_with("files/") || uri.starts_with("gs://")
}

/// Videos of `YouTube` need no media type.
fn is_youtube(uri: &str) -> bool {
    ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"].iter().any(|site| uri.starts_with(site))
}

fn type_of(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next()?;
    let ending = path.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == ending).map(|(_, media_type)| *media_type)
}
