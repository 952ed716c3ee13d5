use plasma_kernel::Result;
use plasma_store::Tx;

pub(crate) async fn insert(tx: &mut Tx, id: &str, sealed: Vec<u8>) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO mails (tenant_id, id, sealed, created_at) VALUES ($1, $2, $3, $4)",
        [tenant.into(), id.into(), sealed.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// `None` when it was sent or given up.
pub(crate) async fn sealed(tx: &mut Tx, id: &str) -> Result<Option<Vec<u8>>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional("SELECT sealed FROM mails WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?;
    row.map(|row| row.get("sealed")).transpose()
}

pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM mails WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await?;
    Ok(())
}
