//! What the store promises, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod encryption;
mod events;
mod isolation;
mod opening;
mod secrets_and_blobs;
mod tenant_data;
mod vault;
