use std::sync::{Arc, atomic::AtomicI64};

use plasma_kernel::{
    Actor, Error, Methods, Origin, Page, PageRequest, Permissions, Result, Role, SessionId, Subject, TenantId,
    Timestamp, UserId,
};
use plasma_store::{Row, Tx, page_key};

use crate::{
    Session,
    authentication::{Credential, CredentialId},
    last_used::WRITTEN_EVERY_MICROS,
    login_policy,
    tokens::Fingerprint,
    types::{CustomRole, held},
};

/// Sessions of one user that are kept; the oldest end when there are more.
const SESSIONS_MAX: i64 = 50;
/// For how long a token goes on after a proof has replaced it, for requests that were on their way.
const PREVIOUS_TOKEN_MICROS: i64 = 10 * 1_000_000;

/// A session that begins.
pub(crate) struct NewSession<'a> {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) token: Fingerprint,
    pub(crate) methods: Methods,
    pub(crate) expires_at: Timestamp,
    pub(crate) idle_micros: i64,
    pub(crate) origin: &'a Origin,
}

/// What a proof for a dangerous action needs to know of its session.
pub(crate) struct OpenSession {
    pub(crate) methods: Methods,
    pub(crate) expires_at: Timestamp,
}

fn from_row(row: &Row) -> Result<Session> {
    let last_used_at: Timestamp = row.get("last_used_at")?;
    let idle_ends_at = last_used_at.saturating_add(row.get("idle_micros")?);
    Ok(Session {
        id: row.get("id")?,
        user: row.get("user_id")?,
        user_name: row.get("name")?,
        user_email: row.get("email")?,
        address: row.get("address")?,
        user_agent: row.get("user_agent")?,
        methods: Methods::from_text(&row.get::<String>("methods")?),
        authenticated_at: row.get("authenticated_at")?,
        created_at: row.get("created_at")?,
        last_used_at,
        expires_at: row.get::<Timestamp>("expires_at")?.min(idle_ends_at),
    })
}

pub(crate) fn not_found(id: SessionId) -> Error {
    Error::not_found("session_not_found", format!("there is no session {id}"))
}

/// Across tenants: what the session with this token is good for. `None` when there is none or its person left.
pub(crate) async fn credential(tx: &mut Tx, token: &Fingerprint) -> Result<Option<Credential>> {
    let row = tx
        .fetch_optional(
            "SELECT s.tenant_id, s.id, s.user_id, s.token_hash, s.previous_until, s.expires_at, s.last_used_at, s.methods,
                    s.authenticated_at, s.idle_micros, m.role, u.operator, m.disabled_at, u.email, t.team_id,
                    m.custom_role_id, r.name AS custom_role_name, r.permissions AS custom_role_permissions,
                    p.revision AS policies, l.ip_ranges
             FROM sessions s JOIN memberships m ON m.tenant_id = s.tenant_id AND m.user_id = s.user_id
             JOIN users u ON u.id = s.user_id
             LEFT JOIN custom_roles r ON r.tenant_id = m.tenant_id AND r.id = m.custom_role_id
             LEFT JOIN access_policy_sets p ON p.tenant_id = s.tenant_id AND p.enabled > 0
             LEFT JOIN team_members t ON t.tenant_id = s.tenant_id AND t.user_id = s.user_id AND t.is_default = 1
             LEFT JOIN login_policies l ON l.tenant_id = s.tenant_id
             WHERE s.token_hash = $1 OR s.previous_token_hash = $1",
            [token.as_bytes().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let role: Role = row.get::<String>("role")?.parse()?;
    let custom = super::roles::custom_of(&row)?;
    let permissions = held(role, custom.as_ref(), row.get("operator")?);
    let (tenant, person): (TenantId, UserId) = (row.get("tenant_id")?, row.get("user_id")?);
    let subject = subject(&row, role, custom.as_ref(), permissions)?;
    let mut expires_at: Timestamp = row.get("expires_at")?;
    let mut authenticated_at: Timestamp = row.get("authenticated_at")?;
    if row.get::<Vec<u8>>("token_hash")? != token.as_bytes() {
        // The token before the last proof: it ends soon, and is no proof itself.
        expires_at = expires_at.min(row.get::<Option<Timestamp>>("previous_until")?.unwrap_or(0));
        authenticated_at = 0;
    }
    Ok(Some(Credential {
        id: CredentialId::Session(row.get("id")?),
        tenant,
        actor: Actor::User { id: person },
        role,
        permissions,
        subject,
        policies: row.get::<Option<u64>>("policies")?.unwrap_or(0),
        team: row.get("team_id")?,
        person: Some(person),
        teams: super::teams::of_person(tx, tenant, person).await?,
        usable: row.get::<Option<i64>>("disabled_at")?.is_none(),
        expires_at: Some(expires_at),
        idle_micros: row.get("idle_micros")?,
        last_used_at: AtomicI64::new(row.get("last_used_at")?),
        authenticated_at,
        methods: Methods::from_text(&row.get::<String>("methods")?),
        networks: login_policy::stored_networks(row.optional_json("ip_ranges")?),
    }))
}

/// What policies may ask about who acts, of a row with the column `email`.
pub(crate) fn subject(
    row: &Row,
    role: Role,
    custom: Option<&CustomRole>,
    granted: Permissions,
) -> Result<Arc<Subject>> {
    let email = row.get::<String>("email")?;
    Ok(Arc::new(Subject {
        role: custom.map_or_else(|| role.to_string(), |custom| custom.id.to_string()),
        email_domain: email.rsplit_once('@').map_or_else(String::new, |(_, domain)| domain.to_owned()),
        granted,
    }))
}

pub(crate) async fn insert(tx: &mut Tx, session: &NewSession<'_>) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO sessions (tenant_id, id, user_id, token_hash, created_at, expires_at, last_used_at, methods,
                               authenticated_at, idle_micros, address, user_agent)
         VALUES ($1, $2, $3, $4, $5, $6, $5, $7, $5, $8, $9, $10)",
        [
            tenant.into(),
            session.id.into(),
            session.user.into(),
            session.token.as_bytes().into(),
            now.into(),
            session.expires_at.into(),
            session.methods.to_text().into(),
            session.idle_micros.into(),
            session.origin.address.map(|address| address.to_canonical().to_string()).into(),
            session.origin.user_agent.as_deref().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Across tenants. The condition also keeps several processes to one write a minute.
pub(crate) async fn note_use(tx: &mut Tx, tenant: TenantId, id: SessionId, used_at: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE sessions SET last_used_at = $3 WHERE tenant_id = $1 AND id = $2 AND last_used_at <= $4",
        [tenant.into(), id.into(), used_at.into(), (used_at - WRITTEN_EVERY_MICROS).into()],
    )
    .await?;
    Ok(())
}

pub(crate) async fn get(tx: &mut Tx, id: SessionId) -> Result<OpenSession> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT methods, expires_at FROM sessions WHERE tenant_id = $1 AND id = $2",
            [tenant.into(), id.into()],
        )
        .await?
        .ok_or_else(|| not_found(id))?;
    Ok(OpenSession { methods: Methods::from_text(&row.get::<String>("methods")?), expires_at: row.get("expires_at")? })
}

/// A proof replaces the token. The session keeps its id.
pub(crate) async fn step_up(tx: &mut Tx, id: SessionId, token: &Fingerprint, methods: Methods) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let changed = tx
        .execute(
            "UPDATE sessions SET previous_token_hash = token_hash, previous_until = $6, token_hash = $3, methods = $4,
                                 authenticated_at = $5
             WHERE tenant_id = $1 AND id = $2",
            [
                tenant.into(),
                id.into(),
                token.as_bytes().into(),
                methods.to_text().into(),
                now.into(),
                (now + PREVIOUS_TOKEN_MICROS).into(),
            ],
        )
        .await?;
    if changed > 0 { Ok(()) } else { Err(not_found(id)) }
}

/// The tenant's sessions that have not ended, the newest first: those of `user`, or everybody's.
pub(crate) async fn page(tx: &mut Tx, user: Option<UserId>, page: &PageRequest) -> Result<Page<Session>> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let rows = tx
        .fetch_all(
            "SELECT s.*, u.name, u.email FROM sessions s JOIN users u ON u.id = s.user_id
             WHERE s.tenant_id = $1 AND s.id < $2 AND ($3 IS NULL OR s.user_id = $3)
               AND s.expires_at > $4 AND s.last_used_at + s.idle_micros > $4
             ORDER BY s.id DESC LIMIT $5",
            [
                tenant.into(),
                page_key(page.cursor.as_deref()).into(),
                user.into(),
                now.into(),
                page.fetch_limit().into(),
            ],
        )
        .await?;
    let sessions = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(sessions, page.limit, |session| session.id.to_string()))
}

/// Whose session it is.
pub(crate) async fn owner(tx: &mut Tx, id: SessionId) -> Result<UserId> {
    let tenant = tx.tenant()?;
    tx.fetch_optional("SELECT user_id FROM sessions WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?
        .ok_or_else(|| not_found(id))?
        .get("user_id")
}

/// False when the user has no such session.
pub(crate) async fn delete(tx: &mut Tx, user: UserId, id: SessionId) -> Result<bool> {
    let tenant = tx.tenant()?;
    let deleted = tx
        .execute(
            "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3",
            [tenant.into(), user.into(), id.into()],
        )
        .await?;
    Ok(deleted > 0)
}

pub(crate) async fn delete_by_token(tx: &mut Tx, user: UserId, token: &Fingerprint) -> Result<Option<SessionId>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND (token_hash = $3 OR previous_token_hash = $3)
             RETURNING id",
            [tenant.into(), user.into(), token.as_bytes().into()],
        )
        .await?;
    row.map(|row| row.get("id")).transpose()
}

/// Deletes the user's sessions in the transaction's tenant but `keep`, and returns them.
pub(crate) async fn delete_others(tx: &mut Tx, user: UserId, keep: Option<SessionId>) -> Result<Vec<SessionId>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND ($3 IS NULL OR id <> $3) RETURNING id",
        [tenant.into(), user.into(), keep.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("id"))
    .collect()
}

/// Deletes the user's sessions in every other tenant: a proof of theirs changed, which they share. Needs a system's
/// transaction. Returns the tenants that had one.
pub(crate) async fn delete_elsewhere(tx: &mut Tx, user: UserId, tenant: TenantId) -> Result<Vec<TenantId>> {
    tx.fetch_all(
        "DELETE FROM sessions WHERE tenant_id <> $1 AND user_id = $2 RETURNING tenant_id",
        [tenant.into(), user.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("tenant_id"))
    .collect()
}

/// Notes when the session's person proved last who they are: longer ago than when it began.
pub(crate) async fn set_authenticated_at(tx: &mut Tx, id: SessionId, at: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE sessions SET authenticated_at = $3 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into(), at.into()],
    )
    .await?;
    Ok(())
}

/// Deletes the user's sessions that ended, and the oldest ones, to make room for a new one.
pub(crate) async fn delete_ended(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2
           AND (expires_at <= $3 OR last_used_at + idle_micros <= $3
             OR id NOT IN (SELECT id FROM sessions WHERE tenant_id = $1 AND user_id = $2 ORDER BY id DESC LIMIT $4))",
        [tenant.into(), user.into(), now.into(), (SESSIONS_MAX - 1).into()],
    )
    .await?;
    Ok(())
}

/// No session of the tenant lasts longer than this.
pub(crate) async fn shorten(tx: &mut Tx, session_micros: i64, idle_micros: i64) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE sessions SET idle_micros = $3,
                expires_at = CASE WHEN created_at + $2 < expires_at THEN created_at + $2 ELSE expires_at END
         WHERE tenant_id = $1",
        [tenant.into(), session_micros.into(), idle_micros.into()],
    )
    .await?;
    Ok(())
}

/// In which ways the tenant's sessions began: a handful of texts.
pub(crate) async fn distinct_methods(tx: &mut Tx) -> Result<Vec<String>> {
    let tenant = tx.tenant()?;
    tx.fetch_all("SELECT DISTINCT methods FROM sessions WHERE tenant_id = $1 LIMIT 100", [tenant.into()])
        .await?
        .iter()
        .map(|row| row.get("methods"))
        .collect()
}

/// Deletes the tenant's sessions that began in this way but `keep`, and returns them.
pub(crate) async fn delete_by_methods(tx: &mut Tx, methods: &str, keep: Option<SessionId>) -> Result<Vec<SessionId>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "DELETE FROM sessions WHERE tenant_id = $1 AND methods = $2 AND ($3 IS NULL OR id <> $3) RETURNING id",
        [tenant.into(), methods.into(), keep.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("id"))
    .collect()
}

/// Lets the tenant's sessions that began in this way but `keep` end at `ends_at`, if they would last longer.
pub(crate) async fn end_by_methods(
    tx: &mut Tx,
    methods: &str,
    ends_at: Timestamp,
    keep: Option<SessionId>,
) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE sessions SET expires_at = $3
         WHERE tenant_id = $1 AND methods = $2 AND expires_at > $3 AND ($4 IS NULL OR id <> $4)",
        [tenant.into(), methods.into(), ends_at.into(), keep.into()],
    )
    .await?;
    Ok(())
}
