//! Counting the tokens of a prompt before it is sent.

use plasma_kernel::Result;
use serde_json::Value;

use super::{error, usage, write_request};
use crate::{
    Losses, Wrong,
    chat::{Request, Usage},
};

/// The body for `/v1/messages/count_tokens`: the prompt with its tools, without what only matters to an answer (limits,
/// sampling, streaming, the user).
///
/// # Errors
/// `invalid`, as [`write_request()`](super::write_request()) has it.
pub fn count_tokens_request(request: &Request, losses: &mut Losses) -> Result<Value> {
    let (prompt, _) = write_request::write_prompt(request, losses)?;
    Ok(Value::Object(prompt))
}

/// The number of tokens in an answer of `/v1/messages/count_tokens`, at most 1,000,000,000.
///
/// # Errors
/// When it is not such an answer, or an error that the provider tells.
pub fn read_count(body: &str) -> Result<u64, Wrong> {
    let body: Value = serde_json::from_str(body).map_err(|error| Wrong::malformed(error.to_string()))?;
    match body.get("input_tokens").and_then(usage::count_of) {
        Some(input_tokens) => Ok(Usage { input_tokens, ..Usage::default() }.bounded().input_tokens),
        None if body.get("error").is_some() => Err(Wrong::Told(error::told(&body))),
        None => Err(Wrong::malformed("`input_tokens` is missing")),
    }
}
