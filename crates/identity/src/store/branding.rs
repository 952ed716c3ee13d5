use plasma_kernel::{Result, TenantId, Timestamp};
use plasma_store::{Row, Tx};

use crate::{CustomDomain, Logo, NewBranding};

/// What is kept of a tenant's looks; the name stands in the table of tenants.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredBranding {
    pub(crate) accent_color: Option<String>,
    pub(crate) accent_color_dark: Option<String>,
    pub(crate) support_contact: Option<String>,
    pub(crate) mail_footer: String,
    pub(crate) logo: Option<Logo>,
    pub(crate) domain: Option<CustomDomain>,
}

fn from_row(row: &Row) -> Result<StoredBranding> {
    let logo = match (row.get::<Option<String>>("logo_blob")?, row.get::<Option<String>>("logo_media_type")?) {
        (Some(blob), Some(media_type)) => {
            Some(Logo { blob, media_type, hash: row.get::<Option<String>>("logo_hash")?.unwrap_or_default() })
        }
        _ => None,
    };
    let domain = match row.get::<Option<String>>("domain")? {
        Some(name) => Some(CustomDomain {
            name,
            requested_at: row.get::<Option<Timestamp>>("domain_requested_at")?.unwrap_or(0),
            confirmed_at: row.get("domain_confirmed_at")?,
        }),
        None => None,
    };
    Ok(StoredBranding {
        accent_color: row.get("accent_color")?,
        accent_color_dark: row.get("accent_color_dark")?,
        support_contact: row.get("support_contact")?,
        mail_footer: row.get("mail_footer")?,
        logo,
        domain,
    })
}

/// The transaction's tenant's looks; those of nobody when nothing was ever said.
pub(crate) async fn get(tx: &mut Tx) -> Result<StoredBranding> {
    let tenant = tx.tenant()?;
    let row = tx.fetch_optional("SELECT * FROM tenant_branding WHERE tenant_id = $1", [tenant.into()]).await?;
    row.as_ref().map_or_else(|| Ok(StoredBranding::default()), from_row)
}

/// Replaces colours and texts; logo and domain stay.
pub(crate) async fn put(tx: &mut Tx, new: &NewBranding) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO tenant_branding (tenant_id, accent_color, accent_color_dark, support_contact, mail_footer, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant_id) DO UPDATE
           SET accent_color = excluded.accent_color, accent_color_dark = excluded.accent_color_dark,
               support_contact = excluded.support_contact, mail_footer = excluded.mail_footer,
               updated_at = excluded.updated_at",
        [
            tenant.into(),
            new.accent_color.as_deref().into(),
            new.accent_color_dark.as_deref().into(),
            new.support_contact.as_deref().into(),
            new.mail_footer.as_str().into(),
            now.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Puts a logo, or takes it away.
pub(crate) async fn put_logo(tx: &mut Tx, logo: Option<&Logo>) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO tenant_branding (tenant_id, logo_blob, logo_media_type, logo_hash, updated_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id) DO UPDATE
           SET logo_blob = excluded.logo_blob, logo_media_type = excluded.logo_media_type,
               logo_hash = excluded.logo_hash, updated_at = excluded.updated_at",
        [
            tenant.into(),
            logo.map(|logo| logo.blob.as_str()).into(),
            logo.map(|logo| logo.media_type.as_str()).into(),
            logo.map(|logo| logo.hash.as_str()).into(),
            now.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Writes the host name that the tenant asks for, not confirmed yet, or takes it away.
pub(crate) async fn put_domain(tx: &mut Tx, domain: Option<&str>) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO tenant_branding (tenant_id, domain, domain_requested_at, updated_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id) DO UPDATE
           SET domain = excluded.domain, domain_requested_at = excluded.domain_requested_at, domain_confirmed_at = NULL,
               updated_at = excluded.updated_at",
        [tenant.into(), domain.into(), domain.map(|_| now).into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Confirms the host name, if it is still this one. Another tenant's confirmed one is a conflict.
pub(crate) async fn confirm_domain(tx: &mut Tx, domain: &str) -> Result<bool> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let changed = tx
        .execute(
            "UPDATE tenant_branding SET domain_confirmed_at = $3, updated_at = $3 WHERE tenant_id = $1 AND domain = $2",
            [tenant.into(), domain.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Across tenants: whose host name this is, of those that work.
pub(crate) async fn tenant_of_domain(tx: &mut Tx, domain: &str) -> Result<Option<TenantId>> {
    tx.fetch_optional(
        "SELECT b.tenant_id FROM tenant_branding b JOIN tenants t ON t.id = b.tenant_id
         WHERE b.domain = $1 AND b.domain_confirmed_at IS NOT NULL AND t.state = 'active'",
        [domain.into()],
    )
    .await?
    .map(|row| row.get("tenant_id"))
    .transpose()
}
