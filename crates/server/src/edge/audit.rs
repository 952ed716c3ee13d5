//! What the edge tells the audit: requests that were refused, and answers with personal data.

use axum::{
    http::{Method, StatusCode},
    response::Response,
};
use plasma_governance::Governance;
use plasma_http::{ErrorReason, ProblemBody};
use plasma_kernel::Ctx;

use super::{Arrival, template_parameter};

/// Notes an answer to `ctx`.
pub(super) fn tell(governance: &Governance, ctx: &Ctx, arrival: &Arrival, method: &Method, response: &Response) {
    let operation = || format!("{method} {}", arrival.operation.template);
    if response.status() == StatusCode::FORBIDDEN {
        let extensions = response.extensions();
        let problem = extensions.get::<ProblemBody>().map(|problem| problem.reason.as_str());
        let other = extensions.get::<ErrorReason>().map(|reason| reason.0);
        governance.denied(ctx, &operation(), problem.or(other).unwrap_or("forbidden"));
    } else if response.status().is_success() && arrival.operation.shows_personal_data {
        let subject = template_parameter(&arrival.operation.template, &arrival.path);
        governance.read_personal_data(ctx, &operation(), subject);
    }
}
