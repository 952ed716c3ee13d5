//! Images, sounds, videos and documents for Bedrock.
//!
//! Only their bytes are sent. Bedrock reads `s3://` addresses as well, but with the rights of the account that pays for
//! the call: a caller could have it read what that account may read. So they are refused like other addresses.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{Error, Result};
use serde_json::{Value, json};

use crate::{
    Losses,
    chat::{Media, MediaSource},
};

/// Characters of a document's name (`DocumentBlock`), less than its 200 to leave room for a number.
const NAME_CHARS_MAX: usize = 180;

/// A kind of media: its block's name, and the MIME types that Bedrock has a format for.
pub(super) struct Kind {
    block: &'static str,
    noun: &'static str,
    formats: &'static [(&'static str, &'static str)],
    remedy: &'static str,
}

pub(super) const IMAGE: Kind = Kind {
    block: "image",
    noun: "an image",
    formats: &[
        ("image/png", "png"),
        ("image/jpeg", "jpeg"),
        ("image/jpg", "jpeg"),
        ("image/gif", "gif"),
        ("image/webp", "webp"),
    ],
    remedy: "give a PNG, JPEG, GIF or WebP image with its type",
};

pub(super) const AUDIO: Kind = Kind {
    block: "audio",
    noun: "a sound",
    formats: &[
        ("audio/mpeg", "mp3"),
        ("audio/mp3", "mp3"),
        ("audio/wav", "wav"),
        ("audio/x-wav", "wav"),
        ("audio/wave", "wav"),
        ("audio/flac", "flac"),
        ("audio/x-flac", "flac"),
        ("audio/aac", "aac"),
        ("audio/ogg", "ogg"),
        ("audio/opus", "opus"),
        ("audio/mp4", "mp4"),
        ("audio/m4a", "m4a"),
        ("audio/x-m4a", "m4a"),
        ("audio/webm", "webm"),
        ("audio/x-matroska", "mka"),
    ],
    remedy: "give it as WAV, MP3, FLAC, AAC, Ogg, Opus, MP4, WebM or Matroska with its type",
};

pub(super) const VIDEO: Kind = Kind {
    block: "video",
    noun: "a video",
    formats: &[
        ("video/mp4", "mp4"),
        ("video/quicktime", "mov"),
        ("video/mov", "mov"),
        ("video/x-matroska", "mkv"),
        ("video/webm", "webm"),
        ("video/x-flv", "flv"),
        ("video/mpeg", "mpeg"),
        ("video/mpg", "mpg"),
        ("video/x-ms-wmv", "wmv"),
        ("video/wmv", "wmv"),
        ("video/3gpp", "three_gp"),
    ],
    remedy: "give it as MP4, QuickTime, Matroska, WebM, FLV, MPEG, WMV or 3GP with its type",
};

const DOCUMENT: Kind = Kind {
    block: "document",
    noun: "a document",
    formats: &[
        ("application/pdf", "pdf"),
        ("text/csv", "csv"),
        ("application/msword", "doc"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
        ("application/vnd.ms-excel", "xls"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
        ("text/html", "html"),
        ("text/markdown", "md"),
        ("text/plain", "txt"),
        // Plain texts as well, for a model.
        ("application/json", "txt"),
        ("application/xml", "txt"),
    ],
    remedy: "give a PDF, a text, CSV, HTML, Markdown or an office document (DOC, DOCX, XLS, XLSX) with its type",
};

/// The block of an image, a sound or a video.
pub(super) fn block(kind: &Kind, media: &Media, place: &str, losses: &mut Losses) -> Result<Value> {
    if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
        losses.note(format!("{place}.detail"), "Bedrock has no such field");
    }
    if media.name.is_some() {
        losses.note(format!("{place}.name"), format!("{} has no name at Bedrock", kind.noun));
    }
    let format = format(kind, media);
    let bytes = match &media.source {
        MediaSource::Base64(data) => data,
        MediaSource::Text(_) => return Err(refused(kind, "as text", place)),
        MediaSource::Url(_) => return Err(refused(kind, "by its address", place)),
        MediaSource::File(_) => return Err(refused(kind, "from a file store", place)),
    };
    let format = format.ok_or_else(|| unreadable(kind, place))?;
    Ok(json!({ kind.block: { "format": format, "source": { "bytes": bytes } } }))
}

/// The names of a request's documents: each may occur once.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, u32>);

impl Names {
    /// The block of a document.
    pub(super) fn document(&mut self, media: &Media, place: &str, losses: &mut Losses) -> Result<Value> {
        let encoded;
        let (format, bytes) = match &media.source {
            MediaSource::Base64(data) => (format(&DOCUMENT, media).or_else(|| format_of_name(media)), data),
            MediaSource::Text(text) => {
                encoded = STANDARD.encode(text);
                (format(&DOCUMENT, media).or(Some("txt")), &encoded)
            }
            MediaSource::Url(_) => return Err(refused(&DOCUMENT, "by its address", place)),
            MediaSource::File(_) => return Err(refused(&DOCUMENT, "from a file store", place)),
        };
        let format = format.ok_or_else(|| unreadable(&DOCUMENT, place))?;
        let name = self.unique(&allowed_name(media.name.as_deref().unwrap_or("")));
        if media.name.as_ref().is_some_and(|given| *given != name) {
            let why = "sent in letters, digits, spaces, hyphens and brackets, and once in a request";
            losses.note(format!("{place}.name"), why);
        }
        Ok(json!({ "document": { "format": format, "name": name, "source": { "bytes": bytes } } }))
    }

    fn unique(&mut self, name: &str) -> String {
        let mut number = self.0.get(name).copied().unwrap_or(1);
        let mut unique = name.to_owned();
        while self.0.contains_key(&unique) {
            number += 1;
            unique = format!("{name} ({number})");
        }
        // The next of this name counts on from here.
        self.0.insert(unique.clone(), 1);
        self.0.insert(name.to_owned(), number);
        unique
    }
}

/// The name in the characters that Bedrock allows; others become spaces.
fn allowed_name(name: &str) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '(' | ')' | '[' | ']');
    let spaced: String = name.chars().map(|letter| if allowed(letter) { letter } else { ' ' }).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let name: String = words.join(" ").chars().take(NAME_CHARS_MAX).collect();
    let name = name.trim_end();
    if name.is_empty() { "document".to_owned() } else { name.to_owned() }
}

/// The format of the MIME type, without its parameters.
fn format(kind: &Kind, media: &Media) -> Option<&'static str> {
    let media_type = media.media_type.as_deref()?.split(';').next()?.trim().to_ascii_lowercase();
    let found = kind.formats.iter().find(|(name, _)| *name == media_type).map(|(_, format)| *format);
    // Other texts are read as plain ones.
    found.or_else(|| (kind.block == "document" && media_type.starts_with("text/")).then_some("txt"))
}

/// The format that a file name ends in, for documents that come without a type or with a meaningless one.
fn format_of_name(media: &Media) -> Option<&'static str> {
    let (_, extension) = media.name.as_deref()?.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    DOCUMENT.formats.iter().map(|(_, format)| *format).find(|format| *format == extension)
}

fn refused(kind: &Kind, how: &str, place: &str) -> Error {
    Error::invalid(place, format!("Bedrock cannot take {} {how}", kind.noun)).remedy("give its bytes in base64")
}

fn unreadable(kind: &Kind, place: &str) -> Error {
    Error::invalid(place, format!("Bedrock cannot read {} of this type, or its type is missing", kind.noun))
        .remedy(kind.remedy)
}

#[cfg(test)]
mod tests;
