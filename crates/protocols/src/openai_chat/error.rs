//! Errors, a provider's and our own.

use plasma_kernel::{Code, Error};
use serde_json::{Value, json};

use crate::read::Told;

/// Our own internal messages may name what only operators should see. The words are those of plasma-http.
const INTERNAL: &str = "something went wrong on our side; the log has the details under this request id";

/// Reads the body of a provider's error. Servers differ in all of it: `{"error": {…}}` (OpenAI), `{"error": "…"}`
/// (Ollama), `{"object": "error", "message": …}` (vLLM, Mistral), `{"detail": …}` (FastAPI), `[{"error": …}]` (Google).
/// A page of some proxy says nothing that helps, and the status does.
pub fn read_error(body: &[u8]) -> Told {
    match serde_json::from_slice(body) {
        Ok(Value::Array(list)) => list.first().map(from_body).unwrap_or_default(),
        Ok(body) => from_body(&body),
        Err(_) => Told::default(),
    }
}

fn from_body(body: &Value) -> Told {
    let field = |name| super::wire::present(body, name);
    match field("error") {
        // "error": "Unprocessable Entity" beside the message, as some frameworks write it.
        Some(Value::String(kind)) if field("message").is_some() => {
            let told = from_error(body);
            Told { kind: format!("{} {kind}", told.kind).trim().to_owned(), ..told }
        }
        Some(error) => from_error(error),
        None if field("message").is_some() => from_error(body),
        None => field("detail").map(|detail| Told { message: words(detail), ..Told::default() }).unwrap_or_default(),
    }
}

/// The text itself, or the JSON of what is not a text.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The value of `error`.
pub(super) fn from_error(error: &Value) -> Told {
    if !error.is_object() {
        return Told { message: words(error), ..Told::default() };
    }
    let field = |name| error.get(name).map(words).unwrap_or_default();
    let code = field("code");
    // A code may be a word, a status, or a number of the provider's own, such as Mistral's 3051.
    let status = [code.as_str(), &field("status"), &field("raw_status_code")]
        .into_iter()
        .find_map(|text| text.parse::<u16>().ok().filter(|status| (400..600).contains(status)));
    let mut message = field("message");
    // OpenRouter's own words are "Provider returned error"; the provider's are here.
    let raw = error.get("metadata").map(|metadata| super::wire::text(metadata, "raw")).unwrap_or_default();
    if !raw.is_empty() {
        message = format!("{message}: {raw}");
    }
    Told {
        status,
        kind: format!("{code} {}", field("type")).trim().to_owned(),
        message,
        param: Some(field("param")).filter(|param| !param.is_empty()),
    }
}

/// The error that stands in an answer, a choice or a chunk whose status claims success.
pub(super) fn told(body: &Value) -> Option<Told> {
    if let Some(error) = super::wire::present(body, "error") {
        return Some(from_error(error));
    }
    (super::wire::text(body, "object") == "error").then(|| from_body(body))
}

/// The body of an error for a client: `{"error": {"message", "type", "param", "code"}}`. `message` is the text that may
/// be shown. The status is not part of it.
pub fn write_error(error: &Error, message: &str, _status: u16) -> Value {
    let kind = match error.code() {
        Code::Unauthenticated => "authentication_error",
        Code::Forbidden => "permission_error",
        Code::RateLimited => "rate_limit_error",
        Code::OverBudget => "insufficient_quota",
        Code::Invalid | Code::NotFound | Code::Conflict | Code::Gone | Code::TooLarge => "invalid_request_error",
        Code::Unavailable | Code::Timeout | Code::Upstream | Code::Internal => "server_error",
    };
    json!({
        "error": {"message": message, "type": kind, "param": error.field_name(), "code": error.reason()}
    })
}

/// What a client may read of an error, with its remedy.
pub(super) fn public_message(error: &Error) -> String {
    let message = if error.code() == Code::Internal { INTERNAL } else { error.message() };
    match error.remedy_text() {
        Some(remedy) => format!("{message} ({remedy})"),
        None => message.to_owned(),
    }
}
