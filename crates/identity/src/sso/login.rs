//! A login at a provider: the browser is sent there with a state, and comes back with it once.
//!
//! The state is random and known here only by its hash, for ten minutes and one use. It belongs to the browser that got it: that keeps a
//! secret in a cookie, whose hash stands beside the state. The nonce and the PKCE verifier are made of both, so that neither the database
//! nor the address that the browser was sent to holds enough to finish a login.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use moka::sync::Cache;
use plasma_kernel::{Code, ConnectionId, Ctx, Error, Method, Methods, Origin, Result, UserId};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{
    connections, events,
    provider::{Provider, excerpt},
    verify::{self, Binding, Client, Proof},
};
use crate::{
    Identity, LoggedIn, Secret, User,
    store::{
        self,
        connections::StoredConnection,
        sso::{BegunLogin, ProviderSession},
    },
    tokens::{self, Fingerprint},
};

pub(crate) const LOGIN_SECONDS: i64 = 10 * 60;
/// Logins of one tenant that were begun and have not come back.
const OPEN_LOGINS_MAX: i64 = 10_000;
/// Logins that may be begun from one network in a minute.
const STARTS_MAX: u32 = 60;
const STARTS_IN: Duration = Duration::from_secs(60);
const NETWORKS_REMEMBERED: u64 = 100_000;
/// Of the state and of the browser's secret: 260 random bits.
const SECRET_CHARS: usize = 52;
const CODE_BYTES_MAX: usize = 4_096;
const NEXT_BYTES_MAX: usize = 1_000;
const LOGIN_HINT_BYTES_MAX: usize = 254;
/// A token larger than this is not kept as a hint for the logout: it would not fit into an address either.
const HINT_BYTES_MAX: usize = 8 << 10;

/// Somebody wants to log in by a connection.
pub(crate) struct SsoStart {
    pub(crate) connection: ConnectionId,
    /// Where to go afterwards.
    pub(crate) next: Option<String>,
    /// Whom they say they are, for the provider's form.
    pub(crate) login_hint: Option<String>,
    /// The secret in the browser's cookie, if it has one.
    pub(crate) browser: Option<String>,
    /// Who links an account, if it is not a login.
    pub(crate) link: Option<UserId>,
    pub(crate) public_url: Url,
    pub(crate) address: Option<IpAddr>,
}

/// Where the browser goes, and what it keeps.
pub(crate) struct SsoStarted {
    pub(crate) url: Url,
    pub(crate) browser: Secret,
}

/// What a browser brings back from a provider.
pub(crate) struct SsoAnswer {
    pub(crate) state: String,
    pub(crate) code: Option<String>,
    /// The provider's word for why there is no code.
    pub(crate) error: Option<String>,
    /// Who answers (RFC 9207).
    pub(crate) issuer: Option<String>,
    pub(crate) browser: Option<String>,
    pub(crate) origin: Origin,
}

/// How it ended.
pub(crate) enum SsoDone {
    LoggedIn { logged_in: Box<LoggedIn>, next: String },
    Linked { next: String },
}

/// Why it did not end well, and whether somebody wanted to link an account.
pub(crate) struct SsoRefused {
    pub(crate) error: Error,
    pub(crate) linking: bool,
}

/// Counts the logins that are begun from each network.
pub(crate) struct Starts(Cache<IpAddr, Arc<AtomicU32>>);

impl Starts {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(NETWORKS_REMEMBERED).time_to_live(STARTS_IN).build())
    }

    fn take(&self, address: Option<IpAddr>) -> Result<()> {
        let Some(address) = address else { return Ok(()) };
        let begun = self.0.get_with(network_of(address), Arc::default);
        if begun.fetch_add(1, Ordering::Relaxed) < STARTS_MAX {
            return Ok(());
        }
        Err(Error::new(Code::RateLimited, "too_many_logins", "too many logins are begun from your network")
            .remedy("wait a minute")
            .retry_after_ms(60_000))
    }
}

/// Whoever has one address of IPv6 has 2^64 of them.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
    }
}

/// Where logins come back to: what the provider's page of this application must name.
pub(crate) fn redirect_uri(public_url: &Url) -> String {
    format!("{}/api/v1/auth/sso/callback", public_url.as_str().trim_end_matches('/'))
}

impl Identity {
    /// Begins a login: the address of the provider's form, with a state that is good for ten minutes, once, in this browser.
    ///
    /// # Errors
    /// `not_found` for a connection that is not there or disabled, `rate_limited`, `upstream` or `timeout` when the provider does not answer.
    pub(crate) async fn start_sso(&self, ctx: &Ctx, start: SsoStart) -> Result<SsoStarted> {
        self.inner.sso.starts.take(start.address)?;
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let stored = store::connections::find(&mut tx, start.connection)
            .await?
            .filter(|stored| stored.connection.enabled)
            .ok_or_else(|| store::connections::not_found(start.connection))?;
        drop(tx);
        let connection = &stored.connection;
        let provider = self.providers().provider(&connection.issuer).await?;
        let state = tokens::random_text(ctx.random(), SECRET_CHARS);
        let browser = match start.browser.filter(|secret| is_secret(secret)) {
            Some(secret) => secret,
            None => tokens::random_text(ctx.random(), SECRET_CHARS),
        };
        let login = BegunLogin {
            tenant: stored.tenant,
            connection: connection.id,
            browser: Fingerprint::of(&browser).as_bytes().to_vec(),
            redirect_uri: redirect_uri(&start.public_url),
            next: safe_next(start.next.as_deref()),
            link: start.link,
            expires_at: ctx.now() + LOGIN_SECONDS * 1_000_000,
        };
        self.remember(ctx, &state, &login).await?;
        let client = Client {
            provider: &provider,
            client_id: &connection.client_id,
            // It is not needed to send somebody there.
            client_secret: None,
            redirect_uri: &login.redirect_uri,
        };
        let hint =
            start.login_hint.filter(|hint| hint.len() <= LOGIN_HINT_BYTES_MAX && !hint.chars().any(char::is_control));
        let parameters = connection.preset.login_parameters(connection.account.as_deref());
        let binding = binding(&browser, &state);
        let url = client.login_url(state, &binding, &connection.scopes, parameters, hint)?;
        Ok(SsoStarted { url, browser: Secret::new(browser) })
    }

    async fn remember(&self, ctx: &Ctx, state: &str, login: &BegunLogin) -> Result<()> {
        let mut tx = self.inner.store.begin(&ctx.for_tenant(login.tenant, "single sign-on")).await?;
        if store::sso::count_open(&mut tx, ctx.now()).await? >= OPEN_LOGINS_MAX {
            return Err(Error::new(Code::RateLimited, "too_many_logins", "too many logins of your workspace are open")
                .remedy("try again in a few minutes")
                .retry_after_ms(60_000));
        }
        store::sso::begin(&mut tx, &Fingerprint::of(state), login).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends a login with what the browser brings back from the provider. Whatever comes of it, the state is used up.
    pub(crate) async fn finish_sso(&self, ctx: &Ctx, answer: SsoAnswer) -> Result<SsoDone, SsoRefused> {
        let login = self.taken(ctx, &answer).await.map_err(|error| SsoRefused { error, linking: false })?;
        let linking = login.link.is_some();
        let tenant_ctx = ctx.for_tenant(login.tenant, "single sign-on").with_origin(Arc::new(answer.origin.clone()));
        match Box::pin(self.finish(&tenant_ctx, &login, answer)).await {
            Ok(done) => Ok(done),
            Err(error) => {
                self.tell_refusal(&tenant_ctx, login.connection, &error).await;
                Err(SsoRefused { error, linking })
            }
        }
    }

    /// The login that the answer's state belongs to, taken away from everybody else.
    async fn taken(&self, ctx: &Ctx, answer: &SsoAnswer) -> Result<BegunLogin> {
        let unknown = || {
            Error::new(Code::Forbidden, "sso_state_unknown", "this login was not begun here, or was finished already")
                .remedy("begin again on the login page")
        };
        if !is_secret(&answer.state) {
            return Err(unknown());
        }
        let mut tx = self.inner.store.begin(&self.across_tenants(ctx)).await?;
        let login = store::sso::take(&mut tx, &Fingerprint::of(&answer.state)).await?;
        tx.commit().await?;
        let login = login.ok_or_else(unknown)?;
        if login.expires_at <= ctx.now() {
            return Err(Error::new(Code::Forbidden, "sso_expired", "the login took longer than ten minutes")
                .remedy("begin again on the login page"));
        }
        // A login that another browser began is somebody else's: finished here, it would put its owner's account under this person's hands.
        let is_same =
            answer.browser.as_deref().is_some_and(|secret| Fingerprint::of(secret).as_bytes() == login.browser);
        if !is_same {
            return Err(Error::new(Code::Forbidden, "sso_other_browser", "this login was begun in another browser")
                .remedy("begin again on the login page, and let this site keep cookies"));
        }
        Ok(login)
    }

    async fn finish(&self, ctx: &Ctx, login: &BegunLogin, answer: SsoAnswer) -> Result<SsoDone> {
        let mut tx = self.inner.store.read(ctx).await?;
        let stored = connections::with_domains(&mut tx, login.connection).await?;
        if !stored.connection.enabled {
            return Err(store::connections::not_found(login.connection));
        }
        let secret = self.client_secret(&mut tx, &stored).await?;
        drop(tx);
        let provider = self.providers().provider(&stored.connection.issuer).await?;
        check_answerer(&provider, answer.issuer.as_deref())?;
        if let Some(error) = &answer.error {
            return Err(Error::new(
                Code::Forbidden,
                "sso_provider_refused",
                format!("the identity provider did not let you in ({})", excerpt(error)),
            )
            .remedy("log in again; if it lasts, ask whoever runs the identity provider"));
        }
        let code = answer.code.as_deref().filter(|code| !code.is_empty() && code.len() <= CODE_BYTES_MAX);
        let code = code.ok_or_else(|| {
            Error::new(Code::Forbidden, "sso_code_missing", "the identity provider sent nothing to log in with")
                .remedy("begin again on the login page")
        })?;
        let client = Client {
            provider: &provider,
            client_id: &stored.connection.client_id,
            client_secret: secret.as_ref().map(Secret::expose),
            redirect_uri: &login.redirect_uri,
        };
        let binding = binding(answer.browser.as_deref().unwrap_or_default(), &answer.state);
        let proof = self.proven(ctx, &client, &stored, code, &binding).await?;
        if let Some(user) = login.link {
            self.finish_link(ctx, &stored, &proof, user).await?;
            return Ok(SsoDone::Linked { next: login.next.clone() });
        }
        let user = Box::pin(self.welcome(ctx, &stored, &proof)).await?;
        let logged_in = Box::pin(self.open_sso_session(ctx, user, &stored, &proof, &answer.origin)).await?;
        Ok(SsoDone::LoggedIn { logged_in: Box::new(logged_in), next: login.next.clone() })
    }

    async fn proven(
        &self,
        ctx: &Ctx,
        client: &Client<'_>,
        stored: &StoredConnection,
        code: &str,
        binding: &Binding,
    ) -> Result<Proof> {
        let connection = &stored.connection;
        let (mut proof, access_token) = client.prove(self.providers(), code, binding, ctx.now()).await?;
        let mut required = connection.preset.required_claims(connection.account.as_deref());
        required.extend(connection.required_claims.iter().cloned());
        let mut needed = vec!["email", "name", connection.email_verified_claim.as_str()];
        needed.extend(required.iter().map(|required| required.claim.as_str()));
        needed.extend(connection.rules.iter().map(|rule| rule.claim.as_str()));
        verify::complete(&mut proof, self.providers(), client.provider, &access_token, &needed).await?;
        verify::check_required(&proof.claims, &required)?;
        Ok(proof)
    }

    /// Opens the session, as every login ends, and notes to which session of the provider it belongs.
    async fn open_sso_session(
        &self,
        ctx: &Ctx,
        user: User,
        stored: &StoredConnection,
        proof: &Proof,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        let mut tx = self.inner.store.begin(&Self::login_ctx(ctx, stored.tenant, user.id, origin)).await?;
        let methods = Methods::default().with(Method::SingleSignOn);
        let step = self.begin_session(&mut tx, user.id, stored.tenant, methods, origin).await?;
        // The tenant's policy counts a provider's login as more than one factor, so that nothing else is needed.
        let logged_in = step.into_logged_in().ok_or_else(|| {
            Error::new(
                Code::Forbidden,
                "sso_more_needed",
                "your workspace asks for more than the identity provider's login",
            )
            .remedy("ask an owner of your workspace to allow single sign-on in its sign-in policy")
        })?;
        let id_token_sealed = if proof.id_token.len() <= HINT_BYTES_MAX {
            Some(self.inner.store.seal_secret(&mut tx, &hint_purpose(logged_in.session), &proof.id_token).await?)
        } else {
            None
        };
        let session = ProviderSession {
            session: logged_in.session,
            connection: stored.connection.id,
            issuer: &proof.issuer,
            subject: &proof.subject,
            provider_session: proof.provider_session.as_deref(),
            id_token_sealed,
        };
        store::sso::note_session(&mut tx, session).await?;
        store::connections::note_login(&mut tx, stored.connection.id, ctx.now()).await?;
        tx.commit().await?;
        Ok(logged_in)
    }

    /// For the tenant's administrators to see. That it cannot be written must not hide why somebody was refused.
    async fn tell_refusal(&self, ctx: &Ctx, connection: ConnectionId, error: &Error) {
        let told = async {
            let mut tx = self.inner.store.begin(ctx).await?;
            // What is our own fault stands in the log.
            let detail = if error.code() == Code::Internal { String::new() } else { excerpt(error.message()) };
            tx.emit(events::refused(connection, error.reason(), &detail)).await?;
            tx.commit().await
        };
        if let Err(failure) = told.await {
            tracing::warn!(error = ?failure, "a refused single sign-on could not be written to the event log");
        }
    }
}

/// What the hint for the logout is sealed for. `session` is the id of ours.
pub(crate) fn hint_purpose(session: impl fmt::Display) -> String {
    format!("sso/{session}/id_token")
}

/// Whether a text can be one of our states or browsers' secrets.
pub(super) fn is_secret(text: &str) -> bool {
    text.len() == SECRET_CHARS && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// The nonce and the PKCE verifier of a login, made of the browser's secret and the state.
pub(super) fn binding(browser: &str, state: &str) -> Binding {
    let derived = |purpose: &str| {
        let digest = Sha256::digest(format!("plasma single sign-on\n{purpose}\n{browser}\n{state}").as_bytes());
        // 43 characters, as short as a verifier may be.
        BASE64_URL_SAFE_NO_PAD.encode(digest)
    };
    Binding { nonce: derived("nonce"), verifier: derived("verifier") }
}

/// Refuses an answer of another provider than the one that was asked (RFC 9207): it would get the code of this one.
fn check_answerer(provider: &Provider, issuer: Option<&str>) -> Result<()> {
    let is_fine = match issuer {
        Some(issuer) => issuer == provider.issuer,
        None => !provider.names_itself,
    };
    if is_fine {
        return Ok(());
    }
    Err(Error::new(
        Code::Forbidden,
        "sso_issuer_mismatch",
        "another identity provider answered than the one that was asked",
    )
    .remedy("begin again on the login page"))
}

/// A path of this very site, or its home.
pub(super) fn safe_next(next: Option<&str>) -> String {
    let home = || "/".to_owned();
    let Some(next) = next.filter(|next| next.len() <= NEXT_BYTES_MAX) else { return home() };
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\u{7f}']);
    if !is_path || next.chars().any(char::is_control) {
        return home();
    }
    // As a browser reads it: the host must stay ours.
    let Ok(url) = Url::parse("http://same.invalid").and_then(|base| base.join(next)) else { return home() };
    // What `..` leaves of a path may begin with `//`, which a browser takes for a host.
    let path = url.path();
    if url.host_str() != Some("same.invalid") || path.starts_with("//") || path.starts_with("/login") {
        return home();
    }
    let mut path = path.to_owned();
    for (mark, part) in [('?', url.query()), ('#', url.fragment())] {
        if let Some(part) = part {
            path.push(mark);
            path.push_str(part);
        }
    }
    path
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_gone_to() {
        for (next, path) in [
            ("/", "/"),
            ("/settings/security/?a=b#c", "/settings/security/?a=b#c"),
            ("/a/../b", "/b"),
            ("//evil.example", "/"),
            ("https://evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("/a/..//evil.example", "/"),
            ("/.//evil.example", "/"),
            ("/\tevil", "/"),
            ("/\n/evil.example", "/"),
            ("evil", "/"),
            ("", "/"),
            ("/login/?next=/", "/"),
            ("/ä", "/%C3%A4"),
        ] {
            assert_eq!(safe_next(Some(next)), path, "{next:?}");
        }
        assert_eq!(safe_next(None), "/");
        assert_eq!(safe_next(Some(&format!("/{}", "a".repeat(2_000)))), "/");
    }

    #[test]
    fn what_binds_a_login_differs_with_browser_and_state_and_is_long_enough() {
        let one = binding("browser", "state");
        assert_eq!((one.nonce.len(), one.verifier.len()), (43, 43));
        assert_ne!(one.nonce, one.verifier);
        assert_ne!(one.verifier, binding("browser", "other").verifier);
        assert_ne!(one.verifier, binding("other", "state").verifier);
        assert_eq!(one.verifier, binding("browser", "state").verifier);
    }

    #[test]
    fn logins_come_back_to_one_place() {
        let at = |url: &str| redirect_uri(&Url::parse(url).unwrap());
        assert_eq!(at("https://plasma.example.org"), "https://plasma.example.org/api/v1/auth/sso/callback");
        assert_eq!(at("https://example.org/plasma/"), "https://example.org/plasma/api/v1/auth/sso/callback");
    }

    #[test]
    fn a_network_begins_only_so_many_logins() {
        let starts = Starts::new();
        let address = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..STARTS_MAX {
            starts.take(Some(address)).unwrap();
        }
        assert_eq!(starts.take(Some(address)).unwrap_err().reason(), "too_many_logins");
        assert!(starts.take(Some(IpAddr::from([192, 0, 2, 2]))).is_ok());
        assert!(starts.take(None).is_ok());
    }

    #[test]
    fn a_provider_that_names_itself_must() {
        let provider = |names_itself| {
            let url = Url::parse("https://id.example.org/").unwrap();
            Provider {
                issuer: "https://id.example.org".to_owned(),
                authorization_endpoint: url.clone(),
                token_endpoint: url.clone(),
                jwks_uri: url,
                userinfo_endpoint: None,
                end_session_endpoint: None,
                secret_in_body: false,
                names_itself,
            }
        };
        assert!(check_answerer(&provider(false), None).is_ok());
        assert!(check_answerer(&provider(true), None).is_err());
        for names_itself in [true, false] {
            assert!(check_answerer(&provider(names_itself), Some("https://id.example.org")).is_ok());
            assert!(check_answerer(&provider(names_itself), Some("https://evil.example.org")).is_err());
        }
    }
}
