use axum::response::{IntoResponse, Response};
use plasma_kernel::{Code, Error};

use crate::{
    problem::{log_if_ours, public_detail, set_retry_after},
    status_of,
};

/// A kernel error in the shape that OpenAI's clients understand, for the routes under `/v1`.
#[derive(Debug)]
pub struct OpenAiProblem(pub Error);

impl From<Error> for OpenAiProblem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl OpenAiProblem {
    /// The JSON body: `{"error": {"message", "type", "param", "code"}}`. Also what a broken stream sends last.
    pub fn body(error: &Error) -> serde_json::Value {
        let kind = match error.code() {
            Code::Unauthenticated => "authentication_error",
            Code::Forbidden => "permission_error",
            Code::RateLimited => "rate_limit_error",
            Code::OverBudget => "insufficient_quota",
            Code::Invalid | Code::NotFound | Code::Conflict | Code::Gone | Code::TooLarge => "invalid_request_error",
            Code::Unavailable | Code::Timeout | Code::Upstream | Code::Internal => "server_error",
        };
        let message = match error.remedy_text() {
            Some(remedy) => format!("{} ({remedy})", public_detail(error)),
            None => public_detail(error),
        };
        serde_json::json!({
            "error": { "message": message, "type": kind, "param": error.field_name(), "code": error.reason() }
        })
    }
}

impl IntoResponse for OpenAiProblem {
    fn into_response(self) -> Response {
        log_if_ours(&self.0);
        let mut response = (status_of(self.0.code()), axum::Json(Self::body(&self.0))).into_response();
        set_retry_after(&mut response, &self.0);
        response
    }
}
