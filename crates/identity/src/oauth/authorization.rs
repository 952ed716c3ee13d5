//! The authorization request: what an application asks a person for, and what the person decides (RFC 6749 as OAuth 2.1 narrows
//! it, RFC 9207, OpenID Connect Core).
//!
//! Until the application and its address are known to be right, a mistake is told to the person and to nobody else; from then on
//! it is told to the application at that address.

use plasma_kernel::{ApplicationId, Ctx, Error, GrantId, Result, TenantId, Timestamp, UserId};

use super::{
    AuthorizationParameters, AuthorizationStep, CODE_MICROS, Scopes, clients::Client, invalid_request, pkce, redirect,
    scopes::invalid_scope,
};
use crate::{
    Identity, events,
    store::{
        self,
        oauth_codes::AuthorizationCode,
        oauth_grants::{Remembered, remembered},
    },
    tokens::{self, Fingerprint},
};

const STATE_BYTES_MAX: usize = 2_000;
const NONCE_BYTES_MAX: usize = 500;
/// With `prompt=login` the person must have signed in after the request: within this time.
const FRESH_LOGIN_MICROS: i64 = 60 * 1_000_000;
/// Reading what is asked for, and deciding, takes a person some time.
const DECISION_MICROS: i64 = 10 * 60 * 1_000_000;

/// A request whose application and address are right.
struct Request {
    client: Client,
    redirect_uri: String,
    state: Option<String>,
    /// What it asks for, or what is wrong with it and is told to the application.
    asked: Result<Asked>,
}

struct Asked {
    scopes: Scopes,
    code_challenge: String,
    nonce: Option<String>,
    prompt: Prompt,
    max_age: Option<i64>,
}

#[derive(Clone, Copy, Default)]
struct Prompt {
    none: bool,
    login: bool,
    consent: bool,
}

impl Identity {
    /// What the page of an authorization request does next. `person` is whoever is signed in.
    ///
    /// # Errors
    /// What must not be told to the application: `not_found` (`application_not_found`), `invalid` (`invalid_request`) for a
    /// wrong address; `forbidden` when not a person but a key or an application is signed in.
    pub async fn authorization_step(
        &self,
        ctx: &Ctx,
        person: Option<&Ctx>,
        issuer: &str,
        parameters: &AuthorizationParameters,
    ) -> Result<AuthorizationStep> {
        let request = self.request(ctx, person.and_then(Ctx::tenant_scope), parameters).await?;
        let asked = match &request.asked {
            Ok(asked) => asked,
            Err(error) => {
                return Ok(AuthorizationStep::Redirect(refusal(&request, issuer, error.reason(), error.message())));
            }
        };
        let refused = |error: &str, what: &str| Ok(AuthorizationStep::Redirect(refusal(&request, issuer, error, what)));
        let person = match person {
            Some(person) if !is_stale(person, asked, 0) => person,
            _ if asked.prompt.none => return refused("login_required", "nobody is signed in"),
            person => return Ok(AuthorizationStep::Login { again: person.is_some() }),
        };
        let user = person_of(person)?;
        let mut tx = self.inner.store.read(person).await?;
        let known = remembered(&mut tx, user, request.client.id()).await?;
        let consent = needs_consent(&request, asked, known.as_ref());
        if consent && asked.prompt.none {
            return refused("consent_required", "the person has not allowed this");
        }
        let application = Box::new(request.client.application.clone());
        Ok(AuthorizationStep::Decide { application, scopes: asked.scopes, consent })
    }

    /// Writes down what the person decided, and returns the address to which their browser goes next: with a code, or with the
    /// refusal.
    ///
    /// # Errors
    /// As [`Identity::authorization_step`]; `conflict` (`login_too_old`) when the person must sign in again first.
    pub async fn decide_authorization(
        &self,
        ctx: &Ctx,
        issuer: &str,
        parameters: &AuthorizationParameters,
        allow: bool,
    ) -> Result<String> {
        let request = self.request(ctx, Some(ctx.tenant()?), parameters).await?;
        let user = person_of(ctx)?;
        let asked = match &request.asked {
            Ok(asked) => asked,
            Err(error) => return Ok(refusal(&request, issuer, error.reason(), error.message())),
        };
        if !allow {
            let mut tx = self.inner.store.begin(ctx).await?;
            tx.emit(events::application_denied(&request.client.application, "code")).await?;
            tx.commit().await?;
            return Ok(refusal(&request, issuer, "access_denied", "the person refused"));
        }
        if is_stale(ctx, asked, DECISION_MICROS) {
            return Err(Error::conflict("login_too_old", "the application wants you to have signed in lately")
                .remedy("load the page again and sign in"));
        }
        let code = self.new_code(ctx, user, &request, asked).await?;
        let state = request.state.as_deref();
        let mut answer = vec![("code", code.as_str())];
        answer.extend(state.map(|state| ("state", state)));
        answer.push(("iss", issuer));
        Ok(redirect::with_answer(&request.redirect_uri, &answer))
    }

    async fn new_code(&self, ctx: &Ctx, user: UserId, request: &Request, asked: &Asked) -> Result<String> {
        let code = tokens::new_authorization_code(ctx.random());
        let application = &request.client.application;
        let authentication = ctx.authentication();
        let mut tx = self.inner.store.begin(ctx).await?;
        let grant = remember(&mut tx, ctx, user, &request.client, asked.scopes).await?;
        let stored = AuthorizationCode {
            application: application.id,
            user,
            grant,
            redirect_uri: request.redirect_uri.clone(),
            code_challenge: asked.code_challenge.clone(),
            scopes: asked.scopes,
            nonce: asked.nonce.clone(),
            authenticated_at: authentication.map(|authentication| authentication.at),
            methods: authentication.map(|authentication| authentication.methods).unwrap_or_default(),
            expires_at: ctx.now() + CODE_MICROS,
            used_at: None,
            family: None,
        };
        store::oauth_codes::insert(&mut tx, &Fingerprint::of(code.expose()), &stored).await?;
        tx.emit(events::application_allowed(application, grant, asked.scopes, "code")).await?;
        tx.commit().await?;
        Ok(code.expose().to_owned())
    }

    /// Checks a request. An application of another tenant does not exist for whoever is signed in.
    async fn request(
        &self,
        ctx: &Ctx,
        tenant: Option<TenantId>,
        parameters: &AuthorizationParameters,
    ) -> Result<Request> {
        let client_id = parameters.client_id.as_deref().unwrap_or_default();
        let client = self.client(ctx, client_id).await?;
        let client = client.filter(|client| tenant.is_none_or(|tenant| client.serves(tenant)));
        let client = client.ok_or_else(|| unknown_application(client_id))?;
        let redirect_uri = parameters.redirect_uri.as_deref().unwrap_or_default();
        let registered = &client.application.redirect_uris;
        if !registered.iter().any(|registered| redirect::matches(registered, redirect_uri)) {
            return Err(invalid_request("redirect_uri", "the application is not registered for this address")
                .remedy("do not go on: the link may be a trap; the application's maker can register the address"));
        }
        let state = parameters.state.clone().filter(|state| !state.is_empty());
        if state.as_ref().is_some_and(|state| state.len() > STATE_BYTES_MAX) {
            return Err(invalid_request("state", format!("`state` has at most {STATE_BYTES_MAX} bytes")));
        }
        let asked = asked(&client, parameters);
        Ok(Request { redirect_uri: redirect_uri.to_owned(), state, asked, client })
    }
}

/// Remembers what a person allowed, beside what they allowed before, unless that has to be asked again.
pub(super) async fn remember(
    tx: &mut plasma_store::Tx,
    ctx: &Ctx,
    user: UserId,
    client: &Client,
    scopes: Scopes,
) -> Result<GrantId> {
    let scopes = match remembered(tx, user, client.id()).await? {
        Some(known) if known.updated_at >= client.application.consent_since => known.scopes.union(scopes),
        _ => scopes,
    };
    store::oauth_grants::put(tx, GrantId::new(ctx), user, client.id(), scopes).await
}

/// The scopes that an application asks for, or all that it may when it does not say.
pub(super) fn scopes_asked(client: &Client, scope: Option<&str>) -> Result<Scopes> {
    let application = &client.application;
    let scopes = match scope {
        Some(scope) => Scopes::parse(scope)?,
        None if application.is_built_in() => Scopes::everything(),
        None => Scopes::of(application.scopes),
    };
    if scopes.is_empty() {
        return Err(invalid_scope("the request asks for nothing"));
    }
    if !application.ceiling().contains_all(scopes) {
        return Err(invalid_scope("the application asks for more than it is registered for"));
    }
    Ok(scopes)
}

/// Only a person can allow something in their name.
pub(super) fn person_of(ctx: &Ctx) -> Result<UserId> {
    ctx.user().ok_or_else(|| {
        Error::forbidden("only a person who is signed in can decide this, not a key or an application")
            .remedy("sign in to the dashboard")
    })
}

pub(super) fn unknown_application(client_id: &str) -> Error {
    match client_id.parse::<ApplicationId>() {
        Ok(id) => store::applications::not_found(id),
        Err(_) => Error::not_found("application_not_found", "there is no such application in this workspace"),
    }
    .field("client_id")
}

fn refusal(request: &Request, issuer: &str, error: &str, what: &str) -> String {
    let mut answer = vec![("error", error), ("error_description", what)];
    answer.extend(request.state.as_deref().map(|state| ("state", state)));
    answer.push(("iss", issuer));
    redirect::with_answer(&request.redirect_uri, &answer)
}

fn asked(client: &Client, parameters: &AuthorizationParameters) -> Result<Asked> {
    let given = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
    let oauth = |reason: &'static str, what: &str| Error::new(plasma_kernel::Code::Invalid, reason, what.to_owned());
    if given(&parameters.request).is_some() {
        return Err(oauth("request_not_supported", "`request` is not supported"));
    }
    if given(&parameters.request_uri).is_some() {
        return Err(oauth("request_uri_not_supported", "`request_uri` is not supported"));
    }
    if given(&parameters.response_type).as_deref() != Some("code") {
        return Err(oauth("unsupported_response_type", "`response_type` must be code"));
    }
    if given(&parameters.response_mode).is_some_and(|mode| mode != "query") {
        return Err(invalid_request("response_mode", "`response_mode` must be query"));
    }
    let (challenge, method) = (given(&parameters.code_challenge), given(&parameters.code_challenge_method));
    let code_challenge = pkce::check_challenge(challenge.as_deref(), method.as_deref())?;
    let nonce = given(&parameters.nonce);
    if nonce.as_ref().is_some_and(|nonce| nonce.len() > NONCE_BYTES_MAX || nonce.chars().any(char::is_control)) {
        let what = format!("`nonce` has at most {NONCE_BYTES_MAX} bytes and no control characters");
        return Err(invalid_request("nonce", what));
    }
    let prompt = prompt(given(&parameters.prompt).as_deref())?;
    let max_age = given(&parameters.max_age).map(|text| max_age(&text)).transpose()?;
    let scopes = scopes_asked(client, given(&parameters.scope).as_deref())?;
    Ok(Asked { scopes, code_challenge, nonce, prompt, max_age })
}

fn prompt(text: Option<&str>) -> Result<Prompt> {
    let mut prompt = Prompt::default();
    let words: Vec<&str> = text.unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
    for word in &words {
        match *word {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            // There is one account for a session: choosing it is allowing it.
            "consent" | "select_account" => prompt.consent = true,
            _ => return Err(invalid_request("prompt", "`prompt` must be none, login or consent")),
        }
    }
    if prompt.none && words.len() > 1 {
        return Err(invalid_request("prompt", "`prompt=none` stands alone"));
    }
    Ok(prompt)
}

/// Seconds, at most a year.
fn max_age(text: &str) -> Result<i64> {
    let seconds = text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    seconds
        .map(|seconds| i64::from(seconds).min(366 * 24 * 3_600))
        .ok_or_else(|| invalid_request("max_age", "`max_age` must be a number of seconds"))
}

/// Whether the person must prove again who they are. `slack` is the time that the decision may have taken.
fn is_stale(person: &Ctx, asked: &Asked, slack: i64) -> bool {
    let of_prompt = asked.prompt.login.then_some(FRESH_LOGIN_MICROS);
    let of_age = asked.max_age.map(|seconds| seconds * 1_000_000);
    let Some(allowed) = of_prompt.into_iter().chain(of_age).min() else { return false };
    match person.authentication() {
        Some(authentication) => person.now().saturating_sub(authentication.at) > allowed + slack,
        // A key or an application: that only a person can decide is said elsewhere.
        None => false,
    }
}

fn needs_consent(request: &Request, asked: &Asked, known: Option<&Remembered>) -> bool {
    let since: Timestamp = request.client.application.consent_since;
    asked.prompt.consent
        || redirect::is_shared_with_the_device(&request.redirect_uri)
        || known.is_none_or(|known| known.updated_at < since || !known.scopes.contains_all(asked.scopes))
}

/// For fuzzing only: the query of a request of the command line, which is everybody's.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    const ISSUER: &str = "https://plasma.example";
    let Ok(parameters) = serde_urlencoded::from_bytes::<AuthorizationParameters>(bytes) else { return };
    let client = Client { tenant: None, application: super::applications::command_line() };
    let redirect_uri = parameters.redirect_uri.clone().unwrap_or_default();
    if !client.application.redirect_uris.iter().any(|registered| redirect::matches(registered, &redirect_uri)) {
        return;
    }
    let asked = asked(&client, &parameters);
    let state = parameters.state.filter(|state| !state.is_empty());
    let request = Request { client, redirect_uri, state, asked };
    match &request.asked {
        Ok(asked) => {
            assert!(!asked.scopes.is_empty() && request.client.application.ceiling().contains_all(asked.scopes));
            assert_eq!(asked.code_challenge.len(), 43, "a proof that is no SHA-256");
            assert!(!(asked.prompt.none && (asked.prompt.login || asked.prompt.consent)));
            assert!(asked.max_age.is_none_or(|seconds| (0..=366 * 24 * 3_600).contains(&seconds)));
            assert!(needs_consent(&request, asked, None), "what nobody allowed is not asked");
        }
        Err(error) => {
            let address = refusal(&request, ISSUER, error.reason(), error.message());
            // Whatever the request says, the answer goes where the application is, and says once whose it is.
            assert!(address.starts_with(&request.redirect_uri));
            let Ok(url) = url::Url::parse(&address) else { unreachable!("an answer goes nowhere") };
            let named = |wanted: &str| url.query_pairs().filter(|(name, _)| name == wanted).count();
            assert_eq!((named("iss"), named("error"), named("code")), (1, 1, 0));
        }
    }
}
