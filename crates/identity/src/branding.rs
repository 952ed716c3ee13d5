//! How a tenant looks and what it is told by: colours, logo, the footer of its mails, and a host name of its own.
//!
//! A host name is confirmed by an operator, who knows whom it belongs to. Nothing is fetched from it and nothing is looked up for
//! it: a tenant could otherwise make this server call any address, and whoever came first would own a name that merely points here.

#[cfg(fuzzing)]
pub(crate) mod fuzzing;

use bytes::Bytes;
use plasma_kernel::{Ctx, Error, Permission, Result, TenantId};
use plasma_store::Tx;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    Branding, CustomDomain, Identity, Logo, NewBranding,
    colors::{self, Theme},
    events, pictures, store,
    tenants::{acting_in, require_visible},
    validation,
};

const CONTACT_CHARS_MAX: usize = 254;
const DOMAIN_BYTES_MAX: usize = 253;

impl Identity {
    /// How the transaction's tenant looks.
    ///
    /// # Errors
    /// `not_found` when the tenant is gone.
    pub async fn branding(&self, tx: &mut Tx) -> Result<Branding> {
        let tenant = tx.tenant()?;
        let name = store::tenants::get(tx, tenant).await?.name;
        let stored = store::branding::get(tx).await?;
        let dark_is_given = stored.accent_color_dark.is_some();
        let made = || stored.accent_color.as_deref().and_then(colors::dark_of);
        Ok(Branding {
            name,
            accent_color_dark: stored.accent_color_dark.clone().or_else(made),
            accent_color: stored.accent_color,
            support_contact: stored.support_contact,
            mail_footer: stored.mail_footer,
            logo: stored.logo,
            domain: stored.domain,
            dark_is_given,
        })
    }

    /// How the caller's tenant looks, for everybody in it.
    ///
    /// # Errors
    /// What the database fails with.
    pub async fn own_branding(&self, ctx: &Ctx) -> Result<Branding> {
        let mut tx = self.inner.store.read(ctx).await?;
        self.branding(&mut tx).await
    }

    /// Replaces colours, contact and footer. Logo and host name stay.
    ///
    /// # Errors
    /// `forbidden` without `tenants:write`; `invalid` for a colour that is none or cannot be read, and for wrong texts.
    pub async fn put_branding(&self, ctx: &Ctx, new: NewBranding) -> Result<Branding> {
        ctx.require(Permission::TenantsWrite)?;
        let new = checked(new)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let before = store::branding::get(&mut tx).await?;
        let changed: Vec<&str> = [
            ("accent_color", before.accent_color != new.accent_color),
            ("accent_color_dark", before.accent_color_dark != new.accent_color_dark),
            ("support_contact", before.support_contact != new.support_contact),
            ("mail_footer", before.mail_footer != new.mail_footer),
        ]
        .into_iter()
        .filter_map(|(field, changed)| changed.then_some(field))
        .collect();
        if !changed.is_empty() {
            store::branding::put(&mut tx, &new).await?;
            let old = json!({
                "accent_color": before.accent_color, "accent_color_dark": before.accent_color_dark,
                "support_contact": before.support_contact, "mail_footer": before.mail_footer,
            });
            let event = events::branding_updated(ctx.tenant()?, &changed);
            tx.emit(event.changed(old, events::state_of_branding(&new))).await?;
        }
        let branding = self.branding(&mut tx).await?;
        tx.commit().await?;
        Ok(branding)
    }

    /// Puts the tenant's picture: PNG, JPEG or WebP, known by its own first bytes.
    ///
    /// # Errors
    /// `forbidden` without `tenants:write`; `invalid` and `too_large` for other bytes; `unavailable` when the storage fails.
    pub async fn put_logo(&self, ctx: &Ctx, bytes: Bytes) -> Result<Branding> {
        ctx.require(Permission::TenantsWrite)?;
        let media_type = pictures::check("logo", &bytes)?.to_owned();
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        // Named by what it holds: whoever reads the picture from before goes on reading that one.
        let logo = Logo { media_type, blob: format!("branding/{hash}"), hash };
        self.inner.store.blobs().put(ctx, &logo.blob, bytes).await?;
        self.replace_logo(ctx, Some(&logo)).await
    }

    /// Takes the tenant's picture away. Without one, nothing happens.
    ///
    /// # Errors
    /// `forbidden` without `tenants:write`.
    pub async fn remove_logo(&self, ctx: &Ctx) -> Result<()> {
        ctx.require(Permission::TenantsWrite)?;
        self.replace_logo(ctx, None).await.map(drop)
    }

    async fn replace_logo(&self, ctx: &Ctx, logo: Option<&Logo>) -> Result<Branding> {
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let before = store::branding::get(&mut tx).await?.logo;
        if before.as_ref() != logo {
            store::branding::put_logo(&mut tx, logo).await?;
            let event = events::branding_updated(ctx.tenant()?, &["logo"]);
            let state = |logo: Option<&Logo>| json!({ "logo": logo.map(|logo| &logo.hash) });
            tx.emit(event.changed(state(before.as_ref()), state(logo))).await?;
        }
        let branding = self.branding(&mut tx).await?;
        tx.commit().await?;
        if let Some(before) = before.filter(|before| Some(&before.blob) != logo.map(|logo| &logo.blob))
            && let Err(error) = self.inner.store.blobs().delete(ctx, &before.blob).await
        {
            tracing::warn!(?error, "a logo that nobody shows any more could not be removed");
        }
        Ok(branding)
    }

    /// The bytes of the caller's tenant's picture.
    ///
    /// # Errors
    /// `not_found` (`logo_not_found`), `unavailable` when the storage fails.
    pub async fn logo(&self, ctx: &Ctx) -> Result<(Logo, Bytes)> {
        let logo = store::branding::get(&mut self.inner.store.read(ctx).await?).await?.logo.ok_or_else(no_logo)?;
        let bytes = self.inner.store.blobs().get(ctx, &logo.blob).await?;
        Ok((logo, bytes))
    }

    /// Asks for a host name. It shows the tenant's looks once an operator has confirmed it.
    ///
    /// # Errors
    /// `forbidden` without `tenants:write`; `invalid` for what is no host name.
    pub async fn put_domain(&self, ctx: &Ctx, domain: &str) -> Result<Branding> {
        ctx.require(Permission::TenantsWrite)?;
        let domain = checked_domain("domain", domain)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let before = store::branding::get(&mut tx).await?.domain.map(|before| before.name);
        if before.as_deref() != Some(domain.as_str()) {
            store::branding::put_domain(&mut tx, Some(&domain)).await?;
            let event = events::branding_updated(ctx.tenant()?, &["domain"]);
            tx.emit(event.changed(json!({ "domain": before }), json!({ "domain": domain }))).await?;
        }
        let branding = self.branding(&mut tx).await?;
        tx.commit().await?;
        Ok(branding)
    }

    /// Gives the host name up.
    ///
    /// # Errors
    /// `forbidden` without `tenants:write`.
    pub async fn remove_domain(&self, ctx: &Ctx) -> Result<()> {
        ctx.require(Permission::TenantsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        if let Some(before) = store::branding::get(&mut tx).await?.domain {
            store::branding::put_domain(&mut tx, None).await?;
            let event = events::branding_updated(ctx.tenant()?, &["domain"]);
            tx.emit(event.changed(json!({ "domain": before.name }), json!({ "domain": null }))).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// How a tenant looks, for an operator.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`, `not_found`.
    pub async fn branding_of(&self, ctx: &Ctx, id: TenantId) -> Result<Branding> {
        ctx.require(Permission::InstallationManage)?;
        let mut tx = self.inner.store.read(&acting_in(ctx, id)).await?;
        self.branding(&mut tx).await
    }

    /// Confirms, for an operator, that the host name is the tenant's. `domain` must be the one that it asks for now.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`; `not_found`; `conflict` when the tenant asks for another one by now
    /// (`domain_changed`) or the name is another tenant's (`domain_taken`).
    pub async fn confirm_domain(&self, ctx: &Ctx, id: TenantId, domain: &str) -> Result<Branding> {
        ctx.require(Permission::InstallationManage)?;
        require_visible(ctx, id, Permission::InstallationManage)?;
        let domain = checked_domain("domain", domain)?;
        let mut tx = self.inner.store.begin(&acting_in(ctx, id)).await?;
        store::tenants::get(&mut tx, id).await?;
        let confirmed = store::branding::confirm_domain(&mut tx, &domain).await.map_err(|error| {
            if error.reason() == "already_exists" {
                return Error::conflict("domain_taken", "another workspace has this host name").field("domain");
            }
            error
        })?;
        if !confirmed {
            return Err(Error::conflict("domain_changed", "the workspace does not ask for this host name (any more)"));
        }
        tx.emit(events::domain_confirmed(id, &domain)).await?;
        let branding = self.branding(&mut tx).await?;
        tx.commit().await?;
        Ok(branding)
    }

    /// The looks that belong to the host name of a request, for pages that nobody has logged in to yet. `None`: the program's own.
    ///
    /// # Errors
    /// What the database fails with.
    pub async fn branding_of_host(&self, host: &str) -> Result<Option<(TenantId, Branding)>> {
        let Ok(domain) = checked_domain("host", without_port(host)) else { return Ok(None) };
        let system = self.system("find the tenant of a host name");
        let found = store::branding::tenant_of_domain(&mut self.inner.store.read(&system).await?, &domain).await?;
        let Some(tenant) = found else { return Ok(None) };
        let ctx = system.for_tenant(tenant, "show the looks of a host name");
        let mut tx = self.inner.store.read(&ctx).await?;
        Ok(Some((tenant, self.branding(&mut tx).await?)))
    }

    /// The picture that belongs to the host name of a request.
    ///
    /// # Errors
    /// `not_found` (`logo_not_found`), `unavailable` when the storage fails.
    pub async fn logo_of_host(&self, host: &str) -> Result<(Logo, Bytes)> {
        let (tenant, _) = self.branding_of_host(host).await?.ok_or_else(no_logo)?;
        self.logo(&self.system("show the logo of a host name").for_tenant(tenant, "show the logo of a host name")).await
    }
}

fn no_logo() -> Error {
    Error::not_found("logo_not_found", "there is no logo")
}

fn checked(new: NewBranding) -> Result<NewBranding> {
    let color = |field, text: Option<String>, theme| {
        text.filter(|text| !text.trim().is_empty()).map(|text| colors::accent(field, &text, theme)).transpose()
    };
    let accent_color = color("accent_color", new.accent_color, Theme::Light)?;
    let accent_color_dark = color("accent_color_dark", new.accent_color_dark, Theme::Dark)?;
    if accent_color.is_none() && accent_color_dark.is_some() {
        return Err(Error::invalid("accent_color_dark", "a colour for dark pages needs one for light pages")
            .remedy("send `accent_color` too"));
    }
    let support_contact =
        new.support_contact.filter(|contact| !contact.trim().is_empty()).map(|contact| checked_contact(&contact));
    Ok(NewBranding {
        accent_color,
        accent_color_dark,
        support_contact: support_contact.transpose()?,
        mail_footer: validation::description("mail_footer", &new.mail_footer)?,
    })
}

/// An address of mail or a page: it is shown as a link.
fn checked_contact(contact: &str) -> Result<String> {
    let contact = contact.trim();
    let wrong = || {
        Error::invalid("support_contact", "must be an e-mail or an https address")
            .remedy("such as help@example.com or https://example.com/help")
    };
    if contact.chars().count() > CONTACT_CHARS_MAX || contact.chars().any(|letter| letter.is_control()) {
        return Err(wrong());
    }
    if let Some(rest) = contact.strip_prefix("https://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // No `user@host`, which misleads, and nothing that ends an attribute.
        let is_plain = !host.is_empty() && !host.contains('@') && !contact.contains(['"', '<', '>', ' ', '\\']);
        return if is_plain { Ok(contact.to_owned()) } else { Err(wrong()) };
    }
    validation::email("support_contact", contact).map_err(|_| wrong())
}

/// Checks a host name and returns it in lower case. Of this form are also names of other alphabets (as `xn--…`), but not addresses.
fn checked_domain(field: &str, text: &str) -> Result<String> {
    let domain = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let labels: Vec<&str> = domain.split('.').collect();
    let ends_in_letters = labels.last().is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_lowercase()));
    if domain.len() > DOMAIN_BYTES_MAX
        || labels.len() < 2
        || !labels.iter().all(|label| is_label(label))
        || !ends_in_letters
    {
        return Err(
            Error::invalid(field, "is no host name").remedy("such as knowledge.example.com, without https:// and port")
        );
    }
    Ok(domain)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

impl Branding {
    /// A mail's text with the tenant's footer below it.
    pub fn signed(&self, text: String) -> String {
        if self.mail_footer.is_empty() { text } else { format!("{}\n\n-- \n{}\n", text.trim_end(), self.mail_footer) }
    }
}

impl CustomDomain {
    /// The address that mails for the tenant begin with, if its host name is confirmed.
    pub(crate) fn confirmed_name(&self) -> Option<&str> {
        self.confirmed_at.map(|_| self.name.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_checked() {
        assert_eq!(checked_domain("domain", " Knowledge.Example.COM. ").unwrap(), "knowledge.example.com");
        assert_eq!(checked_domain("domain", "xn--mnchen-3ya.example").unwrap(), "xn--mnchen-3ya.example");
        let long = format!("{}.example", "a".repeat(64));
        let longer = format!("{}example", "a.".repeat(130));
        for text in [
            "",
            "localhost",
            "https://example.com",
            "example.com:8080",
            "example..com",
            "-a.example",
            "a b.example",
            "127.0.0.1",
            "münchen.example",
            "a_b.example",
            "*.example.com",
            &long,
            &longer,
        ] {
            assert_eq!(checked_domain("domain", text).unwrap_err().field_name(), Some("domain"), "{text:?}");
        }
        assert_eq!(without_port("example.com:8443"), "example.com");
        assert_eq!(without_port("example.com"), "example.com");
    }

    #[test]
    fn contacts_are_links_that_do_not_mislead() {
        assert_eq!(checked_contact(" Help@Example.com ").unwrap(), "help@example.com");
        assert_eq!(checked_contact("https://example.com/help?a=b").unwrap(), "https://example.com/help?a=b");
        for text in
            ["javascript:alert(1)", "http://example.com", "https://", "https://a@b.example", "https://a\"b", "help"]
        {
            assert!(checked_contact(text).is_err(), "{text}");
        }
    }
}
