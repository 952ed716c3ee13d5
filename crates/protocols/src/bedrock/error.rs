//! Errors of Bedrock ("Amazon Bedrock API Reference", "Common Errors" and the errors of Converse; Smithy's "AWS
//! restJson1 protocol").

use serde_json::Value;

use super::event_stream::EventMessage;
use crate::Told;

/// The error that a body tells. `error_type` is the header `x-amzn-ErrorType`, which says the class; sometimes the
/// body's `__type` does instead. A body that is not JSON, such as a proxy's page, leaves the message empty.
pub fn read_error(body: &[u8], error_type: Option<&str>) -> Told {
    let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    // An address that does not exist is answered in another shape.
    let in_body = body.get("__type").or_else(|| body.get("Output")?.get("__type")).and_then(Value::as_str);
    told(error_type.or(in_body).unwrap_or(""), &body)
}

/// The error that a message of a stream tells.
pub(super) fn read_exception(message: &EventMessage) -> Told {
    let body = serde_json::from_slice::<Value>(&message.payload).unwrap_or_default();
    let mut told = told(message.exception_type.as_deref().unwrap_or(""), &body);
    if let (true, Some(said)) = (told.message.is_empty(), &message.error_message) {
        told.message.clone_from(said);
    }
    told
}

fn told(class: &str, body: &Value) -> Told {
    // `com.amazon.coral.service#ThrottlingException:http://internal.amazon.com/…`
    let class = class.split(':').next().unwrap_or(class);
    let class = class.rsplit('#').next().unwrap_or(class).trim();
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("");
    let mut message = match text("message") {
        "" => text("Message").to_owned(),
        message => message.to_owned(),
    };
    let original = text("originalMessage");
    if !original.is_empty() && !message.contains(original) {
        message = if message.is_empty() { original.to_owned() } else { format!("{message}: {original}") };
    }
    Told { status: status(class), kind: class.to_owned(), message, param: None }
}

/// The HTTP status of a class. A stream's exceptions begin with a small letter, a header's with a capital one.
fn status(class: &str) -> Option<u16> {
    Some(match class.to_ascii_lowercase().as_str() {
        "validationexception" => 400,
        "accessdeniedexception"
        | "expiredtokenexception"
        | "incompletesignatureexception"
        | "invalidsignatureexception"
        | "missingauthenticationtokenexception"
        | "unrecognizedclientexception" => 403,
        "resourcenotfoundexception" | "unknownoperationexception" => 404,
        "modeltimeoutexception" => 408,
        "modelerrorexception" | "modelstreamerrorexception" => 424,
        "modelnotreadyexception" | "throttlingexception" => 429,
        "internalserverexception" => 500,
        "serviceunavailableexception" => 503,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
