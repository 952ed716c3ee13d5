//! What people allowed applications.

use plasma_kernel::{ApplicationId, Error, GrantId, Page, PageRequest, Result, Timestamp, UserId};
use plasma_store::{Row, Tx, page_key};

use crate::oauth::{Grant, Scopes};

/// What is remembered of an earlier decision.
pub(crate) struct Remembered {
    pub(crate) id: GrantId,
    pub(crate) scopes: Scopes,
    pub(crate) updated_at: Timestamp,
}

/// A person as far as tokens depend on them.
pub(crate) struct Standing {
    pub(crate) name: String,
    pub(crate) email: String,
    /// Neither disabled nor in a workspace that is suspended or being deleted.
    pub(crate) active: bool,
}

/// The state of a workspace whose members' and applications' tokens work.
const ACTIVE: &str = "active";

fn grant_not_found(id: GrantId) -> Error {
    Error::not_found("grant_not_found", format!("you have allowed nothing under {id}"))
}

/// `None` when the person is not in the tenant (any more).
pub(crate) async fn standing(tx: &mut Tx, user: UserId) -> Result<Option<Standing>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT u.name, u.email, m.disabled_at, t.state AS tenant_state
             FROM memberships m JOIN users u ON u.id = m.user_id JOIN tenants t ON t.id = m.tenant_id
             WHERE m.tenant_id = $1 AND m.user_id = $2",
            [tenant.into(), user.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let is_enabled = row.get::<Option<i64>>("disabled_at")?.is_none();
    let active = is_enabled && row.get::<String>("tenant_state")? == ACTIVE;
    Ok(Some(Standing { name: row.get("name")?, email: row.get("email")?, active }))
}

/// Whether the transaction's tenant is neither suspended nor being deleted.
pub(crate) async fn is_tenant_active(tx: &mut Tx) -> Result<bool> {
    let tenant = tx.tenant()?;
    let row = tx.fetch_optional("SELECT state FROM tenants WHERE id = $1", [tenant.into()]).await?;
    row.map_or(Ok(false), |row| Ok(row.get::<String>("state")? == ACTIVE))
}

pub(crate) async fn remembered(tx: &mut Tx, user: UserId, application: ApplicationId) -> Result<Option<Remembered>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT id, scopes, updated_at FROM oauth_grants
             WHERE tenant_id = $1 AND user_id = $2 AND application_id = $3",
            [tenant.into(), user.into(), application.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Remembered {
        id: row.get("id")?,
        scopes: Scopes::from_stored(&row.get::<String>("scopes")?),
        updated_at: row.get("updated_at")?,
    }))
}

/// Remembers a decision: under `new` when it is the first, else under the id that it has. Returns that id.
pub(crate) async fn put(
    tx: &mut Tx,
    new: GrantId,
    user: UserId,
    application: ApplicationId,
    scopes: Scopes,
) -> Result<GrantId> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.fetch_one(
        "INSERT INTO oauth_grants (tenant_id, id, user_id, application_id, scopes, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (tenant_id, user_id, application_id)
           DO UPDATE SET scopes = excluded.scopes, updated_at = excluded.updated_at
         RETURNING id",
        [tenant.into(), new.into(), user.into(), application.into(), scopes.to_text().into(), now.into()],
    )
    .await?
    .get("id")
}

fn from_row(row: &Row, command_line: &str) -> Result<Grant> {
    Ok(Grant {
        id: row.get("id")?,
        application: row.get("application_id")?,
        application_name: row.get::<Option<String>>("application_name")?.unwrap_or_else(|| command_line.to_owned()),
        homepage: row.get("homepage")?,
        scopes: Scopes::from_stored(&row.get::<String>("scopes")?),
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        authorizations: row.get("authorizations")?,
        last_used_at: row.get("last_used_at")?,
    })
}

/// The person's grants, newest first. `command_line` names the application that is no row.
pub(crate) async fn page(tx: &mut Tx, user: UserId, page: &PageRequest, command_line: &str) -> Result<Page<Grant>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT g.*, a.name AS application_name, a.homepage,
                    (SELECT COUNT(*) FROM oauth_families f WHERE f.tenant_id = g.tenant_id AND f.grant_id = g.id)
                      AS authorizations,
                    (SELECT MAX(f.last_used_at) FROM oauth_families f
                       WHERE f.tenant_id = g.tenant_id AND f.grant_id = g.id) AS last_used_at
             FROM oauth_grants g LEFT JOIN applications a ON a.tenant_id = g.tenant_id AND a.id = g.application_id
             WHERE g.tenant_id = $1 AND g.user_id = $2 AND g.id < $3 ORDER BY g.id DESC LIMIT $4",
            [tenant.into(), user.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let grants = rows.iter().map(|row| from_row(row, command_line)).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(grants, page.limit, |grant| grant.id.to_string()))
}

/// Deletes the person's grant, with its codes and tokens, and returns its application.
pub(crate) async fn delete(tx: &mut Tx, user: UserId, id: GrantId) -> Result<ApplicationId> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "DELETE FROM oauth_grants WHERE tenant_id = $1 AND user_id = $2 AND id = $3 RETURNING application_id",
            [tenant.into(), user.into(), id.into()],
        )
        .await?;
    row.ok_or_else(|| grant_not_found(id))?.get("application_id")
}

/// Deletes what people allowed an application, with its codes and tokens, and returns how many they were.
pub(crate) async fn delete_of_application(tx: &mut Tx, id: ApplicationId) -> Result<u64> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM oauth_grants WHERE tenant_id = $1 AND application_id = $2", [tenant.into(), id.into()])
        .await
}

/// Ends every authorization of a person; what they allowed stays remembered.
pub(crate) async fn end_authorizations_of(tx: &mut Tx, user: UserId) -> Result<()> {
    let tenant = tx.tenant()?;
    for statement in [
        "DELETE FROM oauth_families WHERE tenant_id = $1 AND user_id = $2",
        "DELETE FROM oauth_codes WHERE tenant_id = $1 AND user_id = $2",
        "DELETE FROM oauth_devices WHERE tenant_id = $1 AND user_id = $2",
    ] {
        tx.execute(statement, [tenant.into(), user.into()]).await?;
    }
    Ok(())
}
