use plasma_kernel::{ApiKeyId, Code, Error, Permissions, Result, Role, RoleId, UserId};
use plasma_store::{Row, Tx};

use crate::{CustomRole, RoleDetails, RoleName, types::nearest_built_in};

/// How permissions are stored: their names, separated by spaces.
pub(crate) fn permissions_to_text(permissions: Permissions) -> String {
    permissions.iter().map(|permission| permission.as_str()).collect::<Vec<_>>().join(" ")
}

/// A permission that this version does not know (written by a newer one) grants nothing.
pub(crate) fn permissions_from_text(text: &str) -> Permissions {
    text.split(' ').filter_map(|permission| permission.parse().ok()).collect()
}

/// The tenant's own role of a row with the columns `custom_role_id`, `custom_role_name` and `custom_role_permissions`, of which
/// the last two come from a left join. A role that is not there any more grants nothing.
pub(crate) fn custom_of(row: &Row) -> Result<Option<CustomRole>> {
    let Some(id) = row.get::<Option<RoleId>>("custom_role_id")? else { return Ok(None) };
    let name = row.get::<Option<String>>("custom_role_name")?;
    let permissions = row.get::<Option<String>>("custom_role_permissions")?;
    Ok(Some(CustomRole {
        id,
        name: name.unwrap_or_else(|| id.to_string()),
        permissions: permissions_from_text(&permissions.unwrap_or_default()),
    }))
}

fn from_row(row: &Row) -> Result<RoleDetails> {
    Ok(RoleDetails {
        id: RoleName::Custom(row.get("id")?),
        name: row.get("name")?,
        description: row.get("description")?,
        permissions: permissions_from_text(&row.get::<String>("permissions")?),
        user_count: row.get("user_count")?,
        api_key_count: row.get("api_key_count")?,
        created_at: Some(row.get("created_at")?),
        updated_at: Some(row.get("updated_at")?),
    })
}

pub(crate) fn not_found(id: RoleId) -> Error {
    Error::not_found("role_not_found", format!("there is no role {id} in this workspace"))
        .remedy("GET /api/v1/roles lists the roles")
}

/// Names are told apart without regard to case.
fn name_key(name: &str) -> String {
    name.to_lowercase()
}

fn name_taken(error: Error, name: &str) -> Error {
    if error.code() != Code::Conflict {
        return error;
    }
    Error::conflict("role_name_taken", format!("there is a role named `{name}` already"))
        .field("name")
        .remedy("choose another name; upper and lower case make no difference")
        .source(error)
}

/// How many people and how many keys that are not revoked have each built-in role.
pub(crate) async fn built_in_counts(tx: &mut Tx) -> Result<Vec<(Role, u64, u64)>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT role, SUM(users) AS users, SUM(api_keys) AS api_keys FROM (
               SELECT role, 1 AS users, 0 AS api_keys FROM memberships WHERE tenant_id = $1 AND custom_role_id IS NULL
               UNION ALL
               SELECT role, 0 AS users, 1 AS api_keys FROM api_keys
               WHERE tenant_id = $1 AND custom_role_id IS NULL AND revoked_at IS NULL
             ) held GROUP BY role",
            [tenant.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get::<String>("role")?.parse()?, row.get("users")?, row.get("api_keys")?))).collect()
}

/// The tenant's own roles, the newest first.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<RoleDetails>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT r.*,
           (SELECT COUNT(*) FROM memberships m WHERE m.tenant_id = $1 AND m.custom_role_id = r.id) AS user_count,
           (SELECT COUNT(*) FROM api_keys k
            WHERE k.tenant_id = $1 AND k.custom_role_id = r.id AND k.revoked_at IS NULL) AS api_key_count
         FROM custom_roles r WHERE r.tenant_id = $1 ORDER BY r.id DESC",
        [tenant.into()],
    )
    .await?
    .iter()
    .map(from_row)
    .collect()
}

pub(crate) async fn get(tx: &mut Tx, id: RoleId) -> Result<RoleDetails> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT r.*,
               (SELECT COUNT(*) FROM memberships m WHERE m.tenant_id = $1 AND m.custom_role_id = r.id) AS user_count,
               (SELECT COUNT(*) FROM api_keys k
                WHERE k.tenant_id = $1 AND k.custom_role_id = r.id AND k.revoked_at IS NULL) AS api_key_count
             FROM custom_roles r WHERE r.tenant_id = $1 AND r.id = $2",
            [tenant.into(), id.into()],
        )
        .await?;
    from_row(&row.ok_or_else(|| not_found(id))?)
}

/// What a role is to those who are given it: the built-in role for labels, and the tenant's own if it is one.
pub(crate) async fn resolve(tx: &mut Tx, name: RoleName) -> Result<(Role, Option<CustomRole>)> {
    match name {
        RoleName::BuiltIn(role) => Ok((role, None)),
        RoleName::Custom(id) => {
            let RoleDetails { name, permissions, .. } = get(tx, id).await?;
            Ok((nearest_built_in(permissions), Some(CustomRole { id, name, permissions })))
        }
    }
}

pub(crate) async fn count(tx: &mut Tx) -> Result<i64> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS roles FROM custom_roles WHERE tenant_id = $1", [tenant.into()]).await?.get("roles")
}

pub(crate) async fn insert(tx: &mut Tx, id: RoleId, role: &RoleDetails) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO custom_roles (tenant_id, id, name, name_key, description, permissions, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        [
            tenant.into(),
            id.into(),
            role.name.as_str().into(),
            name_key(&role.name).into(),
            role.description.as_str().into(),
            permissions_to_text(role.permissions).into(),
            now.into(),
        ],
    )
    .await
    .map(drop)
    .map_err(|error| name_taken(error, &role.name))
}

/// Writes name, description and permissions, and the nearest built-in role of everybody who has it.
pub(crate) async fn update(tx: &mut Tx, id: RoleId, role: &RoleDetails) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "UPDATE custom_roles SET name = $3, name_key = $4, description = $5, permissions = $6, updated_at = $7
         WHERE tenant_id = $1 AND id = $2",
        [
            tenant.into(),
            id.into(),
            role.name.as_str().into(),
            name_key(&role.name).into(),
            role.description.as_str().into(),
            permissions_to_text(role.permissions).into(),
            now.into(),
        ],
    )
    .await
    .map_err(|error| name_taken(error, &role.name))?;
    let nearest = nearest_built_in(role.permissions);
    tx.execute(
        "UPDATE memberships SET role = $3 WHERE tenant_id = $1 AND custom_role_id = $2",
        [tenant.into(), id.into(), nearest.as_str().into()],
    )
    .await?;
    tx.execute(
        "UPDATE api_keys SET role = $3 WHERE tenant_id = $1 AND custom_role_id = $2",
        [tenant.into(), id.into(), nearest.as_str().into()],
    )
    .await
    .map(drop)
}

/// Gives everybody who has a role another one. Returns the people and the keys that are not revoked.
pub(crate) async fn replace(
    tx: &mut Tx,
    id: RoleId,
    role: Role,
    custom: Option<RoleId>,
) -> Result<(Vec<UserId>, Vec<ApiKeyId>)> {
    let tenant = tx.tenant()?;
    let users = tx
        .fetch_all(
            "UPDATE memberships SET role = $3, custom_role_id = $4 WHERE tenant_id = $1 AND custom_role_id = $2
             RETURNING user_id",
            [tenant.into(), id.into(), role.as_str().into(), custom.into()],
        )
        .await?;
    let keys = tx
        .fetch_all(
            "UPDATE api_keys SET role = $3, custom_role_id = $4 WHERE tenant_id = $1 AND custom_role_id = $2
             RETURNING id, revoked_at",
            [tenant.into(), id.into(), role.as_str().into(), custom.into()],
        )
        .await?;
    let users = users.iter().map(|row| row.get("user_id")).collect::<Result<_>>()?;
    let mut usable = Vec::new();
    for row in &keys {
        if row.get::<Option<i64>>("revoked_at")?.is_none() {
            usable.push(row.get("id")?);
        }
    }
    Ok((users, usable))
}

/// Nobody has it any more.
pub(crate) async fn delete(tx: &mut Tx, id: RoleId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM custom_roles WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await.map(drop)
}

/// Gives a person a role.
pub(crate) async fn assign(tx: &mut Tx, user: UserId, role: Role, custom: Option<RoleId>) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE memberships SET role = $3, custom_role_id = $4 WHERE tenant_id = $1 AND user_id = $2",
        [tenant.into(), user.into(), role.as_str().into(), custom.into()],
    )
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use plasma_kernel::Permission;

    use super::*;

    #[test]
    fn permissions_survive_their_text_form_and_unknown_ones_grant_nothing() {
        let permissions: Permissions = [Permission::SearchQuery, Permission::ApiKeysRead].into_iter().collect();
        assert_eq!(permissions_from_text(&permissions_to_text(permissions)), permissions);
        let newer = permissions_from_text("search:query rockets:launch");
        assert_eq!(newer, Permissions::none().with(Permission::SearchQuery));
        assert_eq!(permissions_from_text(""), Permissions::none());
        assert_eq!(permissions_from_text(&permissions_to_text(Permissions::all())), Permissions::all());
    }
}
