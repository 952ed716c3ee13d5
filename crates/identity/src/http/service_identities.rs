use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{ApiKeyId, Page, ServiceIdentityId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Identity, service_identities};

/// A service that shows a certificate of its own instead of an API key.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ServiceIdentity {
    /// The service's id.
    id: ServiceIdentityId,
    /// The name in its certificate (a URI of the subject's alternative names).
    #[schema(example = "spiffe://example.org/billing")]
    spiffe_id: String,
    /// The API key as which it acts.
    api_key: ApiKeyId,
    /// When it was made, in microseconds since 1970 UTC.
    created_at: Timestamp,
}

impl From<service_identities::ServiceIdentity> for ServiceIdentity {
    fn from(service: service_identities::ServiceIdentity) -> Self {
        let service_identities::ServiceIdentity { id, spiffe_id, api_key, created_at } = service;
        Self { id, spiffe_id, api_key, created_at }
    }
}

/// Which service acts as which key.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateServiceIdentity {
    /// The name in its certificate.
    #[schema(max_length = 2048, example = "spiffe://example.org/billing")]
    spiffe_id: String,
    /// A key of this workspace that is not revoked.
    api_key: ApiKeyId,
}

/// Lists the services of this workspace that show certificates of their own, newest first.
#[utoipa::path(
    get, path = "/api/v1/service-identities", tag = "Identity",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of services", body = Page<ServiceIdentity>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:read")))
)]
pub(crate) async fn list_service_identities(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ServiceIdentity>>, Problem> {
    Ok(Json(identity.service_identities(&ctx, &page.into_request()?).await?.map(ServiceIdentity::from)))
}

/// Lets a service with this SPIFFE id act as an API key of this workspace.
///
/// The server must have been started with `tls_client_ca_file`; a connection with a certificate that it signed needs no token then.
#[utoipa::path(
    post, path = "/api/v1/service-identities", tag = "Identity",
    request_body = CreateServiceIdentity,
    responses(
        (status = 201, description = "The service", body = ServiceIdentity),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn create_service_identity(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<CreateServiceIdentity>,
) -> Result<(StatusCode, Json<ServiceIdentity>), Problem> {
    let CreateServiceIdentity { spiffe_id, api_key } = request;
    let new = service_identities::NewServiceIdentity { spiffe_id, api_key };
    let service = identity.create_service_identity(&ctx, new).await?;
    Ok((StatusCode::CREATED, Json(service.into())))
}

/// Takes a service's access away: at once, in other processes of the installation within 5 seconds. Its API key stays.
#[utoipa::path(
    delete, path = "/api/v1/service-identities/{id}", tag = "Identity",
    params(("id" = ServiceIdentityId, Path, description = "The service's id")),
    responses(
        (status = 204, description = "The service is gone"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn delete_service_identity(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ServiceIdentityId>,
) -> Result<StatusCode, Problem> {
    identity.delete_service_identity(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
