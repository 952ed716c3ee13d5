//! One line: its call, and its line of the output or the error file.

use std::time::Duration;

use plasma_http::{OpenAiProblem, status_of};
use plasma_kernel::{Code, Ctx, Error, Result};
use plasma_protocols::Protocol;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{Batch, BatchEndpoint, BatchError, lines::Line};
use crate::{
    Models, Purpose,
    caches::CacheWish,
    http::{embedding_answer, whole_chat_answer},
    running_call::CallError,
    upstream::RawObject,
};

/// Bytes of one answer that are kept.
const ANSWER_BYTES_MAX: usize = 16 << 20;
const STATUS_OK: u16 = 200;
/// The pause before a line is tried again whose refusal names none; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// What running calls have set aside of a budget is free again when they end, so that a line that did not fit may fit then.
const BUDGET_WAIT_MAX: Duration = Duration::from_secs(5);

/// A line of the output file, or of the error file.
pub(crate) struct LineResult {
    pub(crate) is_error: bool,
    /// JSON, without the line's end.
    pub(crate) text: String,
}

#[derive(Serialize)]
struct WireResult<'a> {
    id: String,
    custom_id: &'a str,
    response: Option<WireResponse<'a>>,
    error: Option<Value>,
}

#[derive(Serialize)]
struct WireResponse<'a> {
    status_code: u16,
    request_id: String,
    body: &'a RawValue,
}

/// Calls a model for the line.
///
/// # Errors
/// Only where the line could not be tried, such as when the program stops: then it is tried again.
pub(super) async fn answer(models: &Models, creator: &Ctx, batch: &Batch, line: &Line) -> Result<LineResult> {
    let asked = match line.parse(batch.endpoint) {
        Ok(asked) => asked,
        // The file was checked before; it is another now.
        Err(BatchError { message, .. }) => return Err(Error::internal(message)),
    };
    let (status_code, request_id, body) = match patiently(models, creator, batch.endpoint, &asked.body).await {
        Ok((request_id, body)) => (STATUS_OK, request_id, body),
        Err(CallError { error, .. }) if is_no_answer(&error) => return Err(error),
        Err(CallError { call_id, error }) => {
            let (status, body) = refusal(&error);
            (status, call_id.map_or_else(|| creator.request().to_string(), |id| id.to_string()), body)
        }
    };
    result(batch, line.number, &asked.custom_id, status_code, request_id, body)
}

/// The line for one that is refused before any model is called.
pub(super) fn refused(creator: &Ctx, batch: &Batch, line: &Line, error: &Error) -> Result<LineResult> {
    let asked = line.parse(batch.endpoint).map_err(|mistake| Error::internal(mistake.message))?;
    let (status, body) = refusal(error);
    result(batch, line.number, &asked.custom_id, status, creator.request().to_string(), body)
}

/// An error as the endpoint would have told it: status and JSON.
pub(super) fn refusal(error: &Error) -> (u16, String) {
    (status_of(error.code()).as_u16(), OpenAiProblem::body(error).to_string())
}

/// The line for an answer, or an error of the endpoint.
pub(super) fn result(
    batch: &Batch,
    line: u64,
    custom_id: &str,
    mut status_code: u16,
    request_id: String,
    mut body: String,
) -> Result<LineResult> {
    if body.len() > ANSWER_BYTES_MAX {
        let message = format!("the answer has {} bytes; a batch keeps at most {ANSWER_BYTES_MAX}", body.len());
        (status_code, body) = refusal(&Error::new(Code::TooLarge, "batch_answer_too_large", message));
    }
    let body = RawValue::from_string(body).map_err(|error| Error::from_source("an answer is not JSON", error))?;
    let response = Some(WireResponse { status_code, request_id, body: &body });
    let result = WireResult { id: result_id(batch, line), custom_id, response, error: None };
    Ok(LineResult { is_error: status_code != STATUS_OK, text: text(&result)? })
}

/// The line of the error file for a line that was not begun in time.
pub(super) fn expired(batch: &Batch, line: &Line) -> Result<LineResult> {
    let asked = line.parse(batch.endpoint).map_err(|error| Error::internal(error.message))?;
    let message = "this request could not be executed before the completion window expired";
    let result = WireResult {
        id: result_id(batch, line.number),
        custom_id: &asked.custom_id,
        response: None,
        error: Some(serde_json::json!({ "code": "batch_expired", "message": message })),
    };
    Ok(LineResult { is_error: true, text: text(&result)? })
}

fn result_id(batch: &Batch, line: u64) -> String {
    format!("batch_req_{}_{line}", batch.id.to_string().trim_start_matches("batch_"))
}

fn text(result: &WireResult<'_>) -> Result<String> {
    let text =
        serde_json::to_string(result).map_err(|error| Error::from_source("a result could not be written", error))?;
    // A provider's answer may be written over several lines.
    Ok(text.replace(['\n', '\r'], " "))
}

/// Asks until there is an answer or a refusal that waiting does not change; waits no longer than is configured.
async fn patiently(
    models: &Models,
    creator: &Ctx,
    endpoint: BatchEndpoint,
    body: &RawObject,
) -> Result<(String, String), CallError> {
    let mut waited = Duration::ZERO;
    let mut pause = PAUSE;
    loop {
        let outcome = ask(models, creator, endpoint, body.clone()).await;
        let wait = match &outcome {
            Err(failed) => wait_for(&failed.error, pause, models.inner.config.batch_wait_max),
            Ok(_) => None,
        };
        match wait.filter(|(wait, most)| waited + *wait <= *most) {
            Some((wait, _)) => {
                tokio::time::sleep(wait).await;
                waited += wait;
                pause *= 2;
            }
            None => return outcome,
        }
    }
}

/// How long to wait after a refusal, and how long in all; `None` when waiting does not help.
fn wait_for(error: &Error, pause: Duration, most: Duration) -> Option<(Duration, Duration)> {
    let wanted = error.retry_after().map(Duration::from_millis);
    match error.code() {
        // A call that is larger than its limit never fits.
        Code::RateLimited if error.reason() == "model_limit_reached" && wanted.is_none() => None,
        Code::RateLimited => Some((wanted.unwrap_or(pause).max(PAUSE), most)),
        Code::OverBudget => Some((pause, BUDGET_WAIT_MAX.min(most))),
        _ => None,
    }
}

/// Whether it is this program that cannot go on, and not the line that failed.
fn is_no_answer(error: &Error) -> bool {
    matches!(
        error.reason(),
        "shutting_down"
            | "call_not_recorded"
            | "database_unavailable"
            | "database_busy"
            | "budget_busy"
            | "model_interrupted"
            | "too_many_model_calls"
    )
}

/// The id of the call's record, and the answer's JSON.
async fn ask(
    models: &Models,
    creator: &Ctx,
    endpoint: BatchEndpoint,
    body: RawObject,
) -> Result<(String, String), CallError> {
    let (call_id, json) = match endpoint {
        BatchEndpoint::ChatCompletions => {
            whole_chat_answer(models, creator, Protocol::OpenAiChat, body, Purpose::Batch).await?
        }
        BatchEndpoint::Responses => {
            whole_chat_answer(models, creator, Protocol::OpenAiResponses, body, Purpose::Batch).await?
        }
        BatchEndpoint::Embeddings => {
            let answer = embedding_answer(models, creator, body, Purpose::Batch, CacheWish::Use).await?;
            (answer.call_id, answer.json)
        }
    };
    Ok((call_id.to_string(), json))
}
