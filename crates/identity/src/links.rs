//! Links by mail: one that logs in, and one that replaces a forgotten password. Whoever asks learns nothing: the answer is the
//! same, and so is the work, for an e-mail that nobody has. Whether there is somebody is found out by the job that writes the
//! mail.

use plasma_kernel::{Code, Ctx, Error, Method, Methods, Origin, Result};
use plasma_workflows::{Queue, Run, Step, enqueue};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    Identity, LoginStep, Secret,
    begin::{Guard, Proven, link_expired},
    common_passwords, events,
    mail::Mail,
    pace::Limit,
    store::{
        self,
        links::{Link, Purpose},
        users::Account,
    },
    tokens::{self, BROWSER_PREFIX, Fingerprint, LINK_PREFIX},
    validation,
};

/// A link works for this long.
pub(crate) const LINK_MICROS: i64 = 15 * 60 * 1_000_000;
/// How often mail may be asked for: to one address of mail, and from one of the network.
const TO_ONE_EMAIL: Limit = Limit::new(3, 15);
const FROM_ONE_ADDRESS: Limit = Limit::new(30, 15);
/// How often one address may come with links and resets.
const REDEEMED: Limit = Limit::new(60, 15);
const NEXT_PATH_BYTES_MAX: usize = 1_000;

/// Somebody asks for a link.
#[derive(Clone, Debug)]
pub struct LinkRequest {
    /// To whom.
    pub email: String,
    /// What the link begins with: the dashboard's address, which must not be a stranger's choice.
    pub base_url: Url,
    /// The page of the dashboard to go on to.
    pub next_path: Option<String>,
    /// Where the request comes from.
    pub origin: Origin,
}

impl Identity {
    /// Sends a link that logs in to whoever has the e-mail, if anybody has. It works once, for fifteen minutes, in the browser
    /// that keeps `browser`: the value of its cookie from before, if it has one. Returns the value to keep.
    ///
    /// # Errors
    /// `invalid` for what is no e-mail, `rate_limited`, `unavailable` (`mail_not_configured`).
    pub async fn request_login_link(&self, ctx: &Ctx, request: LinkRequest, browser: Option<&str>) -> Result<Secret> {
        let browser = match browser.filter(|value| tokens::has_form(value, BROWSER_PREFIX)) {
            // An earlier link of the same browser goes on working.
            Some(value) => Secret::new(value),
            None => tokens::new_token(ctx.random(), BROWSER_PREFIX),
        };
        let bound_to = Fingerprint::of(browser.expose());
        self.request_link(ctx, request, Purpose::Login, Some(bound_to)).await?;
        Ok(browser)
    }

    /// Sends a link that replaces the password to whoever has the e-mail, if anybody has. It works once, for fifteen minutes,
    /// in any browser.
    ///
    /// # Errors
    /// As [`Identity::request_login_link`].
    pub async fn request_password_reset(&self, ctx: &Ctx, request: LinkRequest) -> Result<()> {
        // Nothing follows: the person has to log in first.
        let request = LinkRequest { next_path: None, ..request };
        self.request_link(ctx, request, Purpose::PasswordReset, None).await
    }

    /// Logs in whoever comes with the token of a link, in the browser that asked for it.
    ///
    /// # Errors
    /// `unauthenticated` (`link_expired`, `link_of_another_browser`), `rate_limited`, and as [`Identity::begin_session`].
    pub async fn login_with_link(
        &self,
        ctx: &Ctx,
        token: &str,
        browser: Option<&str>,
        origin: Origin,
    ) -> Result<LoginStep> {
        let (link, account) = self.redeemed(ctx, token, Purpose::Login, &origin).await?;
        if link.browser.is_none() || link.browser != browser.map(Fingerprint::of) {
            return Err(another_browser());
        }
        let methods = Methods::default().with(Method::MagicLink);
        let proven = Proven { user: account.user.id, tenant: account.tenant.id, methods, origin };
        Box::pin(self.enter(ctx, &proven, &[Guard::Link(&link.id)])).await
    }

    /// Replaces the password of whoever comes with the token of a link. All of their sessions end; second factors stay, and
    /// are asked for at the next login.
    ///
    /// # Errors
    /// `unauthenticated` (`link_expired`), `invalid` for a password that breaks the rules, `rate_limited`.
    pub async fn reset_password(&self, ctx: &Ctx, token: &str, new: &Secret, origin: &Origin) -> Result<()> {
        let (link, account) = self.redeemed(ctx, token, Purpose::PasswordReset, origin).await?;
        let (user, tenant) = (account.user.id, account.tenant.id);
        common_passwords::check_new("new_password", new, &account.user.email)?;
        let hash = self.inner.passwords.hash(ctx.random(), new).await?;
        let mut tx = self.inner.store.begin(&Self::login_ctx(ctx, tenant, user, origin)).await?;
        if !store::links::take(&mut tx, &link.id).await? {
            return Err(link_expired());
        }
        store::users::reset_password(&mut tx, user, &hash).await?;
        store::links::delete_of(&mut tx, user).await?;
        store::pending::delete_of(&mut tx, user).await?;
        for session in store::sessions::delete_others(&mut tx, user, None).await? {
            tx.emit(events::session_revoked(session)).await?;
        }
        tx.emit(events::password_reset(user)).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(tenant);
        self.end_elsewhere(ctx, user, tenant).await
    }

    /// Whether mail reaches anybody: by a server, or on a machine where it is only tried out.
    pub(crate) fn mail_works(&self) -> bool {
        self.inner.mailer.has_server() || self.inner.config.public_url.is_none()
    }

    async fn request_link(
        &self,
        ctx: &Ctx,
        request: LinkRequest,
        purpose: Purpose,
        browser: Option<Fingerprint>,
    ) -> Result<()> {
        let email = validation::email("email", &request.email)?;
        let next_path = request.next_path.map(|path| checked_path(&path)).transpose()?;
        if !self.mail_works() {
            return Err(Error::unavailable("mail_not_configured", "this installation sends no mail")
                .remedy("sign in another way, or ask whoever runs the installation to set smtp_url and mail_from"));
        }
        let (clock, what) = (ctx.clock(), purpose.as_str());
        self.inner.pace.take_from(clock, what, request.origin.address, FROM_ONE_ADDRESS)?;
        self.inner.pace.take(clock, what, &email, TO_ONE_EMAIL)?;
        let link = Link {
            id: format!("link_{}", tokens::random_text(ctx.random(), 26)),
            purpose,
            email,
            browser,
            base_url: request.base_url.to_string(),
            next_path,
            expires_at: ctx.now() + LINK_MICROS,
        };
        let mut tx = self.inner.store.begin(ctx).await?;
        store::links::insert(&mut tx, &link).await?;
        enqueue(&mut tx, &SendLink { link: link.id.clone() }, &link.id, None).await?;
        tx.emit(events::link_requested(&link.id, what, &link.email)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The link with this token and its person.
    async fn redeemed(&self, ctx: &Ctx, token: &str, purpose: Purpose, origin: &Origin) -> Result<(Link, Account)> {
        self.inner.pace.take_from(ctx.clock(), "redeem", origin.address, REDEEMED)?;
        if !tokens::has_form(token, LINK_PREFIX) {
            return Err(link_expired());
        }
        let mut tx = self.inner.store.read(ctx).await?;
        let found = store::links::find(&mut tx, &Fingerprint::of(token), purpose).await?;
        let (link, user) = found.ok_or_else(link_expired)?;
        let account = store::users::account_by_id(&mut tx, user).await?.ok_or_else(link_expired)?;
        // Whoever got another address since has not proved that they read this one.
        if account.user.email != link.email {
            return Err(link_expired());
        }
        Ok((link, account))
    }

    /// Writes the mail of a link, if its e-mail is somebody's.
    async fn send_link(&self, ctx: &Ctx, id: &str) -> Result<()> {
        let mut tx = self.inner.store.read(ctx).await?;
        let Some(link) = store::links::unsent(&mut tx, id).await?.filter(|link| link.expires_at > ctx.now()) else {
            return Ok(());
        };
        let account = store::users::account_by_email(&mut tx, &link.email).await?;
        let Some(account) = account.filter(|account| !account.user.disabled) else { return Ok(()) };
        let policy = store::login_policies::of(&mut tx, account.tenant.id).await?;
        drop(tx);
        let method = match link.purpose {
            Purpose::Login => Method::MagicLink,
            Purpose::PasswordReset => Method::Password,
        };
        let token = tokens::new_token(ctx.random(), LINK_PREFIX);
        let mail = if policy.methods.contains(method) {
            written(&link, &account, &token)?
        } else {
            not_allowed(&link, &account)
        };
        let mut tx = self.inner.store.begin(&ctx.for_tenant(account.tenant.id, "send a link")).await?;
        // Once, also when this job runs twice.
        if store::links::arm(&mut tx, id, &Fingerprint::of(token.expose()), account.user.id).await? {
            let text = self.branding(&mut tx).await?.signed(mail.text);
            self.queue_mail(&mut tx, Mail { text, ..mail }).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Finds out whose the e-mail of a link is, and writes to them.
#[derive(Serialize, Deserialize)]
pub(crate) struct SendLink {
    link: String,
}

impl Step for SendLink {
    type Domain = Identity;
    const KIND: &'static str = "identity.link";
    const QUEUE: Queue = Queue { name: "mail", concurrency: 4 };
    // Its owners log in to a closed tenant too.
    const WHILE_SUSPENDED: bool = true;

    async fn run(self, identity: Identity, run: Run) -> Result<()> {
        identity.send_link(run.ctx(), &self.link).await
    }
}

/// The token stands behind `#`: browsers keep that to themselves, so that no log and no proxy sees it. It is used only when
/// the page's script sends it, so that a program that looks into mail and opens every link does not use it up.
fn written(link: &Link, account: &Account, token: &Secret) -> Result<Mail> {
    let base = Url::parse(&link.base_url).map_err(|error| Error::from_source("a stored address is damaged", error))?;
    let page = match link.purpose {
        Purpose::Login => "/login/link/",
        Purpose::PasswordReset => "/login/reset/",
    };
    let mut url = base.join(page).map_err(|error| Error::from_source("the address of a link cannot be made", error))?;
    if let Some(next) = &link.next_path {
        url.query_pairs_mut().append_pair("next", next);
    }
    url.set_fragment(Some(&format!("token={}", token.expose())));
    let (workspace, name) = (&account.tenant.name, &account.user.name);
    let (subject, text) = match link.purpose {
        Purpose::Login => (
            format!("Sign in to {workspace}"),
            format!(
                "Hello {name},\n\nthis link signs you in to {workspace}:\n\n{url}\n\nIt works once, for 15 minutes, in the browser \
                 in which you asked for it.\n\nIf you did not ask for it, ignore this mail: without that browser the link is of no \
                 use to anybody.\n"
            ),
        ),
        Purpose::PasswordReset => (
            format!("Set a new password for {workspace}"),
            format!(
                "Hello {name},\n\nthis link lets you set a new password for {workspace}:\n\n{url}\n\nIt works once, for 15 minutes. \
                 Afterwards you are signed out everywhere.\n\nIf you did not ask for it, ignore this mail: your password stays as \
                 it is. Do not pass the link on.\n"
            ),
        ),
    };
    Ok(Mail { to: account.user.email.clone(), subject, text })
}

/// Only whoever reads the mail learns it.
fn not_allowed(link: &Link, account: &Account) -> Mail {
    let (workspace, name) = (&account.tenant.name, &account.user.name);
    let what = match link.purpose {
        Purpose::Login => "sign in by a link",
        Purpose::PasswordReset => "sign in with a password",
    };
    let text = format!(
        "Hello {name},\n\nsomebody, perhaps you, wanted to {what}. {workspace} does not allow that.\n\nOpen {} and choose another \
         way, or ask an administrator of your workspace.\n",
        link.base_url
    );
    Mail { to: account.user.email.clone(), subject: format!("Sign in to {workspace}"), text }
}

/// A page of the dashboard; anything else could lead somebody who has just logged in to another site.
fn checked_path(path: &str) -> Result<String> {
    let is_ours = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    if is_ours && path.len() <= NEXT_PATH_BYTES_MAX && !path.chars().any(char::is_control) {
        return Ok(path.to_owned());
    }
    Err(Error::invalid("next", "is no page of the dashboard").remedy("leave it out, or use the form /knowledge/"))
}

fn another_browser() -> Error {
    Error::new(Code::Unauthenticated, "link_of_another_browser", "this link was asked for in another browser")
        .remedy("open it there, or ask for a new one here")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_only_to_our_own_pages() {
        assert_eq!(checked_path("/knowledge/?id=1").unwrap(), "/knowledge/?id=1");
        for path in ["", "knowledge", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb"] {
            assert_eq!(checked_path(path).unwrap_err().field_name(), Some("next"), "{path:?}");
        }
        assert!(checked_path(&format!("/{}", "a".repeat(NEXT_PATH_BYTES_MAX))).is_err());
    }
}
