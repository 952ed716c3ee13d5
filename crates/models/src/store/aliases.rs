use plasma_kernel::{Result, Timestamp};
use plasma_store::{Row, Tx};

use crate::Alias;

fn alias(row: &Row) -> Result<Alias> {
    Ok(Alias { name: row.get("name")?, target: row.get("target")?, created_at: row.get("created_at")? })
}

/// All rows of the tenant: some hundreds at most, which the verb that adds them keeps.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Alias>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT name, target, created_at FROM model_aliases WHERE tenant_id = $1 ORDER BY name",
        [tenant.into()],
    )
    .await?
    .iter()
    .map(alias)
    .collect()
}

/// Whether there is an alias with this name.
pub(crate) async fn exists(tx: &mut Tx, name: &str) -> Result<bool> {
    let tenant = tx.tenant()?;
    let found = tx
        .fetch_optional(
            "SELECT name FROM model_aliases WHERE tenant_id = $1 AND name = $2",
            [tenant.into(), name.into()],
        )
        .await?;
    Ok(found.is_some())
}

pub(crate) async fn put(tx: &mut Tx, alias: &Alias, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO model_aliases (tenant_id, name, target, created_at, updated_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, name) DO UPDATE SET target = $3, updated_at = $5",
        [tenant.into(), (&alias.name).into(), (&alias.target).into(), alias.created_at.into(), now.into()],
    )
    .await
    .map(drop)
}

/// Removes the alias; `false` when there was none.
pub(crate) async fn delete(tx: &mut Tx, name: &str) -> Result<bool> {
    let tenant = tx.tenant()?;
    let deleted = tx
        .execute("DELETE FROM model_aliases WHERE tenant_id = $1 AND name = $2", [tenant.into(), name.into()])
        .await?;
    Ok(deleted > 0)
}
