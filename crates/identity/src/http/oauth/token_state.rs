use axum::{
    extract::State,
    http::{Extensions, HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use plasma_http::ProblemBody;
use plasma_kernel::Timestamp;
use serde::Serialize;

use super::{FormBody, OAuthErrorBody, OAuthProblem, credentials, issuer, keep_nowhere, stranger};
use crate::{Identity, http::visitor::address_of, oauth};

/// The token that is asked about or given back.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // it describes the form, which is read by hand
pub(crate) struct TokenForm {
    /// An access token or a refresh token.
    token: String,
    /// Not needed: tokens say themselves what they are.
    #[schema(nullable = false)]
    token_type_hint: Option<String>,
    /// The application, unless the header `Authorization` names it.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// The application's secret, unless the header `Authorization` holds it.
    #[schema(nullable = false, format = "password")]
    client_secret: Option<String>,
}

/// What a token is good for (RFC 7662). Of one that is good for nothing only `active` is said.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TokenIntrospection {
    /// Whether it works now, and is the application's own.
    active: bool,
    /// Names separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<String>,
    /// The application.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// The person, or the application when it acts for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sub: Option<String>,
    /// The workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tenant: Option<String>,
    /// `Bearer` for access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token_type: Option<String>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    iss: Option<String>,
    /// When it was issued, in seconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    iat: Option<i64>,
    /// From when on it is refused, in seconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exp: Option<i64>,
}

impl TokenIntrospection {
    fn inactive() -> Self {
        Self {
            active: false,
            scope: None,
            client_id: None,
            sub: None,
            tenant: None,
            token_type: None,
            iss: None,
            iat: None,
            exp: None,
        }
    }

    fn new(token: oauth::Introspection, issuer: String) -> Self {
        let seconds = |at: Timestamp| at.div_euclid(1_000_000);
        let subject = token.user.map_or_else(|| token.application.to_string(), |user| user.to_string());
        Self {
            active: true,
            scope: Some(token.scopes.to_text()),
            client_id: Some(token.application.to_string()),
            sub: Some(subject),
            tenant: Some(token.tenant.to_string()),
            token_type: token.is_access_token.then(|| "Bearer".to_owned()),
            iss: Some(issuer),
            iat: Some(seconds(token.issued_at)),
            exp: Some(seconds(token.expires_at)),
        }
    }
}

/// Tells an application what one of its tokens is good for.
///
/// Only confidential applications may ask, and only about tokens that were issued to themselves: of all others the answer is
/// `{"active": false}`.
#[utoipa::path(
    post, path = "/oauth/introspect", tag = "OAuth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What it is good for", body = TokenIntrospection),
        (status = 429, description = "Too many", content(
            (OAuthErrorBody = "application/json"), (ProblemBody = "application/problem+json")
        )),
        (status = "default", description = "What went wrong", body = OAuthErrorBody)
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn introspect_token(
    State(identity): State<Identity>,
    headers: HeaderMap,
    extensions: Extensions,
    FormBody(form): FormBody,
) -> Result<Response, OAuthProblem> {
    let ctx = stranger(&identity, &extensions);
    let credentials = credentials(&headers, &form)?;
    let known = identity.introspect_token(&ctx, &credentials, &form, address_of(&extensions)).await?;
    let body = match known {
        Some(token) => TokenIntrospection::new(token, issuer(&identity, &headers)),
        None => TokenIntrospection::inactive(),
    };
    let mut response = axum::Json(body).into_response();
    keep_nowhere(response.headers_mut());
    Ok(response)
}

/// Ends a token of an application.
///
/// With a refresh token everything ends that came from the same authorization, with an access token only itself. An unknown
/// token is as good as ended: the answer is the same.
#[utoipa::path(
    post, path = "/oauth/revoke", tag = "OAuth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token has ended"),
        (status = 429, description = "Too many", content(
            (OAuthErrorBody = "application/json"), (ProblemBody = "application/problem+json")
        )),
        (status = "default", description = "What went wrong", body = OAuthErrorBody)
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn revoke_token(
    State(identity): State<Identity>,
    headers: HeaderMap,
    extensions: Extensions,
    FormBody(form): FormBody,
) -> Result<StatusCode, OAuthProblem> {
    let ctx = stranger(&identity, &extensions);
    let credentials = credentials(&headers, &form)?;
    identity.revoke_tokens(&ctx, &credentials, &form, address_of(&extensions)).await?;
    Ok(StatusCode::OK)
}
