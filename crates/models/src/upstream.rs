//! How providers are reached: addresses and credentials, requests, answers, streams, and what goes wrong with them.

mod client;
mod endpoint;
mod errors;
mod raw;
mod stream;

pub(crate) use client::{Outgoing, UpstreamClient};
pub use endpoint::ProviderOptions;
pub(crate) use endpoint::{Endpoint, Operation};
pub(crate) use raw::{RawObject, depth_allowed, embeddings_answer, embeddings_usage};
pub(crate) use stream::UpstreamStream;
