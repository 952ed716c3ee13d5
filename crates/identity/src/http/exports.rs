use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Actor, ExportId, Page, Timestamp};
use serde::Serialize;

use crate::{ExportState, Identity, tenant_types};

/// A copy of all that a workspace has, to take away.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TenantExport {
    /// Its id.
    id: ExportId,
    /// Where it is.
    state: ExportState,
    /// Who asked for it.
    requested_by: Actor,
    /// Rows and files written.
    done: u64,
    /// Rows and files in all; 0 before they are counted.
    total: u64,
    /// The length of the archive; null before it is made and after it is removed.
    #[schema(required)]
    size_bytes: Option<u64>,
    /// Why it failed; null unless it did.
    #[schema(required)]
    error: Option<TenantExportError>,
    /// When it was asked for, in microseconds since 1970 UTC.
    created_at: Timestamp,
    /// When it was made, or failed.
    #[schema(required)]
    finished_at: Option<Timestamp>,
    /// When the archive is removed.
    #[schema(required)]
    expires_at: Option<Timestamp>,
}

/// Why a copy could not be made.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TenantExportError {
    /// A stable identifier.
    reason: String,
    /// For a person.
    detail: String,
}

impl From<tenant_types::Export> for TenantExport {
    fn from(export: tenant_types::Export) -> Self {
        Self {
            id: export.id,
            state: export.state,
            requested_by: export.requested_by,
            done: export.done,
            total: export.total,
            size_bytes: export.size_bytes,
            error: export.error.map(|(reason, detail)| TenantExportError { reason, detail }),
            created_at: export.created_at,
            finished_at: export.finished_at,
            expires_at: export.expires_at,
        }
    }
}

/// Bytes as the specification knows them.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code)] // only its schema is used
struct ArchiveBytes(Vec<u8>);

/// Begins a copy of all that your workspace has.
///
/// A ZIP archive of every table's rows as JSON lines, the people, and all files, made in the background. What proves who somebody is
/// (hashes of passwords, tokens and keys) and what only this installation can open is left out. The archive is kept for a week.
/// Works in a suspended workspace too. Needs a proof of who you are from the last ten minutes.
#[utoipa::path(
    post, path = "/api/v1/tenants/current/exports", tag = "Identity",
    responses(
        (status = 202, description = "The copy is being made", body = TenantExport),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:export")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn request_export(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<(StatusCode, Json<TenantExport>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(identity.request_export(&ctx).await?.into())))
}

/// Lists the copies of your workspace, newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/current/exports", tag = "Identity",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of copies", body = Page<TenantExport>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:export")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn list_exports(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TenantExport>>, Problem> {
    Ok(Json(identity.exports(&ctx, &page.into_request()?).await?.map(TenantExport::from)))
}

/// Shows a copy, with how far it has come.
#[utoipa::path(
    get, path = "/api/v1/tenants/current/exports/{id}", tag = "Identity",
    params(("id" = ExportId, Path, description = "The copy's id")),
    responses(
        (status = 200, description = "The copy", body = TenantExport),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:export")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn get_export(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ExportId>,
) -> Result<Json<TenantExport>, Problem> {
    Ok(Json(identity.export(&ctx, id).await?.into()))
}

/// Fetches a copy's archive.
#[utoipa::path(
    get, path = "/api/v1/tenants/current/exports/{id}/content", tag = "Identity",
    params(("id" = ExportId, Path, description = "The copy's id")),
    responses(
        (status = 200, description = "The archive", content_type = "application/zip", body = inline(ArchiveBytes)),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:export")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn get_export_content(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ExportId>,
) -> Result<Response, Problem> {
    let (export, bytes) = identity.export_content(&ctx, id).await?;
    let mut response = Body::from_stream(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    if let Some(size_bytes) = export.size_bytes {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size_bytes));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    // An id is ASCII always.
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{id}.zip\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// Deletes a copy. One that is being made is given up.
#[utoipa::path(
    delete, path = "/api/v1/tenants/current/exports/{id}", tag = "Identity",
    params(("id" = ExportId, Path, description = "The copy's id")),
    responses(
        (status = 204, description = "The copy is deleted"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:export")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn delete_export(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ExportId>,
) -> Result<StatusCode, Problem> {
    identity.delete_export(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
