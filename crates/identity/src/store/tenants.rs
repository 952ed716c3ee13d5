//! The table of tenants belongs to the installation: row-level security does not guard it, the verbs decide who sees what.

use plasma_kernel::{Error, Page, PageRequest, QuotaResource, Result, TenantId, Timestamp};
use plasma_store::{Row, Sql, Tx, page_key};

use crate::{Tenant, TenantState};

fn from_row(row: &Row) -> Result<Tenant> {
    Ok(Tenant {
        id: row.get("id")?,
        name: row.get("name")?,
        state: row.get::<String>("state")?.parse()?,
        state_reason: row.get("state_reason")?,
        plan: row.get("plan")?,
        delete_at: row.get("delete_at")?,
        created_at: row.get("created_at")?,
    })
}

/// The same of a row in which the columns begin with `tenant_`.
pub(super) fn from_joined_row(row: &Row) -> Result<Tenant> {
    Ok(Tenant {
        id: row.get("tenant_id")?,
        name: row.get("tenant_name")?,
        state: row.get::<String>("tenant_state")?.parse()?,
        state_reason: row.get("tenant_state_reason")?,
        plan: row.get("tenant_plan")?,
        delete_at: row.get("tenant_delete_at")?,
        created_at: row.get("tenant_created_at")?,
    })
}

pub(crate) fn not_found(id: TenantId) -> Error {
    Error::not_found("tenant_not_found", format!("there is no workspace {id}"))
}

pub(crate) async fn insert(tx: &mut Tx, tenant: &Tenant) -> Result<()> {
    tx.execute(
        "INSERT INTO tenants (id, name, state, plan, created_at) VALUES ($1, $2, $3, $4, $5)",
        [
            tenant.id.into(),
            tenant.name.as_str().into(),
            tenant.state.as_str().into(),
            tenant.plan.as_str().into(),
            tenant.created_at.into(),
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn get(tx: &mut Tx, id: TenantId) -> Result<Tenant> {
    let row = tx.fetch_optional("SELECT * FROM tenants WHERE id = $1", [id.into()]).await?;
    from_row(&row.ok_or_else(|| not_found(id))?)
}

/// `None` when there is no such tenant (any more).
pub(crate) async fn state(tx: &mut Tx, id: TenantId) -> Result<Option<TenantState>> {
    let row = tx.fetch_optional("SELECT state FROM tenants WHERE id = $1", [id.into()]).await?;
    row.map(|row| row.get::<String>("state")?.parse()).transpose()
}

/// What every request of a tenant depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) state: TenantState,
    /// How many requests it may make in a minute, if its plan says it.
    pub(crate) requests_per_minute: Option<u32>,
}

/// `None` when there is no such tenant (any more).
pub(crate) async fn standing(tx: &mut Tx, id: TenantId) -> Result<Option<Standing>> {
    let row = tx
        .fetch_optional(
            "SELECT t.state, q.limit_max FROM tenants t
             LEFT JOIN tenant_quotas q ON q.tenant_id = t.id AND q.resource = $2
             WHERE t.id = $1",
            [id.into(), QuotaResource::RequestsPerMinute.as_str().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let limit: Option<u64> = row.get("limit_max")?;
    Ok(Some(Standing {
        state: row.get::<String>("state")?.parse()?,
        requests_per_minute: limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
    }))
}

pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<Tenant>> {
    let rows = tx
        .fetch_all(
            "SELECT * FROM tenants WHERE id < $1 ORDER BY id DESC LIMIT $2",
            [page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let tenants = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(tenants, page.limit, |tenant| tenant.id.to_string()))
}

pub(crate) async fn rename(tx: &mut Tx, tenant: &Tenant) -> Result<()> {
    tx.execute("UPDATE tenants SET name = $2 WHERE id = $1", [tenant.id.into(), tenant.name.as_str().into()]).await?;
    Ok(())
}

pub(crate) async fn set_plan(tx: &mut Tx, id: TenantId, plan: &str) -> Result<()> {
    tx.execute("UPDATE tenants SET plan = $2 WHERE id = $1", [id.into(), plan.into()]).await?;
    Ok(())
}

pub(crate) async fn any(tx: &mut Tx) -> Result<bool> {
    Ok(tx.fetch_optional("SELECT id FROM tenants LIMIT 1", []).await?.is_some())
}

/// The only tenant of the installation; `None` when there are several.
pub(crate) async fn only(tx: &mut Tx) -> Result<Option<TenantId>> {
    let rows = tx.fetch_all("SELECT id FROM tenants WHERE state <> 'erasing' LIMIT 2", []).await?;
    match rows.as_slice() {
        [row] => row.get("id").map(Some),
        _ => Ok(None),
    }
}

/// Lets one transaction at a time change the tenant's people and keys. SQLite has one writer anyway.
pub(crate) async fn lock(tx: &mut Tx) -> Result<()> {
    const LOCK: Sql =
        Sql::each("SELECT id FROM tenants WHERE id = $1", "SELECT id FROM tenants WHERE id = $1 FOR UPDATE");
    let tenant = tx.tenant()?;
    tx.fetch_optional(LOCK, [tenant.into()]).await?;
    Ok(())
}

/// The tenant, held until the transaction ends, and what its state was before the deletion was asked for.
pub(crate) async fn locked(tx: &mut Tx, id: TenantId) -> Result<(Tenant, Option<TenantState>)> {
    const LOCK: Sql =
        Sql::each("SELECT * FROM tenants WHERE id = $1", "SELECT * FROM tenants WHERE id = $1 FOR UPDATE");
    let row = tx.fetch_optional(LOCK, [id.into()]).await?.ok_or_else(|| not_found(id))?;
    let before = row.get::<Option<String>>("state_before")?.map(|state| state.parse()).transpose()?;
    Ok((from_row(&row)?, before))
}

/// Writes the state of a locked tenant, why it is so, and when it is erased.
pub(crate) async fn set_state(tx: &mut Tx, tenant: &Tenant, before: Option<TenantState>) -> Result<()> {
    let now = tx.ctx().now();
    tx.execute(
        "UPDATE tenants SET state = $2, state_reason = $3, delete_at = $4, state_before = $5, state_at = $6 WHERE id = $1",
        [
            tenant.id.into(),
            tenant.state.as_str().into(),
            tenant.state_reason.as_deref().into(),
            tenant.delete_at.into(),
            before.map(TenantState::as_str).into(),
            now.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Tenants whose grace period is over, and those whose erasure is to be tried again.
pub(crate) async fn due_for_erasure(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<TenantId>> {
    let rows = tx
        .fetch_all(
            "SELECT id FROM tenants WHERE delete_at IS NOT NULL AND delete_at <= $1 AND state IN ('deleting', 'erasing')
             ORDER BY delete_at LIMIT $2",
            [now.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

pub(crate) async fn delete(tx: &mut Tx, id: TenantId) -> Result<()> {
    tx.execute("DELETE FROM tenants WHERE id = $1", [id.into()]).await?;
    Ok(())
}

/// Across tenants: whether somebody who manages the installation works in another tenant than this one.
pub(crate) async fn another_has_an_operator(tx: &mut Tx, without: TenantId) -> Result<bool> {
    let row = tx
        .fetch_optional(
            "SELECT 1 AS found FROM users u JOIN memberships m ON m.user_id = u.id JOIN tenants t ON t.id = m.tenant_id
             WHERE u.operator = 1 AND m.disabled_at IS NULL AND t.state = 'active' AND m.tenant_id <> $1 LIMIT 1",
            [without.into()],
        )
        .await?;
    Ok(row.is_some())
}
