use plasma_kernel::{ApiKeyId, Error, Result, TenantId, UserId};
use plasma_store::{Sql, Tx};

use crate::{BootstrapKey, tokens::Fingerprint};

/// Who will own the configured key.
pub(crate) struct Owner {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
}

/// Lets one process at a time do the work of the first start, until its transaction ends. The number is any constant.
pub(crate) async fn lock(tx: &mut Tx) -> Result<()> {
    const LOCK: Sql = Sql::each("SELECT 1", "SELECT pg_advisory_xact_lock(123741270463844)");
    tx.fetch_optional(LOCK, []).await?;
    Ok(())
}

/// What there is of the key with this token; `None` when it is unknown.
pub(crate) async fn key(tx: &mut Tx, token: &Fingerprint) -> Result<Option<BootstrapKey>> {
    let row =
        tx.fetch_optional("SELECT revoked_at FROM api_keys WHERE token_hash = $1", [token.as_bytes().into()]).await?;
    let Some(row) = row else { return Ok(None) };
    let revoked = row.get::<Option<i64>>("revoked_at")?.is_some();
    Ok(Some(if revoked { BootstrapKey::Revoked } else { BootstrapKey::Unchanged }))
}

/// Across tenants: the operator who was there first and still owns a tenant.
pub(crate) async fn operator(tx: &mut Tx) -> Result<Owner> {
    let row = tx
        .fetch_optional(
            "SELECT m.tenant_id, m.user_id FROM users u JOIN memberships m ON m.user_id = u.id
             JOIN tenants t ON t.id = m.tenant_id
             WHERE u.operator = 1 AND m.disabled_at IS NULL AND m.role = 'owner' AND t.state = 'active'
             ORDER BY u.id, m.created_at LIMIT 1",
            [],
        )
        .await?;
    let row = row.ok_or_else(|| {
        Error::unavailable(
            "no_operator",
            "no enabled operator owns a workspace, so nobody can own the configured API key",
        )
        .remedy("enable the operator again, or start without PLASMA_BOOTSTRAP_API_KEY")
    })?;
    Ok(Owner { tenant: row.get("tenant_id")?, user: row.get("user_id")? })
}

/// Deletes the tenant's earlier bootstrap keys that nobody revoked, and returns them.
pub(crate) async fn delete_replaced(tx: &mut Tx) -> Result<Vec<ApiKeyId>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "DELETE FROM api_keys WHERE tenant_id = $1 AND bootstrap = 1 AND revoked_at IS NULL RETURNING id",
        [tenant.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("id"))
    .collect()
}
