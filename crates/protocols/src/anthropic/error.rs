//! Errors as Anthropic tells them: `{"type":"error","error":{"type":…,"message":…}}`.

use plasma_kernel::{Code, Error};
use serde_json::{Value, json};

use crate::Told;

/// What a provider's error body says. An HTML page of some proxy, a cut or an empty body says nothing that helps.
pub fn read_error(body: &[u8]) -> Told {
    serde_json::from_slice::<Value>(body).map(|body| told(&body)).unwrap_or_default()
}

/// What an error object says, in a body of its own or in a stream. Servers that only resemble Anthropic's put a text
/// in the place of the object, or `message` and `detail` beside it.
pub(super) fn told(body: &Value) -> Told {
    let error = body.get("error").or_else(|| body.get("message")).or_else(|| body.get("detail"));
    match error {
        Some(Value::Object(fields)) => {
            let text = |name: &str| match fields.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => String::new(),
            };
            let code = text("code");
            Told {
                status: code.parse().ok().or_else(|| text("status").parse().ok()),
                kind: format!("{code} {}", text("type")).trim().to_owned(),
                message: text("message"),
                param: Some(text("param")).filter(|param| !param.is_empty()),
            }
        }
        Some(Value::String(message)) => Told { message: message.clone(), ..Told::default() },
        _ => Told::default(),
    }
}

/// The error body for a client. `message` is the text that may be shown, `status` the HTTP status that goes with it. The
/// protocol has no place for the field at fault: it stands before the message, as Anthropic has it.
pub fn write_error(error: &Error, message: &str, status: u16) -> Value {
    let kind = match error.code() {
        Code::Invalid | Code::Conflict => "invalid_request_error",
        Code::Unauthenticated => "authentication_error",
        Code::Forbidden => "permission_error",
        Code::NotFound | Code::Gone => "not_found_error",
        Code::TooLarge => "request_too_large",
        Code::RateLimited => "rate_limit_error",
        Code::OverBudget => "billing_error",
        Code::Unavailable => "overloaded_error",
        Code::Timeout => "timeout_error",
        Code::Upstream => match status {
            429 => "rate_limit_error",
            503 | 529 => "overloaded_error",
            504 => "timeout_error",
            _ => "api_error",
        },
        Code::Internal => "api_error",
    };
    let message = match error.field_name() {
        Some(field) if !message.contains(field) => format!("{field}: {message}"),
        _ => message.to_owned(),
    };
    json!({ "type": "error", "error": { "type": kind, "message": message } })
}
