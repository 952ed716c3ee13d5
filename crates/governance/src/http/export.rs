use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt, stream};
use plasma_http::{Caller, Problem, ProblemBody, Query};
use plasma_kernel::{Error, Timestamp};
use serde::Deserialize;

use crate::{Export, ExportFormat, Governance, Log, RecordFilter};

/// `?format=&actor=&action=&subject=&from=&to=&address=&text=&log=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// `csv`, `jsonl` (when absent), or `bundle` for the whole log as `plasma audit verify` reads it.
    #[param(inline)]
    format: Option<ExportFormat>,
    /// Who did it: the id of a person, an API key or an application, or `system`.
    #[param(max_length = 400)]
    actor: Option<String>,
    /// What happened: a type, or every type that begins so when it ends in `.*`.
    #[param(example = "identity.*", max_length = 400)]
    action: Option<String>,
    /// The id of the thing that it happened to.
    #[param(max_length = 400)]
    subject: Option<String>,
    /// Not before this time, in microseconds since 1970 UTC.
    from: Option<Timestamp>,
    /// Before this time.
    to: Option<Timestamp>,
    /// The address from which the request came.
    #[param(example = "203.0.113.7", max_length = 400)]
    address: Option<String>,
    /// Words that all occur in the record, each as a whole or as the beginning of one; eight at most.
    #[param(max_length = 400)]
    text: Option<String>,
    /// Which log; the workspace's own when absent.
    #[param(inline)]
    log: Option<Log>,
}

/// Export the audit log
///
/// Records that fit, the newest first, as CSV or JSON lines; or the whole log with its hashes and checkpoints. That it was
/// exported is itself a record.
#[utoipa::path(
    get, path = "/api/v1/audit/export", tag = "audit", params(ExportQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:read"))),
    responses(
        (status = 200, content((String = "application/jsonl"), (String = "text/csv")), description = "A file"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn export_audit_log(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let ExportQuery { format, actor, action, subject, from, to, address, text, log } = query;
    let filter = RecordFilter { actor, action, subject, address, from, to, text };
    let format = format.unwrap_or(ExportFormat::Jsonl);
    let export = governance.export(&ctx, log.unwrap_or_default(), format, filter).await?;
    let Export { content_type, file_name, pieces } = export;
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{file_name}\""))
        .map_err(|error| Error::from_source("a file's name", error))?;
    let pieces = stream::unfold(pieces, |mut pieces| async move { pieces.recv().await.map(|piece| (piece, pieces)) });
    // What compresses it may ask again after the end.
    let mut response = Body::from_stream(pieces.fuse()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}
