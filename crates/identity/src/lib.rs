#![doc = include_str!("../README.md")]

mod access;
mod api_keys;
mod authentication;
mod begin;
mod bootstrap;
mod branding;
mod ceremonies;
mod colors;
mod common_passwords;
mod device;
mod enroll;
mod erasure;
mod events;
mod explain;
mod exports;
mod factors;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod invitations;
mod last_used;
mod links;
mod login_policy;
mod login_types;
pub mod mail;
mod memberships;
mod methods;
mod networks;
pub mod oauth;
mod open_sessions;
mod outbound;
mod pace;
mod passkeys;
mod passwords;
mod pictures;
mod policies;
mod policy;
mod policy_test;
mod profile;
mod quotas;
mod roles;
mod second_factor;
mod service_identities;
mod sessions;
mod spiffe;
mod sso;
mod step_up;
mod steps;
mod store;
mod teams;
mod tenant_life;
mod tenant_types;
mod tenants;
mod throttle;
mod tokens;
mod totp;
mod types;
mod users;
mod validation;

use std::sync::{Arc, OnceLock};

use plasma_http::outbound::Outbound;
use plasma_kernel::{Clock, Ctx, Random, Result};
use plasma_store::Store;
use url::Url;

use crate::{
    access::Access, authentication::Credentials, last_used::LastUsed, mail::Mailer, oauth::OAuth, pace::Pace,
    passwords::Passwords, service_identities::Services, throttle::Throttle,
};

pub use authentication::Authenticated;
pub use bootstrap::{Bootstrap, BootstrapKey, BootstrapOutcome, BootstrapOwner, DEFAULT_OWNER_EMAIL};
pub use erasure::ForgetTenant;
pub use links::LinkRequest;
pub use login_policy::LoginPolicy;
pub use login_types::{
    Ceremony, Enrolled, Factor, LoggedIn, Login, LoginConnection, LoginMethods, LoginStep, Need, Passkey,
    PasskeyAnswer, PendingLogin, Proof, SecurityOverview, Session, SteppedUp, TotpSetup,
};
pub use service_identities::{NewServiceIdentity, ServiceIdentity};
pub use spiffe::is_spiffe_id;
pub use sso::types::{
    ClaimedDomain, Connection, ConnectionChange, ConnectionCheck, ConnectionCheckState, ConnectionDomain, DomainState,
    DomainVerifier, LinkedAccount, LinkedPerson, MappingRule, NewConnection, Preset, RequiredClaim, SingleSignOn,
    SingleSignOnOffer,
};
pub use step_up::StepUpMethods;
pub use tenant_types::{
    AcceptInvitation, Branding, CustomDomain, Export, ExportState, Invitation, InvitationPreview, InvitationState,
    Logo, Membership, NewBranding, NewInvitation, NewQuotas, QuotaUse, Quotas, TenantState,
};
pub use types::{
    AccessExplanation, AccessQuestion, AccessRequest, AccessResource, ApiKey, ApiKeyChange, ApiKeyRotation,
    Circumstances, CreatedApiKey, CustomRole, DecidedBy, Me, NewApiKey, NewPolicy, NewRole, NewTeam, NewTenant,
    NewUser, Policy, PolicyChange, PolicyDraft, PolicyEffect, PolicyMatch, PolicyProblem, PolicyTest, PolicyVersion,
    RoleChange, RoleDetails, RoleName, Secret, Team, TeamChange, TeamMember, Tenant, TestedRequest, TextPlace, User,
    UserChange,
};

/// What the operator of the installation decides about identity.
#[derive(Clone, Debug, Default)]
pub struct IdentityConfig {
    /// Marks the session cookie `Secure` even when the request does not say that it came by HTTPS.
    pub secure_cookies: bool,
    /// For how many days the deletion of a tenant can be taken back; `None` means 30.
    pub deletion_grace_days: Option<u32>,
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
    access: Access,
    services: Services,
    last_used: LastUsed,
    forgetters: OnceLock<Vec<Arc<dyn ForgetTenant>>>,
    sso: sso::Sso,
    oauth: OAuth,
}

impl Identity {
    /// `clock` and `random` serve the requests that have no context yet: logins and authentication.
    pub fn new(store: Store, clock: Clock, random: Random, config: IdentityConfig) -> Self {
        store.declare_sealed(&store::sealed::columns());
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
            access: Access::new(),
            services: Services::new(),
            last_used: LastUsed::default(),
            forgetters: OnceLock::new(),
            sso: sso::Sso::new(),
            oauth: OAuth::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Which addresses of identity providers may be called: public ones only, unless this is called before the first request.
    pub fn use_outbound(&self, outbound: Outbound) {
        self.inner.sso.providers.use_outbound(outbound);
    }

    /// Says what else must forget a tenant that is erased. Once, before steps run.
    pub fn use_forgetters(&self, forgetters: Vec<Arc<dyn ForgetTenant>>) {
        if self.inner.forgetters.set(forgetters).is_err() {
            tracing::error!("identity was told twice what must forget erased tenants; the first stays");
        }
    }

    pub(crate) fn forgetters(&self) -> &[Arc<dyn ForgetTenant>] {
        self.inner.forgetters.get().map_or(&[], Vec::as_slice)
    }

    /// A context for work that begins before it is known whose it is.
    fn system(&self, reason: &'static str) -> Ctx {
        Ctx::system(reason, self.inner.clock.clone(), self.inner.random.clone())
    }

    /// The same request, looking beyond one tenant: before it is known whose it is.
    fn across_tenants(&self, ctx: &Ctx) -> Ctx {
        self.system("look across tenants").with_request(ctx.request())
    }
}
