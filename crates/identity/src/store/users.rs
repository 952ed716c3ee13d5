//! Users belong to the installation, so every statement of a tenant reaches them through its memberships.

use std::collections::HashMap;

use plasma_kernel::{Error, Page, PageRequest, Result, Timestamp, UserId};
use plasma_store::{Row, Sql, Tx, id_array, page_key};

use crate::{Tenant, User};

/// A user with what a login needs.
pub(crate) struct Account {
    pub(crate) user: User,
    pub(crate) tenant: Tenant,
    /// When the person joined the tenant.
    pub(crate) member_since: Timestamp,
    pub(crate) password_hash: String,
}

impl Account {
    /// The hash of the password; `None` for a person who has none.
    pub(crate) fn password(&self) -> Option<&str> {
        Some(self.password_hash.as_str()).filter(|hash| *hash != NO_PASSWORD)
    }
}

/// Stands in the place of the hash for a person who logs in without a password; no password has it.
pub(crate) const NO_PASSWORD: &str = "!";

/// The query for an account with a condition.
macro_rules! account_where {
    ($($condition:literal),+) => {
        concat!(
            "SELECT u.id, u.email, u.name, u.operator, m.disabled_at, m.created_at, m.last_used_at AS last_login_at,
                    u.password_hash, m.created_at AS member_since,
                    m.role, m.custom_role_id, r.name AS custom_role_name, r.permissions AS custom_role_permissions,
                    t.id AS tenant_id, t.name AS tenant_name, t.state AS tenant_state,
                    t.state_reason AS tenant_state_reason, t.plan AS tenant_plan, t.delete_at AS tenant_delete_at,
                    t.created_at AS tenant_created_at
             FROM users u JOIN memberships m ON m.user_id = u.id JOIN tenants t ON t.id = m.tenant_id
             LEFT JOIN custom_roles r ON r.tenant_id = m.tenant_id AND r.id = m.custom_role_id
             WHERE ",
            $($condition),+
        )
    };
}

/// The same, of the tenant that the person entered last.
macro_rules! account_entered_last {
    ($condition:literal) => {
        account_where!(
            $condition,
            " AND t.state <> 'erasing'
             ORDER BY CASE WHEN m.disabled_at IS NULL THEN 0 ELSE 1 END, CASE WHEN t.state = 'active' THEN 0 ELSE 1 END,
                      COALESCE(m.last_used_at, 0) DESC, m.created_at, m.tenant_id
             LIMIT 1"
        )
    };
}

fn from_row(row: &Row) -> Result<User> {
    Ok(User {
        id: row.get("id")?,
        email: row.get("email")?,
        name: row.get("name")?,
        role: row.get::<String>("role")?.parse()?,
        custom_role: super::roles::custom_of(row)?,
        disabled: row.get::<Option<i64>>("disabled_at")?.is_some(),
        operator: row.get("operator")?,
        created_at: row.get("created_at")?,
        last_login_at: row.get("last_login_at")?,
    })
}

fn account_from_row(row: &Row) -> Result<Account> {
    Ok(Account {
        user: from_row(row)?,
        tenant: super::tenants::from_joined_row(row)?,
        member_since: row.get("member_since")?,
        password_hash: row.get("password_hash")?,
    })
}

fn not_found(id: UserId) -> Error {
    Error::not_found("user_not_found", format!("there is no user {id} in this workspace"))
}

/// Across tenants: the account of the login form, in the tenant that the person entered last. One that is closed, or that they are
/// locked out of, only when there is no other.
pub(crate) async fn account_by_email(tx: &mut Tx, email: &str) -> Result<Option<Account>> {
    const BY_EMAIL: &str = account_entered_last!("u.email = $1");
    let row = tx.fetch_optional(BY_EMAIL, [email.into()]).await?;
    row.as_ref().map(account_from_row).transpose()
}

/// Across tenants: the same for a person who is known by a passkey or a link.
pub(crate) async fn account_by_id(tx: &mut Tx, id: UserId) -> Result<Option<Account>> {
    const BY_ID: &str = account_entered_last!("u.id = $1");
    let row = tx.fetch_optional(BY_ID, [id.into()]).await?;
    row.as_ref().map(account_from_row).transpose()
}

pub(crate) async fn account(tx: &mut Tx, id: UserId) -> Result<Account> {
    const IN_TENANT: &str = account_where!("m.tenant_id = $1 AND m.user_id = $2");
    let tenant = tx.tenant()?;
    let row = tx.fetch_optional(IN_TENANT, [tenant.into(), id.into()]).await?;
    account_from_row(&row.ok_or_else(|| not_found(id))?)
}

pub(crate) async fn get(tx: &mut Tx, id: UserId) -> Result<User> {
    Ok(account(tx, id).await?.user)
}

pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<User>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT u.id, u.email, u.name, u.operator, m.disabled_at, m.created_at,
                    m.last_used_at AS last_login_at,
                    m.role, m.custom_role_id, r.name AS custom_role_name, r.permissions AS custom_role_permissions
             FROM memberships m JOIN users u ON u.id = m.user_id
             LEFT JOIN custom_roles r ON r.tenant_id = m.tenant_id AND r.id = m.custom_role_id
             WHERE m.tenant_id = $1 AND m.user_id < $2 ORDER BY m.user_id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let users = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(users, page.limit, |user| user.id.to_string()))
}

pub(crate) async fn count(tx: &mut Tx) -> Result<i64> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS users FROM memberships WHERE tenant_id = $1", [tenant.into()]).await?.get("users")
}

/// Across tenants: whether anybody has this e-mail.
pub(crate) async fn exists(tx: &mut Tx, email: &str) -> Result<bool> {
    Ok(tx.fetch_optional("SELECT 1 AS found FROM users WHERE email = $1", [email.into()]).await?.is_some())
}

/// Whether somebody with this e-mail is in the transaction's tenant, also if they are locked out.
pub(crate) async fn is_member(tx: &mut Tx, email: &str) -> Result<bool> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT 1 AS found FROM memberships m JOIN users u ON u.id = m.user_id
             WHERE m.tenant_id = $1 AND u.email = $2",
            [tenant.into(), email.into()],
        )
        .await?;
    Ok(row.is_some())
}

/// The person and the membership in the transaction's tenant.
pub(crate) async fn insert(tx: &mut Tx, user: &User, password_hash: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO users (id, email, name, password_hash, operator, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        [
            user.id.into(),
            user.email.as_str().into(),
            user.name.as_str().into(),
            password_hash.into(),
            user.operator.into(),
            user.created_at.into(),
        ],
    )
    .await?;
    super::memberships::insert(tx, user.id, user.role, user.custom_role.as_ref().map(|role| role.id)).await
}

/// Writes the name, and the roles in this tenant and whether the person is locked out of it.
pub(crate) async fn update(tx: &mut Tx, user: &User) -> Result<()> {
    let tenant = tx.tenant()?;
    let disabled_at = user.disabled.then(|| tx.ctx().now());
    tx.execute(
        "UPDATE users SET name = $3
         WHERE id = $2 AND EXISTS (SELECT 1 FROM memberships m WHERE m.tenant_id = $1 AND m.user_id = $2)",
        [tenant.into(), user.id.into(), user.name.as_str().into()],
    )
    .await?;
    tx.execute(
        "UPDATE memberships SET role = $3, custom_role_id = $5,
                disabled_at = CASE WHEN $4 IS NULL THEN NULL ELSE COALESCE(disabled_at, $4) END
         WHERE tenant_id = $1 AND user_id = $2",
        [
            tenant.into(),
            user.id.into(),
            user.role.as_str().into(),
            disabled_at.into(),
            user.custom_role.as_ref().map(|role| role.id).into(),
        ],
    )
    .await?;
    Ok(())
}

/// False when the password is no longer `old_hash`.
pub(crate) async fn set_password(tx: &mut Tx, id: UserId, old_hash: &str, new_hash: &str) -> Result<bool> {
    let tenant = tx.tenant()?;
    let changed = tx
        .execute(
            "UPDATE users SET password_hash = $4 WHERE id = $2 AND password_hash = $3
               AND EXISTS (SELECT 1 FROM memberships m WHERE m.tenant_id = $1 AND m.user_id = $2)",
            [tenant.into(), id.into(), old_hash.into(), new_hash.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Replaces the password whatever it was: its owner has proved who they are by mail.
pub(crate) async fn reset_password(tx: &mut Tx, id: UserId, new_hash: &str) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE users SET password_hash = $3
         WHERE id = $2 AND EXISTS (SELECT 1 FROM memberships m WHERE m.tenant_id = $1 AND m.user_id = $2)",
        [tenant.into(), id.into(), new_hash.into()],
    )
    .await?;
    Ok(())
}

/// False when the password is no longer `hash`. Until the transaction ends it cannot change.
pub(crate) async fn hold_password(tx: &mut Tx, id: UserId, hash: &str) -> Result<bool> {
    let held = tx
        .execute(
            "UPDATE users SET password_hash = password_hash WHERE id = $1 AND password_hash = $2",
            [id.into(), hash.into()],
        )
        .await?;
    Ok(held > 0)
}

/// Notes a login into the transaction's tenant. False when the user was disabled or removed from it.
pub(crate) async fn note_login(tx: &mut Tx, id: UserId, now: Timestamp) -> Result<bool> {
    let tenant = tx.tenant()?;
    let changed = tx
        .execute(
            "UPDATE users SET last_login_at = $3
             WHERE id = $2 AND EXISTS (SELECT 1 FROM memberships m
                                       WHERE m.tenant_id = $1 AND m.user_id = $2 AND m.disabled_at IS NULL)",
            [tenant.into(), id.into(), now.into()],
        )
        .await?;
    if changed > 0 {
        super::memberships::note_use(tx, id).await?;
    }
    Ok(changed > 0)
}

/// Across tenants: in how many the person is.
pub(crate) async fn count_tenants(tx: &mut Tx, id: UserId) -> Result<i64> {
    tx.fetch_one("SELECT COUNT(DISTINCT tenant_id) AS tenants FROM memberships WHERE user_id = $1", [id.into()])
        .await?
        .get("tenants")
}

pub(crate) async fn count_other_enabled_owners(tx: &mut Tx, without: UserId) -> Result<i64> {
    let tenant = tx.tenant()?;
    tx.fetch_one(
        "SELECT COUNT(*) AS owners FROM memberships m
         WHERE m.tenant_id = $1 AND m.role = 'owner' AND m.disabled_at IS NULL AND m.user_id <> $2",
        [tenant.into(), without.into()],
    )
    .await?
    .get("owners")
}

/// Owners who are not disabled, the first ones first.
pub(crate) async fn enabled_owners(tx: &mut Tx, limit: i64) -> Result<Vec<User>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT u.id, u.email, u.name, u.operator, m.disabled_at, m.created_at, m.last_used_at AS last_login_at,
                m.role, m.custom_role_id, NULL AS custom_role_name, NULL AS custom_role_permissions
         FROM memberships m JOIN users u ON u.id = m.user_id
         WHERE m.tenant_id = $1 AND m.role = 'owner' AND m.disabled_at IS NULL ORDER BY m.user_id LIMIT $2",
        [tenant.into(), limit.into()],
    )
    .await?
    .iter()
    .map(from_row)
    .collect()
}

/// The names of people of the tenant, of those who are still there.
pub(crate) async fn names(tx: &mut Tx, ids: &[UserId]) -> Result<HashMap<UserId, String>> {
    const NAMES: Sql = Sql::each(
        "SELECT u.id, u.name FROM memberships m JOIN users u ON u.id = m.user_id
         WHERE m.tenant_id = $1 AND m.user_id IN (SELECT value FROM json_each($2))",
        "SELECT u.id, u.name FROM memberships m JOIN users u ON u.id = m.user_id
         WHERE m.tenant_id = $1 AND m.user_id IN (SELECT jsonb_array_elements_text($2::jsonb))",
    );
    let tenant = tx.tenant()?;
    let rows = tx.fetch_all(NAMES, [tenant.into(), id_array(ids.iter().copied())]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("name")?))).collect()
}

pub(crate) async fn delete_membership(tx: &mut Tx, id: UserId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM memberships WHERE tenant_id = $1 AND user_id = $2", [tenant.into(), id.into()]).await?;
    Ok(())
}

/// Across tenants: a tenant's transaction sees only its own memberships.
pub(crate) async fn delete_without_membership(tx: &mut Tx, email: &str) -> Result<()> {
    tx.execute(
        "DELETE FROM users WHERE email = $1 AND NOT EXISTS (SELECT 1 FROM memberships m WHERE m.user_id = users.id)",
        [email.into()],
    )
    .await?;
    Ok(())
}
