//! `countTokens`.

use plasma_kernel::Result;
use serde_json::{Value, json};

use super::{error::told_in, proto::integer, request_write::write_request};
use crate::{Losses, Wrong, chat::Request};

/// The tokens that an answer of `:countTokens` tells.
///
/// # Errors
/// When it is an error, or has no such number.
pub fn read_count(body: &str) -> Result<u64, Wrong> {
    let body: Value = serde_json::from_str(body).map_err(|error| Wrong::malformed(format!("is not JSON: {error}")))?;
    if let Some(told) = told_in(&body) {
        return Err(Wrong::Told(told));
    }
    let count = body.get("totalTokens").and_then(integer).and_then(|count| u64::try_from(count).ok());
    count.ok_or_else(|| Wrong::malformed("`totalTokens` is missing"))
}

/// The body that asks `:countTokens` how many tokens a request has, its instructions and tools included.
///
/// # Errors
/// As [`write_request`].
pub fn count_tokens_request(request: &Request, losses: &mut Losses) -> Result<Value> {
    let model = match request.model.as_str() {
        name if name.contains('/') => name.to_owned(),
        name => format!("models/{name}"),
    };
    let mut counted = write_request(request, losses)?;
    if let Some(fields) = counted.as_object_mut() {
        fields.insert("model".to_owned(), model.into());
    }
    Ok(json!({"generateContentRequest": counted}))
}
