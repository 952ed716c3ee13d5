use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Actor, Page, Permission, PolicyId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Identity, NewPolicy, PolicyChange, types};

/// A text of access rules, in Cedar's language.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AccessPolicy)]
pub(crate) struct Policy {
    /// Its id.
    id: PolicyId,
    /// What people call it.
    name: String,
    /// What it is for; may be empty.
    description: String,
    /// The rules.
    text: String,
    /// How many statements the text holds.
    statements: u64,
    /// Whether it is in force.
    enabled: bool,
    /// 1 at first, and one more with every change.
    version: u64,
    /// When it was made, in microseconds since 1970 UTC.
    created_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
    /// Who changed it last.
    updated_by: Actor,
}

impl From<types::Policy> for Policy {
    fn from(policy: types::Policy) -> Self {
        let types::Policy {
            id,
            name,
            description,
            text,
            statements,
            enabled,
            version,
            created_at,
            updated_at,
            updated_by,
        } = policy;
        Self { id, name, description, text, statements, enabled, version, created_at, updated_at, updated_by }
    }
}

/// A policy as it was.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AccessPolicyVersion)]
pub(crate) struct PolicyVersion {
    /// Its number.
    version: u64,
    /// The name at that time.
    name: String,
    /// The description at that time.
    description: String,
    /// The rules at that time.
    text: String,
    /// Whether it was in force.
    enabled: bool,
    /// When this version was made, in microseconds since 1970 UTC.
    changed_at: Timestamp,
    /// Who made it.
    changed_by: Actor,
}

impl From<types::PolicyVersion> for PolicyVersion {
    fn from(policy: types::PolicyVersion) -> Self {
        let types::PolicyVersion { version, name, description, text, enabled, changed_at, changed_by } = policy;
        Self { version, name, description, text, enabled, changed_at, changed_by }
    }
}

/// A policy to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateAccessPolicy)]
pub(crate) struct CreatePolicy {
    /// What people call it; unique in the workspace, whatever the case.
    #[schema(min_length = 1, max_length = 200, example = "Office hours")]
    name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 1_000)]
    description: String,
    /// The rules, in Cedar's language: at most 50 statements.
    #[schema(
        min_length = 1,
        max_length = 10_000,
        example = "forbid (principal in Role::\"editor\", action, resource) when { context.weekday > 5 };"
    )]
    text: String,
    /// Whether it is in force at once.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// What to change of a policy; absent fields stay.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UpdateAccessPolicy)]
pub(crate) struct UpdatePolicy {
    /// The version that the change was made from: when somebody else was quicker, nothing is changed.
    #[schema(minimum = 1)]
    expected_version: u64,
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// What it is for.
    #[schema(max_length = 1_000)]
    description: Option<String>,
    /// The rules.
    #[schema(min_length = 1, max_length = 10_000)]
    text: Option<String>,
    /// Whether it is in force.
    enabled: Option<bool>,
}

/// What policies may speak of.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AccessPolicySchema)]
pub(crate) struct PolicySchema {
    /// The types, attributes and actions, in Cedar's notation for schemas.
    cedar: String,
    /// The actions.
    actions: Vec<Permission>,
}

/// Lists the workspace's access policies, newest first.
#[utoipa::path(
    get, path = "/api/v1/policies", tag = "Identity",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of policies", body = Page<Policy>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("policies:read")))
)]
pub(crate) async fn list_policies(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Policy>>, Problem> {
    Ok(Json(identity.policies(&ctx, &page.into_request()?).await?.map(Policy::from)))
}

/// Makes an access policy. It holds at once, in other processes within 5 seconds.
///
/// A text that is wrong is refused with the place of its first mistake; `POST /api/v1/policies/test` tells all. A policy with
/// which no owner, or not you yourself, could change policies any more is a conflict (`policy_locks_out`).
#[utoipa::path(
    post, path = "/api/v1/policies", tag = "Identity",
    request_body = CreatePolicy,
    responses(
        (status = 201, description = "The new policy", body = Policy),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("policies:write")))
)]
pub(crate) async fn create_policy(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<CreatePolicy>,
) -> Result<(StatusCode, Json<Policy>), Problem> {
    let CreatePolicy { name, description, text, enabled } = request;
    let policy = identity.create_policy(&ctx, NewPolicy { name, description, text, enabled }).await?;
    Ok((StatusCode::CREATED, Json(policy.into())))
}

/// Shows what policies may speak of: types, attributes and actions.
#[utoipa::path(
    get, path = "/api/v1/policies/schema", tag = "Identity",
    responses(
        (status = 200, description = "The schema", body = PolicySchema),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("policies:read")))
)]
pub(crate) async fn get_policy_schema(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<Json<PolicySchema>, Problem> {
    let cedar = identity.policy_schema(&ctx)?.to_owned();
    Ok(Json(PolicySchema { cedar, actions: Permission::ALL.to_vec() }))
}

/// Shows an access policy.
#[utoipa::path(
    get, path = "/api/v1/policies/{id}", tag = "Identity",
    params(("id" = PolicyId, Path, description = "The policy's id")),
    responses(
        (status = 200, description = "The policy", body = Policy),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("policies:read")))
)]
pub(crate) async fn get_policy(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<PolicyId>,
) -> Result<Json<Policy>, Problem> {
    Ok(Json(identity.policy(&ctx, id).await?.into()))
}

/// Changes an access policy, or switches it on or off. What it was stays as a version.
#[utoipa::path(
    patch, path = "/api/v1/policies/{id}", tag = "Identity",
    params(("id" = PolicyId, Path, description = "The policy's id")),
    request_body = UpdatePolicy,
    responses(
        (status = 200, description = "The changed policy", body = Policy),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("policies:write")))
)]
pub(crate) async fn update_policy(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<PolicyId>,
    Json(request): Json<UpdatePolicy>,
) -> Result<Json<Policy>, Problem> {
    let UpdatePolicy { expected_version, name, description, text, enabled } = request;
    let change = PolicyChange { expected_version, name, description, text, enabled };
    Ok(Json(identity.update_policy(&ctx, id, change).await?.into()))
}

/// Deletes an access policy with all its versions.
#[utoipa::path(
    delete, path = "/api/v1/policies/{id}", tag = "Identity",
    params(("id" = PolicyId, Path, description = "The policy's id")),
    responses(
        (status = 204, description = "The policy is deleted"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("policies:write")))
)]
pub(crate) async fn delete_policy(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<PolicyId>,
) -> Result<StatusCode, Problem> {
    identity.delete_policy(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists what a policy was, newest version first, with who made each.
#[utoipa::path(
    get, path = "/api/v1/policies/{id}/versions", tag = "Identity",
    params(("id" = PolicyId, Path, description = "The policy's id"), PageQuery),
    responses(
        (status = 200, description = "A page of versions", body = Page<PolicyVersion>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("policies:read")))
)]
pub(crate) async fn list_policy_versions(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<PolicyId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<PolicyVersion>>, Problem> {
    Ok(Json(identity.policy_versions(&ctx, id, &page.into_request()?).await?.map(PolicyVersion::from)))
}
