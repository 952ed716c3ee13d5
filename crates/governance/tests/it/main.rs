//! The audit on each database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod consumer;
mod forgetting;
mod proofs;
mod search;
mod sinks;
mod support;
mod tampering;
