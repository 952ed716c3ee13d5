use plasma_kernel::{Error, Page, PageRequest, Result, ServiceIdentityId};
use plasma_store::{Row, Tx, page_key};

use crate::{ServiceIdentity, tokens::Fingerprint};

fn from_row(row: &Row) -> Result<ServiceIdentity> {
    Ok(ServiceIdentity {
        id: row.get("id")?,
        spiffe_id: row.get("spiffe_id")?,
        api_key: row.get("api_key_id")?,
        created_at: row.get("created_at")?,
    })
}

/// Across tenants: the key as which the service with this name acts.
pub(crate) async fn key_of(tx: &mut Tx, spiffe_id: &str) -> Result<Option<Fingerprint>> {
    let row = tx
        .fetch_optional(
            "SELECT k.token_hash FROM service_identities s
             JOIN api_keys k ON k.tenant_id = s.tenant_id AND k.id = s.api_key_id WHERE s.spiffe_id = $1",
            [spiffe_id.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let hash = Fingerprint::from_bytes(&row.get::<Vec<u8>>("token_hash")?);
    hash.map(Some).ok_or_else(|| Error::internal("a key's hash has the wrong length"))
}

pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<ServiceIdentity>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT * FROM service_identities WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let services = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(services, page.limit, |service| service.id.to_string()))
}

pub(crate) async fn count(tx: &mut Tx) -> Result<i64> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS services FROM service_identities WHERE tenant_id = $1", [tenant.into()])
        .await?
        .get("services")
}

pub(crate) async fn insert(tx: &mut Tx, service: &ServiceIdentity) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO service_identities (tenant_id, id, spiffe_id, api_key_id, created_at) VALUES ($1, $2, $3, $4, $5)",
        [
            tenant.into(),
            service.id.into(),
            service.spiffe_id.as_str().into(),
            service.api_key.into(),
            service.created_at.into(),
        ],
    )
    .await
    .map(drop)
}

/// The name of the service that was deleted; `None` when there is none.
pub(crate) async fn delete(tx: &mut Tx, id: ServiceIdentityId) -> Result<Option<String>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "DELETE FROM service_identities WHERE tenant_id = $1 AND id = $2 RETURNING spiffe_id",
            [tenant.into(), id.into()],
        )
        .await?;
    row.map(|row| row.get("spiffe_id")).transpose()
}
