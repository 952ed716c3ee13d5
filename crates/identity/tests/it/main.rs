//! Identity on each database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod api_keys;
mod bootstrap;
mod http;
mod isolation;
mod oidc;
mod sessions;
mod sso;
mod sso_hostile;
mod support;
mod teams;
mod throttling;
mod users;
