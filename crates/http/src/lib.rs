#![doc = include_str!("../README.md")]

mod extract;
mod files;
mod openai;
pub mod outbound;
mod problem;
mod sse;

pub use extract::{Caller, Json, PageQuery, Path, Query};
pub use files::{attachment, picture};
pub use openai::{OpenAiProblem, client_error, public_message};
pub use problem::{ErrorReason, Problem, ProblemBody, status_of};
pub use sse::{event_stream, sse_event};
