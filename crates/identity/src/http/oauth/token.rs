use axum::{
    extract::State,
    http::{Extensions, HeaderMap},
    response::{IntoResponse, Response},
};
use plasma_http::ProblemBody;
use serde::Serialize;

use super::{FormBody, OAuthErrorBody, OAuthProblem, credentials, issuer, keep_nowhere, stranger};
use crate::{Identity, http::visitor::address_of, oauth::TokenAnswer};

/// What an application sends for tokens. Which fields it needs depends on `grant_type`.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // it describes the form, which is read by hand
pub(crate) struct TokenRequest {
    /// `authorization_code`, `refresh_token`, `client_credentials` or `urn:ietf:params:oauth:grant-type:device_code`.
    #[schema(example = "client_credentials")]
    grant_type: String,
    /// The application, unless the header `Authorization` names it.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// The application's secret, unless the header `Authorization` holds it.
    #[schema(nullable = false, format = "password")]
    client_secret: Option<String>,
    /// The code that the person's browser brought.
    #[schema(nullable = false)]
    code: Option<String>,
    /// The address to which it was brought; may be left out.
    #[schema(nullable = false)]
    redirect_uri: Option<String>,
    /// What the code's challenge was made of.
    #[schema(nullable = false, min_length = 43, max_length = 128)]
    code_verifier: Option<String>,
    /// The refresh token.
    #[schema(nullable = false)]
    refresh_token: Option<String>,
    /// The device's code.
    #[schema(nullable = false)]
    device_code: Option<String>,
    /// Names separated by spaces, not more than was allowed; absent: all of it.
    #[schema(nullable = false, max_length = 4096)]
    scope: Option<String>,
}

/// New tokens (RFC 6749, section 5.1).
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TokenResponse {
    /// For `Authorization: Bearer`.
    #[schema(example = "pla_…")]
    access_token: String,
    /// `Bearer`.
    token_type: String,
    /// Seconds for which the access token is good.
    expires_in: i64,
    /// For the next tokens; only with the scope `offline_access`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refresh_token: Option<String>,
    /// What the access token may be used for.
    scope: String,
    /// Who the person is, signed; only with the scope `openid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id_token: Option<String>,
}

impl TokenResponse {
    fn new(answer: TokenAnswer, now: i64) -> Self {
        Self {
            access_token: answer.access_token.expose().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: ((answer.expires_at - now) / 1_000_000).max(0),
            refresh_token: answer.refresh_token.map(|token| token.expose().to_owned()),
            scope: answer.scopes.to_text(),
            id_token: answer.id_token,
        }
    }
}

/// Gives an application tokens.
///
/// For a code, a refresh token, a device's code, or for itself. The application authenticates by `Authorization: Basic`, by
/// `client_id` and `client_secret` in the body, or, if it is public, by its `client_id` alone. Refresh tokens are used once: the
/// same one within 30 seconds gets the same answer, later its whole authorization ends.
#[utoipa::path(
    post, path = "/oauth/token", tag = "OAuth",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The tokens", body = TokenResponse),
        (status = 429, description = "Too many", content(
            (OAuthErrorBody = "application/json"), (ProblemBody = "application/problem+json")
        )),
        (status = "default", description = "What went wrong", body = OAuthErrorBody)
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn issue_token(
    State(identity): State<Identity>,
    headers: HeaderMap,
    extensions: Extensions,
    FormBody(form): FormBody,
) -> Result<Response, OAuthProblem> {
    let ctx = stranger(&identity, &extensions);
    let credentials = credentials(&headers, &form)?;
    let issuer = issuer(&identity, &headers);
    let answer = identity.issue_tokens(&ctx, &issuer, &credentials, &form, address_of(&extensions)).await?;
    let mut response = axum::Json(TokenResponse::new(answer, ctx.now())).into_response();
    keep_nowhere(response.headers_mut());
    Ok(response)
}
