use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Page, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{Identity, types};

/// A person in a team.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TeamMember {
    /// The person's id.
    user: UserId,
    /// Their name; null for those who may not see people (`users:read`).
    #[schema(required)]
    name: Option<String>,
    /// Their login; null for those who may not see people.
    #[schema(required)]
    email: Option<String>,
    /// Whether their calls are counted to this team, unless an API key names another.
    is_default: bool,
    /// When they joined, in microseconds since 1970 UTC.
    joined_at: Timestamp,
}

impl From<types::TeamMember> for TeamMember {
    fn from(member: types::TeamMember) -> Self {
        let types::TeamMember { user, name, email, is_default, joined_at } = member;
        Self { user, name, email, is_default, joined_at }
    }
}

/// How a person is in a team.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutTeamMember {
    /// True: their calls are counted to this team from now on, and no longer to the one before. Absent: it becomes their default
    /// if they are in no other team, and stays what it is if they are in this one already.
    is_default: Option<bool>,
}

/// Lists a team's members, the newest people first.
#[utoipa::path(
    get, path = "/api/v1/teams/{id}/members", tag = "Identity",
    params(("id" = TeamId, Path, description = "The team's id"), PageQuery),
    responses(
        (status = 200, description = "A page of members", body = Page<TeamMember>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("teams:read")), ("x-audit" = json!("personal_data")))
)]
pub(crate) async fn list_team_members(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TeamId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TeamMember>>, Problem> {
    Ok(Json(identity.team_members(&ctx, id, &page.into_request()?).await?.map(TeamMember::from)))
}

/// Puts a person into a team, or makes it their default.
///
/// A call is counted to one team at most: to the one that its API key names, else to the default team of the person behind it.
/// Whoever is in a team has one default; a change that would leave none is a conflict.
#[utoipa::path(
    put, path = "/api/v1/teams/{id}/members/{user}", tag = "Identity",
    params(
        ("id" = TeamId, Path, description = "The team's id"),
        ("user" = UserId, Path, description = "The id of a person in this workspace")
    ),
    request_body = PutTeamMember,
    responses(
        (status = 200, description = "The member", body = TeamMember),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("teams:write")))
)]
pub(crate) async fn put_team_member(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path((id, user)): Path<(TeamId, UserId)>,
    Json(request): Json<PutTeamMember>,
) -> Result<Json<TeamMember>, Problem> {
    Ok(Json(identity.put_team_member(&ctx, id, user, request.is_default).await?.into()))
}

/// Takes a person out of a team.
///
/// If it was their default, the one of their other teams that they joined first takes its place.
#[utoipa::path(
    delete, path = "/api/v1/teams/{id}/members/{user}", tag = "Identity",
    params(
        ("id" = TeamId, Path, description = "The team's id"),
        ("user" = UserId, Path, description = "The member's id")
    ),
    responses(
        (status = 204, description = "They are no longer in the team"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("teams:write")))
)]
pub(crate) async fn remove_team_member(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path((id, user)): Path<(TeamId, UserId)>,
) -> Result<StatusCode, Problem> {
    identity.remove_team_member(&ctx, id, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
