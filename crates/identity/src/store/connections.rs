//! Connections to identity providers, and what a tenant has decided about single sign-on.

use plasma_kernel::{ConnectionId, Error, Page, PageRequest, Result, Role, TenantId, Timestamp, UserId};
use plasma_store::{Row, Tx, Value, page_key};

use crate::{Connection, Preset, SingleSignOn, sso::types::MadeRule};

/// A connection with what is not shown of it.
pub(crate) struct StoredConnection {
    pub(crate) tenant: TenantId,
    pub(crate) connection: Connection,
    /// The connection's rules with their makers.
    pub(crate) rules: Vec<MadeRule>,
    pub(crate) client_secret_sealed: Option<Vec<u8>>,
}

fn from_row(row: &Row) -> Result<StoredConnection> {
    let rules: Vec<MadeRule> = row.json("rules")?;
    let client_secret_sealed: Option<Vec<u8>> = row.get("client_secret_sealed")?;
    let scopes: String = row.get("scopes")?;
    let default_role: Option<String> = row.get("default_role")?;
    let connection = Connection {
        id: row.get("id")?,
        name: row.get("name")?,
        preset: Preset::from_text(&row.get::<String>("preset")?)?,
        account: row.get("account")?,
        issuer: row.get("issuer")?,
        client_id: row.get("client_id")?,
        has_client_secret: client_secret_sealed.is_some(),
        scopes: scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        email_verified_claim: row.get("email_verified_claim")?,
        required_claims: row.json("required_claims")?,
        domains: Vec::new(),
        rules: rules.iter().map(|made| made.rule.clone()).collect(),
        default_role: default_role.map(|role| role.parse::<Role>()).transpose()?,
        creates_users: row.get("creates_users")?,
        enabled: row.get("enabled")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        last_login_at: row.get("last_login_at")?,
    };
    Ok(StoredConnection { tenant: row.get("tenant_id")?, connection, rules, client_secret_sealed })
}

pub(crate) fn not_found(id: ConnectionId) -> Error {
    Error::not_found("connection_not_found", format!("there is no connection {id} in this workspace"))
        .remedy("GET /api/v1/connections lists the connections")
}

pub(crate) async fn get(tx: &mut Tx, id: ConnectionId) -> Result<StoredConnection> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional("SELECT * FROM sso_connections WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?;
    from_row(&row.ok_or_else(|| not_found(id))?)
}

/// Across tenants: a login begins with the connection's id alone.
pub(crate) async fn find(tx: &mut Tx, id: ConnectionId) -> Result<Option<StoredConnection>> {
    let row =
        tx.fetch_optional("SELECT * FROM sso_connections WHERE id = $1 AND tenant_id IS NOT NULL", [id.into()]).await?;
    row.as_ref().map(from_row).transpose()
}

pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<StoredConnection>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT * FROM sso_connections WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let connections = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(connections, page.limit, |stored| stored.connection.id.to_string()))
}

/// Those by which people may log in, by name.
pub(crate) async fn enabled(tx: &mut Tx) -> Result<Vec<StoredConnection>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT * FROM sso_connections WHERE tenant_id = $1 AND enabled = 1 ORDER BY name, id",
        [tenant.into()],
    )
    .await?
    .iter()
    .map(from_row)
    .collect()
}

pub(crate) async fn count(tx: &mut Tx) -> Result<i64> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS connections FROM sso_connections WHERE tenant_id = $1", [tenant.into()])
        .await?
        .get("connections")
}

/// How many others people may log in by, and have.
pub(crate) async fn count_proven(tx: &mut Tx, without: Option<ConnectionId>) -> Result<i64> {
    let tenant = tx.tenant()?;
    let without = without.map(|id| id.to_string()).unwrap_or_default();
    tx.fetch_one(
        "SELECT COUNT(*) AS connections FROM sso_connections
         WHERE tenant_id = $1 AND enabled = 1 AND last_login_at IS NOT NULL AND id <> $2",
        [tenant.into(), without.into()],
    )
    .await?
    .get("connections")
}

/// The columns that a change may write, in the order of both statements below, after tenant and id.
fn columns(stored: &StoredConnection) -> Result<[Value; 16]> {
    let StoredConnection { tenant, connection, rules, client_secret_sealed } = stored;
    Ok([
        (*tenant).into(),
        connection.id.into(),
        connection.name.as_str().into(),
        connection.preset.as_str().into(),
        connection.account.as_deref().into(),
        connection.issuer.as_str().into(),
        connection.client_id.as_str().into(),
        client_secret_sealed.clone().into(),
        connection.scopes.join(" ").into(),
        connection.email_verified_claim.as_str().into(),
        Value::json(&connection.required_claims)?,
        Value::json(rules)?,
        connection.default_role.map(Role::as_str).into(),
        connection.creates_users.into(),
        connection.enabled.into(),
        connection.updated_at.into(),
    ])
}

pub(crate) async fn insert(tx: &mut Tx, stored: &StoredConnection) -> Result<()> {
    tx.execute(
        "INSERT INTO sso_connections
           (tenant_id, id, name, preset, account, issuer, client_id, client_secret_sealed, scopes, email_verified_claim,
            required_claims, rules, default_role, creates_users, enabled, updated_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)",
        columns(stored)?,
    )
    .await
    .map(drop)
}

pub(crate) async fn update(tx: &mut Tx, stored: &StoredConnection) -> Result<()> {
    tx.execute(
        "UPDATE sso_connections SET name = $3, preset = $4, account = $5, issuer = $6, client_id = $7,
           client_secret_sealed = $8, scopes = $9, email_verified_claim = $10, required_claims = $11, rules = $12,
           default_role = $13, creates_users = $14, enabled = $15, updated_at = $16
         WHERE tenant_id = $1 AND id = $2",
        columns(stored)?,
    )
    .await
    .map(drop)
}

/// Its domains and linked accounts go with it.
pub(crate) async fn delete(tx: &mut Tx, id: ConnectionId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM sso_connections WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await
        .map(drop)
}

pub(crate) async fn note_login(tx: &mut Tx, id: ConnectionId, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE sso_connections SET last_login_at = $3 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into(), now.into()],
    )
    .await
    .map(drop)
}

/// What the tenant has decided. `tenant` is given, for the login asks before it acts for anybody.
pub(crate) async fn settings(tx: &mut Tx, tenant: TenantId) -> Result<SingleSignOn> {
    let row = tx.fetch_optional("SELECT enforced FROM sso_settings WHERE tenant_id = $1", [tenant.into()]).await?;
    let enforced = row.map(|row| row.get::<bool>("enforced")).transpose()?.unwrap_or(false);
    let break_glass = tx
        .fetch_all("SELECT user_id FROM sso_break_glass WHERE tenant_id = $1 ORDER BY user_id", [tenant.into()])
        .await?
        .iter()
        .map(|row| row.get("user_id"))
        .collect::<Result<Vec<UserId>>>()?;
    Ok(SingleSignOn { enforced, break_glass })
}

pub(crate) async fn put_settings(tx: &mut Tx, settings: &SingleSignOn) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO sso_settings (tenant_id, enforced, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO UPDATE SET enforced = excluded.enforced, updated_at = excluded.updated_at",
        [tenant.into(), settings.enforced.into(), now.into()],
    )
    .await?;
    tx.execute("DELETE FROM sso_break_glass WHERE tenant_id = $1", [tenant.into()]).await?;
    for user in &settings.break_glass {
        tx.execute("INSERT INTO sso_break_glass (tenant_id, user_id) VALUES ($1, $2)", [tenant.into(), (*user).into()])
            .await?;
    }
    Ok(())
}

/// Whether the person is an owner who may log in without a connection. `tenant` is given, as above.
pub(crate) async fn is_break_glass(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<bool> {
    let row = tx
        .fetch_optional(
            "SELECT b.user_id FROM sso_break_glass b
             JOIN memberships m ON m.tenant_id = b.tenant_id AND m.user_id = b.user_id
             WHERE b.tenant_id = $1 AND b.user_id = $2 AND m.role = 'owner'",
            [tenant.into(), user.into()],
        )
        .await?;
    Ok(row.is_some())
}
