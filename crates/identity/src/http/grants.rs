use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{ApplicationId, GrantId, Page, Timestamp};
use serde::Serialize;

use super::oauth::{ScopeInWords, in_words};
use crate::{Identity, oauth};

/// What you allowed an application.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ApplicationGrant {
    /// Its id.
    id: GrantId,
    /// The application.
    application: ApplicationId,
    /// Its name.
    application_name: String,
    /// Its page.
    #[schema(required)]
    homepage: Option<String>,
    /// What it may do, as far as you may do it yourself.
    scopes: Vec<ScopeInWords>,
    /// When you allowed it first, in microseconds since 1970 UTC.
    created_at: Timestamp,
    /// When you allowed it last.
    updated_at: Timestamp,
    /// How many authorizations live: one for each device or browser.
    authorizations: u64,
    /// When one was used last, to the minute; null means never.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
}

/// Lists the applications that may act for you, newest first.
#[utoipa::path(
    get, path = "/api/v1/me/grants", tag = "OAuth",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of what you allowed", body = Page<ApplicationGrant>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn list_my_grants(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ApplicationGrant>>, Problem> {
    let grants = identity.my_grants(&ctx, &page.into_request()?).await?;
    Ok(Json(grants.map(|grant| {
        let scopes = in_words(grant.scopes, *ctx.permissions());
        let oauth::Grant { id, application, application_name, homepage, created_at, updated_at, .. } = grant;
        let (authorizations, last_used_at) = (grant.authorizations, grant.last_used_at);
        ApplicationGrant {
            id,
            application,
            application_name,
            homepage,
            scopes,
            created_at,
            updated_at,
            authorizations,
            last_used_at,
        }
    })))
}

/// Takes back what you allowed an application. Its tokens are refused at once, in other processes within 5 seconds.
#[utoipa::path(
    delete, path = "/api/v1/me/grants/{id}", tag = "OAuth",
    params(("id" = GrantId, Path, description = "The grant's id")),
    responses(
        (status = 204, description = "The application has no access any more"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn revoke_my_grant(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<GrantId>,
) -> Result<StatusCode, Problem> {
    identity.revoke_my_grant(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
