//! Anthropic Messages: `POST /v1/messages` and `/v1/messages/count_tokens`, version `2023-06-01`, as described in
//! Anthropic's API reference ("Messages", "Streaming messages", "Count tokens", "Errors") and the guides "Extended
//! thinking", "Adaptive thinking", "Effort", "Structured outputs", "Prompt caching" and "Tool use".
//!
//! How the middle form is adapted to what the servers accept:
//!
//! - The limit of tokens is mandatory: without one, [`write_request()`] sets 4,096 for the answer, and more for thoughts.
//! - A budget of thoughts is written as `thinking.type: enabled`, which models up to Claude 4.6 take; it is held
//!   between 1,024 and the limit of tokens. An effort without a budget is written as `thinking.type: adaptive` with
//!   `output_config.effort`, which models from Claude 4.6 on take. No form serves all models, and this crate knows no
//!   names of models: the caller chooses by what it asks for. A refusal of the provider names the field.
//! - Forced tools and thoughts exclude each other: the tool is kept and the thoughts are noted as lost. So is a
//!   budget while tools are being called whose calls carry no thoughts of Anthropic's.
//! - With thoughts, `temperature` is left out unless 1, `top_k` always and `top_p` below 0.95. Without them, of
//!   `temperature` and `top_p` only one is sent, for models from Claude 4.5 on refuse both together. Models from Claude
//!   4.7 on refuse any that is not the default; that refusal reaches the caller.
//! - Consecutive messages of one role are merged, results of tools come first, empty texts are left out, and system
//!   messages in the middle move to the end of `system`.

mod answer;
mod count;
mod error;
mod read_parts;
mod read_request;
mod stream_reader;
mod stream_writer;
#[cfg(test)]
mod tests;
mod thinking;
mod usage;
mod write_messages;
mod write_request;

pub use answer::{read_answer, write_answer};
pub use count::{count_tokens_request, read_count};
pub use error::{read_error, write_error};
pub use read_request::read_request;
pub use stream_reader::StreamReader;
pub use stream_writer::StreamWriter;
pub use write_request::write_request;
