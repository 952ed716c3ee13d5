//! Amazon Bedrock Runtime, `Converse` and `ConverseStream`, spoken to providers.
//!
//! Sources: the "Amazon Bedrock API Reference" (Converse, ConverseStream and their types) and the "Amazon Bedrock User
//! Guide" (Converse, tool use, prompt caching, structured outputs, extended and adaptive thinking).
//!
//! A call is a `POST` to [`path`], signed by [`sigv4::sign`] for the service `bedrock` or with a bearer token. A whole
//! answer is read by [`read_answer`]. A stream comes as [`event_stream::EventMessage`]s, read by [`StreamReader`]; the
//! tokens used come after its stop, so it is read to its end. An error's class stands in the header `x-amzn-ErrorType`.
//!
//! Not carried: media in Amazon S3 or behind addresses (see `media`), `top_k` and reasoning of models that are not
//! Anthropic's (each has its own fields for them), guardrails, prompts of prompt management, system tools, citations.

mod answer;
mod error;
pub mod event_stream;
mod media;
mod messages;
mod request;
pub mod sigv4;
mod stream;
#[cfg(test)]
mod testing;
mod thinking;
mod tools;

pub use answer::read_answer;
pub use error::read_error;
pub use request::{path, write_request};
pub use stream::StreamReader;
