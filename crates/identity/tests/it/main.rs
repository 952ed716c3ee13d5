//! Identity on each database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod api_keys;
mod bootstrap;
mod branding;
mod exports;
mod http;
mod invitations;
mod isolation;
mod key_life;
mod policies;
mod policy_http;
mod roles;
mod service_identities;
mod sessions;
mod support;
mod teams;
mod tenant_life;
mod throttling;
mod users;
