use std::sync::atomic::AtomicI64;

use plasma_kernel::{
    Actor, ApiKeyId, Error, Page, PageRequest, Permissions, Result, Role, TenantId, Timestamp, UserId,
};
use plasma_store::{Row, Tx, page_key};

use crate::{
    ApiKey,
    authentication::{Credential, CredentialId},
    last_used::WRITTEN_EVERY_MICROS,
    tokens::Fingerprint,
    types::permissions_of,
};

fn from_row(row: &Row) -> Result<ApiKey> {
    Ok(ApiKey {
        id: row.get("id")?,
        name: row.get("name")?,
        prefix: row.get("prefix")?,
        role: row.get::<String>("role")?.parse()?,
        scopes: row.get::<Option<String>>("scopes")?.as_deref().map(scopes_from_text),
        installation: row.get("installation")?,
        created_by: row.get("created_by")?,
        team: row.get("team_id")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        last_used_at: row.get("last_used_at")?,
        revoked_at: row.get("revoked_at")?,
    })
}

fn scopes_to_text(scopes: Permissions) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
}

/// A scope that this version does not know (written by a newer one) grants nothing.
fn scopes_from_text(text: &str) -> Permissions {
    text.split(' ').filter_map(|scope| scope.parse().ok()).collect()
}

/// Across tenants: what this key is good for. `None` when there is none or its creator left.
pub(crate) async fn credential(tx: &mut Tx, token: &Fingerprint) -> Result<Option<Credential>> {
    let row = tx
        .fetch_optional(
            "SELECT k.*, m.role AS creator_role, u.operator AS creator_operator,
                    u.disabled_at AS creator_disabled_at, COALESCE(k.team_id, t.team_id) AS billing_team_id
             FROM api_keys k JOIN memberships m ON m.tenant_id = k.tenant_id AND m.user_id = k.created_by
             JOIN users u ON u.id = k.created_by
             LEFT JOIN team_members t ON t.tenant_id = k.tenant_id AND t.user_id = k.created_by AND t.is_default = 1
             WHERE k.token_hash = $1",
            [token.as_bytes().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let key = from_row(&row)?;
    let creator_role: Role = row.get::<String>("creator_role")?.parse()?;
    let creator = permissions_of(creator_role, row.get("creator_operator")?);
    let tenant = row.get("tenant_id")?;
    Ok(Some(Credential {
        id: CredentialId::ApiKey(key.id),
        tenant,
        actor: Actor::ApiKey { id: key.id },
        role: key.role,
        permissions: key.permissions().intersection(creator),
        team: row.get("billing_team_id")?,
        person: Some(key.created_by),
        teams: super::teams::of_person(tx, tenant, key.created_by).await?,
        usable: key.revoked_at.is_none() && row.get::<Option<i64>>("creator_disabled_at")?.is_none(),
        expires_at: key.expires_at,
        last_used_at: AtomicI64::new(key.last_used_at.unwrap_or(0)),
    }))
}

pub(crate) async fn get(tx: &mut Tx, id: ApiKeyId) -> Result<ApiKey> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional("SELECT * FROM api_keys WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?;
    from_row(
        &row.ok_or_else(|| {
            Error::not_found("api_key_not_found", format!("there is no API key {id} in this workspace"))
        })?,
    )
}

pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<ApiKey>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT * FROM api_keys WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let keys = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(keys, page.limit, |key| key.id.to_string()))
}

pub(crate) async fn count_usable(tx: &mut Tx) -> Result<i64> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS keys FROM api_keys WHERE tenant_id = $1 AND revoked_at IS NULL", [tenant.into()])
        .await?
        .get("keys")
}

pub(crate) async fn insert(tx: &mut Tx, key: &ApiKey, token: &Fingerprint, bootstrap: bool) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO api_keys
           (tenant_id, id, name, prefix, token_hash, role, scopes, installation, bootstrap, created_by, created_at, expires_at,
            team_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        [
            tenant.into(),
            key.id.into(),
            key.name.as_str().into(),
            key.prefix.as_str().into(),
            token.as_bytes().into(),
            key.role.as_str().into(),
            key.scopes.map(scopes_to_text).into(),
            key.installation.into(),
            bootstrap.into(),
            key.created_by.into(),
            key.created_at.into(),
            key.expires_at.into(),
            key.team.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Across tenants. The condition also keeps several processes to one write a minute.
pub(crate) async fn note_use(tx: &mut Tx, tenant: TenantId, id: ApiKeyId, used_at: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE api_keys SET last_used_at = $3
         WHERE tenant_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at <= $4)",
        [tenant.into(), id.into(), used_at.into(), (used_at - WRITTEN_EVERY_MICROS).into()],
    )
    .await?;
    Ok(())
}

/// False when it is revoked already.
pub(crate) async fn revoke(tx: &mut Tx, id: ApiKeyId) -> Result<bool> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let changed = tx
        .execute(
            "UPDATE api_keys SET revoked_at = $3 WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL",
            [tenant.into(), id.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Revokes the usable keys of a person and returns them.
pub(crate) async fn revoke_created_by(tx: &mut Tx, user: UserId) -> Result<Vec<ApiKeyId>> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.fetch_all(
        "UPDATE api_keys SET revoked_at = $3 WHERE tenant_id = $1 AND created_by = $2 AND revoked_at IS NULL RETURNING id",
        [tenant.into(), user.into(), now.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("id"))
    .collect()
}

#[cfg(test)]
mod tests {
    use plasma_kernel::Permission;

    use super::*;

    #[test]
    fn scopes_survive_their_text_form_and_unknown_ones_grant_nothing() {
        let scopes: Permissions = [Permission::SearchQuery, Permission::ApiKeysRead].into_iter().collect();
        assert_eq!(scopes_from_text(&scopes_to_text(scopes)), scopes);
        assert_eq!(scopes_from_text("search:query rockets:launch"), Permissions::none().with(Permission::SearchQuery));
        assert_eq!(scopes_from_text(""), Permissions::none());
    }
}
