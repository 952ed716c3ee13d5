//! Identity on each database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod api_keys;
mod authenticator;
mod bootstrap;
mod http;
mod isolation;
mod links;
mod login_http;
mod login_policy;
mod mail;
mod open_sessions;
mod passkeys;
mod second_factors;
mod sessions;
mod step_up;
mod support;
mod teams;
mod throttling;
mod users;
