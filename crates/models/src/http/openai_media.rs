//! Pictures and recordings in OpenAI's format.

use axum::{
    body::Body,
    extract::{
        FromRequest as _, Multipart, Request, State,
        multipart::{Field, MultipartError},
    },
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::{Bytes, BytesMut};
use plasma_http::OpenAiProblem;
use plasma_kernel::{Ctx, Error, Result};
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use super::{
    openai_chat::OpenAiError,
    protocol::{OpenAiBody, OpenAiCaller, json_text, with_call_id},
};
use crate::{Models, media::MediaBytes, running_call::CallError};

/// Bytes of a recording. The server may be set to take less.
const RECORDING_BYTES_MAX: usize = 25 << 20;
/// Bytes of a form field other than the recording.
const FIELD_BYTES_MAX: usize = 256 << 10;
const FIELDS_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 200;

/// Pictures to make, in OpenAI's format. The provider gets every field as it came, also those not listed here.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)] // the documentation of a body that is passed on unread
pub struct ImageRequest {
    /// The name of a provider's model of the kind `image`.
    #[schema(example = "acme/painter")]
    model: String,
    /// What to show.
    prompt: String,
    /// How many.
    n: Option<u32>,
    /// Such as `1024x1024`.
    size: Option<String>,
}

/// Make pictures (OpenAI format)
///
/// Passed on to a provider of the kind `openai` or `azure`. Streams are refused. The header `plasma-call-id` names the call's record.
#[utoipa::path(
    post, path = "/v1/images/generations", tag = "openai", request_body = ImageRequest, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = Value, description = "The provider's answer"),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn create_image(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    OpenAiBody(body): OpenAiBody,
) -> Response {
    if body.text("stream").is_some_and(|stream| stream != "false") {
        return OpenAiProblem(Error::invalid("stream", "pictures come whole here")).into_response();
    }
    match models.make_images(&ctx, body).await {
        Ok((call_id, json)) => with_call_id(call_id, json_text(json)),
        Err(error) => error.into_response(),
    }
}

/// A text to speak, in OpenAI's format. The provider gets every field as it came, also those not listed here.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)]
pub struct SpeechRequest {
    /// The name of a provider's model of the kind `speech`.
    #[schema(example = "acme/reader")]
    model: String,
    /// The text.
    input: String,
    /// The provider's name of a voice.
    voice: Value,
    /// Such as `mp3`.
    response_format: Option<String>,
}

/// Bytes as the specification knows them.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code)] // only its schema is used
struct SpeechBytes(Vec<u8>);

/// Speak a text (OpenAI format)
///
/// Passed on to a provider of the kind `openai` or `azure`; the recording comes while the provider sends it. The header
/// `plasma-call-id` names the call's record.
#[utoipa::path(
    post, path = "/v1/audio/speech", tag = "openai", request_body = SpeechRequest, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, description = "The recording", content_type = "*/*", body = inline(SpeechBytes)),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn create_speech(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    OpenAiBody(body): OpenAiBody,
) -> Response {
    answer(models.speak(&ctx, body).await)
}

/// A recording to write down. The provider gets every field as it came, also those not listed here.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // only its schema is used: the form is read part by part
pub(super) struct TranscriptionForm {
    /// The name of a provider's model of the kind `transcription`.
    model: String,
    /// At most 25 MiB, or less where the server is set so.
    #[schema(value_type = String, format = Binary)]
    file: Bytes,
    /// Its language, such as `en`.
    language: Option<String>,
    /// Such as `json`, `text` or `srt`.
    response_format: Option<String>,
}

/// Write down a recording (OpenAI format)
///
/// Passed on to a provider of the kind `openai` or `azure`. The header `plasma-call-id` names the call's record.
#[utoipa::path(
    post, path = "/v1/audio/transcriptions", tag = "openai", security(("bearer" = [])),
    request_body(content = TranscriptionForm, content_type = "multipart/form-data"),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, description = "The text, in the form that was asked for", content(
            (Value = "application/json"),
            (String = "text/plain"),
        )),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn create_transcription(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    request: Request,
) -> Response {
    answer(transcribe(&models, &ctx, request).await)
}

async fn transcribe(models: &Models, ctx: &Ctx, request: Request) -> Result<MediaBytes, CallError> {
    ctx.require(plasma_kernel::Permission::ModelsInvoke)?;
    let (model, form) = read_form(request).await?;
    models.transcribe(ctx, model.as_deref(), form).await
}

/// The model's name, and the form without it.
pub(super) async fn read_form(request: Request) -> Result<(Option<String>, Form)> {
    let mut from = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| Error::invalid("content-type", format!("is no form: {}", rejection.body_text())))?;
    let (mut form, mut model, mut has_file, mut fields) = (Form::new(), None, false, 0);
    while let Some(field) = from.next_field().await.map_err(broken)? {
        fields += 1;
        let name = field.name().unwrap_or_default().to_owned();
        if fields > FIELDS_MAX || name.chars().count() > NAME_CHARS_MAX {
            return Err(Error::too_large("body", format!("a form has at most {FIELDS_MAX} fields with short names")));
        }
        match name.as_str() {
            "file" if !has_file => {
                has_file = true;
                form = form.part("file", recording(field).await?);
            }
            "model" if model.is_none() => model = Some(text(&name, field).await?),
            "file" | "model" => return Err(Error::invalid(name, "is given twice")),
            _ => {
                let text = text(&name, field).await?;
                form = form.text(name, text);
            }
        }
    }
    if !has_file {
        return Err(Error::invalid("file", "is missing"));
    }
    Ok((model, form))
}

async fn recording(field: Field<'_>) -> Result<Part> {
    let file_name: String = field.file_name().unwrap_or("recording").chars().take(NAME_CHARS_MAX).collect();
    let media_type = field.content_type().map(str::to_owned);
    let part = Part::stream(read(field, RECORDING_BYTES_MAX, "file").await?).file_name(file_name);
    match media_type {
        Some(media_type) => part.mime_str(&media_type).map_err(|_| Error::invalid("file", "has no valid media type")),
        None => Ok(part),
    }
}

async fn text(name: &str, field: Field<'_>) -> Result<String> {
    let bytes = read(field, FIELD_BYTES_MAX, name).await?;
    String::from_utf8(bytes.into()).map_err(|_| Error::invalid(name, "is not UTF-8"))
}

/// Reads a part as it comes in, and stops at the limit.
async fn read(mut field: Field<'_>, bytes_max: usize, name: &str) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = field.chunk().await.map_err(broken)? {
        if bytes.len() + piece.len() > bytes_max {
            return Err(Error::too_large(name, format!("has more than {bytes_max} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

fn broken(error: MultipartError) -> Error {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Error::too_large("body", "the request body is larger than this route accepts");
    }
    Error::invalid("body", "is not a complete form: it ends too early or its parts are malformed")
}

/// Media types that may be passed on; a provider must not make pages of this site.
const HARMLESS: [&str; 5] = ["audio/", "application/json", "text/plain", "text/vtt", "text/event-stream"];

fn answer(outcome: Result<MediaBytes, CallError>) -> Response {
    let media = match outcome {
        Ok(media) => media,
        Err(error) => return error.into_response(),
    };
    let (call_id, content_type) = (media.call_id, media.content_type.to_ascii_lowercase());
    let harmless = HARMLESS.iter().any(|known| content_type.starts_with(known));
    let octets = HeaderValue::from_static("application/octet-stream");
    let content_type = HeaderValue::from_str(&content_type).ok().filter(|_| harmless).unwrap_or(octets);
    let mut response = Body::from_stream(media.into_stream()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    with_call_id(call_id, response)
}
