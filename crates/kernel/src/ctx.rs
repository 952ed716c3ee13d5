use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    ApiKeyId, ApplicationId, Clock, Code, Error, Permission, Permissions, Random, RequestId, Result, SessionId, TeamId,
    TenantId, Timestamp, UserId,
};

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A person who logged in.
    User {
        /// The person.
        id: UserId,
    },
    /// A program with an API key.
    ApiKey {
        /// The key.
        id: ApiKeyId,
    },
    /// An application with an OAuth token: for a person who allowed it, or for itself.
    Application {
        /// The application.
        id: ApplicationId,
        /// For whom it acts; `None` when it acts for itself.
        user: Option<UserId>,
    },
    /// Plasma itself; `reason` says which job or duty.
    System {
        /// Why the system acts, for the audit.
        reason: String,
    },
}

/// From where a request came, for the audit and for policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Origin {
    /// The client's address, as far as the proxies in front are trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// What the client says it is; 200 characters at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// A way to prove who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Method {
    /// A password.
    Password,
    /// A one-time code of an authenticator application (TOTP).
    Totp,
    /// A recovery code.
    RecoveryCode,
    /// A passkey (WebAuthn).
    Passkey,
    /// A link sent by mail.
    MagicLink,
    /// A login at an identity provider (OpenID Connect).
    SingleSignOn,
}

impl Method {
    /// Every method, in the order of their declaration.
    pub const ALL: [Self; 6] =
        [Self::Password, Self::Totp, Self::RecoveryCode, Self::Passkey, Self::MagicLink, Self::SingleSignOn];

    /// The text form, as in `magic_link`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
            Self::Passkey => "passkey",
            Self::MagicLink => "magic_link",
            Self::SingleSignOn => "single_sign_on",
        }
    }
}

/// A set of login methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods(u8);

impl Methods {
    /// The set with `method` added.
    #[must_use]
    pub fn with(self, method: Method) -> Self {
        Self(self.0 | (1 << method as u8))
    }

    /// Whether `method` is in the set.
    pub fn contains(self, method: Method) -> bool {
        self.0 & (1 << method as u8) != 0
    }

    /// The methods of the set, in their declared order.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |method| self.contains(*method))
    }

    /// The text form: names separated by spaces, for storing.
    pub fn to_text(self) -> String {
        self.iter().map(Method::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Reads what [`Methods::to_text`] wrote; words that are no method are left out.
    pub fn from_text(text: &str) -> Self {
        let named = |word: &str| Method::ALL.into_iter().find(|method| method.as_str() == word);
        text.split(' ').filter_map(named).collect()
    }

    /// Whether the person proved it in two ways: a passkey is two by itself (what one has, and what unlocks it), and an
    /// identity provider's login counts as what that provider demands.
    pub fn is_multi_factor(self) -> bool {
        self.contains(Method::Passkey)
            || self.contains(Method::SingleSignOn)
            || self.contains(Method::Totp)
            || self.contains(Method::RecoveryCode)
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Self {
        methods.into_iter().fold(Self::default(), Self::with)
    }
}

/// How a session's person proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// The session.
    pub session: SessionId,
    /// When the person proved it last, in microseconds since 1970 UTC: at the login, or later for a dangerous action.
    pub at: Timestamp,
    /// With what.
    pub methods: Methods,
}

/// What is known of who acts, beyond their id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The role as access policies name it: the word of a built-in one, or the id of one that the tenant made.
    pub role: String,
    /// What stands behind the `@` of the person's e-mail; empty when nobody in particular acts.
    pub email_domain: String,
    /// What role and scopes allow. Policies take from it and add to it, each time for one request.
    pub granted: Permissions,
}

/// A dangerous action asks a person to prove again who they are when the last time is longer ago than this.
pub const STEP_UP_AGE_MICROS: i64 = 10 * 60 * 1_000_000;

/// The operation context: every verb takes `&Ctx` first, whether HTTP, a workflow step, the command line or a test calls it.
#[derive(Clone, Debug)]
pub struct Ctx {
    tenant: Option<TenantId>,
    actor: Actor,
    team: Option<TeamId>,
    person: Option<UserId>,
    teams: Arc<[TeamId]>,
    permissions: Permissions,
    origin: Option<Arc<Origin>>,
    authentication: Option<Authentication>,
    subject: Option<Arc<Subject>>,
    policies: u64,
    request: RequestId,
    clock: Clock,
    random: Random,
}

fn next_bits(clock: &Clock, random: &Random) -> u128 {
    let milliseconds = u128::from(u64::try_from(clock.now() / 1_000).unwrap_or(0)) & ((1 << 48) - 1);
    let mut bytes = [0_u8; 16];
    random.fill(&mut bytes);
    (milliseconds << 80) | (u128::from_le_bytes(bytes) & ((1 << 80) - 1))
}

impl Ctx {
    /// A context for one tenant's user or key, with the permissions that authentication found.
    pub fn new(tenant: TenantId, actor: Actor, permissions: Permissions, clock: Clock, random: Random) -> Self {
        let request = RequestId::from_bits(next_bits(&clock, &random));
        let person = match actor {
            Actor::User { id } => Some(id),
            Actor::Application { user, .. } => user,
            _ => None,
        };
        Self {
            tenant: Some(tenant),
            actor,
            team: None,
            person,
            teams: Arc::default(),
            permissions,
            origin: None,
            authentication: None,
            subject: None,
            policies: 0,
            request,
            clock,
            random,
        }
    }

    /// A context for work across tenants (migrations, login, recovery). `reason` is recorded with everything it does.
    pub fn system(reason: impl Into<String>, clock: Clock, random: Random) -> Self {
        let request = RequestId::from_bits(next_bits(&clock, &random));
        Self {
            tenant: None,
            actor: Actor::System { reason: reason.into() },
            team: None,
            person: None,
            teams: Arc::default(),
            permissions: Permissions::all(),
            origin: None,
            authentication: None,
            subject: None,
            policies: 0,
            request,
            clock,
            random,
        }
    }

    /// The same clock and randomness for background work of one tenant, acting as the system.
    pub fn for_tenant(&self, tenant: TenantId, reason: impl Into<String>) -> Self {
        Self {
            tenant: Some(tenant),
            actor: Actor::System { reason: reason.into() },
            // What the system does by itself is no team's, and nobody's in particular.
            team: None,
            person: None,
            teams: Arc::default(),
            permissions: Permissions::all(),
            origin: None,
            authentication: None,
            subject: None,
            policies: 0,
            ..self.clone()
        }
    }

    /// The same context under the request id that the edge gave.
    pub fn with_request(mut self, request: RequestId) -> Self {
        self.request = request;
        self
    }

    /// The same context, whose model calls are counted to `team`.
    pub fn with_team(mut self, team: Option<TeamId>) -> Self {
        self.team = team;
        self
    }

    /// The same context with the access of a person who is in these teams: their own, or that of whoever made an API key.
    pub fn with_access_of(mut self, person: UserId, teams: Arc<[TeamId]>) -> Self {
        self.person = Some(person);
        self.teams = teams;
        self
    }

    /// The same context, coming from there.
    pub fn with_origin(mut self, origin: Arc<Origin>) -> Self {
        self.origin = Some(origin);
        self
    }

    /// The same context, coming from where `other` comes from.
    pub fn with_origin_of(mut self, other: &Self) -> Self {
        self.origin.clone_from(&other.origin);
        self
    }

    /// The same context of a person in a session.
    pub fn with_authentication(mut self, authentication: Authentication) -> Self {
        self.authentication = Some(authentication);
        self
    }

    /// The same context, with what is known of who acts, and the number of the tenant's set of access policies.
    pub fn with_subject(mut self, subject: Arc<Subject>, policies: u64) -> Self {
        self.subject = Some(subject);
        self.policies = policies;
        self
    }

    /// The same context, narrowed or widened to these permissions.
    pub fn with_permissions(mut self, permissions: Permissions) -> Self {
        self.permissions = permissions;
        self
    }

    /// The tenant that this context is bound to.
    ///
    /// # Errors
    /// `internal` for a system context: it belongs to no tenant, and using it where one is needed is a programming error.
    pub fn tenant(&self) -> Result<TenantId> {
        self.tenant.ok_or_else(|| Error::internal("a tenant's context was needed, but this work runs across tenants"))
    }

    /// The tenant, or `None` for a system context that works across tenants.
    pub fn tenant_scope(&self) -> Option<TenantId> {
        self.tenant
    }

    /// Who acts.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The person who acts, if it is one.
    pub fn user(&self) -> Option<UserId> {
        match self.actor {
            Actor::User { id } => Some(id),
            _ => None,
        }
    }

    /// The team to which the actor's model calls are counted; `None` when they are no team's.
    pub fn team(&self) -> Option<TeamId> {
        self.team
    }

    /// The person whose access to single things counts: the user, or whoever made the API key. `None` when it is nobody.
    pub fn person(&self) -> Option<UserId> {
        self.person
    }

    /// All teams of [`Ctx::person`], in the order of their ids.
    pub fn teams(&self) -> Arc<[TeamId]> {
        Arc::clone(&self.teams)
    }

    /// What the actor may do.
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// Refuses unless the actor holds `permission`.
    ///
    /// # Errors
    /// `forbidden`, naming the permission that is missing.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.permissions.contains(permission) {
            return Ok(());
        }
        Err(Error::forbidden(format!("this needs the permission `{permission}`, which you do not have"))
            .remedy("ask an administrator of your workspace for a role that has it"))
    }

    /// From where the request came; `None` for work that no request began.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_deref()
    }

    /// How the person proved who they are; `None` for keys, applications and the system.
    pub fn authentication(&self) -> Option<&Authentication> {
        self.authentication.as_ref()
    }

    /// What is known of who acts; `None` for the system.
    pub fn subject(&self) -> Option<&Arc<Subject>> {
        self.subject.as_ref()
    }

    /// The number of the set of access policies that binds the actor; 0 when the tenant has none in force.
    pub fn policies(&self) -> u64 {
        self.policies
    }

    /// What the actor may hand on to others: what they may do now, without what an access policy only adds for a while.
    pub fn grantable(&self) -> Permissions {
        self.subject.as_ref().map_or(self.permissions, |subject| self.permissions.intersection(subject.granted))
    }

    /// Refuses a dangerous action of a person who has not proved lately who they are. Keys and applications pass: their
    /// permissions say what they may do, and nobody sits before an unlocked screen.
    ///
    /// # Errors
    /// `forbidden` (`step_up_required`).
    pub fn require_recent_authentication(&self) -> Result<()> {
        match self.authentication {
            Some(Authentication { at, .. }) if self.now().saturating_sub(at) > STEP_UP_AGE_MICROS => Err(Error::new(
                Code::Forbidden,
                "step_up_required",
                "this is a dangerous action: prove first that it is still you",
            )
            .remedy("send your password, a code or a passkey to POST /api/v1/auth/step-up, then repeat the request")),
            _ => Ok(()),
        }
    }

    /// The id that links this work's logs and events.
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// The current time, in microseconds since 1970 UTC.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The source of randomness.
    pub fn random(&self) -> &Random {
        &self.random
    }

    pub(crate) fn next_id_bits(&self) -> u128 {
        next_bits(&self.clock, &self.random)
    }
}
