use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{ConnectionId, Page, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{DomainState, DomainVerifier, Identity, sso};

/// What the workspace has decided about single sign-on.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SingleSignOn {
    /// Whether every other way to log in is refused.
    enforced: bool,
    /// Owners who may still log in with a password and a second factor.
    break_glass: Vec<UserId>,
    /// What providers must have as redirect URI, to copy before a connection is made.
    redirect_uri: String,
}

/// What to decide.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateSingleSignOn {
    /// Whether every other way to log in is refused.
    enforced: bool,
    /// Owners with a second factor who may still log in with a password. At least one when single sign-on is enforced.
    #[schema(max_items = 10)]
    break_glass: Vec<UserId>,
}

/// Shows whether single sign-on is enforced, and who may log in without it.
#[utoipa::path(
    get, path = "/api/v1/single-sign-on", tag = "Identity",
    responses(
        (status = 200, description = "What is decided", body = SingleSignOn),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:read")))
)]
pub(crate) async fn get_single_sign_on(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
) -> Result<Json<SingleSignOn>, Problem> {
    let crate::SingleSignOn { enforced, break_glass } = identity.single_sign_on(&ctx).await?;
    let redirect_uri = sso::login::redirect_uri(&identity.public_url(&headers));
    Ok(Json(SingleSignOn { enforced, break_glass, redirect_uri }))
}

/// Enforces single sign-on, or ends that.
///
/// When it begins, the sessions that did not begin at a connection end, but for those of the break-glass owners and your own. You must
/// have proved lately who you are.
#[utoipa::path(
    put, path = "/api/v1/single-sign-on", tag = "Identity",
    request_body = UpdateSingleSignOn,
    responses(
        (status = 200, description = "What is decided", body = SingleSignOn),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:write")))
)]
pub(crate) async fn put_single_sign_on(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Json(request): Json<UpdateSingleSignOn>,
) -> Result<Json<SingleSignOn>, Problem> {
    let UpdateSingleSignOn { enforced, break_glass } = request;
    let settings = crate::SingleSignOn { enforced, break_glass };
    let crate::SingleSignOn { enforced, break_glass } = identity.set_single_sign_on(&ctx, settings).await?;
    let redirect_uri = sso::login::redirect_uri(&identity.public_url(&headers));
    Ok(Json(SingleSignOn { enforced, break_glass, redirect_uri }))
}

/// A domain that a workspace claims.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ClaimedDomain {
    /// The domain.
    domain: String,
    /// What became of the claim.
    state: DomainState,
    /// The workspace that claims it.
    tenant: TenantId,
    /// That workspace's name.
    tenant_name: String,
    /// By which of its connections.
    connection: ConnectionId,
    /// When it was claimed, in microseconds since 1970 UTC.
    claimed_at: Timestamp,
    /// When it was verified.
    #[schema(required)]
    verified_at: Option<Timestamp>,
    /// By whom.
    #[schema(required)]
    verified_by: Option<DomainVerifier>,
}

impl From<crate::ClaimedDomain> for ClaimedDomain {
    fn from(claim: crate::ClaimedDomain) -> Self {
        let state = if claim.verified_at.is_some() { DomainState::Verified } else { DomainState::Pending };
        Self {
            domain: claim.domain,
            state,
            tenant: claim.tenant,
            tenant_name: claim.tenant_name,
            connection: claim.connection,
            claimed_at: claim.claimed_at,
            verified_at: claim.verified_at,
            verified_by: claim.verified_by,
        }
    }
}

/// Whose a domain is.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignDomain {
    /// A workspace that claims it.
    tenant: TenantId,
}

/// Lists the e-mail domains that the installation's workspaces claim, in their order.
#[utoipa::path(
    get, path = "/api/v1/domains", tag = "Identity",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of claims", body = Page<ClaimedDomain>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:read")))
)]
pub(crate) async fn list_domains(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ClaimedDomain>>, Problem> {
    Ok(Json(identity.domains(&ctx, &page.into_request()?).await?.map(ClaimedDomain::from)))
}

/// Says whose an e-mail domain is: the workspace must claim it, and a workspace that had it loses it.
#[utoipa::path(
    put, path = "/api/v1/domains/{domain}", tag = "Identity",
    params(("domain" = String, Path, description = "The domain")),
    request_body = AssignDomain,
    responses(
        (status = 204, description = "The domain is that workspace's"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn assign_domain(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(domain): Path<String>,
    Json(request): Json<AssignDomain>,
) -> Result<StatusCode, Problem> {
    identity.assign_domain(&ctx, &domain, request.tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an e-mail domain from the workspace that has it.
#[utoipa::path(
    delete, path = "/api/v1/domains/{domain}", tag = "Identity",
    params(("domain" = String, Path, description = "The domain")),
    responses(
        (status = 204, description = "The domain is nobody's"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn release_domain(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(domain): Path<String>,
) -> Result<StatusCode, Problem> {
    identity.release_domain(&ctx, &domain).await?;
    Ok(StatusCode::NO_CONTENT)
}
