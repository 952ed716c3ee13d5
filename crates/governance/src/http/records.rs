use axum::extract::State;
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{EventId, Page, Timestamp};
use serde::Deserialize;

use crate::{AuditDetail, AuditRecord, Governance, Log, RecordFilter};

/// `?actor=&action=&subject=&from=&to=&address=&text=&log=&limit=&cursor=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecordsQuery {
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
    /// Rows on the page: 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
}

/// `?log=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Which log; the workspace's own when absent.
    #[param(inline)]
    pub(super) log: Option<Log>,
}

/// Search the audit log
///
/// The newest first. Everything that is given must hold. When what fits is rare, a page may have few or no rows and still have
/// `next_cursor`: go on with it. Reading the audit log is itself recorded, once a minute for each reader.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(RecordsQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:read")), ("x-audit" = json!("personal_data"))),
    responses(
        (status = 200, body = Page<AuditRecord>, description = "A page of records"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_audit_records(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Query(query): Query<RecordsQuery>,
) -> Result<Json<Page<AuditRecord>>, Problem> {
    let RecordsQuery { actor, action, subject, from, to, address, text, log, limit, cursor } = query;
    let page = PageQuery::request(limit, cursor)?;
    let filter = RecordFilter { actor, action, subject, address, from, to, text };
    Ok(Json(governance.records(&ctx, log.unwrap_or_default(), filter, &page).await?))
}

/// Show a record with its proof
///
/// The proof leads from the record's hash to the root of the newest checkpoint (RFC 9162); `verified` says that it was checked.
#[utoipa::path(
    get, path = "/api/v1/audit/records/{id}", tag = "audit",
    params(("id" = EventId, Path, description = "The record's id"), LogQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:read")), ("x-audit" = json!("personal_data"))),
    responses(
        (status = 200, body = AuditDetail, description = "The record"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_audit_record(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Path(id): Path<EventId>,
    Query(query): Query<LogQuery>,
) -> Result<Json<AuditDetail>, Problem> {
    Ok(Json(governance.record(&ctx, query.log.unwrap_or_default(), id).await?))
}
