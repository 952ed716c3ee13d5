//! Google Gemini API v1beta: `generateContent` and `streamGenerateContent` with `alt=sse`.
//!
//! Source: "Generating content", "Function calling", "Thought signatures", "Gemini thinking", "Structured outputs", "File input
//! methods" and "Counting tokens" of the Gemini API documentation (ai.google.dev).
//!
//! - The model and whether to stream stand in the URL: [`read_request`] leaves `model` empty and `stream` false,
//!   [`write_request`] writes neither. A Gemini stream always tells its usage: [`read_request`] sets `stream_usage`.
//! - `ProtoJSON` allows two spellings of each name; both are read, lowerCamelCase is written. Where a list is expected, one
//!   item alone is taken as well, as Gemini does.
//! - A `thoughtSignature` on a text or function call becomes a reasoning part without text right before it. The field is of
//!   the type `bytes`, so the seals of other makers go to clients in base64 (`seal`).
//! - How much to think is a number of tokens for the models `gemini-2.*` (`thinkingBudget`) and a level for all others
//!   (`thinkingLevel`); [`write_request`] chooses by the model's name.
//! - Gemini 3 refuses function calls without a signature. Calls that no Gemini model made carry the documented placeholder.

mod answer;
mod config;
mod count;
mod error;
mod media;
mod parts;
mod proto;
mod request_read;
mod request_write;
mod schema;
mod seal;
mod stream_read;
mod stream_write;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
mod time;
mod tools;

pub use answer::{read_answer, write_answer};
pub use count::{count_tokens_request, read_count};
pub use error::{read_error, write_error};
pub use request_read::read_request;
pub use request_write::write_request;
pub use stream_read::StreamReader;
pub use stream_write::StreamWriter;

/// The model's name without what stands before it, as in `models/gemini-2.5-pro`.
fn short_name(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// Whether the model is older than Gemini 3: it thinks by a budget of tokens, and does not insist on signatures.
fn is_before_gemini_3(model: &str) -> bool {
    let name = short_name(model);
    name.starts_with("gemini-1.") || name.starts_with("gemini-2.")
}
