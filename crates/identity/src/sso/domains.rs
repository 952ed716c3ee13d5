//! E-mail domains. Who logs in by their e-mail is led to the connection of the tenant that has its domain, and an e-mail of that domain
//! is believed from it. So a domain must be a tenant's before it has an effect, and never two tenants'.
//!
//! Any owner may claim any domain; a claim alone changes nothing for anybody. It is verified in one of two ways:
//!
//! - An operator of the installation says so: with `PUT /api/v1/domains/{domain}`, or by claiming it themselves.
//! - Somebody logs in by a provider that itself knows whose a domain is, and whose word the tenant cannot write: Google, when it says that
//!   the person belongs to the organization of this very domain (`hd`), or Microsoft, when it says that the owner of the e-mail's domain is
//!   verified (`xms_edov`). A tenant's own provider can say anything, and is not believed in this. Nor is this enough when people of
//!   another tenant have e-mails of the domain: then an operator must decide.
//!
//! Domains in which everybody can get an address belong to nobody.

use plasma_kernel::{ConnectionId, Ctx, Error, Page, PageRequest, Permission, Result, TenantId};
use plasma_store::Tx;
use url::Host;

use super::{events, verify::Proof};
use crate::{
    ClaimedDomain, Connection, DomainState, DomainVerifier, Identity, LoginConnection, Preset, SingleSignOnOffer,
    store, tenants::acting_in, validation,
};

/// So that a list's cursor holds it with the tenant's id.
const DOMAIN_BYTES_MAX: usize = 150;
/// Domains of one connection at most.
pub(super) const DOMAINS_MAX: usize = 100;

/// Where everybody can get an address.
const EVERYBODYS: &[&str] = &[
    "126.com",
    "163.com",
    "aol.com",
    "fastmail.com",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hey.com",
    "hotmail.com",
    "hushmail.com",
    "icloud.com",
    "inbox.com",
    "laposte.net",
    "libero.it",
    "live.com",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "naver.com",
    "orange.fr",
    "outlook.com",
    "pm.me",
    "posteo.de",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rediffmail.com",
    "sina.com",
    "t-online.de",
    "tuta.io",
    "tutanota.com",
    "web.de",
    "yahoo.co.jp",
    "yahoo.co.uk",
    "yahoo.com",
    "yahoo.de",
    "yahoo.fr",
    "yandex.com",
    "yandex.ru",
    "ymail.com",
    "zoho.com",
];

/// A domain in the form in which it is stored: lower case, other letters than ASCII as in DNS. `None` when it is none.
pub(super) fn in_dns_form(text: &str) -> Option<String> {
    let Ok(Host::Domain(domain)) = Host::parse(text.trim()) else { return None };
    let label_is_fine = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_fine = domain.contains('.') && domain.len() <= DOMAIN_BYTES_MAX && domain.split('.').all(label_is_fine);
    is_fine.then_some(domain)
}

/// Checks a domain that somebody wants to claim.
///
/// # Errors
/// `invalid`, for what is no domain and for everybody's.
pub(super) fn checked(field: &str, text: &str) -> Result<String> {
    let domain = in_dns_form(text).ok_or_else(|| {
        Error::invalid(field, "is not a domain of at most 150 characters").remedy("use a form such as example.com")
    })?;
    if EVERYBODYS.contains(&domain.as_str()) {
        return Err(Error::invalid(
            field,
            format!("everybody can have an e-mail of {domain}, so it belongs to nobody"),
        )
        .remedy("leave it out; invite these people, and let them link their accounts under Settings, Security"));
    }
    Ok(domain)
}

/// What stands behind the `@`, as domains are stored.
pub(super) fn of_email(email: &str) -> Option<String> {
    in_dns_form(email.rsplit_once('@')?.1)
}

/// Whether the domain is the tenant's by this connection.
pub(super) fn is_verified(connection: &Connection, domain: &str) -> bool {
    connection.domains.iter().any(|known| known.domain == domain && known.state == DomainState::Verified)
}

/// Whether the provider's own word, at this login, makes the e-mail's domain the tenant's.
fn is_proven(connection: &Connection, proof: &Proof, domain: &str) -> bool {
    if !connection.preset.knows_owners_of_domains()
        || connection.email_verified_claim != connection.preset.email_verified_claim()
    {
        return false;
    }
    match connection.preset {
        Preset::GoogleWorkspace => super::claims::text(&proof.claims, "hd") == Some(domain),
        // Its verified claim is about the domain's owner.
        Preset::EntraId => true,
        Preset::Custom | Preset::Okta | Preset::Auth0 => false,
    }
}

impl Identity {
    /// Makes the connection claim exactly these domains. An operator's claim is verified at once.
    pub(super) async fn claim_domains(&self, tx: &mut Tx, id: ConnectionId, domains: &[String]) -> Result<()> {
        let is_operator =
            tx.ctx().permissions().contains(Permission::InstallationManage) && tx.ctx().person().is_some();
        let before = store::sso_domains::of_connection(tx, id).await?;
        for known in before.iter().filter(|known| !domains.contains(&known.domain)) {
            store::sso_domains::give_up(tx, &known.domain).await?;
            tx.emit(events::domain_given_up(id, &known.domain)).await?;
        }
        for domain in domains.iter().filter(|domain| !before.iter().any(|known| known.domain == **domain)) {
            if let Some(other) = store::sso_domains::claimed_by(tx, domain).await? {
                return Err(Error::conflict(
                    "domain_claimed",
                    format!("your connection {other} claims {domain} already"),
                )
                .field("domains")
                .remedy("take it out of that connection first"));
            }
            store::sso_domains::claim(tx, id, domain).await?;
            tx.emit(events::domain_claimed(id, domain)).await?;
            if is_operator {
                store::sso_domains::verify(tx, domain, DomainVerifier::Operator).await?;
                tx.emit(events::domain_verified(id, domain, DomainVerifier::Operator)).await?;
            }
        }
        Ok(())
    }

    /// Marks the pending domains that another tenant has: only a look across tenants can tell.
    pub(super) async fn mark_taken(&self, ctx: &Ctx, connections: &mut [Connection]) -> Result<()> {
        let pending = |connection: &Connection| {
            let domains = connection.domains.iter().filter(|domain| domain.state == DomainState::Pending);
            domains.map(|domain| domain.domain.clone()).collect::<Vec<_>>()
        };
        let asked: Vec<String> = connections.iter().flat_map(pending).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let taken = store::sso_domains::taken(&mut tx, ctx.tenant()?, &asked).await?;
        let domains = connections.iter_mut().flat_map(|connection| connection.domains.iter_mut());
        for domain in domains.filter(|domain| domain.state == DomainState::Pending && taken.contains(&domain.domain)) {
            domain.state = DomainState::Taken;
        }
        Ok(())
    }

    /// Whether a login with this e-mail by this connection may verify its domain. Looks across tenants; the change itself is made later,
    /// where the unique index has the last word.
    pub(super) async fn may_verify(
        &self,
        ctx: &Ctx,
        connection: &Connection,
        tenant: TenantId,
        proof: &Proof,
        domain: &str,
    ) -> Result<bool> {
        let is_pending =
            connection.domains.iter().any(|known| known.domain == domain && known.state == DomainState::Pending);
        if !is_pending || !is_proven(connection, proof, domain) {
            return Ok(false);
        }
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        if store::sso_domains::owner(&mut tx, domain).await?.is_some() {
            return Ok(false);
        }
        Ok(!store::sso_domains::is_used_elsewhere(&mut tx, tenant, domain).await?)
    }

    /// Every claim of the installation, in the order of the domains.
    ///
    /// # Errors
    /// `forbidden` without `installation:read`.
    pub async fn domains(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<ClaimedDomain>> {
        ctx.require(Permission::InstallationRead)?;
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        store::sso_domains::page(&mut tx, page).await
    }

    /// Gives a domain to one of the tenants that claim it, and takes it from the one that has it.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`, `invalid` for what is no domain, `not_found` when the tenant does not claim it.
    pub async fn assign_domain(&self, ctx: &Ctx, domain: &str, tenant: TenantId) -> Result<()> {
        ctx.require(Permission::InstallationManage)?;
        let domain = checked("domain", domain)?;
        let acting = acting_in(ctx, tenant);
        let mut tx = self.inner.store.read(&acting).await?;
        let Some(connection) = store::sso_domains::claimed_by(&mut tx, &domain).await? else {
            return Err(Error::not_found(
                "domain_not_claimed",
                format!("the workspace {tenant} does not claim {domain}"),
            )
            .remedy("an owner of that workspace adds it to a connection under Settings, Sign-in"));
        };
        drop(tx);
        self.take_domain(ctx, &domain, Some(tenant)).await?;
        let mut tx = self.inner.store.begin(&acting).await?;
        if store::sso_domains::verify(&mut tx, &domain, DomainVerifier::Operator).await? {
            tx.emit(events::domain_verified(connection, &domain, DomainVerifier::Operator)).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Takes a domain from the tenant that has it. The tenant goes on claiming it.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`, `not_found` when no tenant has it.
    pub async fn release_domain(&self, ctx: &Ctx, domain: &str) -> Result<()> {
        ctx.require(Permission::InstallationManage)?;
        let domain = checked("domain", domain)?;
        if !self.take_domain(ctx, &domain, None).await? {
            return Err(Error::not_found("domain_not_found", format!("no workspace has the domain {domain}"))
                .remedy("GET /api/v1/domains lists who claims which"));
        }
        Ok(())
    }

    /// Takes the domain from whoever has it, unless it is `keeper`. False when nobody had it.
    async fn take_domain(&self, ctx: &Ctx, domain: &str, keeper: Option<TenantId>) -> Result<bool> {
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let Some(owner) = store::sso_domains::owner(&mut tx, domain).await? else { return Ok(false) };
        drop(tx);
        if keeper == Some(owner) {
            return Ok(true);
        }
        let mut tx = self.inner.store.begin(&acting_in(ctx, owner)).await?;
        if store::sso_domains::release(&mut tx, domain).await?
            && let Some(connection) = store::sso_domains::claimed_by(&mut tx, domain).await?
        {
            tx.emit(events::domain_released(connection, domain)).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// What single sign-on offers to whoever types this e-mail. Only its domain counts, so that it tells nobody whether the e-mail exists.
    ///
    /// # Errors
    /// `unavailable` when the database does not answer.
    pub async fn single_sign_on_offer(&self, ctx: &Ctx, email: &str) -> Result<SingleSignOnOffer> {
        let Some(domain) = of_email(&validation::normalized_email(email)) else {
            return Ok(SingleSignOnOffer::default());
        };
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let Some(tenant) = store::sso_domains::owner(&mut tx, &domain).await? else {
            return Ok(SingleSignOnOffer::default());
        };
        drop(tx);
        let mut tx = self.inner.store.read(&ctx.for_tenant(tenant, "login")).await?;
        let Some(id) = store::sso_domains::claimed_by(&mut tx, &domain).await? else {
            return Ok(SingleSignOnOffer::default());
        };
        let enforced = store::connections::settings(&mut tx, tenant).await?.enforced;
        // The connection that has the domain comes first; the tenant's others may be meant for somebody else.
        let enabled = store::connections::enabled(&mut tx).await?;
        let connections = enabled
            .into_iter()
            .filter(|stored| stored.connection.id == id)
            .map(|stored| LoginConnection { id: stored.connection.id, name: stored.connection.name })
            .collect();
        Ok(SingleSignOnOffer { connections, enforced })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_one_form() {
        assert_eq!(in_dns_form(" Example.COM ").unwrap(), "example.com");
        assert_eq!(in_dns_form("münchen.example").unwrap(), "xn--mnchen-3ya.example");
        for text in [
            "",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "a b.example",
            "-a.example",
            "a..example",
            "a_b.example",
            "x@a.example",
        ] {
            assert_eq!(in_dns_form(text), None, "{text}");
        }
        assert_eq!(in_dns_form(&format!("{}.example", "a.".repeat(100))), None);
    }

    #[test]
    fn the_domain_of_an_email_stands_behind_its_last_at() {
        assert_eq!(of_email("ada@example.org").unwrap(), "example.org");
        assert_eq!(of_email("ada@example.org@evil.example").unwrap(), "evil.example");
        assert_eq!(of_email("ada"), None);
        assert_eq!(of_email("owner@localhost"), None);
    }

    #[test]
    fn nobody_claims_what_is_everybodys() {
        assert!(checked("domain", "GMail.com").is_err());
        assert!(checked("domain", "example.com").is_ok());
        assert!(EVERYBODYS.is_sorted());
    }
}
