use plasma_kernel::{Code, Error, Page, PageRequest, PolicyId, Result};
use plasma_store::{Row, Tx, Value, page_key};

use crate::{Policy, PolicyVersion, policy::Source};

fn from_row(row: &Row) -> Result<Policy> {
    Ok(Policy {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        text: row.get("text")?,
        statements: row.get("statements")?,
        enabled: row.get("enabled")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        updated_by: row.json("updated_by")?,
    })
}

fn version_from_row(row: &Row) -> Result<PolicyVersion> {
    Ok(PolicyVersion {
        version: row.get("version")?,
        name: row.get("name")?,
        description: row.get("description")?,
        text: row.get("text")?,
        enabled: row.get("enabled")?,
        changed_at: row.get("changed_at")?,
        changed_by: row.json("changed_by")?,
    })
}

fn source_from_row(row: &Row) -> Result<Source> {
    Ok(Source { id: row.get("id")?, name: row.get("name")?, text: row.get("text")? })
}

fn name_taken(error: Error, name: &str) -> Error {
    if error.code() != Code::Conflict {
        return error;
    }
    Error::conflict("policy_name_taken", format!("there is a policy named `{name}` already"))
        .field("name")
        .remedy("choose another name; upper and lower case make no difference")
        .source(error)
}

pub(crate) async fn get(tx: &mut Tx, id: PolicyId) -> Result<Policy> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional("SELECT * FROM access_policies WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?;
    let not_found = || {
        Error::not_found("policy_not_found", format!("there is no policy {id} in this workspace"))
            .remedy("GET /api/v1/policies lists the policies")
    };
    from_row(&row.ok_or_else(not_found)?)
}

pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<Policy>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT * FROM access_policies WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let policies = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(policies, page.limit, |policy| policy.id.to_string()))
}

/// The versions before `before`, the newest first.
pub(crate) async fn versions(tx: &mut Tx, id: PolicyId, before: i64, limit: i64) -> Result<Vec<PolicyVersion>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT * FROM access_policy_versions WHERE tenant_id = $1 AND policy_id = $2 AND version < $3
         ORDER BY version DESC LIMIT $4",
        [tenant.into(), id.into(), before.into(), limit.into()],
    )
    .await?
    .iter()
    .map(version_from_row)
    .collect()
}

/// How many policies there are.
pub(crate) async fn count(tx: &mut Tx) -> Result<i64> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS policies FROM access_policies WHERE tenant_id = $1", [tenant.into()])
        .await?
        .get("policies")
}

/// The policies that are in force, in the order in which they were made.
pub(crate) async fn enabled(tx: &mut Tx) -> Result<Vec<Source>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT id, name, text FROM access_policies WHERE tenant_id = $1 AND enabled = 1 ORDER BY id",
        [tenant.into()],
    )
    .await?
    .iter()
    .map(source_from_row)
    .collect()
}

/// The number of the set and how many policies are in force.
pub(crate) async fn revision(tx: &mut Tx) -> Result<u64> {
    let tenant = tx.tenant()?;
    let row =
        tx.fetch_optional("SELECT revision FROM access_policy_sets WHERE tenant_id = $1", [tenant.into()]).await?;
    row.map_or(Ok(0), |row| row.get("revision"))
}

pub(crate) async fn insert(tx: &mut Tx, policy: &Policy) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO access_policies
           (tenant_id, id, name, name_key, description, text, statements, enabled, version, created_at, updated_at, updated_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        [
            tenant.into(),
            policy.id.into(),
            policy.name.as_str().into(),
            policy.name.to_lowercase().into(),
            policy.description.as_str().into(),
            policy.text.as_str().into(),
            policy.statements.into(),
            policy.enabled.into(),
            policy.version.into(),
            policy.created_at.into(),
            policy.updated_at.into(),
            Value::json(&policy.updated_by)?,
        ],
    )
    .await
    .map_err(|error| name_taken(error, &policy.name))?;
    keep_version(tx, policy).await
}

/// False when somebody else changed it at the same moment.
pub(crate) async fn update(tx: &mut Tx, policy: &Policy) -> Result<bool> {
    let tenant = tx.tenant()?;
    let changed = tx
        .execute(
            "UPDATE access_policies SET name = $3, name_key = $4, description = $5, text = $6, statements = $7,
                    enabled = $8, version = $9, updated_at = $10, updated_by = $11
             WHERE tenant_id = $1 AND id = $2 AND version = $9 - 1",
            [
                tenant.into(),
                policy.id.into(),
                policy.name.as_str().into(),
                policy.name.to_lowercase().into(),
                policy.description.as_str().into(),
                policy.text.as_str().into(),
                policy.statements.into(),
                policy.enabled.into(),
                policy.version.into(),
                policy.updated_at.into(),
                Value::json(&policy.updated_by)?,
            ],
        )
        .await
        .map_err(|error| name_taken(error, &policy.name))?;
    if changed == 0 {
        return Ok(false);
    }
    keep_version(tx, policy).await?;
    Ok(true)
}

async fn keep_version(tx: &mut Tx, policy: &Policy) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO access_policy_versions
           (tenant_id, policy_id, version, name, description, text, enabled, changed_at, changed_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        [
            tenant.into(),
            policy.id.into(),
            policy.version.into(),
            policy.name.as_str().into(),
            policy.description.as_str().into(),
            policy.text.as_str().into(),
            policy.enabled.into(),
            policy.updated_at.into(),
            Value::json(&policy.updated_by)?,
        ],
    )
    .await
    .map(drop)
}

/// With all its versions.
pub(crate) async fn delete(tx: &mut Tx, id: PolicyId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM access_policies WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await
        .map(drop)
}

/// The set is another one now. Call it after every change, in its transaction.
pub(crate) async fn renew_set(tx: &mut Tx) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO access_policy_sets (tenant_id, revision, enabled)
         VALUES ($1, 1, (SELECT COUNT(*) FROM access_policies WHERE tenant_id = $1 AND enabled = 1))
         ON CONFLICT (tenant_id) DO UPDATE SET revision = access_policy_sets.revision + 1, enabled = excluded.enabled",
        [tenant.into()],
    )
    .await
    .map(drop)
}
