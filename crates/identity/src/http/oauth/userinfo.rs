use axum::{extract::State, http::HeaderMap};
use plasma_http::{Caller, Json, Problem, ProblemBody};
use serde::Serialize;

use crate::{Identity, oauth};

/// Who the person behind an access token is (OpenID Connect Core, section 5.3).
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UserClaims {
    /// The person's id.
    sub: String,
    /// The workspace.
    tenant: String,
    /// Their name; only with the scope `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// Their e-mail; only with the scope `email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    email: Option<String>,
}

impl From<oauth::UserInfo> for UserClaims {
    fn from(info: oauth::UserInfo) -> Self {
        Self { sub: info.user.to_string(), tenant: info.tenant.to_string(), name: info.name, email: info.email }
    }
}

/// Tells an application who its person is. It needs an access token with the scope `openid`.
#[utoipa::path(
    get, path = "/oauth/userinfo", tag = "OAuth",
    responses(
        (status = 200, description = "The person", body = UserClaims),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn get_userinfo(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
) -> Result<Json<UserClaims>, Problem> {
    let token = Identity::token_from_headers(&headers).map_or("", |(token, _)| token);
    Ok(Json(identity.userinfo(&ctx, token).await?.into()))
}

/// The same by POST, as the specification asks for. The token comes in the header `Authorization`.
#[utoipa::path(
    post, path = "/oauth/userinfo", tag = "OAuth",
    responses(
        (status = 200, description = "The person", body = UserClaims),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn post_userinfo(
    state: State<Identity>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Json<UserClaims>, Problem> {
    get_userinfo(state, caller, headers).await
}
