use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Ctx, Method, Page, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{Identity, device::device_label, login_types};

/// A login session.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LoginSession {
    /// Its id.
    id: SessionId,
    /// Whose it is.
    user: UserId,
    /// Their name.
    user_name: String,
    /// Their login.
    user_email: String,
    /// A name for the device, from what the client said.
    #[schema(example = "Firefox on Linux")]
    device: String,
    /// From which address it was opened; null when it is not known.
    #[schema(required)]
    address: Option<String>,
    /// What the client said it is; null when it said nothing.
    #[schema(required)]
    user_agent: Option<String>,
    /// How the person proved who they are.
    methods: Vec<Method>,
    /// When they proved it last, in microseconds since 1970 UTC.
    authenticated_at: Timestamp,
    /// When it was opened.
    created_at: Timestamp,
    /// When it was last used, to the minute.
    last_used_at: Timestamp,
    /// When it ends if nobody uses it any more.
    expires_at: Timestamp,
    /// Whether it is the one that asks.
    is_current: bool,
}

impl LoginSession {
    fn seen_from(ctx: &Ctx, session: login_types::Session) -> Self {
        let current = ctx.authentication().map(|authentication| authentication.session);
        Self {
            id: session.id,
            user: session.user,
            user_name: session.user_name,
            user_email: session.user_email,
            device: device_label(session.user_agent.as_deref()),
            address: session.address,
            user_agent: session.user_agent,
            methods: session.methods.iter().collect(),
            authenticated_at: session.authenticated_at,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            is_current: current == Some(session.id),
        }
    }
}

/// Which sessions to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionQuery {
    /// Only this person's.
    user: Option<UserId>,
    /// Rows on the page: 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists your sessions, the newest first.
#[utoipa::path(
    get, path = "/api/v1/me/sessions", tag = "Identity",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of sessions", body = Page<LoginSession>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn list_my_sessions(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<LoginSession>>, Problem> {
    let sessions = identity.my_sessions(&ctx, &page.into_request()?).await?;
    Ok(Json(sessions.map(|session| LoginSession::seen_from(&ctx, session))))
}

/// Signs you out everywhere else, in all workspaces. The session that asks stays.
#[utoipa::path(
    delete, path = "/api/v1/me/sessions", tag = "Identity",
    responses(
        (status = 204, description = "The other sessions have ended"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn end_my_other_sessions(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<StatusCode, Problem> {
    identity.end_my_other_sessions(&ctx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one of your sessions.
#[utoipa::path(
    delete, path = "/api/v1/me/sessions/{id}", tag = "Identity",
    params(("id" = SessionId, Path, description = "The session's id")),
    responses(
        (status = 204, description = "The session has ended"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn end_my_session(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<SessionId>,
) -> Result<StatusCode, Problem> {
    identity.end_my_session(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the sessions of the workspace's people, the newest first.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "Identity",
    params(SessionQuery),
    responses(
        (status = 200, description = "A page of sessions", body = Page<LoginSession>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("sessions:read")), ("x-audit" = json!("personal_data")))
)]
pub(crate) async fn list_sessions(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(query): Query<SessionQuery>,
) -> Result<Json<Page<LoginSession>>, Problem> {
    let page = PageQuery::request(query.limit, query.cursor)?;
    let sessions = identity.sessions(&ctx, query.user, &page).await?;
    Ok(Json(sessions.map(|session| LoginSession::seen_from(&ctx, session))))
}

/// Ends somebody's session.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "Identity",
    params(("id" = SessionId, Path, description = "The session's id")),
    responses(
        (status = 204, description = "The session has ended"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("sessions:write")))
)]
pub(crate) async fn end_session(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<SessionId>,
) -> Result<StatusCode, Problem> {
    identity.end_session(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs somebody out everywhere in this workspace.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}/sessions", tag = "Identity",
    params(("id" = UserId, Path, description = "The user's id")),
    responses(
        (status = 204, description = "Their sessions have ended"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("sessions:write")))
)]
pub(crate) async fn end_sessions_of_user(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode, Problem> {
    identity.end_sessions_of(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
