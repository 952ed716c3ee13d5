//! Models: providers, calls, budgets and limits on both databases, the OpenAI format against a provider that others could have written, and
//! local models with their real weights.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod aliases;
mod batch_support;
mod batches;
mod benchmarks;
mod budgets;
mod caches;
mod call_log;
mod capabilities;
mod capture;
mod custom;
mod gateway;
mod limits;
mod local;
mod media;
mod openai_local;
mod outbound;
mod passthrough;
mod prices;
mod prompt_calls;
mod prompts;
mod provider_batches;
mod providers;
mod pulls;
mod quality;
mod requests;
mod rerank;
mod resilience;
mod support;
mod teams;
mod typed;
mod upstream;
mod usage;
mod weights;
