use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, State},
    http::{Extensions, HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use plasma_http::{Caller, Json, Problem, ProblemBody};
use plasma_kernel::{Origin, RequestId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{tenants::Tenant, users::User};
use crate::{Identity, Login, Secret};

/// Who logs in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    /// The user's e-mail; upper and lower case do not matter.
    #[schema(max_length = 254, example = "ada@example.org")]
    email: String,
    /// The user's password.
    #[schema(max_length = 200, format = "password")]
    password: String,
}

/// A new session.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LoginResponse {
    /// The session's token, for `Authorization: Bearer`.
    token: String,
    /// When the session ends at the latest, in microseconds since 1970 UTC; it ends earlier after 7 days without use.
    expires_at: Timestamp,
    /// Who logged in.
    user: User,
    /// Into which workspace.
    tenant: Tenant,
}

/// Opens a session by e-mail and password.
///
/// The token comes in the body and as the cookie `plasma_session`. After four failures for an account the next try has to
/// wait, and after ten in 15 minutes (fifty for an address) no more are taken: the answer is then 429 with `Retry-After`.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "Identity",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "The new session", body = LoginResponse),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn login(
    State(identity): State<Identity>,
    headers: HeaderMap,
    extensions: Extensions,
    Json(request): Json<LoginRequest>,
) -> Result<Response, Problem> {
    let mut ctx = identity.system("login");
    if let Some(request) = extensions.get::<RequestId>() {
        ctx = ctx.with_request(*request);
    }
    // The edge knows the client behind trusted proxies; without an edge, the other end of the connection is the client.
    let peer = || extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    let address = match extensions.get::<Arc<Origin>>() {
        Some(origin) => {
            ctx = ctx.with_origin(Arc::clone(origin));
            origin.address
        }
        None => peer(),
    };
    let login = Login { email: request.email, password: Secret::new(request.password), address };
    let logged_in = identity.login(&ctx, login).await?;
    let cookie = identity.session_cookie(&headers, &logged_in.token)?;
    let body = LoginResponse {
        token: logged_in.token.expose().to_owned(),
        expires_at: logged_in.expires_at,
        user: logged_in.user.into(),
        tenant: logged_in.tenant.into(),
    };
    Ok(([(header::SET_COOKIE, cookie)], Json(body)).into_response())
}

/// Ends the session that sends this request and removes its cookie.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "Identity",
    responses(
        (status = 204, description = "The session has ended"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")), ("x-while-suspended" = json!("anyone")))
)]
pub(crate) async fn logout(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = Identity::token_from_headers(&headers).map_or("", |(token, _)| token);
    identity.logout(&ctx, token).await?;
    let cookie = identity.no_session_cookie(&headers)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}
