//! Custom models: weights on this machine as models of a workspace.

use plasma_kernel::Result;
use plasma_store::{Row, Tx, Value};

use crate::custom::CustomModel;

fn custom_model(row: &Row) -> Result<CustomModel> {
    Ok(CustomModel {
        entry: row.json("entry")?,
        domain: row.get("domain")?,
        description: row.get("description")?,
        created_at: row.get("created_at")?,
    })
}

pub(crate) async fn insert(tx: &mut Tx, model: &CustomModel) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO custom_models (tenant_id, id, entry, domain, description, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        [
            tenant.into(),
            (&model.entry.id).into(),
            Value::json(&model.entry)?,
            model.domain.as_deref().into(),
            model.description.as_deref().into(),
            model.created_at.into(),
        ],
    )
    .await
    .map(drop)
}

/// All rows of the tenant: 50 at most, which the verb that adds them keeps.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<CustomModel>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT entry, domain, description, created_at FROM custom_models WHERE tenant_id = $1 ORDER BY id",
        [tenant.into()],
    )
    .await?
    .iter()
    .map(custom_model)
    .collect()
}

/// Removes the model; `false` when there was none.
pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<bool> {
    let tenant = tx.tenant()?;
    let deleted =
        tx.execute("DELETE FROM custom_models WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await?;
    Ok(deleted > 0)
}
