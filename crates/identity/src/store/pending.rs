use plasma_kernel::{Methods, Result, TenantId, Timestamp, UserId};
use plasma_store::Tx;

use crate::tokens::Fingerprint;

/// A login that needs another proof, as it is kept.
pub(crate) struct Pending {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    /// What was proved so far.
    pub(crate) methods: Methods,
    /// Whether a factor must be set up; else one that is there must be used.
    pub(crate) enrolls: bool,
    pub(crate) expires_at: Timestamp,
}

/// Also removes the tenant's pending logins that have ended.
pub(crate) async fn insert(tx: &mut Tx, token: &Fingerprint, pending: &Pending) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute("DELETE FROM pending_logins WHERE tenant_id = $1 AND expires_at <= $2", [tenant.into(), now.into()])
        .await?;
    tx.execute(
        "INSERT INTO pending_logins (tenant_id, token_hash, user_id, methods, enrolls, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        [
            tenant.into(),
            token.as_bytes().into(),
            pending.user.into(),
            pending.methods.to_text().into(),
            pending.enrolls.into(),
            pending.expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Across tenants: the pending login with this token, if it has not ended.
pub(crate) async fn get(tx: &mut Tx, token: &Fingerprint, now: Timestamp) -> Result<Option<Pending>> {
    let row = tx
        .fetch_optional(
            "SELECT tenant_id, user_id, methods, enrolls, expires_at FROM pending_logins
             WHERE token_hash = $1 AND expires_at > $2",
            [token.as_bytes().into(), now.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Pending {
        tenant: row.get("tenant_id")?,
        user: row.get("user_id")?,
        methods: Methods::from_text(&row.get::<String>("methods")?),
        enrolls: row.get("enrolls")?,
        expires_at: row.get("expires_at")?,
    }))
}

/// False when it was used already.
pub(crate) async fn take(tx: &mut Tx, token: &Fingerprint) -> Result<bool> {
    let tenant = tx.tenant()?;
    let taken = tx
        .execute(
            "DELETE FROM pending_logins WHERE tenant_id = $1 AND token_hash = $2",
            [tenant.into(), token.as_bytes().into()],
        )
        .await?;
    Ok(taken > 0)
}

/// Ends the other logins of the person that have begun in the tenant: what they may set up was decided before.
pub(crate) async fn delete_of(tx: &mut Tx, user: UserId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM pending_logins WHERE tenant_id = $1 AND user_id = $2", [tenant.into(), user.into()])
        .await?;
    Ok(())
}
