use axum::{extract::State, response::Response};
use bytes::Bytes;
use futures::StreamExt as _;
use plasma_http::{Caller, Json, Problem, ProblemBody, event_stream, sse_event};
use plasma_kernel::{Code, Ctx};
use serde::Serialize;

use crate::{
    Knowledge,
    ask::{AskDone, AskEvent, AskPassage, AskProgress, AskRequest, AskToken, Citation},
};

/// A server-sent event: its name in `event:`, its content as JSON in `data:`.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
#[allow(dead_code)] // it exists for the specification: events are sent as their parts
pub enum AskStreamEvent {
    /// A passage that the answer may cite. All come first.
    Passage(AskPassage),
    /// Why there is no answer yet.
    Progress(AskProgress),
    /// The next piece of the answer.
    Token(AskToken),
    /// A statement that is complete, and the place that supports it.
    Citation(Citation),
    /// The end.
    Done(AskDone),
    /// It did not work; nothing follows.
    Error(ProblemBody),
}

/// An event as it is sent. An error names the request, and one that is our own fault goes to the log.
pub fn ask_event(ctx: &Ctx, event: &AskEvent) -> Bytes {
    match event {
        AskEvent::Passage(passage) => sse_event("passage", passage),
        AskEvent::Progress(progress) => sse_event("progress", progress),
        AskEvent::Token(token) => sse_event("token", token),
        AskEvent::Citation(citation) => sse_event("citation", citation),
        AskEvent::Done(done) => sse_event("done", done),
        AskEvent::Error(error) => {
            if error.code() == Code::Internal {
                tracing::error!(?error, "a stream ended with an error");
            }
            sse_event("error", &ProblemBody { request_id: Some(ctx.request().to_string()), ..ProblemBody::from(error) })
        }
    }
}

/// Ask a collection
///
/// Searches the collection and lets a model answer from what was found, as a stream of server-sent events: `passage`,
/// `progress`, `token`, `citation`, then `done` or `error` as the last. Each citation ties a statement of the answer to the
/// sentences that support it; offsets are Unicode code points. When the collection has nothing on the question no model is
/// called: `done` says so and its `call_id` is null. Closing the connection stops the model.
///
/// Besides `models:invoke` it needs `search:query`.
#[utoipa::path(
    post, path = "/api/v1/ask", tag = "search", request_body = AskRequest, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = AskStreamEvent, content_type = "text/event-stream", description = "The events"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn ask(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Json(request): Json<AskRequest>,
) -> Result<Response, Problem> {
    let events = knowledge.ask(&ctx, request).await?;
    Ok(event_stream(events.map(move |event| ask_event(&ctx, &event))))
}
