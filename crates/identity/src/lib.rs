#![doc = include_str!("../README.md")]

mod api_keys;
mod authentication;
mod bootstrap;
mod events;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod last_used;
pub mod oauth;
mod passwords;
mod profile;
mod sessions;
mod store;
mod teams;
mod tenants;
mod throttle;
mod tokens;
mod types;
mod users;
mod validation;

use std::sync::Arc;

use plasma_kernel::{Clock, Ctx, Random};
use plasma_store::Store;

use crate::{authentication::Credentials, last_used::LastUsed, oauth::OAuth, passwords::Passwords, throttle::Throttle};

pub use authentication::Authenticated;
pub use bootstrap::{Bootstrap, BootstrapKey, BootstrapOutcome, BootstrapOwner, DEFAULT_OWNER_EMAIL};
pub use types::{
    ApiKey, CreatedApiKey, LoggedIn, Login, Me, NewApiKey, NewTeam, NewTenant, NewUser, Secret, Team, TeamChange,
    TeamMember, Tenant, User, UserChange,
};

/// What the operator of the installation decides about identity.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityConfig {
    /// Marks the session cookie `Secure` even when the request does not say that it came by HTTPS.
    pub secure_cookies: bool,
}

/// Tenants, users, teams, sessions and API keys. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    random: Random,
    config: IdentityConfig,
    passwords: Passwords,
    throttle: Throttle,
    credentials: Credentials,
    last_used: LastUsed,
    oauth: OAuth,
}

impl Identity {
    /// `clock` and `random` serve the requests that have no context yet: logins and authentication.
    pub fn new(store: Store, clock: Clock, random: Random, config: IdentityConfig) -> Self {
        let inner = Inner {
            store,
            clock,
            random,
            config,
            passwords: Passwords::new(),
            throttle: Throttle::new(),
            credentials: Credentials::new(),
            last_used: LastUsed::default(),
            oauth: OAuth::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A context for work that begins before it is known whose it is.
    fn system(&self, reason: &'static str) -> Ctx {
        Ctx::system(reason, self.inner.clock.clone(), self.inner.random.clone())
    }
}
