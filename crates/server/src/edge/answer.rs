//! What every answer carries.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use plasma_http::{OpenAiProblem, Problem, ProblemBody, client_error, public_message};
use plasma_kernel::{Error, RequestId};
use plasma_protocols::{anthropic, gemini};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// What no page of ours needs, and what only our own need.
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), fullscreen=(self), geolocation=(), gyroscope=(), magnetometer=(), \
     microphone=(), midi=(), payment=(), publickey-credentials-create=(self), publickey-credentials-get=(self), usb=()";

/// An error in the words of the path's protocol.
pub(crate) fn refusal(error: Error, path: &str) -> Response {
    let status = plasma_http::status_of(error.code()).as_u16();
    let body = if path.starts_with("/v1/") {
        OpenAiProblem::body(&error)
    } else if path.starts_with("/anthropic/") {
        anthropic::write_error(&error, &public_message(&error), status)
    } else if path.starts_with("/gemini/") {
        gemini::write_error(&error, &public_message(&error), status)
    } else {
        return Problem(error).into_response();
    };
    client_error(&error, body)
}

/// An existing path with a method that it does not have. The vocabulary has no code for it, HTTP has a status.
pub(crate) fn method_not_allowed(path: &str) -> Response {
    let error = Error::invalid("method", "this path does not have that method")
        .remedy("/openapi.json lists the methods of every path");
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = if path.starts_with("/v1/") {
        axum::Json(OpenAiProblem::body(&error)).into_response()
    } else {
        let body = ProblemBody {
            kind: "/docs/errors/method_not_allowed".to_owned(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            reason: "method_not_allowed".to_owned(),
            ..ProblemBody::from(&error)
        };
        let mut response = ([(header::CONTENT_TYPE, "application/problem+json")], String::new()).into_response();
        // `finish` writes the body, with the request's id.
        response.extensions_mut().insert(body);
        response
    };
    *response.status_mut() = status;
    response
}

/// Names the request in the header and in problems, and adds what browsers need to know.
pub(super) fn finish(response: &mut Response, request: RequestId, secure: bool) {
    let request = request.to_string();
    if let Some(problem) = response.extensions().get::<ProblemBody>() {
        let named = ProblemBody { request_id: Some(request.clone()), ..problem.clone() };
        if let Ok(bytes) = serde_json::to_vec(&named) {
            response.headers_mut().remove(header::CONTENT_LENGTH);
            *response.body_mut() = Body::from(bytes);
        }
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(request) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    headers.entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    let is_page = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_page {
        headers.entry(OPENER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
        headers.entry(PERMISSIONS_POLICY).or_insert(HeaderValue::from_static(PERMISSIONS));
    }
    // Answers of the API belong to whoever asked. The dashboard's files and pages say what may be kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}
