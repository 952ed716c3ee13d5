//! Single sign-on with OpenID Connect: Plasma as the relying party of any provider that has discovery.
//!
//! A login walks: `http/sso.rs` -> `login.rs` (state, cookie) -> the provider -> `login.rs` (the answer) -> `verify.rs` (code, tokens)
//! -> `people.rs` (who it is) -> `roles.rs` (what they may do) -> [`crate::Identity::begin_session`].

mod accounts;
pub(crate) mod check;
pub(crate) mod claims;
pub(crate) mod connections;
mod domains;
pub(crate) mod enforcement;
mod events;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub(crate) mod login;
mod logout;
mod logout_token;
mod people;
mod presets;
pub(crate) mod provider;
mod roles;
pub(crate) mod types;
mod verify;

/// What single sign-on keeps in memory.
pub(crate) struct Sso {
    pub(crate) providers: provider::Providers,
    pub(crate) starts: login::Starts,
}

impl Sso {
    pub(crate) fn new() -> Self {
        Self { providers: provider::Providers::new(), starts: login::Starts::new() }
    }
}
