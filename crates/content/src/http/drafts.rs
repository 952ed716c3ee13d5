use axum::{extract::State, response::Response};
use futures::StreamExt as _;
use plasma_http::{Caller, Json, Problem, ProblemBody, event_stream, sse_event};
use plasma_knowledge::{
    ask::{AskDone, AskPassage, AskProgress, AskToken, Citation},
    http::ask_event,
};
use serde::{Deserialize, Serialize};

use crate::{Content, Document, DraftEvent, DraftRequest};

/// A document to generate.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDraft {
    /// What to write: for whom, about what, how long.
    #[schema(min_length = 1, max_length = 8000)]
    brief: String,
    /// The collection that it is based on: id or exact name.
    collection: String,
    /// The chat model; the default one when absent.
    model: Option<String>,
    /// The title; the model finds one when absent.
    #[schema(min_length = 1, max_length = 300)]
    title: Option<String>,
}

/// A server-sent event: its name in `event:`, its content as JSON in `data:`.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
#[allow(dead_code)] // it exists for the specification: events are sent as their parts
pub(super) enum DraftStreamEvent {
    /// A passage that the text may cite. All come first.
    Passage(AskPassage),
    /// Why there is no text yet.
    Progress(AskProgress),
    /// The next piece of the text.
    Token(AskToken),
    /// A statement that is complete, and the place that supports it.
    Citation(Citation),
    /// The document as it was stored.
    Document(Document),
    /// The end.
    Done(AskDone),
    /// It did not work; nothing follows, and nothing was stored.
    Error(ProblemBody),
}

/// Draft a document
///
/// Searches the collection and lets a model write a document for the brief from what was found, as a stream of server-sent
/// events like those of `ask`. When the text is complete it is stored with its citations, and `document` tells of it before
/// `done`. When the collection has nothing on the brief no model is called and nothing is stored: `done` says so and its
/// `call_id` is null. Closing the connection before the end stops the model and stores nothing.
///
/// Besides `content:write` it needs `search:query` and `models:invoke`.
#[utoipa::path(
    post, path = "/api/v1/content/drafts", tag = "content", request_body = NewDraft, security(("bearer" = [])),
    extensions(("x-permission" = json!("content:write"))),
    responses(
        (status = 200, body = DraftStreamEvent, content_type = "text/event-stream", description = "The events"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn draft_content(
    State(content): State<Content>,
    Caller(ctx): Caller,
    Json(draft): Json<NewDraft>,
) -> Result<Response, Problem> {
    let NewDraft { brief, collection, model, title } = draft;
    let events = content.draft(&ctx, DraftRequest { brief, collection, model, title }).await?;
    Ok(event_stream(events.map(move |event| match event {
        DraftEvent::Writing(event) => ask_event(&ctx, &event),
        DraftEvent::Document(document) => sse_event("document", &document),
    })))
}
