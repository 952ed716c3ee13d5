//! How providers are reached: addresses and credentials, requests, answers, streams, and what goes wrong with them.

mod batch_api;
mod client;
mod endpoint;
mod errors;
mod media;
mod raw;
mod rerank;
mod stream;

pub(crate) use batch_api::ProviderBatch;
pub(crate) use client::{Outgoing, UpstreamClient};
pub use endpoint::ProviderOptions;
pub(crate) use endpoint::{Endpoint, Operation};
pub(crate) use media::MediaAnswer;
pub(crate) use raw::{RawObject, depth_allowed, embeddings_answer, embeddings_usage, usage_of};
pub(crate) use rerank::{rerank_answer, rerank_usage};
pub(crate) use stream::{Frame, UpstreamStream};
