use plasma_kernel::{QuotaResource, Result};
use plasma_store::Tx;

/// The limits of the transaction's tenant.
pub(crate) async fn limits(tx: &mut Tx) -> Result<Vec<(QuotaResource, u64)>> {
    let tenant = tx.tenant()?;
    let rows =
        tx.fetch_all("SELECT resource, limit_max FROM tenant_quotas WHERE tenant_id = $1", [tenant.into()]).await?;
    // What a newer version limits is nothing to this one.
    let known = rows.iter().filter_map(|row| {
        let resource: QuotaResource = row.get::<String>("resource").ok()?.parse().ok()?;
        Some(row.get("limit_max").map(|limit| (resource, limit)))
    });
    known.collect()
}

/// Replaces the limits of the transaction's tenant.
pub(crate) async fn replace(tx: &mut Tx, limits: &[(QuotaResource, u64)]) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM tenant_quotas WHERE tenant_id = $1", [tenant.into()]).await?;
    for (resource, limit) in limits {
        tx.execute(
            "INSERT INTO tenant_quotas (tenant_id, resource, limit_max) VALUES ($1, $2, $3)",
            [tenant.into(), resource.as_str().into(), (*limit).into()],
        )
        .await?;
    }
    Ok(())
}
