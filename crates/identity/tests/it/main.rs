//! Identity on each database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod api_keys;
mod authenticator;
mod bootstrap;
mod branding;
mod exports;
mod http;
mod invitations;
mod isolation;
mod key_life;
mod links;
mod login_http;
mod login_policy;
mod mail;
mod oauth;
mod oauth_http;
mod oidc;
mod open_sessions;
mod passkeys;
mod policies;
mod policy_http;
mod roles;
mod second_factors;
mod service_identities;
mod sessions;
mod sso;
mod sso_hostile;
mod step_up;
mod support;
mod teams;
mod tenant_life;
mod throttling;
mod users;
