//! What all routes of the OpenAI format share: who calls, the body, errors, and the header with the call's id.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderName, HeaderValue, request::Parts},
    response::{IntoResponse, Response},
};
use plasma_http::{Caller, Json, OpenAiProblem, Problem};
use plasma_kernel::{CallId, Ctx, Error};

use crate::{
    openai::{RawObject, depth_allowed},
    running_call::CallError,
};

const CALL_ID: HeaderName = HeaderName::from_static("plasma-call-id");

/// Who calls; refused in OpenAI's shape.
pub(super) struct OpenAiCaller(pub(super) Ctx);

impl<S: Send + Sync> FromRequestParts<S> for OpenAiCaller {
    type Rejection = OpenAiProblem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, OpenAiProblem> {
        match Caller::from_request_parts(parts, state).await {
            Ok(Caller(ctx)) => Ok(Self(ctx)),
            Err(Problem(error)) => Err(OpenAiProblem(error)),
        }
    }
}

/// A JSON object whose fields are not known here; refused in OpenAI's shape.
pub(super) struct OpenAiBody(pub(super) RawObject);

impl<S: Send + Sync> FromRequest<S> for OpenAiBody {
    type Rejection = OpenAiProblem;

    async fn from_request(request: Request, state: &S) -> Result<Self, OpenAiProblem> {
        let Json(body) =
            Json::<RawObject>::from_request(request, state).await.map_err(|problem| OpenAiProblem(problem.0))?;
        if body.values().all(depth_allowed) {
            return Ok(Self(body));
        }
        Err(OpenAiProblem(Error::invalid("body", "the JSON is nested more than 128 levels deep")))
    }
}

impl IntoResponse for CallError {
    fn into_response(self) -> Response {
        let response = OpenAiProblem(self.error).into_response();
        match self.call_id {
            Some(call_id) => with_call_id(call_id, response),
            None => response,
        }
    }
}

/// Names the call's record in the answer's header.
pub(super) fn with_call_id(call_id: CallId, response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    // An id is ASCII always.
    if let Ok(value) = HeaderValue::from_str(&call_id.to_string()) {
        response.headers_mut().insert(CALL_ID, value);
    }
    response
}

/// Answers with JSON text that exists already.
pub(super) fn json_text(json: String) -> impl IntoResponse {
    ([(axum::http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json)
}

/// A field that a local model cannot honor.
pub(super) fn not_for_local_models(field: impl Into<String>) -> Error {
    let field = field.into();
    Error::invalid(&field, format!("local models cannot honor `{field}`"))
        .remedy("leave it out, or name a model of a provider that supports it")
}
