//! Errors: `{"error": {"code", "message", "status", "details"}}`, the JSON form of `google.rpc.Status`.

use plasma_kernel::{Code, Error};
use serde_json::{Value, json};

use super::proto::integer;
use crate::Told;

/// What a provider's error body says; nothing when it is not one.
pub fn read_error(body: &[u8]) -> Told {
    serde_json::from_slice::<Value>(body).ok().and_then(|body| told_in(&body)).unwrap_or_default()
}

/// The error in a JSON value, which may be in a list (a stream without `alt=sse` is one).
pub(super) fn told_in(value: &Value) -> Option<Told> {
    let value = match value {
        Value::Array(list) => list.first()?,
        other => other,
    };
    let error = value.get("error").filter(|error| !error.is_null())?;
    if let Some(message) = error.as_str() {
        return Some(Told { message: message.to_owned(), ..Told::default() });
    }
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let details: Vec<&Value> = error.get("details").and_then(Value::as_array).into_iter().flatten().collect();
    let detail = |kind: &str| {
        let is_kind = |detail: &Value| text(detail, "@type").ends_with(kind);
        details.iter().find(|detail| is_kind(detail)).copied()
    };
    let word = text(error, "status");
    let reason = detail("google.rpc.ErrorInfo").map(|info| text(info, "reason")).unwrap_or_default();
    let param = detail("google.rpc.BadRequest")
        .and_then(|request| request.get("fieldViolations")?.get(0))
        .map(|violation| text(violation, "field"));
    // Small numbers are those of gRPC, not of HTTP.
    let code = error.get("code").and_then(integer).and_then(|code| u16::try_from(code).ok());
    Some(Told {
        status: code.filter(|code| (100..600).contains(code)).or_else(|| status_of_word(&word)),
        kind: format!("{word} {reason}").trim().to_owned(),
        message: text(error, "message"),
        param: param.filter(|param| !param.is_empty()),
    })
}

/// An error for a client. `message` is the text that may be shown, `status` the HTTP status of the answer.
pub fn write_error(error: &Error, message: &str, status: u16) -> Value {
    let (_, word) = status_and_word(error.code());
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.reason(),
        "domain": "plasma",
    })];
    if let Some(field) = error.field_name() {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": message}],
        }));
    }
    if let Some(milliseconds) = error.retry_after() {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}.{:03}s", milliseconds / 1_000, milliseconds % 1_000),
        }));
    }
    json!({"error": {"code": status, "message": message, "status": word, "details": details}})
}

/// An error inside a stream, whose HTTP status has long been sent.
pub(super) fn write_in_stream(error: &Error) -> Value {
    let message = match (error.code(), error.remedy_text()) {
        // It may name what only operators should see.
        (Code::Internal, _) => "something went wrong on our side".to_owned(),
        (_, Some(remedy)) => format!("{} ({remedy})", error.message()),
        (_, None) => error.message().to_owned(),
    };
    write_error(error, &message, status_and_word(error.code()).0)
}

/// The HTTP status of a class of failures, and the word of `google.rpc.Code` for it.
fn status_and_word(code: Code) -> (u16, &'static str) {
    match code {
        Code::Invalid => (400, "INVALID_ARGUMENT"),
        Code::Unauthenticated => (401, "UNAUTHENTICATED"),
        Code::Forbidden => (403, "PERMISSION_DENIED"),
        Code::NotFound => (404, "NOT_FOUND"),
        Code::Conflict => (409, "ABORTED"),
        Code::Gone => (410, "NOT_FOUND"),
        Code::TooLarge => (413, "INVALID_ARGUMENT"),
        Code::RateLimited => (429, "RESOURCE_EXHAUSTED"),
        Code::OverBudget => (402, "RESOURCE_EXHAUSTED"),
        Code::Unavailable => (503, "UNAVAILABLE"),
        Code::Timeout => (504, "DEADLINE_EXCEEDED"),
        Code::Upstream => (502, "UNAVAILABLE"),
        Code::Internal => (500, "INTERNAL"),
    }
}

/// The HTTP status that `google/rpc/code.proto` names for each word.
fn status_of_word(word: &str) -> Option<u16> {
    Some(match word {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => 400,
        "UNAUTHENTICATED" => 401,
        "PERMISSION_DENIED" => 403,
        "NOT_FOUND" => 404,
        "ALREADY_EXISTS" | "ABORTED" => 409,
        "RESOURCE_EXHAUSTED" => 429,
        "CANCELLED" => 499,
        "UNIMPLEMENTED" => 501,
        "UNAVAILABLE" => 503,
        "DEADLINE_EXCEEDED" => 504,
        "UNKNOWN" | "INTERNAL" | "DATA_LOSS" => 500,
        _ => return None,
    })
}
