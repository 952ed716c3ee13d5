//! The OpenAI protocol, spoken to a provider: requests, answers, streams and what goes wrong with them.

mod client;
mod errors;
mod sse;
mod stream;
mod wire;

pub(crate) use client::{Endpoint, OpenAiClient};
pub(crate) use stream::{Chunk, ChunkStream};
pub(crate) use wire::{RawObject, chat_usage, depth_allowed, embeddings_answer, embeddings_usage};
