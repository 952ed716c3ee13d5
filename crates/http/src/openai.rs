use axum::response::{IntoResponse, Response};
use plasma_kernel::{Code, Error};

use crate::{
    problem::{ErrorReason, log_if_ours, public_detail, set_retry_after},
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
        serde_json::json!({
            "error": { "message": public_message(error), "type": kind, "param": error.field_name(), "code": error.reason() }
        })
    }
}

impl IntoResponse for OpenAiProblem {
    fn into_response(self) -> Response {
        client_error(&self.0, Self::body(&self.0))
    }
}

/// What a caller may read of an error, with its remedy: for protocols that have one text for both.
pub fn public_message(error: &Error) -> String {
    match error.remedy_text() {
        Some(remedy) => format!("{} ({remedy})", public_detail(error)),
        None => public_detail(error),
    }
}

/// An error as an answer with `body`, the JSON of the client's own protocol.
pub fn client_error(error: &Error, body: serde_json::Value) -> Response {
    log_if_ours(error);
    let mut response = (status_of(error.code()), axum::Json(body)).into_response();
    set_retry_after(&mut response, error);
    response.extensions_mut().insert(ErrorReason(error.reason()));
    response
}
