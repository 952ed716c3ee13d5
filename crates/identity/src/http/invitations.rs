use axum::{
    extract::State,
    http::{Extensions, HeaderMap, StatusCode},
    response::Response,
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{InvitationId, Page, Role, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{
    auth::{LoginResponse, PendingLogin, answer},
    my_tenants::{MyTenant, coming_from},
    visitor::Visitor,
};
use crate::{AcceptInvitation as Accept, Identity, InvitationState, NewInvitation, Secret, tenant_types};

/// Somebody who was asked by mail to join the workspace.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Invitation {
    /// Its id.
    id: InvitationId,
    /// Where the mail went.
    email: String,
    /// The role that comes with it.
    role: Role,
    /// Who asked.
    invited_by: UserId,
    /// Where it is now.
    state: InvitationState,
    /// How often it was sent.
    sent_count: u32,
    /// When it was sent last, in microseconds since 1970 UTC.
    sent_at: Timestamp,
    /// When it was made.
    created_at: Timestamp,
    /// When its link ends.
    expires_at: Timestamp,
    /// When it was accepted; null before.
    #[schema(required)]
    accepted_at: Option<Timestamp>,
}

impl From<tenant_types::Invitation> for Invitation {
    fn from(invitation: tenant_types::Invitation) -> Self {
        let tenant_types::Invitation {
            id,
            email,
            role,
            invited_by,
            state,
            sent_count,
            sent_at,
            created_at,
            expires_at,
            accepted_at,
        } = invitation;
        Self { id, email, role, invited_by, state, sent_count, sent_at, created_at, expires_at, accepted_at }
    }
}

/// Whom to invite.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInvitation {
    /// Where the mail goes.
    #[schema(max_length = 254, example = "ada@example.org")]
    email: String,
    /// Not higher than your own.
    role: Role,
}

/// From an invitation's link.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationToken {
    /// What stands in the link behind `token=`.
    #[schema(max_length = 200, example = "pli_0000000000000000000000000000000000000000000000000000")]
    token: String,
}

/// What the holder of a link learns.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct InvitationPreview {
    /// To whom the mail went.
    email: String,
    /// Into which workspace.
    tenant_name: String,
    /// With which role.
    role: Role,
    /// How the workspace looks on light pages; null: as the program does.
    #[schema(required)]
    accent_color: Option<String>,
    /// How it looks on dark pages.
    #[schema(required)]
    accent_color_dark: Option<String>,
    /// When the link ends, in microseconds since 1970 UTC.
    expires_at: Timestamp,
    /// Whether you have an account: then log in and join; else choose a name and a password.
    has_account: bool,
}

/// Your answer, when you are new here.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptInvitation {
    /// What stands in the link behind `token=`.
    #[schema(max_length = 200, example = "pli_0000000000000000000000000000000000000000000000000000")]
    token: String,
    /// What to call you.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Your password from now on; not your e-mail.
    #[schema(min_length = 10, max_length = 200, format = "password")]
    password: String,
}

/// Lists the workspace's invitations, newest first, with those that have ended.
#[utoipa::path(
    get, path = "/api/v1/invitations", tag = "Identity",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of invitations", body = Page<Invitation>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("users:read")), ("x-audit" = json!("personal_data")))
)]
pub(crate) async fn list_invitations(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Invitation>>, Problem> {
    Ok(Json(identity.invitations(&ctx, &page.into_request()?).await?.map(Invitation::from)))
}

/// Asks somebody by mail to join the workspace.
///
/// The link in the mail ends after 7 days. The answer is the same whether the person has an account or not.
#[utoipa::path(
    post, path = "/api/v1/invitations", tag = "Identity",
    request_body = CreateInvitation,
    responses(
        (status = 201, description = "The invitation", body = Invitation),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("users:write")))
)]
pub(crate) async fn create_invitation(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Json(request): Json<CreateInvitation>,
) -> Result<(StatusCode, Json<Invitation>), Problem> {
    let base = identity.trusted_url(&headers)?;
    let new = NewInvitation { email: request.email, role: request.role };
    Ok((StatusCode::CREATED, Json(identity.invite(&ctx, base.as_str(), new).await?.into())))
}

/// Sends an invitation again, with a new link. The one before does nothing any more.
#[utoipa::path(
    post, path = "/api/v1/invitations/{id}/resend", tag = "Identity",
    params(("id" = InvitationId, Path, description = "The invitation's id")),
    responses(
        (status = 200, description = "The invitation", body = Invitation),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("users:write")))
)]
pub(crate) async fn resend_invitation(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Path(id): Path<InvitationId>,
) -> Result<Json<Invitation>, Problem> {
    let base = identity.trusted_url(&headers)?;
    Ok(Json(identity.resend_invitation(&ctx, base.as_str(), id).await?.into()))
}

/// Takes an invitation back: its link does nothing any more.
#[utoipa::path(
    delete, path = "/api/v1/invitations/{id}", tag = "Identity",
    params(("id" = InvitationId, Path, description = "The invitation's id")),
    responses(
        (status = 204, description = "The invitation is taken back"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("users:write")))
)]
pub(crate) async fn revoke_invitation(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<InvitationId>,
) -> Result<StatusCode, Problem> {
    identity.revoke_invitation(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows what an invitation's link is for.
#[utoipa::path(
    post, path = "/api/v1/invitations/preview", tag = "Identity",
    request_body = InvitationToken,
    responses(
        (status = 200, description = "What the link is for", body = InvitationPreview),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn preview_invitation(
    State(identity): State<Identity>,
    visitor: Visitor,
    Json(request): Json<InvitationToken>,
) -> Result<Json<InvitationPreview>, Problem> {
    let preview = identity.preview_invitation(&visitor.ctx, &Secret::new(request.token)).await?;
    let tenant_types::InvitationPreview {
        email,
        tenant_name,
        role,
        accent_color,
        accent_color_dark,
        expires_at,
        has_account,
    } = preview;
    Ok(Json(InvitationPreview { email, tenant_name, role, accent_color, accent_color_dark, expires_at, has_account }))
}

/// Accepts an invitation as somebody who is new here: makes the account and opens a session, as a login does.
///
/// Whoever has an account already is answered 409 (`log_in_first`): they log in and join with `POST /api/v1/me/invitations`.
#[utoipa::path(
    post, path = "/api/v1/invitations/accept", tag = "Identity",
    request_body = AcceptInvitation,
    responses(
        (status = 200, description = "The new session", body = LoginResponse),
        (status = 202, description = "Another proof is needed", body = PendingLogin),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn accept_invitation(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<AcceptInvitation>,
) -> Result<Response, Problem> {
    let AcceptInvitation { token, name, password } = request;
    let accept = Accept { token: Secret::new(token), name, password: Secret::new(password) };
    let step = identity.accept_invitation(&visitor.ctx, accept, &visitor.origin).await?;
    Ok(answer(&identity, &headers, step)?)
}

/// Accepts an invitation as somebody who has an account and is logged in with it.
///
/// You stay in the workspace in which you are; `POST /api/v1/me/tenant` switches to the other.
#[utoipa::path(
    post, path = "/api/v1/me/invitations", tag = "Identity",
    request_body = InvitationToken,
    responses(
        (status = 201, description = "The workspace that you are in from now on", body = MyTenant),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")), ("x-while-suspended" = json!("anyone")))
)]
pub(crate) async fn join_by_invitation(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    extensions: Extensions,
    headers: HeaderMap,
    Json(request): Json<InvitationToken>,
) -> Result<(StatusCode, Json<MyTenant>), Problem> {
    let ctx = coming_from(ctx, &extensions, &headers);
    let joined = identity.join_by_invitation(&ctx, &Secret::new(request.token)).await?;
    Ok((StatusCode::CREATED, Json(MyTenant::seen_from(joined, ctx.tenant()?))))
}
