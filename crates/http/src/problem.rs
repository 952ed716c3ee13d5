use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use plasma_kernel::{Code, Error};
use serde::Serialize;

/// The HTTP status of a class of failure. The only such table.
pub fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Invalid => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Conflict => StatusCode::CONFLICT,
        Code::Gone => StatusCode::GONE,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::OverBudget => StatusCode::PAYMENT_REQUIRED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Upstream => StatusCode::BAD_GATEWAY,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An answer that says what went wrong: `application/problem+json` as in RFC 9457.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ProblemBody {
    /// The page that explains this kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The class of failure: `invalid`, `unauthenticated`, `forbidden`, `not_found`, `conflict`, `gone`, `too_large`,
    /// `rate_limited`, `over_budget`, `unavailable`, `timeout`, `upstream` or `internal`.
    pub code: String,
    /// A stable identifier for programs.
    pub reason: String,
    /// What is wrong, for a person.
    pub detail: String,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<String>,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub remedy: Option<String>,
    /// The request's id, to quote to whoever runs this installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
}

/// What a caller may read of an error: internal messages are replaced, for they may name what only operators should see.
pub(crate) fn public_detail(error: &Error) -> String {
    match error.code() {
        Code::Internal => "something went wrong on our side; the log has the details under this request id".to_owned(),
        _ => error.message().to_owned(),
    }
}

pub(crate) fn log_if_ours(error: &Error) {
    if error.code() == Code::Internal {
        tracing::error!(error = ?error, "request failed");
    } else {
        tracing::debug!(error = ?error, "request refused");
    }
}

pub(crate) fn set_retry_after(response: &mut Response, error: &Error) {
    if let Some(milliseconds) = error.retry_after() {
        // Whole seconds, rounded up: a client that comes back at that moment is welcome.
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(milliseconds.div_ceil(1_000)));
    }
}

impl From<&Error> for ProblemBody {
    fn from(error: &Error) -> Self {
        let status = status_of(error.code());
        Self {
            kind: format!("/docs/errors/{}", error.reason()),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: error.code().as_str().to_owned(),
            reason: error.reason().to_owned(),
            detail: public_detail(error),
            field: error.field_name().map(str::to_owned),
            remedy: error.remedy_text().map(str::to_owned),
            request_id: None,
        }
    }
}

/// The reason of an error whose answer is in the form of another protocol than ours, beside it for the log and the audit.
#[derive(Clone, Copy, Debug)]
pub struct ErrorReason(pub &'static str);

/// A kernel error on its way out. `?` in a handler makes one. The server adds the request id.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        log_if_ours(&self.0);
        let body = ProblemBody::from(&self.0);
        let status = status_of(self.0.code());
        let mut response = (
            status,
            [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))],
            serde_json::to_vec(&body).unwrap_or_default(),
        )
            .into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        set_retry_after(&mut response, &self.0);
        // The server reads it back to write the request id into the body and the error's code into the access log.
        response.extensions_mut().insert(body);
        response
    }
}
