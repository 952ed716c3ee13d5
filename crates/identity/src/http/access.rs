use std::net::IpAddr;

use axum::extract::State;
use plasma_http::{Caller, Json, Problem, ProblemBody};
use plasma_kernel::{Actor, Permission, PolicyId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    AccessQuestion, AccessResource, Circumstances, DecidedBy, Identity, PolicyDraft, PolicyMatch, PolicyProblem, types,
};

/// "May X do Y?"
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainAccess {
    /// The id of a user or of an API key. Absent: you yourself.
    #[schema(max_length = 500)]
    principal: Option<String>,
    /// What they want to do.
    action: Permission,
    /// With what. Absent: with nothing in particular.
    resource: Option<ExplainResource>,
    /// From where, when and how. Absent: as you now.
    context: Option<ExplainContext>,
}

/// A thing that somebody wants to do something with.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainResource {
    /// Its id.
    #[schema(max_length = 500)]
    id: Option<String>,
    /// The ids of the things that it is in, the outermost first: a document's collection.
    #[serde(default)]
    #[schema(max_items = 10)]
    within: Vec<String>,
    /// The path of the request.
    #[schema(max_length = 500)]
    path: Option<String>,
}

/// From where, when and how a request comes.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainContext {
    /// The client's address.
    #[schema(value_type = Option<String>, example = "192.0.2.1")]
    address: Option<IpAddr>,
    /// When, in microseconds since 1970 UTC.
    at: Option<Timestamp>,
    /// The method, as in `GET`.
    #[schema(max_length = 20)]
    method: Option<String>,
    /// Whether the person logged in with two factors.
    multi_factor: Option<bool>,
}

/// Why somebody may do something, or may not.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AccessExplanation {
    /// Whether they may.
    allowed: bool,
    /// What decided.
    decided_by: DecidedBy,
    /// The whole in words.
    text: String,
    /// The role that they have: a built-in role's word, or the id of one of the workspace's own.
    role: String,
    /// What people call that role.
    role_name: String,
    /// The permission that is missing; null when none is.
    #[schema(required)]
    missing: Option<Permission>,
    /// The roles that have the permission.
    roles_with_it: Vec<String>,
    /// The statements of policies that decided. Their texts are empty for those who may not see policies.
    policies: Vec<PolicyMatch>,
}

impl From<types::AccessExplanation> for AccessExplanation {
    fn from(explanation: types::AccessExplanation) -> Self {
        let types::AccessExplanation { allowed, decided_by, text, role, role_name, missing, roles_with_it, policies } =
            explanation;
        Self { allowed, decided_by, text, role: role.to_string(), role_name, missing, roles_with_it, policies }
    }
}

/// A policy to try out.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestAccessPolicy {
    /// The policy whose place it would take. Absent: it would be a new one.
    id: Option<PolicyId>,
    /// The rules.
    #[schema(max_length = 10_000)]
    text: String,
    /// Whether it would be in force. With false the test shows what would change without it.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// What trying a policy out found.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AccessPolicyTest {
    /// Whether it could be kept as it is.
    valid: bool,
    /// What is wrong with the text, or worth a second look.
    problems: Vec<PolicyProblem>,
    /// Why the policy would be refused though its text is right; null when it would not.
    #[schema(required)]
    refusal: Option<String>,
    /// How many different requests of the last time were decided anew. This process remembers some thousand, since it started.
    examined: u64,
    /// When the oldest of them was made, in microseconds since 1970 UTC; null when there is none.
    #[schema(required)]
    since: Option<Timestamp>,
    /// How many of them would be refused that were allowed.
    newly_refused: u64,
    /// How many of them would be allowed that were refused.
    newly_allowed: u64,
    /// Those whose answer would change, newest first; at most 200.
    changes: Vec<TestedRequest>,
}

/// A recent request whose answer a policy would change.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TestedRequest {
    /// Who made it.
    principal: Actor,
    /// Their name; null when they are gone or have none.
    #[schema(required)]
    name: Option<String>,
    /// The permission that it needed.
    action: Permission,
    /// The thing that it was about; null when it named none.
    #[schema(required)]
    resource: Option<String>,
    /// Its path.
    path: String,
    /// Its method.
    method: String,
    /// Where it came from.
    #[schema(value_type = String)]
    address: IpAddr,
    /// How often it was made.
    count: u64,
    /// When it was made last, in microseconds since 1970 UTC.
    last_at: Timestamp,
    /// Whether it would be allowed with the policy.
    allowed: bool,
    /// The statements that would decide.
    policies: Vec<PolicyMatch>,
}

impl From<types::PolicyTest> for AccessPolicyTest {
    fn from(test: types::PolicyTest) -> Self {
        let wrong = test.problems.iter().any(|problem| problem.is_error);
        Self {
            valid: !wrong && test.refusal.is_none(),
            problems: test.problems,
            refusal: test.refusal,
            examined: test.examined,
            since: test.since,
            newly_refused: test.newly_refused,
            newly_allowed: test.newly_allowed,
            changes: test.changes.into_iter().map(TestedRequest::from).collect(),
        }
    }
}

impl From<types::TestedRequest> for TestedRequest {
    fn from(request: types::TestedRequest) -> Self {
        Self {
            principal: request.principal,
            name: request.name,
            action: request.action,
            resource: request.id,
            path: request.path,
            method: request.method.to_owned(),
            address: request.address,
            count: request.count,
            last_at: request.last_at,
            allowed: request.allowed,
            policies: request.policies,
        }
    }
}

/// Explains whether somebody may do something: the role or the policy that decides, or the permission that is missing.
///
/// About yourself you may always ask; about another person or key you need `policies:read`.
#[utoipa::path(
    post, path = "/api/v1/access/explain", tag = "Identity",
    request_body = ExplainAccess,
    responses(
        (status = 200, description = "The decision and what decided it", body = AccessExplanation),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn explain_access(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<ExplainAccess>,
) -> Result<Json<AccessExplanation>, Problem> {
    let ExplainAccess { principal, action, resource, context } = request;
    let resource = resource.map_or_else(AccessResource::default, |resource| {
        let ExplainResource { id, within, path } = resource;
        AccessResource { id, within, path }
    });
    let circumstances = context.map_or_else(Circumstances::default, |context| {
        let ExplainContext { address, at, method, multi_factor } = context;
        Circumstances { address, at, method, multi_factor }
    });
    let asked = AccessQuestion { principal, action, resource, circumstances };
    Ok(Json(identity.explain_access(&ctx, asked).await?.into()))
}

/// Tries an access policy out: every mistake with its place, and which requests of the last time would be answered otherwise.
///
/// Nothing is kept, and nothing changes.
#[utoipa::path(
    post, path = "/api/v1/policies/test", tag = "Identity",
    request_body = TestAccessPolicy,
    responses(
        (status = 200, description = "What the policy would change", body = AccessPolicyTest),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("policies:write")))
)]
pub(crate) async fn test_policy(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<TestAccessPolicy>,
) -> Result<Json<AccessPolicyTest>, Problem> {
    let TestAccessPolicy { id, text, enabled } = request;
    Ok(Json(identity.test_policy(&ctx, PolicyDraft { id, text, enabled }).await?.into()))
}
