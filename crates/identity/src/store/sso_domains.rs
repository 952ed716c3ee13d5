//! E-mail domains that tenants claim. A unique index gives a verified domain to one tenant of the installation.

use plasma_kernel::{Code, ConnectionId, Error, Page, PageRequest, Result, TenantId, Timestamp};
use plasma_store::{Row, Sql, Tx, id_array};

use crate::{ClaimedDomain, ConnectionDomain, DomainState, DomainVerifier};

/// The last text of all: a list that begins here has every domain before it.
const AFTER_EVERY_DOMAIN: &str = "~";

fn verifier(row: &Row) -> Result<Option<DomainVerifier>> {
    Ok(row.get::<Option<String>>("verified_by")?.as_deref().map(DomainVerifier::from_text))
}

fn domain_from_row(row: &Row) -> Result<ConnectionDomain> {
    let verified_at: Option<Timestamp> = row.get("verified_at")?;
    let state = if verified_at.is_some() { DomainState::Verified } else { DomainState::Pending };
    Ok(ConnectionDomain { domain: row.get("domain")?, state, verified_at, verified_by: verifier(row)? })
}

/// The domains of a connection, in their order. Whether another tenant has a pending one, this cannot see.
pub(crate) async fn of_connection(tx: &mut Tx, id: ConnectionId) -> Result<Vec<ConnectionDomain>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT domain, verified_at, verified_by FROM sso_domains
         WHERE tenant_id = $1 AND connection_id = $2 ORDER BY domain",
        [tenant.into(), id.into()],
    )
    .await?
    .iter()
    .map(domain_from_row)
    .collect()
}

/// By which connection the tenant claims the domain.
pub(crate) async fn claimed_by(tx: &mut Tx, domain: &str) -> Result<Option<ConnectionId>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT connection_id FROM sso_domains WHERE tenant_id = $1 AND domain = $2",
            [tenant.into(), domain.into()],
        )
        .await?;
    row.map(|row| row.get("connection_id")).transpose()
}

pub(crate) async fn claim(tx: &mut Tx, id: ConnectionId, domain: &str) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO sso_domains (tenant_id, domain, connection_id, created_at) VALUES ($1, $2, $3, $4)",
        [tenant.into(), domain.into(), id.into(), now.into()],
    )
    .await
    .map(drop)
}

pub(crate) async fn give_up(tx: &mut Tx, domain: &str) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM sso_domains WHERE tenant_id = $1 AND domain = $2", [tenant.into(), domain.into()])
        .await
        .map(drop)
}

/// Across tenants: who has the domain.
pub(crate) async fn owner(tx: &mut Tx, domain: &str) -> Result<Option<TenantId>> {
    let row = tx
        .fetch_optional(
            "SELECT tenant_id FROM sso_domains WHERE domain = $1 AND verified_at IS NOT NULL",
            [domain.into()],
        )
        .await?;
    row.map(|row| row.get("tenant_id")).transpose()
}

/// Across tenants: which of the domains another tenant than this one has.
pub(crate) async fn taken(tx: &mut Tx, tenant: TenantId, domains: &[&str]) -> Result<Vec<String>> {
    const TAKEN: Sql = Sql::each(
        "SELECT domain FROM sso_domains WHERE tenant_id <> $1 AND verified_at IS NOT NULL
           AND domain IN (SELECT value FROM json_each($2))",
        "SELECT domain FROM sso_domains WHERE tenant_id <> $1 AND verified_at IS NOT NULL
           AND domain IN (SELECT jsonb_array_elements_text($2::jsonb))",
    );
    tx.fetch_all(TAKEN, [tenant.into(), id_array(domains)]).await?.iter().map(|row| row.get("domain")).collect()
}

/// Across tenants: whether somebody of another tenant has an e-mail of this domain.
pub(crate) async fn is_used_elsewhere(tx: &mut Tx, tenant: TenantId, domain: &str) -> Result<bool> {
    let row = tx
        .fetch_optional(
            "SELECT u.id FROM users u JOIN memberships m ON m.user_id = u.id
             WHERE m.tenant_id <> $1 AND u.email LIKE $2 LIMIT 1",
            [tenant.into(), format!("%@{domain}").into()],
        )
        .await?;
    Ok(row.is_some())
}

/// Gives the domain that the tenant claims to it. False when it does not claim it.
///
/// # Errors
/// `conflict` (`domain_taken`) when another tenant has it.
pub(crate) async fn verify(tx: &mut Tx, domain: &str, by: DomainVerifier) -> Result<bool> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let changed = tx
        .execute(
            "UPDATE sso_domains SET verified_at = $3, verified_by = $4
             WHERE tenant_id = $1 AND domain = $2 AND verified_at IS NULL",
            [tenant.into(), domain.into(), now.into(), by.as_str().into()],
        )
        .await
        .map_err(|error| match error.code() {
            Code::Conflict => taken_error(domain).source(error),
            _ => error,
        })?;
    Ok(changed > 0 || claimed_by(tx, domain).await?.is_some())
}

pub(crate) fn taken_error(domain: &str) -> Error {
    Error::conflict("domain_taken", format!("another workspace of this installation has the domain {domain}"))
        .field("domains")
        .remedy("ask an operator of the installation to look whose it is: PUT /api/v1/domains/{domain}")
}

/// Takes the domain from the tenant, which goes on claiming it. False when it did not have it.
pub(crate) async fn release(tx: &mut Tx, domain: &str) -> Result<bool> {
    let tenant = tx.tenant()?;
    let changed = tx
        .execute(
            "UPDATE sso_domains SET verified_at = NULL, verified_by = NULL
             WHERE tenant_id = $1 AND domain = $2 AND verified_at IS NOT NULL",
            [tenant.into(), domain.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Across tenants: every claim, in the order of the domains.
pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<ClaimedDomain>> {
    // The cursor is `domain tenant`: no domain has a space.
    let (domain, tenant) =
        page.cursor.as_deref().map_or(("", ""), |cursor| cursor.split_once(' ').unwrap_or((AFTER_EVERY_DOMAIN, "")));
    let rows = tx
        .fetch_all(
            "SELECT d.domain, d.tenant_id, d.connection_id, d.created_at, d.verified_at, d.verified_by,
                    t.name AS tenant_name
             FROM sso_domains d JOIN tenants t ON t.id = d.tenant_id
             WHERE d.domain > $1 OR (d.domain = $1 AND d.tenant_id > $2) ORDER BY d.domain, d.tenant_id LIMIT $3",
            [domain.into(), tenant.into(), page.fetch_limit().into()],
        )
        .await?;
    let claims = rows.iter().map(claim_from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(claims, page.limit, |claim| format!("{} {}", claim.domain, claim.tenant)))
}

fn claim_from_row(row: &Row) -> Result<ClaimedDomain> {
    Ok(ClaimedDomain {
        domain: row.get("domain")?,
        tenant: row.get("tenant_id")?,
        tenant_name: row.get("tenant_name")?,
        connection: row.get("connection_id")?,
        claimed_at: row.get("created_at")?,
        verified_at: row.get("verified_at")?,
        verified_by: verifier(row)?,
    })
}
