//! The table of tenants belongs to the installation: row-level security does not guard it, the verbs decide who sees what.

use plasma_kernel::{Error, Page, PageRequest, Result, TenantId};
use plasma_store::{Row, Sql, Tx, page_key};

use crate::Tenant;

fn from_row(row: &Row) -> Result<Tenant> {
    Ok(Tenant { id: row.get("id")?, name: row.get("name")?, created_at: row.get("created_at")? })
}

pub(crate) fn not_found(id: TenantId) -> Error {
    Error::not_found("tenant_not_found", format!("there is no workspace {id}"))
}

pub(crate) async fn insert(tx: &mut Tx, tenant: &Tenant) -> Result<()> {
    tx.execute(
        "INSERT INTO tenants (id, name, created_at) VALUES ($1, $2, $3)",
        [tenant.id.into(), tenant.name.as_str().into(), tenant.created_at.into()],
    )
    .await?;
    Ok(())
}

pub(crate) async fn get(tx: &mut Tx, id: TenantId) -> Result<Tenant> {
    let row = tx.fetch_optional("SELECT id, name, created_at FROM tenants WHERE id = $1", [id.into()]).await?;
    from_row(&row.ok_or_else(|| not_found(id))?)
}

pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<Tenant>> {
    let rows = tx
        .fetch_all(
            "SELECT id, name, created_at FROM tenants WHERE id < $1 ORDER BY id DESC LIMIT $2",
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

pub(crate) async fn any(tx: &mut Tx) -> Result<bool> {
    Ok(tx.fetch_optional("SELECT id FROM tenants LIMIT 1", []).await?.is_some())
}

/// The only tenant of the installation; `None` when there are several.
pub(crate) async fn only(tx: &mut Tx) -> Result<Option<TenantId>> {
    let rows = tx.fetch_all("SELECT id FROM tenants LIMIT 2", []).await?;
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
