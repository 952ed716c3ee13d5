//! The two forms in which a document arrives: JSON and a form with a file.

use axum::{
    extract::{
        FromRequest as _, Multipart, Request,
        multipart::{Field, MultipartError, MultipartRejection},
    },
    http::{StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use plasma_http::{Json, Problem};
use plasma_kernel::{Error, Result};
use serde::Deserialize;

use crate::{Access, Metadata, NewContent, NewDocument, add_document::file_too_large, limits, parse::Format};

/// Bytes of a form field other than the file.
const FIELD_BYTES_MAX: usize = 256 * 1024;

/// A document as JSON: exactly one of `text`, `markdown` and `html`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddDocument {
    /// 1 to 500 characters.
    title: String,
    /// Plain text: paragraphs separated by blank lines.
    #[serde(default)]
    text: Option<String>,
    /// Markdown (CommonMark with tables).
    #[serde(default)]
    markdown: Option<String>,
    /// A web page or a part of one.
    #[serde(default)]
    html: Option<String>,
    /// At most 32 fields, for filters: texts, numbers, booleans, lists of these, `{"time": "2026-01-02T03:04:05Z"}`, or
    /// `{"lat": 48.1, "lon": 11.6}`. A field whose type the collection declares must have it.
    #[serde(default)]
    metadata: Option<Metadata>,
    /// Who may see it. Absent: everybody who may search; for a document that is replaced, whoever may see it already.
    #[serde(default)]
    access: Option<Access>,
    /// Your own stable name for it, 1 to 200 characters: the document with the same one in the collection is replaced.
    #[serde(default)]
    key: Option<String>,
    /// Its language (ISO 639-1), by whose rules its words are compared; when absent, as its text tells.
    #[serde(default)]
    language: Option<String>,
}

/// A document as a form.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // only its schema is used: the form is read part by part
pub(super) struct AddFile {
    /// At most 25 MiB.
    #[schema(value_type = String, format = Binary)]
    file: Bytes,
    /// 1 to 500 characters; when absent, the document's own title or the file's name.
    title: Option<String>,
    /// A JSON object of at most 32 fields, for filters, as in the form of JSON.
    metadata: Option<String>,
    /// A JSON object of `users` and `teams` that may see it. Absent: everybody who may search; for a document that is replaced,
    /// whoever may see it already.
    access: Option<String>,
    /// Your own stable name for it, 1 to 200 characters: the document with the same one in the collection is replaced.
    key: Option<String>,
    /// Its language (ISO 639-1), by whose rules its words are compared; when absent, as its text tells.
    language: Option<String>,
}

/// Reads a document from a request of either form.
pub(super) async fn read(request: Request) -> Result<NewDocument, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match media_type.as_str() {
        "multipart/form-data" => Ok(read_form(request).await?),
        "application/json" => {
            let Json(body) = Json::<AddDocument>::from_request(request, &()).await?;
            Ok(from_json(body)?)
        }
        _ => Err(Error::invalid("content-type", "must be `application/json` or `multipart/form-data`").into()),
    }
}

fn from_json(body: AddDocument) -> Result<NewDocument> {
    let given = [(Format::Text, body.text), (Format::Markdown, body.markdown), (Format::Html, body.html)];
    let mut given = given.into_iter().filter_map(|(format, text)| text.map(|text| (format, text)));
    let (Some((format, text)), None) = (given.next(), given.next()) else {
        return Err(Error::invalid("text", "exactly one of `text`, `markdown` and `html` is needed"));
    };
    Ok(NewDocument {
        title: Some(body.title),
        key: body.key,
        metadata: body.metadata.unwrap_or_default(),
        access: body.access,
        language: body.language,
        content: NewContent::Text { format, text },
    })
}

#[derive(Default)]
struct Form {
    file: Option<NewContent>,
    title: Option<String>,
    metadata: Option<Metadata>,
    access: Option<Option<Access>>,
    key: Option<String>,
    language: Option<String>,
}

async fn read_form(request: Request) -> Result<NewDocument> {
    let mut multipart = Multipart::from_request(request, &()).await.map_err(rejected)?;
    let mut form = Form::default();
    while let Some(field) = multipart.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" => once(&name, &mut form.file, read_file(field).await?)?,
            "title" => once(&name, &mut form.title, read_text(&name, field).await?)?,
            "key" => once(&name, &mut form.key, read_text(&name, field).await?)?,
            "language" => once(&name, &mut form.language, read_text(&name, field).await?)?,
            "metadata" => once(&name, &mut form.metadata, parse_metadata(&read_text(&name, field).await?)?)?,
            "access" => once(&name, &mut form.access, parse_access(&read_text(&name, field).await?)?)?,
            _ => {
                let shown: String = name.chars().filter(|character| !character.is_control()).take(100).collect();
                return Err(Error::invalid(
                    shown,
                    "is not a field of this form; known are file, title, metadata, access, key and language",
                ));
            }
        }
    }
    let content = form.file.ok_or_else(|| Error::invalid("file", "is missing"))?;
    // Browsers send empty fields of a form.
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(NewDocument {
        title: given(form.title),
        key: given(form.key),
        metadata: form.metadata.unwrap_or_default(),
        access: form.access.flatten(),
        language: given(form.language),
        content,
    })
}

fn once<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(Error::invalid(name, "is given twice"));
    }
    Ok(())
}

async fn read_file(mut field: Field<'_>) -> Result<NewContent> {
    let name = field.file_name().unwrap_or("document").to_owned();
    let media_type = field.content_type().map(str::to_owned);
    let bytes = read_bytes(&mut field, limits::FILE_BYTES_MAX, "file").await?;
    Ok(NewContent::File { name, media_type, bytes })
}

async fn read_text(name: &str, mut field: Field<'_>) -> Result<String> {
    let bytes = read_bytes(&mut field, FIELD_BYTES_MAX, name).await?;
    String::from_utf8(bytes.into()).map_err(|_| Error::invalid(name, "is not UTF-8"))
}

/// Reads a part as it comes in, and stops at the limit.
async fn read_bytes(field: &mut Field<'_>, bytes_max: usize, name: &str) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(match name {
                "file" => file_too_large(name),
                _ => Error::too_large(name, format!("has more than {bytes_max} bytes")),
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn parse_metadata(text: &str) -> Result<Metadata> {
    if text.trim().is_empty() {
        return Ok(Metadata::new());
    }
    serde_json::from_str(text)
        .map_err(|error| Error::invalid("metadata", format!("must be a JSON object of fields: {error}")))
}

/// Browsers send empty fields of a form: they say nothing.
fn parse_access(text: &str) -> Result<Option<Access>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_str(text).map(Some).map_err(|error| {
        Error::invalid("access", format!("must be a JSON object of the lists `users` and `teams`: {error}"))
    })
}

fn rejected(rejection: MultipartRejection) -> Error {
    Error::invalid("content-type", format!("is no form with files: {}", rejection.body_text()))
}

fn broken(error: MultipartError) -> Error {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return file_too_large("file");
    }
    Error::invalid("body", "is not a complete form: it ends too early or its parts are malformed")
}
