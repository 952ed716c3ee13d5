use plasma_kernel::{Code, Error};
use serde_json::Value;

use crate::Told;

/// What a provider's error body says: `{"error": {"message", "type", "param", "code"}}`, or what compatible servers
/// make of it. Of anything else (an HTML page, a cut body) nothing.
pub fn read_error(body: &[u8]) -> Told {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Told::default() };
    match body.get("error").filter(|error| !error.is_null()) {
        Some(error) => told(error),
        None => told(&body),
    }
}

/// An error object, or the text that some servers put in its place.
pub(super) fn told(error: &Value) -> Told {
    if let Value::String(message) = error {
        return Told { message: message.clone(), ..Told::default() };
    }
    let text = |name: &str| match error.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let (code, kind) = (text("code"), text("type"));
    // The event `error` has its own name for a type.
    let kinds: Vec<_> =
        [code.as_str(), kind.as_str()].into_iter().filter(|kind| !["", "error"].contains(kind)).collect();
    Told {
        status: code.parse().ok().or_else(|| text("status").parse().ok()),
        kind: kinds.join(" "),
        message: Some(text("message")).filter(|message| !message.is_empty()).unwrap_or_else(|| text("detail")),
        param: Some(text("param")).filter(|param| !param.is_empty()),
    }
}

/// What a client may read of an error in the middle of a stream: internal messages may name what only operators should
/// see.
pub(super) fn public_message(error: &Error) -> String {
    let message = match error.code() {
        Code::Internal => "something went wrong on our side; the log has the details",
        _ => error.message(),
    };
    match error.remedy_text() {
        Some(remedy) => format!("{message} ({remedy})"),
        None => message.to_owned(),
    }
}
