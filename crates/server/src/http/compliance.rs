use axum::extract::State;
use plasma_http::{Caller, Json, Problem, ProblemBody};

use crate::{compliance::ComplianceReport, system::System};

/// Which security controls are met, and what shows it
///
/// The catalogues are part of the program: each control with what it asks for, how far it is met, and the tests and documents that show
/// it. When the server knows a test run (`compliance_results_file`), a control whose test has failed or was not run is `not_shown`.
#[utoipa::path(
    get, path = "/api/v1/compliance", tag = "compliance", security(("bearer" = [])),
    extensions(("x-permission" = json!("compliance:read"))),
    responses(
        (status = 200, body = ComplianceReport, description = "Catalogues, chapters and controls"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn get_compliance(
    State(system): State<System>,
    Caller(ctx): Caller,
) -> Result<Json<ComplianceReport>, Problem> {
    Ok(Json(system.parts().compliance.report(&ctx).await?))
}
