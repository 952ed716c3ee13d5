use std::collections::HashMap;

use plasma_kernel::{ApplicationId, Error, Page, PageRequest, Result, TenantId, Timestamp};
use plasma_store::{Row, Tx, Value, page_key};

use super::roles::{permissions_from_text, permissions_to_text};
use crate::{
    last_used::WRITTEN_EVERY_MICROS,
    oauth::{Application, ApplicationSecret},
    tokens::Fingerprint,
};

fn from_row(row: &Row) -> Result<Application> {
    Ok(Application {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        homepage: row.get("homepage")?,
        kind: row.get::<String>("kind")?.parse()?,
        redirect_uris: row.json("redirect_uris")?,
        scopes: permissions_from_text(&row.get::<String>("scopes")?),
        own_permissions: permissions_from_text(&row.get::<String>("own_permissions")?),
        device: row.get("device")?,
        created_by: Some(row.get("created_by")?),
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        consent_since: row.get("consent_since")?,
        disabled_at: row.get("disabled_at")?,
        last_used_at: row.get("last_used_at")?,
        secrets: Vec::new(),
    })
}

pub(crate) fn not_found(id: ApplicationId) -> Error {
    Error::not_found("application_not_found", format!("there is no application {id} in this workspace"))
}

/// Across tenants: the application and its tenant, without its secrets.
pub(crate) async fn find(tx: &mut Tx, id: ApplicationId) -> Result<Option<(TenantId, Application)>> {
    let row = tx.fetch_optional("SELECT * FROM applications WHERE id = $1", [id.into()]).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((row.get("tenant_id")?, from_row(&row)?)))
}

pub(crate) async fn get(tx: &mut Tx, id: ApplicationId) -> Result<Application> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional("SELECT * FROM applications WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?;
    let mut application = from_row(&row.ok_or_else(|| not_found(id))?)?;
    application.secrets = secrets(tx, id).await?;
    Ok(application)
}

pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<Application>> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let rows = tx
        .fetch_all(
            "SELECT * FROM applications WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let mut applications = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    // At most 200 applications with 5 secrets each in a tenant.
    let rows = tx
        .fetch_all(
            "SELECT * FROM application_secrets WHERE tenant_id = $1 AND (expires_at IS NULL OR expires_at > $2)
             ORDER BY created_at DESC",
            [tenant.into(), now.into()],
        )
        .await?;
    let mut secrets: HashMap<ApplicationId, Vec<ApplicationSecret>> = HashMap::new();
    for row in &rows {
        secrets.entry(row.get("application_id")?).or_default().push(secret_from_row(row)?);
    }
    for application in &mut applications {
        application.secrets = secrets.remove(&application.id).unwrap_or_default();
    }
    Ok(Page::from_rows(applications, page.limit, |application| application.id.to_string()))
}

pub(crate) async fn count(tx: &mut Tx) -> Result<i64> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS applications FROM applications WHERE tenant_id = $1", [tenant.into()])
        .await?
        .get("applications")
}

pub(crate) async fn insert(tx: &mut Tx, application: &Application) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO applications
           (tenant_id, id, name, description, homepage, kind, redirect_uris, scopes, own_permissions, device, created_by,
            created_at, updated_at, consent_since)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $12)",
        [
            tenant.into(),
            application.id.into(),
            application.name.as_str().into(),
            application.description.as_str().into(),
            application.homepage.as_deref().into(),
            application.kind.as_str().into(),
            Value::json(&application.redirect_uris)?,
            permissions_to_text(application.scopes).into(),
            permissions_to_text(application.own_permissions).into(),
            application.device.into(),
            application.created_by.into(),
            application.created_at.into(),
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut Tx, application: &Application) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE applications SET name = $3, description = $4, homepage = $5, redirect_uris = $6, scopes = $7,
           own_permissions = $8, device = $9, updated_at = $10, consent_since = $11, disabled_at = $12
         WHERE tenant_id = $1 AND id = $2",
        [
            tenant.into(),
            application.id.into(),
            application.name.as_str().into(),
            application.description.as_str().into(),
            application.homepage.as_deref().into(),
            Value::json(&application.redirect_uris)?,
            permissions_to_text(application.scopes).into(),
            permissions_to_text(application.own_permissions).into(),
            application.device.into(),
            application.updated_at.into(),
            application.consent_since.into(),
            application.disabled_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// With its secrets; what people allowed it is deleted beside it.
pub(crate) async fn delete(tx: &mut Tx, id: ApplicationId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM applications WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await?;
    Ok(())
}

fn secret_from_row(row: &Row) -> Result<ApplicationSecret> {
    Ok(ApplicationSecret {
        prefix: row.get("prefix")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}

/// The secrets that have not ended, newest first.
async fn secrets(tx: &mut Tx, id: ApplicationId) -> Result<Vec<ApplicationSecret>> {
    usable_secrets(tx, id).await?.iter().map(secret_from_row).collect()
}

/// The fingerprints of the secrets that have not ended.
pub(crate) async fn secret_hashes(tx: &mut Tx, id: ApplicationId) -> Result<Vec<Vec<u8>>> {
    usable_secrets(tx, id).await?.iter().map(|row| row.get("secret_hash")).collect()
}

async fn usable_secrets(tx: &mut Tx, id: ApplicationId) -> Result<Vec<Row>> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.fetch_all(
        "SELECT * FROM application_secrets
         WHERE tenant_id = $1 AND application_id = $2 AND (expires_at IS NULL OR expires_at > $3)
         ORDER BY created_at DESC",
        [tenant.into(), id.into(), now.into()],
    )
    .await
}

pub(crate) async fn insert_secret(tx: &mut Tx, id: ApplicationId, secret: &Fingerprint, prefix: &str) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO application_secrets (tenant_id, application_id, secret_hash, prefix, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        [tenant.into(), id.into(), secret.as_bytes().into(), prefix.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// The secrets end at this time, unless they end before.
pub(crate) async fn end_secrets(tx: &mut Tx, id: ApplicationId, at: Timestamp) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "UPDATE application_secrets SET expires_at = $3
         WHERE tenant_id = $1 AND application_id = $2 AND (expires_at IS NULL OR expires_at > $3)",
        [tenant.into(), id.into(), at.into()],
    )
    .await?;
    tx.execute(
        "DELETE FROM application_secrets WHERE tenant_id = $1 AND application_id = $2 AND expires_at <= $3",
        [tenant.into(), id.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Across tenants. The condition also keeps several processes to one write a minute.
pub(crate) async fn note_use(tx: &mut Tx, tenant: TenantId, id: ApplicationId, used_at: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE applications SET last_used_at = $3
         WHERE tenant_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at <= $4)",
        [tenant.into(), id.into(), used_at.into(), (used_at - WRITTEN_EVERY_MICROS).into()],
    )
    .await?;
    Ok(())
}
