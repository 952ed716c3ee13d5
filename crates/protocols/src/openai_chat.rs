//! OpenAI Chat Completions (`POST /v1/chat/completions`), and what the servers compatible with it make of it: vLLM,
//! llama.cpp, Ollama, DeepSeek, Groq, Mistral, OpenRouter, LiteLLM, Azure.
//!
//! Sources: the OpenAI API reference, "Chat Completions"; DeepSeek's guide "Thinking Mode"; OpenRouter's guide
//! "Reasoning Tokens"; Mistral's guide "Reasoning"; the vLLM manual, "OpenAI-Compatible Server".
//!
//! Thoughts have no place in OpenAI's own protocol. DeepSeek says them as `reasoning_content`, OpenRouter as
//! `reasoning` and, with their seals, as `reasoning_details`. Readers take all three, and seal what a provider wants
//! back (the module `reasoning` says how). Requests carry only sealed thoughts, in the field from which they came, for
//! Groq, Mistral and others refuse fields that they do not know.

mod answer;
pub(crate) mod effort;
mod error;
mod messages;
mod parts;
mod reasoning;
mod request;
mod stream_reader;
mod stream_writer;
pub(crate) mod tools;
mod wire;
mod write_messages;
mod write_request;

pub use answer::{read_answer, write_answer};
pub use error::{read_error, write_error};
pub use request::read_request;
pub use stream_reader::StreamReader;
pub use stream_writer::StreamWriter;
pub use write_request::write_request;

/// Why a field of a caller's request is lost.
const UNKNOWN: &str = "the model's protocol has no such field";
/// Choices of one answer: OpenAI's own limit of `n`.
const CHOICES_MAX: u32 = 128;

#[cfg(test)]
mod tests;
