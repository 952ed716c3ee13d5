#![doc = include_str!("../README.md")]

mod access;
mod api_keys;
mod authentication;
mod bootstrap;
mod branding;
mod colors;
mod erasure;
mod events;
mod explain;
mod exports;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod invitations;
mod last_used;
mod memberships;
mod passwords;
mod pictures;
mod policies;
mod policy;
mod policy_test;
mod profile;
mod quotas;
mod roles;
mod service_identities;
mod sessions;
mod spiffe;
mod steps;
mod store;
mod teams;
mod tenant_life;
mod tenant_types;
mod tenants;
mod throttle;
mod tokens;
mod types;
mod users;
mod validation;

use std::sync::{Arc, OnceLock};

use plasma_kernel::{Clock, Ctx, Random};
use plasma_store::Store;

use crate::{
    access::Access, authentication::Credentials, last_used::LastUsed, passwords::Passwords,
    service_identities::Services, throttle::Throttle,
};

pub use authentication::Authenticated;
pub use bootstrap::{Bootstrap, BootstrapKey, BootstrapOutcome, BootstrapOwner, DEFAULT_OWNER_EMAIL};
pub use erasure::ForgetTenant;
pub use service_identities::{NewServiceIdentity, ServiceIdentity};
pub use spiffe::is_spiffe_id;
pub use tenant_types::{
    AcceptInvitation, Branding, CustomDomain, Export, ExportState, Invitation, InvitationPreview, InvitationState,
    Logo, Membership, NewBranding, NewInvitation, NewQuotas, QuotaUse, Quotas, TenantState,
};
pub use types::{
    AccessExplanation, AccessQuestion, AccessRequest, AccessResource, ApiKey, ApiKeyChange, ApiKeyRotation,
    Circumstances, CreatedApiKey, CustomRole, DecidedBy, LoggedIn, Login, Me, NewApiKey, NewPolicy, NewRole, NewTeam,
    NewTenant, NewUser, Policy, PolicyChange, PolicyDraft, PolicyEffect, PolicyMatch, PolicyProblem, PolicyTest,
    PolicyVersion, RoleChange, RoleDetails, RoleName, Secret, Team, TeamChange, TeamMember, Tenant, TestedRequest,
    TextPlace, User, UserChange,
};

/// What the operator of the installation decides about identity.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityConfig {
    /// Marks the session cookie `Secure` even when the request does not say that it came by HTTPS.
    pub secure_cookies: bool,
    /// For how many days the deletion of a tenant can be taken back; `None` means 30.
    pub deletion_grace_days: Option<u32>,
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
    access: Access,
    services: Services,
    last_used: LastUsed,
    forgetters: OnceLock<Vec<Arc<dyn ForgetTenant>>>,
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
            access: Access::new(),
            services: Services::new(),
            last_used: LastUsed::default(),
            forgetters: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
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
}
