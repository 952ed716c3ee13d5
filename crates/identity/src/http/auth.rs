use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use plasma_http::{Caller, Json, Problem, ProblemBody};
use plasma_kernel::{ConnectionId, Method, Result, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{tenants::Tenant, users::User, visitor::Visitor};
use crate::{Factor, Identity, LoggedIn, Login, LoginStep, Need, Secret, login_types};

/// Who wants to log in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginMethodsRequest {
    /// An e-mail; whether it is somebody's does not matter.
    #[schema(max_length = 254, example = "ada@example.org")]
    email: String,
}

/// What the login page offers.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LoginMethods {
    /// With what a login can begin.
    methods: Vec<Method>,
    /// Identity providers.
    connections: Vec<LoginConnection>,
    /// Whether only identity providers are offered.
    enforced: bool,
    /// Whether a forgotten password can be replaced by mail.
    password_reset: bool,
}

/// An identity provider that the login page offers.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LoginConnection {
    /// Its id.
    id: ConnectionId,
    /// What people call it.
    name: String,
}

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
    /// The session.
    session: SessionId,
    /// When the session ends at the latest, in microseconds since 1970 UTC; it ends earlier when it is not used for long.
    expires_at: Timestamp,
    /// By when a second factor must be set up, if the workspace requires one and there is none yet; else null.
    #[schema(required)]
    enroll_by: Option<Timestamp>,
    /// Who logged in.
    user: User,
    /// Into which workspace.
    tenant: Tenant,
}

/// A login that needs another proof.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PendingLogin {
    /// What to send with the proof; it opens nothing by itself.
    pending_token: String,
    /// Until when, in microseconds since 1970 UTC.
    expires_at: Timestamp,
    /// What is needed: one of these.
    needs: Vec<Need>,
    /// With the need `enroll`: what may be set up.
    may_enroll: Vec<Factor>,
}

impl From<LoggedIn> for LoginResponse {
    fn from(logged_in: LoggedIn) -> Self {
        let LoggedIn { token, session, expires_at, enroll_by, user, tenant } = logged_in;
        let token = token.expose().to_owned();
        Self { token, session, expires_at, enroll_by, user: user.into(), tenant: tenant.into() }
    }
}

impl From<login_types::PendingLogin> for PendingLogin {
    fn from(pending: login_types::PendingLogin) -> Self {
        let login_types::PendingLogin { token, expires_at, needs, may_enroll } = pending;
        Self { pending_token: token.expose().to_owned(), expires_at, needs, may_enroll }
    }
}

/// The answer to a proof: 200 with a session and its cookie, or 202 when another proof is needed.
pub(crate) fn answer(identity: &Identity, headers: &HeaderMap, step: LoginStep) -> Result<Response> {
    match step {
        LoginStep::Done(logged_in) => {
            let cookie = identity.session_cookie(headers, &logged_in.token, logged_in.expires_at)?;
            let body = LoginResponse::from(*logged_in);
            Ok(([(header::SET_COOKIE, cookie)], Json(body)).into_response())
        }
        LoginStep::Continue(pending) => Ok((StatusCode::ACCEPTED, Json(PendingLogin::from(pending))).into_response()),
    }
}

/// Tells with what somebody can log in. The answer does not depend on whether the e-mail is known.
#[utoipa::path(
    post, path = "/api/v1/auth/methods", tag = "Identity",
    request_body = LoginMethodsRequest,
    responses(
        (status = 200, description = "What is offered", body = LoginMethods),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn login_methods(
    State(identity): State<Identity>,
    visitor: Visitor,
    Json(request): Json<LoginMethodsRequest>,
) -> Result<Json<LoginMethods>, Problem> {
    let offered = identity.login_methods(&visitor.ctx, &request.email, visitor.origin.address).await?;
    let connections = offered.connections.into_iter().map(|connection| {
        let login_types::LoginConnection { id, name } = connection;
        LoginConnection { id, name }
    });
    Ok(Json(LoginMethods {
        methods: offered.methods.iter().collect(),
        connections: connections.collect(),
        enforced: offered.enforced,
        password_reset: offered.password_reset,
    }))
}

/// Opens a session by e-mail and password, or says which second proof is needed.
///
/// The token comes in the body and as the cookie `plasma_session`. After four failures for an account the next try has to
/// wait, and after ten in 15 minutes (fifty for an address) no more are taken: the answer is then 429 with `Retry-After`.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "Identity",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "The new session", body = LoginResponse),
        (status = 202, description = "Another proof is needed", body = PendingLogin),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn login(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<LoginRequest>,
) -> Result<Response, Problem> {
    let LoginRequest { email, password } = request;
    let login = Login { email, password: Secret::new(password), origin: visitor.origin };
    let step = identity.login(&visitor.ctx, login).await?;
    Ok(answer(&identity, &headers, step)?)
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
