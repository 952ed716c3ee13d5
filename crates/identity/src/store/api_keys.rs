use std::{collections::HashMap, net::IpAddr, sync::atomic::AtomicI64};

use ipnet::IpNet;
use plasma_kernel::{
    Actor, ApiKeyId, Error, Methods, Page, PageRequest, Result, Role, RoleId, TenantId, Timestamp, UserId,
};
use plasma_store::{Row, Sql, Tx, id_array, page_key};

use super::roles::{custom_of, permissions_from_text, permissions_to_text};
use crate::{
    ApiKey, CustomRole,
    authentication::{Credential, CredentialId},
    last_used::{Use, WRITTEN_EVERY_MICROS},
    networks,
    tokens::Fingerprint,
    types::held,
};

/// A row with the columns of the key, and `custom_role_name` and `custom_role_permissions` of its role.
fn from_row(row: &Row) -> Result<ApiKey> {
    let address = row.get::<Option<String>>("last_used_address")?;
    Ok(ApiKey {
        id: row.get("id")?,
        name: row.get("name")?,
        prefix: row.get("prefix")?,
        role: row.get::<String>("role")?.parse()?,
        custom_role: custom_of(row)?,
        scopes: row.get::<Option<String>>("scopes")?.as_deref().map(permissions_from_text),
        addresses: row.get::<Option<String>>("addresses")?.as_deref().map(addresses_from_text).unwrap_or_default(),
        installation: row.get("installation")?,
        created_by: row.get("created_by")?,
        team: row.get("team_id")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        last_used_at: row.get("last_used_at")?,
        last_used_address: address.and_then(|address| address.parse::<IpAddr>().ok()),
        revoked_at: row.get("revoked_at")?,
        replaces: row.get("replaces_id")?,
        replaced_by: row.get("replaced_by_id")?,
    })
}

/// `None` for a key that may be used from anywhere.
fn addresses_to_text(addresses: &[IpNet]) -> Option<String> {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(" "))
}

fn addresses_from_text(text: &str) -> Vec<IpNet> {
    networks::stored(text.split(' ')).to_vec()
}

/// Across tenants: what this key is good for. `None` when there is none or its creator left.
pub(crate) async fn credential(tx: &mut Tx, token: &Fingerprint) -> Result<Option<Credential>> {
    let row = tx
        .fetch_optional(
            "SELECT k.*, r.name AS custom_role_name, r.permissions AS custom_role_permissions,
                    m.role AS creator_role, m.custom_role_id AS creator_custom_role_id,
                    c.permissions AS creator_custom_role_permissions, u.email, u.operator AS creator_operator,
                    m.disabled_at AS creator_disabled_at, COALESCE(k.team_id, t.team_id) AS billing_team_id,
                    p.revision AS policies
             FROM api_keys k JOIN memberships m ON m.tenant_id = k.tenant_id AND m.user_id = k.created_by
             JOIN users u ON u.id = k.created_by
             LEFT JOIN custom_roles r ON r.tenant_id = k.tenant_id AND r.id = k.custom_role_id
             LEFT JOIN custom_roles c ON c.tenant_id = k.tenant_id AND c.id = m.custom_role_id
             LEFT JOIN access_policy_sets p ON p.tenant_id = k.tenant_id AND p.enabled > 0
             LEFT JOIN team_members t ON t.tenant_id = k.tenant_id AND t.user_id = k.created_by AND t.is_default = 1
             WHERE k.token_hash = $1",
            [token.as_bytes().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let key = from_row(&row)?;
    let creator_role: Role = row.get::<String>("creator_role")?.parse()?;
    let creator_custom = creator_custom_of(&row)?;
    let creator = held(creator_role, creator_custom.as_ref(), row.get("creator_operator")?);
    let permissions = key.permissions().intersection(creator);
    let tenant = row.get("tenant_id")?;
    Ok(Some(Credential {
        id: CredentialId::ApiKey(key.id),
        tenant,
        actor: Actor::ApiKey { id: key.id },
        role: key.role,
        permissions,
        subject: super::sessions::subject(&row, key.role, key.custom_role.as_ref(), permissions)?,
        policies: row.get::<Option<u64>>("policies")?.unwrap_or(0),
        team: row.get("billing_team_id")?,
        person: Some(key.created_by),
        teams: super::teams::of_person(tx, tenant, key.created_by).await?,
        usable: key.revoked_at.is_none() && row.get::<Option<i64>>("creator_disabled_at")?.is_none(),
        expires_at: key.expires_at,
        idle_micros: 0,
        last_used_at: AtomicI64::new(key.last_used_at.unwrap_or(0)),
        authenticated_at: 0,
        methods: Methods::default(),
        networks: key.addresses.into(),
    }))
}

fn creator_custom_of(row: &Row) -> Result<Option<CustomRole>> {
    let Some(id) = row.get::<Option<RoleId>>("creator_custom_role_id")? else { return Ok(None) };
    let permissions = row.get::<Option<String>>("creator_custom_role_permissions")?.unwrap_or_default();
    Ok(Some(CustomRole { id, name: String::new(), permissions: permissions_from_text(&permissions) }))
}

pub(crate) async fn get(tx: &mut Tx, id: ApiKeyId) -> Result<ApiKey> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT k.*, r.name AS custom_role_name, r.permissions AS custom_role_permissions
             FROM api_keys k LEFT JOIN custom_roles r ON r.tenant_id = k.tenant_id AND r.id = k.custom_role_id
             WHERE k.tenant_id = $1 AND k.id = $2",
            [tenant.into(), id.into()],
        )
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
            "SELECT k.*, r.name AS custom_role_name, r.permissions AS custom_role_permissions
             FROM api_keys k LEFT JOIN custom_roles r ON r.tenant_id = k.tenant_id AND r.id = k.custom_role_id
             WHERE k.tenant_id = $1 AND k.id < $2 ORDER BY k.id DESC LIMIT $3",
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
            team_id, custom_role_id, addresses, replaces_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        [
            tenant.into(),
            key.id.into(),
            key.name.as_str().into(),
            key.prefix.as_str().into(),
            token.as_bytes().into(),
            key.role.as_str().into(),
            key.scopes.map(permissions_to_text).into(),
            key.installation.into(),
            bootstrap.into(),
            key.created_by.into(),
            key.created_at.into(),
            key.expires_at.into(),
            key.team.into(),
            key.custom_role.as_ref().map(|role| role.id).into(),
            addresses_to_text(&key.addresses).into(),
            key.replaces.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Writes what a key is for and from where it may be used.
pub(crate) async fn update(tx: &mut Tx, key: &ApiKey) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE api_keys SET name = $3, addresses = $4 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), key.id.into(), key.name.as_str().into(), addresses_to_text(&key.addresses).into()],
    )
    .await
    .map(drop)
}

/// A key gives way to `successor` and ends at `expires_at`. False when it is revoked or has given way already.
pub(crate) async fn give_way(tx: &mut Tx, id: ApiKeyId, successor: ApiKeyId, expires_at: Timestamp) -> Result<bool> {
    let tenant = tx.tenant()?;
    let changed = tx
        .execute(
            "UPDATE api_keys SET replaced_by_id = $3, expires_at = $4
             WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL AND replaced_by_id IS NULL",
            [tenant.into(), id.into(), successor.into(), expires_at.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// The names of keys.
pub(crate) async fn names(tx: &mut Tx, ids: &[ApiKeyId]) -> Result<HashMap<ApiKeyId, String>> {
    const NAMES: Sql = Sql::each(
        "SELECT id, name FROM api_keys WHERE tenant_id = $1 AND id IN (SELECT value FROM json_each($2))",
        "SELECT id, name FROM api_keys WHERE tenant_id = $1 AND id IN (SELECT jsonb_array_elements_text($2::jsonb))",
    );
    let tenant = tx.tenant()?;
    let rows = tx.fetch_all(NAMES, [tenant.into(), id_array(ids.iter().copied())]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("name")?))).collect()
}

/// Across tenants. The condition also keeps several processes to one write a minute.
pub(crate) async fn note_use(tx: &mut Tx, tenant: TenantId, id: ApiKeyId, used: Use) -> Result<()> {
    tx.execute(
        "UPDATE api_keys SET last_used_at = $3, last_used_address = $5
         WHERE tenant_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at <= $4)",
        [
            tenant.into(),
            id.into(),
            used.at.into(),
            (used.at - WRITTEN_EVERY_MICROS).into(),
            used.address.map(|address| address.to_string()).into(),
        ],
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn networks_survive_their_text_form_and_a_broken_one_opens_nothing() {
        let networks: Vec<IpNet> =
            ["192.0.2.0/24", "2001:db8::1/128"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(addresses_from_text(&addresses_to_text(&networks).unwrap()), networks);
        assert_eq!(addresses_to_text(&[]), None);
        let broken = addresses_from_text("nonsense 192.0.2.0/24");
        assert_eq!(broken.len(), 2);
        assert!(!broken.iter().any(|network| network.contains(&"198.51.100.1".parse::<IpAddr>().unwrap())));
    }
}
