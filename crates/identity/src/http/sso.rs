//! Logging in by an identity provider. These routes answer to browsers on their way, so that most of them redirect, and say what went wrong
//! as a word in the address of the login page.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use plasma_http::{Caller, Json, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Code, ConnectionId, Error, Result};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::visitor::Visitor;
use crate::{
    Identity, Secret,
    sso::login::{LOGIN_SECONDS, SsoAnswer, SsoDone, SsoRefused, SsoStart},
};

/// The cookie that binds a login to the browser that began it. Over HTTPS its name says to the browser that nobody but this very host may set it.
const COOKIE: &str = "plasma_sso";
const SECURE_COOKIE: &str = "__Host-plasma_sso";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Where people link accounts.
const SECURITY_PAGE: &str = "/settings/security/";

/// Where to go after a login.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StartQuery {
    /// A path of the dashboard to go to afterwards.
    #[param(max_length = 1000)]
    next: Option<String>,
    /// The e-mail that the provider's form may be filled with.
    #[param(max_length = 254)]
    login_hint: Option<String>,
}

/// What a provider sends a browser back with.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallbackQuery {
    /// Which login it was.
    state: Option<String>,
    /// What the tokens are asked for with.
    code: Option<String>,
    /// Why there is no code.
    error: Option<String>,
    /// Who answers (RFC 9207).
    iss: Option<String>,
}

/// Begins a login by a connection: redirects to the identity provider.
///
/// A browser opens this address. What goes wrong is said on the login page, to which it then redirects with `problem`. A browser that a page
/// of another site has sent is led to the login page, where the person says that they want this.
#[utoipa::path(
    get, path = "/api/v1/auth/sso/{connection}/start", tag = "Identity",
    params(("connection" = ConnectionId, Path, description = "The connection's id"), StartQuery),
    responses(
        (status = 302, description = "To the identity provider, or to the login page with what went wrong"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn start_single_sign_on(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Path(connection): Path<ConnectionId>,
    Query(query): Query<StartQuery>,
) -> Result<Response, Problem> {
    let next = query.next.clone();
    if is_sent_by_another_site(&headers) {
        return Ok(redirect(&asking_page(connection, next.as_deref()), &[])?);
    }
    let begun = async {
        let public_url = identity.trusted_url(&headers)?;
        let start = SsoStart {
            connection,
            next: query.next,
            login_hint: query.login_hint,
            browser: identity.sso_cookie(&headers),
            link: None,
            public_url,
            address: visitor.origin.address,
        };
        Box::pin(identity.start_sso(&visitor.ctx, start)).await
    };
    match begun.await {
        Ok(started) => {
            let cookie = identity.set_sso_cookie(&headers, &started.browser)?;
            Ok(redirect(started.url.as_str(), &[cookie])?)
        }
        Err(error) => Ok(redirect(&login_page(&error, next.as_deref()), &[])?),
    }
}

/// Ends a login by a connection: the identity provider sends the browser here.
///
/// Redirects into the dashboard with a new session, or to the login page with `problem`.
#[utoipa::path(
    get, path = "/api/v1/auth/sso/callback", tag = "Identity",
    params(CallbackQuery),
    responses(
        (status = 302, description = "Into the dashboard, or to the login page with what went wrong"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn finish_single_sign_on(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    query: Result<Query<CallbackQuery>, Problem>,
) -> Result<Response, Problem> {
    let query = match query {
        Ok(Query(query)) => query,
        Err(Problem(error)) => return Ok(redirect(&login_page(&error, None), &[])?),
    };
    let answer = SsoAnswer {
        state: query.state.unwrap_or_default(),
        code: query.code,
        error: query.error,
        issuer: query.iss,
        browser: identity.sso_cookie(&headers),
        origin: visitor.origin,
    };
    match Box::pin(identity.finish_sso(&visitor.ctx, answer)).await {
        Ok(SsoDone::LoggedIn { logged_in, next }) => {
            let cookie = identity.session_cookie(&headers, &logged_in.token, logged_in.expires_at)?;
            Ok(redirect(&next, &[cookie])?)
        }
        Ok(SsoDone::Linked { next }) => Ok(redirect(&next, &[])?),
        Err(SsoRefused { error, linking: true }) => Ok(redirect(&with_problem(SECURITY_PAGE, &error, None), &[])?),
        Err(SsoRefused { error, linking: false }) => Ok(redirect(&login_page(&error, None), &[])?),
    }
}

/// A logout in both places.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SingleLogout {
    /// Where the browser goes to end its session at the identity provider, which sends it back to the login page. Null when the session
    /// did not begin at one that offers this.
    #[schema(required)]
    url: Option<String>,
}

/// Ends the session that sends this request, and says where the browser ends that of the identity provider.
#[utoipa::path(
    post, path = "/api/v1/auth/sso/logout", tag = "Identity",
    responses(
        (status = 200, description = "The session has ended", body = SingleLogout),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")), ("x-while-suspended" = json!("anyone")))
)]
pub(crate) async fn single_logout(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = Identity::token_from_headers(&headers).map_or("", |(token, _)| token);
    let url = identity.logout_everywhere(&ctx, token, &identity.public_url(&headers)).await?;
    let cookie = identity.no_session_cookie(&headers)?;
    let body = SingleLogout { url: url.map(String::from) };
    Ok(([(header::SET_COOKIE, cookie)], Json(body)).into_response())
}

/// What a provider posts when somebody has logged out there.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct BackchannelLogout {
    /// A signed logout token (OpenID Connect Back-Channel Logout 1.0).
    #[schema(max_length = 16384)]
    logout_token: String,
}

/// Ends the sessions of somebody who has logged out at the identity provider. The provider itself posts here.
#[utoipa::path(
    post, path = "/api/v1/auth/sso/{connection}/backchannel-logout", tag = "Identity",
    params(("connection" = ConnectionId, Path, description = "The connection's id")),
    request_body(content = BackchannelLogout, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The sessions have ended"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn backchannel_logout(
    State(identity): State<Identity>,
    visitor: Visitor,
    Path(connection): Path<ConnectionId>,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: BackchannelLogout = serde_urlencoded::from_bytes(&body)
        .map_err(|_| Error::invalid("logout_token", "the body is no form with a logout token"))?;
    Box::pin(identity.backchannel_logout(&visitor.ctx, connection, &request.logout_token)).await?;
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]).into_response())
}

impl Identity {
    fn has_secure_sso_cookie(&self, headers: &HeaderMap) -> bool {
        self.inner.config.secure_cookies || self.public_url(headers).scheme() == "https"
    }

    /// What the browser keeps of a login that it began.
    pub(super) fn sso_cookie(&self, headers: &HeaderMap) -> Option<String> {
        let name = if self.has_secure_sso_cookie(headers) { SECURE_COOKIE } else { COOKIE };
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    }

    /// `Set-Cookie` for a browser that begins a login. `Lax`: it comes back from another site.
    pub(super) fn set_sso_cookie(&self, headers: &HeaderMap, secret: &Secret) -> Result<HeaderValue> {
        let (name, secure) =
            if self.has_secure_sso_cookie(headers) { (SECURE_COOKIE, "; Secure") } else { (COOKIE, "") };
        let secret = secret.expose();
        let cookie = format!("{name}={secret}; HttpOnly; SameSite=Lax; Path=/; Max-Age={LOGIN_SECONDS}{secure}");
        let mut cookie = HeaderValue::try_from(cookie)
            .map_err(|error| Error::from_source("a login's secret does not fit into a cookie", error))?;
        cookie.set_sensitive(true);
        Ok(cookie)
    }
}

/// Nobody is logged in by another site, which could be somebody's who wants them to work in a workspace of theirs.
fn is_sent_by_another_site(headers: &HeaderMap) -> bool {
    headers.get(SEC_FETCH_SITE).is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

/// The login page, which asks whether to go on with this connection.
fn asking_page(connection: ConnectionId, next: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("connection", &connection.to_string());
    if let Some(next) = next {
        query.append_pair("next", next);
    }
    format!("/login/?{}", query.finish())
}

fn login_page(error: &Error, next: Option<&str>) -> String {
    with_problem("/login/", error, next)
}

/// A page's address with the error's reason, for the page to say it in words.
fn with_problem(page: &str, error: &Error, next: Option<&str>) -> String {
    if error.code() == Code::Internal {
        tracing::error!(?error, "single sign-on failed");
    } else {
        tracing::info!(?error, "single sign-on was refused");
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("problem", error.reason());
    if let Some(next) = next {
        // The login page judges it once more.
        query.append_pair("next", next);
    }
    format!("{page}?{}", query.finish())
}

fn redirect(to: &str, cookies: &[HeaderValue]) -> Result<Response> {
    let to = HeaderValue::try_from(to)
        .map_err(|error| Error::from_source("an address does not fit into a header", error))?;
    let headers = [
        (header::LOCATION, to),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // The address that is left holds a code.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    let mut response = (StatusCode::FOUND, headers).into_response();
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    Ok(response)
}

/// For the page on which people link accounts: where it comes back to.
pub(super) fn after_linking(connection: ConnectionId) -> String {
    format!("{SECURITY_PAGE}?linked={connection}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_a_word_in_the_address() {
        let error = Error::new(Code::Forbidden, "sso_expired", "too late & more");
        assert_eq!(login_page(&error, None), "/login/?problem=sso_expired");
        assert_eq!(login_page(&error, Some("/a?b=c&d")), "/login/?problem=sso_expired&next=%2Fa%3Fb%3Dc%26d");
    }

    #[test]
    fn another_site_logs_nobody_in() {
        let from = |site: &'static str| HeaderMap::from_iter([(SEC_FETCH_SITE, HeaderValue::from_static(site))]);
        assert!(is_sent_by_another_site(&from("cross-site")) && is_sent_by_another_site(&from("same-site")));
        assert!(!is_sent_by_another_site(&from("same-origin")) && !is_sent_by_another_site(&from("none")));
        assert!(!is_sent_by_another_site(&HeaderMap::new()));
        let page = asking_page(ConnectionId::from_bits(1), Some("/a"));
        assert_eq!(page, "/login/?connection=conn_00000000000000000000000001&next=%2Fa");
    }

    #[test]
    fn a_redirect_is_neither_kept_nor_told_to_others() {
        let response = redirect("/a", &[HeaderValue::from_static("a=b"), HeaderValue::from_static("c=d")]).unwrap();
        assert_eq!(response.status(), StatusCode::FOUND);
        assert_eq!(response.headers()[header::LOCATION], "/a");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(response.headers().get_all(header::SET_COOKIE).iter().count(), 2);
        assert!(redirect("/a\nb", &[]).is_err());
    }
}
