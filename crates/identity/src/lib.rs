#![doc = include_str!("../README.md")]

mod api_keys;
mod authentication;
mod begin;
mod bootstrap;
mod ceremonies;
mod common_passwords;
mod device;
mod enroll;
mod events;
mod factors;
pub mod http;
mod last_used;
mod links;
mod login_types;
pub mod mail;
mod methods;
mod open_sessions;
mod pace;
mod passkeys;
mod passwords;
mod policy;
mod profile;
mod second_factor;
mod sessions;
mod step_up;
mod store;
mod teams;
mod tenants;
mod throttle;
mod tokens;
mod totp;
mod types;
mod users;
mod validation;

use std::sync::Arc;

use plasma_kernel::{Clock, Ctx, Random, Result};
use plasma_store::Store;
use url::Url;

use crate::{
    authentication::Credentials, last_used::LastUsed, mail::Mailer, pace::Pace, passwords::Passwords,
    throttle::Throttle,
};

pub use authentication::Authenticated;
pub use bootstrap::{Bootstrap, BootstrapKey, BootstrapOutcome, BootstrapOwner, DEFAULT_OWNER_EMAIL};
pub use links::LinkRequest;
pub use login_types::{
    Ceremony, Enrolled, Factor, LoggedIn, Login, LoginConnection, LoginMethods, LoginStep, Need, Passkey,
    PasskeyAnswer, PendingLogin, Proof, SecurityOverview, Session, SteppedUp, TotpSetup,
};
pub use policy::LoginPolicy;
pub use step_up::StepUpMethods;
pub use types::{
    ApiKey, CreatedApiKey, Me, NewApiKey, NewTeam, NewTenant, NewUser, Secret, Team, TeamChange, TeamMember, Tenant,
    User, UserChange,
};

/// What the operator of the installation decides about identity.
#[derive(Clone, Debug, Default)]
pub struct IdentityConfig {
    /// Marks the session cookie `Secure` even when the request does not say that it came by HTTPS.
    pub secure_cookies: bool,
    /// The address of the dashboard, without a path: what mails and passkeys are bound to. `None`: development on this machine.
    pub public_url: Option<Url>,
    /// The server for mail; `None` puts mail into a folder.
    pub smtp_url: Option<Secret>,
    /// From whom mail comes.
    pub mail_from: Option<String>,
}

impl IdentityConfig {
    /// Checks that mail can be written with these.
    ///
    /// # Errors
    /// `invalid`, naming the setting.
    pub fn check(&self) -> Result<()> {
        mail::check_config(self)
    }
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
    pace: Pace,
    mailer: Mailer,
    credentials: Credentials,
    last_used: LastUsed,
}

impl Identity {
    /// `clock` and `random` serve the requests that have no context yet: logins and authentication.
    pub fn new(store: Store, clock: Clock, random: Random, config: IdentityConfig) -> Self {
        let inner = Inner {
            mailer: Mailer::new(&config, store.data_dir()),
            store,
            clock,
            random,
            config,
            passwords: Passwords::new(),
            throttle: Throttle::new(),
            pace: Pace::new(),
            credentials: Credentials::new(),
            last_used: LastUsed::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A context for work that begins before it is known whose it is.
    fn system(&self, reason: &'static str) -> Ctx {
        Ctx::system(reason, self.inner.clock.clone(), self.inner.random.clone())
    }
}
