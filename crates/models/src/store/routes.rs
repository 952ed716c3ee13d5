use plasma_kernel::{Error, Result, Timestamp};
use plasma_store::{Row, Tx, Value};

use crate::Route;

fn route(row: &Row) -> Result<Route> {
    Ok(Route {
        id: Some(row.get("id")?),
        name: row.get("name")?,
        settings: row.json("settings")?,
        created_at: row.get("created_at")?,
    })
}

/// All rows of the tenant: a few hundred at most, which the verb that adds them keeps.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Route>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT id, name, settings, created_at FROM model_routes WHERE tenant_id = $1 ORDER BY name",
        [tenant.into()],
    )
    .await?
    .iter()
    .map(route)
    .collect()
}

/// Whether there is a route with this name, besides those that exist by default.
pub(crate) async fn exists(tx: &mut Tx, name: &str) -> Result<bool> {
    let tenant = tx.tenant()?;
    let found = tx
        .fetch_optional(
            "SELECT name FROM model_routes WHERE tenant_id = $1 AND name = $2",
            [tenant.into(), name.into()],
        )
        .await?;
    Ok(found.is_some())
}

pub(crate) async fn put(tx: &mut Tx, route: &Route, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    let id = route.id.ok_or_else(|| Error::internal("a route without an id cannot be stored"))?;
    tx.execute(
        "INSERT INTO model_routes (tenant_id, id, name, settings, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT (tenant_id, name) DO UPDATE SET settings = $4, updated_at = $5",
        [tenant.into(), id.into(), (&route.name).into(), Value::json(&route.settings)?, now.into()],
    )
    .await
    .map(drop)
}

/// Removes the route; `false` when there was none.
pub(crate) async fn delete(tx: &mut Tx, name: &str) -> Result<bool> {
    let tenant = tx.tenant()?;
    let deleted =
        tx.execute("DELETE FROM model_routes WHERE tenant_id = $1 AND name = $2", [tenant.into(), name.into()]).await?;
    Ok(deleted > 0)
}
