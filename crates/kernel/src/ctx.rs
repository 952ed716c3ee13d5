use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    ApiKeyId, Clock, Error, Permission, Permissions, Random, RequestId, Result, TeamId, TenantId, Timestamp, UserId,
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
    /// Plasma itself; `reason` says which job or duty.
    System {
        /// Why the system acts, for the audit.
        reason: String,
    },
}

/// The operation context: every verb takes `&Ctx` first, whether HTTP, a workflow step, the command line or a test calls it.
#[derive(Clone, Debug)]
pub struct Ctx {
    tenant: Option<TenantId>,
    actor: Actor,
    team: Option<TeamId>,
    person: Option<UserId>,
    teams: Arc<[TeamId]>,
    permissions: Permissions,
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
            _ => None,
        };
        Self {
            tenant: Some(tenant),
            actor,
            team: None,
            person,
            teams: Arc::default(),
            permissions,
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
