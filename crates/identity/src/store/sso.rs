//! Logins at identity providers: those that were begun, who is who, and which of our sessions belong to theirs.

use plasma_kernel::{
    ConnectionId, Error, Page, PageRequest, Permission, Permissions, Result, Role, RoleId, SessionId, TeamId, TenantId,
    Timestamp, UserId,
};
use plasma_store::{Tx, page_key};

use crate::{LinkedPerson, tokens::Fingerprint};

/// A login that was begun.
pub(crate) struct BegunLogin {
    pub(crate) tenant: TenantId,
    pub(crate) connection: ConnectionId,
    /// SHA-256 of the browser's cookie.
    pub(crate) browser: Vec<u8>,
    pub(crate) redirect_uri: String,
    pub(crate) next: String,
    /// The person who links an account to their own.
    pub(crate) link: Option<UserId>,
    pub(crate) expires_at: Timestamp,
}

pub(crate) async fn begin(tx: &mut Tx, state: &Fingerprint, login: &BegunLogin) -> Result<()> {
    tx.execute(
        "INSERT INTO sso_logins
           (tenant_id, state_hash, connection_id, browser_hash, redirect_uri, next_path, link_user_id, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            login.tenant.into(),
            state.as_bytes().into(),
            login.connection.into(),
            login.browser.as_slice().into(),
            login.redirect_uri.as_str().into(),
            login.next.as_str().into(),
            login.link.into(),
            login.expires_at.into(),
        ],
    )
    .await
    .map(drop)
}

/// Across tenants: takes the login that the state names away, so that nobody else can.
pub(crate) async fn take(tx: &mut Tx, state: &Fingerprint) -> Result<Option<BegunLogin>> {
    let row = tx
        .fetch_optional(
            "DELETE FROM sso_logins WHERE state_hash = $1
             RETURNING tenant_id, connection_id, browser_hash, redirect_uri, next_path, link_user_id, expires_at",
            [state.as_bytes().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(BegunLogin {
        tenant: row.get("tenant_id")?,
        connection: row.get("connection_id")?,
        browser: row.get("browser_hash")?,
        redirect_uri: row.get("redirect_uri")?,
        next: row.get("next_path")?,
        link: row.get("link_user_id")?,
        expires_at: row.get("expires_at")?,
    }))
}

/// Removes the logins of the tenant that never came back, and says how many are open.
pub(crate) async fn count_open(tx: &mut Tx, now: Timestamp) -> Result<i64> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM sso_logins WHERE tenant_id = $1 AND expires_at <= $2", [tenant.into(), now.into()]).await?;
    tx.fetch_one("SELECT COUNT(*) AS logins FROM sso_logins WHERE tenant_id = $1", [tenant.into()]).await?.get("logins")
}

/// A person as the provider names them.
pub(crate) struct Identified<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) email: Option<&'a str>,
}

/// Whose account at the provider it is.
pub(crate) async fn person(tx: &mut Tx, issuer: &str, subject: &str) -> Result<Option<UserId>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT user_id FROM sso_identities WHERE tenant_id = $1 AND issuer = $2 AND subject = $3",
            [tenant.into(), issuer.into(), subject.into()],
        )
        .await?;
    row.map(|row| row.get("user_id")).transpose()
}

pub(crate) async fn link(tx: &mut Tx, who: &Identified<'_>, user: UserId, connection: ConnectionId) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO sso_identities (tenant_id, issuer, subject, user_id, connection_id, email, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            tenant.into(),
            who.issuer.into(),
            who.subject.into(),
            user.into(),
            connection.into(),
            who.email.into(),
            now.into(),
        ],
    )
    .await
    .map(drop)
}

pub(crate) async fn note_use(tx: &mut Tx, who: &Identified<'_>) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "UPDATE sso_identities SET last_login_at = $4, email = COALESCE($5, email)
         WHERE tenant_id = $1 AND issuer = $2 AND subject = $3",
        [tenant.into(), who.issuer.into(), who.subject.into(), now.into(), who.email.into()],
    )
    .await
    .map(drop)
}

/// A person's account at a connection's provider.
pub(crate) struct Account {
    pub(crate) connection: ConnectionId,
    pub(crate) email: Option<String>,
    pub(crate) linked_at: Timestamp,
    pub(crate) last_login_at: Option<Timestamp>,
}

pub(crate) async fn accounts(tx: &mut Tx, user: UserId) -> Result<Vec<Account>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT connection_id, email, created_at, last_login_at FROM sso_identities WHERE tenant_id = $1 AND user_id = $2",
        [tenant.into(), user.into()],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(Account {
            connection: row.get("connection_id")?,
            email: row.get("email")?,
            linked_at: row.get("created_at")?,
            last_login_at: row.get("last_login_at")?,
        })
    })
    .collect()
}

/// The subject of the account that was unlinked; `None` when there was none.
pub(crate) async fn unlink(tx: &mut Tx, user: UserId, connection: ConnectionId) -> Result<Option<String>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "DELETE FROM sso_identities WHERE tenant_id = $1 AND user_id = $2 AND connection_id = $3 RETURNING subject",
            [tenant.into(), user.into(), connection.into()],
        )
        .await?;
    row.map(|row| row.get("subject")).transpose()
}

/// Who has linked an account at the connection, newest people first.
pub(crate) async fn people(tx: &mut Tx, connection: ConnectionId, page: &PageRequest) -> Result<Page<LinkedPerson>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT i.user_id, i.email, i.created_at, i.last_login_at, u.name
             FROM sso_identities i JOIN users u ON u.id = i.user_id
             WHERE i.tenant_id = $1 AND i.connection_id = $2 AND i.user_id < $3 ORDER BY i.user_id DESC LIMIT $4",
            [tenant.into(), connection.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let people = rows
        .iter()
        .map(|row| {
            Ok(LinkedPerson {
                user: row.get("user_id")?,
                name: row.get("name")?,
                email: row.get("email")?,
                linked_at: row.get("created_at")?,
                last_login_at: row.get("last_login_at")?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(people, page.limit, |person| person.user.to_string()))
}

/// Somebody of the installation, as seen from one tenant.
pub(crate) struct Known {
    pub(crate) user: UserId,
    pub(crate) operator: bool,
    pub(crate) is_member: bool,
    pub(crate) is_elsewhere: bool,
}

/// Across tenants: who has this e-mail.
pub(crate) async fn known(tx: &mut Tx, tenant: TenantId, email: &str) -> Result<Option<Known>> {
    let row = tx
        .fetch_optional(
            "SELECT u.id, u.operator,
               (SELECT COUNT(*) FROM memberships m WHERE m.user_id = u.id AND m.tenant_id = $1) AS here,
               (SELECT COUNT(*) FROM memberships m WHERE m.user_id = u.id AND m.tenant_id <> $1) AS elsewhere
             FROM users u WHERE u.email = $2",
            [tenant.into(), email.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Known {
        user: row.get("id")?,
        operator: row.get("operator")?,
        is_member: row.get::<i64>("here")? > 0,
        is_elsewhere: row.get::<i64>("elsewhere")? > 0,
    }))
}

/// Gives a member a role: a built-in one, or the tenant's own with the nearest built-in one below it.
pub(crate) async fn give_role(tx: &mut Tx, user: UserId, role: Role, custom: Option<RoleId>) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE memberships SET role = $3, custom_role_id = $4 WHERE tenant_id = $1 AND user_id = $2",
        [tenant.into(), user.into(), role.as_str().into(), custom.map(|id| id.to_string()).into()],
    )
    .await
    .map(drop)
}

/// The member's role of the tenant's own, if they have one.
pub(crate) async fn custom_role_of(tx: &mut Tx, user: UserId) -> Result<Option<RoleId>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT custom_role_id FROM memberships WHERE tenant_id = $1 AND user_id = $2",
            [tenant.into(), user.into()],
        )
        .await?;
    let id = row.map(|row| row.get::<Option<String>>("custom_role_id")).transpose()?.flatten();
    id.map(|id| id.parse::<RoleId>().map_err(|error| Error::from_source("a stored role has a wrong id", error)))
        .transpose()
}

/// The teams into which rules have put the person by this connection.
pub(crate) async fn mapped_teams(tx: &mut Tx, user: UserId, connection: ConnectionId) -> Result<Vec<TeamId>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT team_id FROM sso_team_members WHERE tenant_id = $1 AND user_id = $2 AND connection_id = $3",
        [tenant.into(), user.into(), connection.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("team_id"))
    .collect()
}

/// Notes that a rule has put the person, a member by now, into the team.
pub(crate) async fn note_mapped_team(tx: &mut Tx, user: UserId, team: TeamId, connection: ConnectionId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO sso_team_members (tenant_id, team_id, user_id, connection_id) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, team_id, user_id) DO NOTHING",
        [tenant.into(), team.into(), user.into(), connection.into()],
    )
    .await
    .map(drop)
}

/// How one of our sessions came about.
pub(crate) struct ProviderSession<'a> {
    pub(crate) session: SessionId,
    pub(crate) connection: ConnectionId,
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) provider_session: Option<&'a str>,
    pub(crate) id_token_sealed: Option<Vec<u8>>,
}

pub(crate) async fn note_session(tx: &mut Tx, session: ProviderSession<'_>) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO sso_sessions
           (tenant_id, session_id, connection_id, issuer, subject, provider_session, id_token_sealed)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            tenant.into(),
            session.session.into(),
            session.connection.into(),
            session.issuer.into(),
            session.subject.into(),
            session.provider_session.into(),
            session.id_token_sealed.into(),
        ],
    )
    .await
    .map(drop)
}

/// By which connection the session began, and the sealed hint for logging out there.
pub(crate) async fn origin_of_session(
    tx: &mut Tx,
    session: SessionId,
) -> Result<Option<(ConnectionId, Option<Vec<u8>>)>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT connection_id, id_token_sealed FROM sso_sessions WHERE tenant_id = $1 AND session_id = $2",
            [tenant.into(), session.into()],
        )
        .await?;
    row.map(|row| Ok((row.get("connection_id")?, row.get("id_token_sealed")?))).transpose()
}

/// Ends the sessions that began at the provider's session, or all of the person's that began at the connection.
pub(crate) async fn end_sessions_at_provider(
    tx: &mut Tx,
    connection: ConnectionId,
    provider_session: Option<&str>,
    subject: Option<&str>,
) -> Result<Vec<SessionId>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "DELETE FROM sessions WHERE tenant_id = $1 AND id IN
           (SELECT session_id FROM sso_sessions WHERE tenant_id = $1 AND connection_id = $2
              AND ($3 IS NULL OR provider_session = $3) AND ($4 IS NULL OR subject = $4))
         RETURNING id",
        [tenant.into(), connection.into(), provider_session.into(), subject.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("id"))
    .collect()
}

/// Ends every session that began at the connection.
pub(crate) async fn end_sessions_of_connection(tx: &mut Tx, connection: ConnectionId) -> Result<Vec<SessionId>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "DELETE FROM sessions WHERE tenant_id = $1 AND id IN
           (SELECT session_id FROM sso_sessions WHERE tenant_id = $1 AND connection_id = $2) RETURNING id",
        [tenant.into(), connection.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("id"))
    .collect()
}

/// Ends every session of the tenant that began at no provider, but those of break-glass owners and the one with this id.
pub(crate) async fn end_other_sessions(tx: &mut Tx, keep: Option<SessionId>) -> Result<Vec<SessionId>> {
    let tenant = tx.tenant()?;
    let keep = keep.map(|id| id.to_string()).unwrap_or_default();
    tx.fetch_all(
        "DELETE FROM sessions WHERE tenant_id = $1 AND id <> $2
           AND id NOT IN (SELECT session_id FROM sso_sessions WHERE tenant_id = $1)
           AND user_id NOT IN (SELECT user_id FROM sso_break_glass WHERE tenant_id = $1)
         RETURNING id",
        [tenant.into(), keep.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("id"))
    .collect()
}

/// False when a logout token with this id was obeyed already. Forgets those that cannot come again.
pub(crate) async fn note_logout_token(
    tx: &mut Tx,
    connection: ConnectionId,
    token: &Fingerprint,
    expires_at: Timestamp,
) -> Result<bool> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute("DELETE FROM sso_logout_tokens WHERE tenant_id = $1 AND expires_at <= $2", [tenant.into(), now.into()])
        .await?;
    let inserted = tx
        .execute(
            "INSERT INTO sso_logout_tokens (tenant_id, connection_id, token_hash, expires_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant_id, connection_id, token_hash) DO NOTHING",
            [tenant.into(), connection.into(), token.as_bytes().into(), expires_at.into()],
        )
        .await?;
    Ok(inserted > 0)
}

/// What a role of the tenant's own allows; `None` when there is no such role.
pub(crate) async fn custom_role(tx: &mut Tx, id: RoleId) -> Result<Option<Permissions>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT permissions FROM custom_roles WHERE tenant_id = $1 AND id = $2",
            [tenant.into(), id.to_string().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    // A permission that this version does not know grants nothing.
    let words: String = row.get("permissions")?;
    Ok(Some(words.split(' ').filter_map(|word| word.parse::<Permission>().ok()).collect()))
}
