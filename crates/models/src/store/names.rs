use plasma_kernel::Result;
use plasma_store::{Sql, Tx};

/// Lets one transaction at a time give names to aliases and routes of the tenant, until it ends: what it reads of them after
/// this stays true to its end, and it reads what the one before has committed.
pub(crate) async fn lock(tx: &mut Tx) -> Result<()> {
    // SQLite has one writing transaction at a time as it is. On Postgres each statement sees what is committed when it begins,
    // so that a check without the lock could miss a row that another transaction is about to commit.
    const LOCK: Sql =
        Sql::each("SELECT $1", "SELECT pg_advisory_xact_lock(hashtextextended('plasma.model_names.' || $1, 0))");
    let tenant = tx.tenant()?;
    tx.fetch_optional(LOCK, [tenant.into()]).await?;
    Ok(())
}
