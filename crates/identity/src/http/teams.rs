use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Page, TeamId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Identity, NewTeam, TeamChange, types};

/// People of the workspace whose model calls are counted together.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Team {
    /// The team's id.
    id: TeamId,
    /// What people call it.
    name: String,
    /// What it is for; may be empty.
    description: String,
    /// How many people are in it.
    member_count: u64,
    /// When it was made, in microseconds since 1970 UTC.
    created_at: Timestamp,
    /// When its name or description was changed last.
    updated_at: Timestamp,
}

impl From<types::Team> for Team {
    fn from(team: types::Team) -> Self {
        let types::Team { id, name, description, member_count, created_at, updated_at } = team;
        Self { id, name, description, member_count, created_at, updated_at }
    }
}

/// What to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTeam {
    /// What people call it; new to the workspace, whatever the case.
    #[schema(min_length = 1, max_length = 200, example = "Marketing")]
    name: String,
    /// What it is for. Absent: nothing is said.
    #[schema(max_length = 1000)]
    description: Option<String>,
}

/// What to change; absent fields stay.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateTeam {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// What it is for.
    #[schema(max_length = 1000)]
    description: Option<String>,
}

/// Lists the workspace's teams, newest first.
#[utoipa::path(
    get, path = "/api/v1/teams", tag = "Identity",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of teams", body = Page<Team>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("teams:read")))
)]
pub(crate) async fn list_teams(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Team>>, Problem> {
    Ok(Json(identity.teams(&ctx, &page.into_request()?).await?.map(Team::from)))
}

/// Makes a team without members.
#[utoipa::path(
    post, path = "/api/v1/teams", tag = "Identity",
    request_body = CreateTeam,
    responses(
        (status = 201, description = "The new team", body = Team),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("teams:write")))
)]
pub(crate) async fn create_team(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<CreateTeam>,
) -> Result<(StatusCode, Json<Team>), Problem> {
    let CreateTeam { name, description } = request;
    let new = NewTeam { name, description: description.unwrap_or_default() };
    Ok((StatusCode::CREATED, Json(identity.create_team(&ctx, new).await?.into())))
}

/// Shows a team.
#[utoipa::path(
    get, path = "/api/v1/teams/{id}", tag = "Identity",
    params(("id" = TeamId, Path, description = "The team's id")),
    responses(
        (status = 200, description = "The team", body = Team),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("teams:read")))
)]
pub(crate) async fn get_team(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TeamId>,
) -> Result<Json<Team>, Problem> {
    Ok(Json(identity.team(&ctx, id).await?.into()))
}

/// Changes a team's name or description.
#[utoipa::path(
    patch, path = "/api/v1/teams/{id}", tag = "Identity",
    params(("id" = TeamId, Path, description = "The team's id")),
    request_body = UpdateTeam,
    responses(
        (status = 200, description = "The changed team", body = Team),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("teams:write")))
)]
pub(crate) async fn update_team(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TeamId>,
    Json(request): Json<UpdateTeam>,
) -> Result<Json<Team>, Problem> {
    let UpdateTeam { name, description } = request;
    Ok(Json(identity.update_team(&ctx, id, TeamChange { name, description }).await?.into()))
}

/// Deletes a team.
///
/// Its members stay in their other teams, its API keys go on working and count for the team of the person who made them, and
/// what was counted for it so far keeps its id.
#[utoipa::path(
    delete, path = "/api/v1/teams/{id}", tag = "Identity",
    params(("id" = TeamId, Path, description = "The team's id")),
    responses(
        (status = 204, description = "The team is deleted"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("teams:write")))
)]
pub(crate) async fn delete_team(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TeamId>,
) -> Result<StatusCode, Problem> {
    identity.delete_team(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
