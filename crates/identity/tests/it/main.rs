//! Identity on each database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod api_keys;
mod bootstrap;
mod http;
mod isolation;
mod oauth;
mod oauth_http;
mod sessions;
mod support;
mod teams;
mod throttling;
mod users;
