//! From a token to a context: the path of every request, served from memory.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use ipnet::IpNet;
use moka::future::Cache;
use plasma_kernel::{
    Actor, ApiKeyId, ApplicationId, Authentication, Code, Ctx, Error, Methods, Permissions, Result, Role, SessionId,
    Subject, TeamId, TenantId, Timestamp, TokenFamilyId, UserId,
};

use crate::{
    Identity, TenantState,
    login_policy::require_network,
    networks,
    store::{self, tenants::Standing},
    tenant_life::require_open,
    tokens::{self, ACCESS_TOKEN_PREFIX, Fingerprint, SESSION_PREFIX},
};

/// Tokens kept in memory, valid and unknown ones; about 300 bytes each.
const CACHED_MAX: u64 = 100_000;
/// How long a change by another process may stay unseen.
const CACHED_FOR: Duration = Duration::from_secs(5);
/// Tenants share this many marks of their last change; two that share one only reload a little more often.
const CHANGE_MARKS: usize = 256;
/// Changes that happen while a token is loaded make it load again; after so many it is answered without the cache.
const RELOADS_MAX: usize = 3;

/// A caller whose token is valid.
#[derive(Debug)]
pub struct Authenticated {
    /// The caller's context, with a request id of its own until [`Ctx::with_request`] sets the edge's.
    pub ctx: Ctx,
    /// The role that the caller acts in.
    pub role: Role,
    /// The login session, if it is one.
    pub session: Option<SessionId>,
    /// Where the caller's tenant is in its life.
    pub tenant_state: TenantState,
    /// How many requests its plan lets the caller's tenant make in a minute; `None` where it says nothing.
    pub requests_per_minute: Option<u32>,
    /// Why the token may not be used from where it came from.
    address: Option<Error>,
}

impl Authenticated {
    /// Refuses a token that may not be used from where it came from.
    ///
    /// # Errors
    /// `forbidden` (`api_key_address_refused`, `address_not_allowed`), once: whoever asks passes it on.
    pub fn require_address(&mut self) -> Result<()> {
        self.address.take().map_or(Ok(()), Err)
    }

    /// Refuses callers of a tenant that is suspended or to be deleted. `owner_may`: whether its owners may do this all the same.
    ///
    /// # Errors
    /// `forbidden` (`tenant_suspended`, `tenant_deleting`).
    pub fn require_open(&self, owner_may: bool) -> Result<()> {
        require_open(self.tenant_state, self.role, owner_may)
    }
}

/// Which row a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CredentialId {
    Session(SessionId),
    ApiKey(ApiKeyId),
    /// An application's access token for a person.
    TokenFamily(TokenFamilyId),
    /// An application's access token for itself.
    Application(ApplicationId),
}

/// What a token is good for, as read from the database.
pub(crate) struct Credential {
    pub(crate) id: CredentialId,
    pub(crate) tenant: TenantId,
    pub(crate) actor: Actor,
    pub(crate) role: Role,
    pub(crate) permissions: Permissions,
    /// What access policies may ask about who acts.
    pub(crate) subject: Arc<Subject>,
    /// The number of the tenant's set of access policies; 0 when none is in force.
    pub(crate) policies: u64,
    /// The team to which calls are counted: the one that the key names, else the default team of its person.
    pub(crate) team: Option<TeamId>,
    /// The person, or who made the key: what they may see, the token may. `None`: an application that acts for itself.
    pub(crate) person: Option<UserId>,
    /// All teams of the person.
    pub(crate) teams: Arc<[TeamId]>,
    /// False: the key is revoked or its person disabled. Cached like the others, so that letting a person in again is seen
    /// at once too.
    pub(crate) usable: bool,
    pub(crate) expires_at: Option<Timestamp>,
    /// A session ends after this time without use.
    pub(crate) idle_micros: i64,
    /// When it was last used as far as this process knows; 0 means never.
    pub(crate) last_used_at: AtomicI64,
    /// When a session's person last proved who they are.
    pub(crate) authenticated_at: Timestamp,
    /// With what.
    pub(crate) methods: Methods,
    /// From where it may be used; empty means from everywhere.
    pub(crate) networks: Arc<[IpNet]>,
}

struct Entry {
    /// `None`: no such token. Also remembered, so that a wrong token costs SQL only every 5 seconds.
    credential: Option<Credential>,
    /// Of the token's tenant. `None` without a token, and when the tenant was erased.
    tenant: Option<Standing>,
    /// The number of the last change when loading began.
    loaded_at_change: u64,
}

pub(crate) struct Credentials {
    cache: Cache<Fingerprint, Arc<Entry>>,
    /// Counts the changes that this process made.
    changes: AtomicU64,
    /// For each group of tenants the number of its last change. An entry loaded before it is stale; this also catches an
    /// entry whose loading began before the change and ended after it, which removing it from the cache would miss.
    last_change: Box<[AtomicU64]>,
}

impl Credentials {
    pub(crate) fn new() -> Self {
        let cache = Cache::builder().max_capacity(CACHED_MAX).time_to_live(CACHED_FOR).build();
        let last_change = (0..CHANGE_MARKS).map(|_| AtomicU64::new(0)).collect();
        Self { cache, changes: AtomicU64::new(0), last_change }
    }

    /// Forgets what is cached of the tenant's tokens. Call it after the commit of the change.
    pub(crate) fn forget_tenant(&self, tenant: TenantId) {
        let change = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(mark) = self.last_change.get(mark_of(tenant)) {
            mark.fetch_max(change, Ordering::SeqCst);
        }
    }

    /// Forgets what is cached of one token, also that it is unknown.
    pub(crate) async fn forget(&self, token: &Fingerprint) {
        self.cache.invalidate(token).await;
    }

    fn is_fresh(&self, entry: &Entry) -> bool {
        let Some(credential) = &entry.credential else { return true };
        let last_change =
            self.last_change.get(mark_of(credential.tenant)).map_or(0, |mark| mark.load(Ordering::SeqCst));
        entry.loaded_at_change >= last_change
    }
}

/// The low bits of an id are random, so tenants spread evenly.
fn mark_of(tenant: TenantId) -> usize {
    (tenant.bits() % CHANGE_MARKS as u128) as usize
}

impl Identity {
    /// Who holds this token (a session's `pls_…`, an API key's `plk_…`, an application's `pla_…`), and what they may do. Answered
    /// from memory when the token was seen in the last 5 seconds; many requests with a new token at once cause one query.
    ///
    /// A key that may only be used from some addresses is refused here, for the caller's is not known.
    ///
    /// # Errors
    /// As [`Identity::authenticate_from`].
    pub async fn authenticate(&self, token: &str) -> Result<Authenticated> {
        self.authenticate_from(token, None).await
    }

    /// The same for a caller at an address.
    ///
    /// # Errors
    /// `unauthenticated` when the token is unknown, expired or revoked or its person is disabled; `forbidden` for a key that may not
    /// be used from there (`api_key_address_refused`), for a session when its tenant lets nobody in from there
    /// (`address_not_allowed`), and when its tenant is not open (`tenant_suspended`, `tenant_deleting`); `unavailable` when the database
    /// does not answer.
    pub async fn authenticate_from(&self, token: &str, address: Option<IpAddr>) -> Result<Authenticated> {
        let mut authenticated = self.authenticate_in_any_state(token, address).await?;
        authenticated.require_address()?;
        authenticated.require_open(false)?;
        Ok(authenticated)
    }

    /// The same, also for a refused address and when the tenant is suspended or to be deleted: whoever calls asks
    /// [`Authenticated::require_address`], and [`Authenticated::require_open`] with what the request is for.
    ///
    /// # Errors
    /// As [`Identity::authenticate_from`], but for the address and the tenant's state.
    pub async fn authenticate_in_any_state(&self, token: &str, address: Option<IpAddr>) -> Result<Authenticated> {
        if !tokens::is_plausible(token) {
            return Err(unknown_token());
        }
        self.authenticated(token, Fingerprint::of(token), address).await
    }

    /// The same for a token of which only the fingerprint is known; `token` then is what tokens of its kind begin with.
    pub(crate) async fn authenticated(
        &self,
        token: &str,
        fingerprint: Fingerprint,
        address: Option<IpAddr>,
    ) -> Result<Authenticated> {
        let entry = self.entry(token, fingerprint).await?;
        let credential = entry.credential.as_ref().filter(|credential| credential.usable).ok_or_else(unknown_token)?;
        // Nothing is known of a tenant that is gone, not even that it was there.
        let tenant = entry.tenant.filter(|tenant| tenant.state != TenantState::Erasing).ok_or_else(unknown_token)?;
        let now = self.inner.clock.now();
        check_time(credential, now)?;
        let address = address.map(|address| address.to_canonical());
        let refused = check_address(credential, address).err();
        if refused.is_none() {
            self.note_use(credential, now, address);
        }
        let ctx = Ctx::new(
            credential.tenant,
            credential.actor.clone(),
            credential.permissions,
            self.inner.clock.clone(),
            self.inner.random.clone(),
        )
        .with_team(credential.team)
        .with_subject(Arc::clone(&credential.subject), credential.policies);
        let ctx = match credential.person {
            Some(person) => ctx.with_access_of(person, Arc::clone(&credential.teams)),
            None => ctx,
        };
        let (ctx, session) = match credential.id {
            CredentialId::Session(session) => {
                let (at, methods) = (credential.authenticated_at, credential.methods);
                (ctx.with_authentication(Authentication { session, at, methods }), Some(session))
            }
            CredentialId::ApiKey(_) | CredentialId::TokenFamily(_) | CredentialId::Application(_) => (ctx, None),
        };
        Ok(Authenticated {
            ctx,
            role: credential.role,
            session,
            tenant_state: tenant.state,
            requests_per_minute: tenant.requests_per_minute,
            address: refused,
        })
    }

    async fn entry(&self, token: &str, fingerprint: Fingerprint) -> Result<Arc<Entry>> {
        match self.inner.credentials.cache.get(&fingerprint).await {
            Some(entry) if self.inner.credentials.is_fresh(&entry) => Ok(entry),
            // Boxed: the query's large future must not weigh on the requests that need none.
            _ => Box::pin(self.reloaded(token, fingerprint)).await,
        }
    }

    async fn reloaded(&self, token: &str, fingerprint: Fingerprint) -> Result<Arc<Entry>> {
        let credentials = &self.inner.credentials;
        for _ in 0..RELOADS_MAX {
            let load = Box::pin(self.load(token, fingerprint));
            let entry =
                credentials.cache.try_get_with(fingerprint, load).await.map_err(|error| shared_error(&error))?;
            if credentials.is_fresh(&entry) {
                return Ok(entry);
            }
            credentials.forget(&fingerprint).await;
        }
        self.load(token, fingerprint).await
    }

    async fn load(&self, token: &str, fingerprint: Fingerprint) -> Result<Arc<Entry>> {
        // Read before the query: a change that commits in between makes the entry stale.
        let loaded_at_change = self.inner.credentials.changes.load(Ordering::SeqCst);
        let mut tx = self.inner.store.read(&self.system("authenticate")).await?;
        let credential = if token.starts_with(SESSION_PREFIX) {
            store::sessions::credential(&mut tx, &fingerprint).await?
        } else if token.starts_with(ACCESS_TOKEN_PREFIX) {
            store::oauth_tokens::credential(&mut tx, &fingerprint).await?
        } else {
            store::api_keys::credential(&mut tx, &fingerprint).await?
        };
        let tenant = match &credential {
            Some(credential) => store::tenants::standing(&mut tx, credential.tenant).await?,
            None => None,
        };
        Ok(Arc::new(Entry { credential, tenant, loaded_at_change }))
    }
}

fn check_time(credential: &Credential, now: Timestamp) -> Result<()> {
    match credential.id {
        CredentialId::ApiKey(_) if credential.expires_at.is_some_and(|expires_at| now >= expires_at) => {
            Err(Error::new(Code::Unauthenticated, "api_key_expired", "the API key has expired")
                .remedy("make a new one under Settings, API keys"))
        }
        CredentialId::TokenFamily(_) | CredentialId::Application(_)
            if credential.expires_at.is_some_and(|expires_at| now >= expires_at) =>
        {
            Err(Error::new(Code::Unauthenticated, "access_token_expired", "the access token has expired")
                .remedy("get the next one with the refresh token, at /oauth/token"))
        }
        CredentialId::Session(_)
            if credential.expires_at.is_some_and(|expires_at| now >= expires_at)
                || now - credential.last_used_at.load(Ordering::Relaxed) >= credential.idle_micros =>
        {
            Err(Error::new(Code::Unauthenticated, "session_expired", "the session has ended").remedy("log in again"))
        }
        _ => Ok(()),
    }
}

/// What stands for a person is bound to where the tenant lets people in, a key to its own addresses. What does not come over the network
/// has none: a person passes, a key that is bound does not.
fn check_address(credential: &Credential, address: Option<IpAddr>) -> Result<()> {
    match credential.id {
        CredentialId::Session(_) | CredentialId::TokenFamily(_) => {
            return require_network(&credential.networks, address);
        }
        CredentialId::Application(_) => return Ok(()),
        CredentialId::ApiKey(_) if networks::allow(&credential.networks, address) => return Ok(()),
        CredentialId::ApiKey(_) => {}
    }
    let from = address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_string());
    Err(Error::new(Code::Forbidden, "api_key_address_refused", format!("this API key may not be used from {from}"))
        .remedy("use it from one of its addresses, or let an administrator add this one under Settings, API keys"))
}

fn unknown_token() -> Error {
    Error::new(Code::Unauthenticated, "invalid_token", "the session or API key is not valid (any more)")
        .remedy("log in again, or send `Authorization: Bearer plk_…` with an API key that is not revoked")
}

/// Several callers wait for one query; each gets its own copy of what went wrong.
pub(crate) fn shared_error(error: &Arc<Error>) -> Error {
    let copy = Error::new(error.code(), error.reason(), error.message()).source(Arc::clone(error));
    let copy = match error.remedy_text() {
        Some(remedy) => copy.remedy(remedy),
        None => copy,
    };
    match error.retry_after() {
        Some(milliseconds) => copy.retry_after_ms(milliseconds),
        None => copy,
    }
}
