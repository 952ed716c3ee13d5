//! Who is in which tenant. What a person may see of their own memberships is read across tenants.

use plasma_kernel::{Result, Role, RoleId, TenantId, UserId};
use plasma_store::{Row, Tx};

use crate::{Membership, Tenant};

/// Puts a person into the transaction's tenant. `role` is the nearest built-in one below `custom_role`, if there is one.
pub(crate) async fn insert(tx: &mut Tx, user: UserId, role: Role, custom_role: Option<RoleId>) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO memberships (tenant_id, user_id, role, created_at, custom_role_id) VALUES ($1, $2, $3, $4, $5)",
        [tenant.into(), user.into(), role.as_str().into(), now.into(), custom_role.into()],
    )
    .await?;
    Ok(())
}

/// Notes that the person enters the transaction's tenant.
pub(crate) async fn note_use(tx: &mut Tx, user: UserId) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "UPDATE memberships SET last_used_at = $3 WHERE tenant_id = $1 AND user_id = $2",
        [tenant.into(), user.into(), now.into()],
    )
    .await?;
    Ok(())
}

fn from_row(row: &Row) -> Result<Membership> {
    let tenant: Tenant = super::tenants::from_joined_row(row)?;
    Ok(Membership { tenant, role: row.get::<String>("role")?.parse()?, last_used_at: row.get("last_used_at")? })
}

/// Across tenants: those of a person that they are not locked out of, the last used first.
pub(crate) async fn of_person(tx: &mut Tx, user: UserId, limit: u32) -> Result<Vec<Membership>> {
    let rows = tx
        .fetch_all(
            "SELECT m.role, m.last_used_at, t.id AS tenant_id, t.name AS tenant_name, t.state AS tenant_state,
                    t.state_reason AS tenant_state_reason, t.plan AS tenant_plan, t.delete_at AS tenant_delete_at,
                    t.created_at AS tenant_created_at
             FROM memberships m JOIN tenants t ON t.id = m.tenant_id
             WHERE m.user_id = $1 AND m.disabled_at IS NULL AND t.state <> 'erasing'
             ORDER BY COALESCE(m.last_used_at, 0) DESC, m.created_at, m.tenant_id LIMIT $2",
            [user.into(), limit.into()],
        )
        .await?;
    rows.iter().map(from_row).collect()
}

/// Across tenants: whether the person is in another tenant than this one too.
pub(crate) async fn has_another(tx: &mut Tx, user: UserId, than: TenantId) -> Result<bool> {
    let row = tx
        .fetch_optional(
            "SELECT 1 AS found FROM memberships WHERE user_id = $1 AND tenant_id <> $2 LIMIT 1",
            [user.into(), than.into()],
        )
        .await?;
    Ok(row.is_some())
}

/// Across tenants: people of a tenant that is erased, with their e-mails.
pub(crate) async fn some_of_tenant(tx: &mut Tx, tenant: TenantId, limit: u32) -> Result<Vec<(UserId, String)>> {
    let rows = tx
        .fetch_all(
            "SELECT m.user_id, u.email FROM memberships m JOIN users u ON u.id = m.user_id
             WHERE m.tenant_id = $1 ORDER BY m.user_id LIMIT $2",
            [tenant.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get("user_id")?, row.get("email")?))).collect()
}

/// Across tenants: takes a person out of a tenant that is erased.
pub(crate) async fn erase(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM memberships WHERE tenant_id = $1 AND user_id = $2", [tenant.into(), user.into()]).await?;
    Ok(())
}
