//! What the routes of all chat protocols share: who calls, the body, errors in the protocol's own shape, and headers.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use plasma_http::{Caller, Json, OpenAiProblem, Problem, client_error, public_message};
use plasma_kernel::{CallId, Ctx, Error};
use plasma_protocols::{Losses, Protocol, anthropic, gemini};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::prompt_use::PROMPT;
use crate::{
    gateway::Exchange,
    quality::check_task,
    running_call::CallError,
    upstream::{RawObject, depth_allowed},
};

const CALL_ID: HeaderName = HeaderName::from_static("plasma-call-id");
const MODEL: HeaderName = HeaderName::from_static("plasma-model");
const ROUTE: HeaderName = HeaderName::from_static("plasma-route");
const CACHE: HeaderName = HeaderName::from_static("plasma-cache");
const TASK: HeaderName = HeaderName::from_static("plasma-task");
const WARNING: HeaderName = HeaderName::from_static("plasma-warning");
const WARNING_CHARS_MAX: usize = 300;

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
        body(request, state).await.map(Self).map_err(OpenAiProblem)
    }
}

/// One of the platform's extractors of a request's head, refused in OpenAI's shape.
pub(super) struct OpenAi<E>(pub(super) E);

impl<S: Send + Sync, E: FromRequestParts<S, Rejection = Problem>> FromRequestParts<S> for OpenAi<E> {
    type Rejection = OpenAiProblem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, OpenAiProblem> {
        E::from_request_parts(parts, state).await.map(Self).map_err(|Problem(error)| OpenAiProblem(error))
    }
}

/// JSON with known fields, refused in OpenAI's shape.
pub(super) struct OpenAiJson<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OpenAiJson<T> {
    type Rejection = OpenAiProblem;

    async fn from_request(request: Request, state: &S) -> Result<Self, OpenAiProblem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(Problem(error)) => Err(OpenAiProblem(error)),
        }
    }
}

/// The body as a JSON object that is not nested too deeply.
pub(super) async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<RawObject, Error> {
    let Json(body) = Json::<RawObject>::from_request(request, state).await.map_err(|Problem(error)| error)?;
    if body.values().all(depth_allowed) {
        return Ok(body);
    }
    Err(Error::invalid("body", "the JSON is nested more than 128 levels deep"))
}

/// What the caller says that the call is for.
pub(super) fn task(headers: &HeaderMap) -> Result<Option<String>, Error> {
    headers.get(&TASK).map(|value| check_task(value.to_str().unwrap_or_default())).transpose()
}

/// An error's JSON in the protocol's own shape; also what a broken stream of it ends with.
pub(super) fn error_body(protocol: Protocol, error: &Error) -> Value {
    let status = plasma_http::status_of(error.code()).as_u16();
    match protocol {
        Protocol::Anthropic => anthropic::write_error(error, &public_message(error), status),
        Protocol::Gemini => gemini::write_error(error, &public_message(error), status),
        Protocol::OpenAiChat | Protocol::OpenAiResponses | Protocol::Bedrock => OpenAiProblem::body(error),
    }
}

/// An error as an answer in the protocol's own shape.
pub(super) fn refusal(protocol: Protocol, failed: CallError) -> Response {
    let mut response = client_error(&failed.error, error_body(protocol, &failed.error));
    if let Some(call_id) = failed.call_id {
        set_call_id(&mut response, call_id);
    }
    response
}

impl IntoResponse for CallError {
    fn into_response(self) -> Response {
        refusal(Protocol::OpenAiChat, self)
    }
}

fn set_call_id(response: &mut Response, call_id: CallId) {
    // An id is ASCII always.
    if let Ok(value) = HeaderValue::from_str(&call_id.to_string()) {
        response.headers_mut().insert(CALL_ID, value);
    }
}

/// Names the call's record in the answer's header.
pub(super) fn with_call_id(call_id: CallId, response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    set_call_id(&mut response, call_id);
    response
}

/// Says in the answer's header what the cache had to do with it.
pub(super) fn with_cache_line(line: Option<&str>, mut response: Response) -> Response {
    if let Some(Ok(value)) = line.map(HeaderValue::from_str) {
        response.headers_mut().insert(CACHE, value);
    }
    response
}

/// Where an answer comes from, told in its headers.
pub(super) struct Origin {
    model: String,
    route: Option<String>,
    cache: Option<String>,
    prompt: Option<String>,
    /// What the translation could not carry.
    pub(super) losses: Losses,
}

impl Origin {
    pub(super) fn of(exchange: &Exchange) -> Self {
        Self {
            model: exchange.model().to_owned(),
            route: exchange.route_line(),
            cache: exchange.cache_line().map(str::to_owned),
            prompt: exchange.prompt().map(|used| format!("{}@{}", used.name, used.version)),
            losses: exchange.losses().clone(),
        }
    }

    /// With what else was lost, told first.
    pub(super) fn with(mut self, losses: Losses) -> Self {
        self.losses = losses.and(self.losses);
        self
    }

    pub(super) fn on(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&self.model) {
            headers.insert(MODEL, value);
        }
        for (name, line) in [(ROUTE, &self.route), (CACHE, &self.cache)] {
            if let Some(Ok(value)) = line.as_deref().map(HeaderValue::from_str) {
                headers.insert(name, value);
            }
        }
        if let Some(Ok(value)) = self.prompt.as_deref().map(HeaderValue::from_str) {
            headers.insert(PROMPT, value);
        }
        for loss in self.losses.iter() {
            if let Ok(value) = HeaderValue::from_str(&header_text(&format!("{}: {}", loss.field, loss.why))) {
                headers.append(WARNING, value);
            }
        }
        response
    }
}

/// A header carries visible ASCII; field names come from outside and may be long.
fn header_text(text: &str) -> String {
    let visible = |letter: char| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' };
    text.chars().take(WARNING_CHARS_MAX).map(visible).collect()
}

/// Answers with JSON text that exists already.
pub(super) fn json_text(json: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json)
}
