use axum::extract::State;
use plasma_http::{Caller, Json, PageQuery, Problem, ProblemBody, Query};
use plasma_kernel::{Actor, Ctx, Error, EventId, Page, PageRequest, Permission, Result, Timestamp};
use plasma_store::{Event, EventFilter, EventPosition, Store};
use serde::{Deserialize, Serialize};

use crate::system::System;

/// Events that one request looks through at most when it goes forward with a filter.
const SCANNED_MAX: u32 = 5_000;

/// Something that happened.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventBody {
    /// Its id.
    id: EventId,
    /// What happened, as in `knowledge.document.ready`.
    #[serde(rename = "type")]
    kind: String,
    /// The id of the thing that it happened to.
    subject: String,
    /// Who did it.
    actor: Actor,
    /// The request or background run in which it happened.
    request_id: String,
    /// When, in microseconds since 1970 UTC.
    at: Timestamp,
    /// Details, different for each type.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

impl From<&Event> for EventBody {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id,
            kind: event.kind.clone(),
            subject: event.subject.clone(),
            actor: event.actor.clone(),
            request_id: event.request_id.clone(),
            at: event.at,
            data: without_changes(&event.data),
        }
    }
}

/// What was before and after a change is for those who may read the audit log.
fn without_changes(data: &serde_json::Value) -> serde_json::Value {
    let mut data = data.clone();
    if let Some(fields) = data.as_object_mut() {
        // The rest stays in its order.
        fields.shift_remove("before");
        fields.shift_remove("after");
    }
    data
}

/// `?type=&after=&limit=&cursor=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Only this type, or every type that begins so when it ends in `.*`.
    #[serde(rename = "type")]
    #[param(example = "knowledge.*", max_length = 100)]
    kind: Option<String>,
    /// Go forward from this event, oldest first. Without it, the newest come first.
    after: Option<EventId>,
    /// Rows on the page: 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
}

/// List events
///
/// Everything that happened in the workspace, newest first; with `after`, what happened since that event, oldest first.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", params(EventsQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("events:read"))),
    responses(
        (status = 200, body = Page<EventBody>, description = "A page of events"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn list_events(
    State(system): State<System>,
    Caller(ctx): Caller,
    Query(query): Query<EventsQuery>,
) -> Result<Json<Page<EventBody>>, Problem> {
    ctx.require(Permission::EventsRead)?;
    if query.kind.as_ref().is_some_and(|kind| kind.len() > 100) {
        return Err(Error::invalid("type", "is longer than any event's type").into());
    }
    let page = PageQuery::request(query.limit, query.cursor)?;
    let events = match query.after {
        None => {
            let filter = EventFilter { kind: query.kind };
            system.store().read(&ctx).await?.events_page(&filter, &page).await?
        }
        Some(after) => forward(system.store(), &ctx, after, query.kind.as_deref(), &page).await?,
    };
    Ok(Json(Page {
        data: events.data.iter().map(EventBody::from).collect(),
        has_more: events.has_more,
        next_cursor: events.next_cursor,
    }))
}

/// The events after one, oldest first. The cursor is a place in the log.
async fn forward(
    store: &Store,
    ctx: &Ctx,
    after: EventId,
    kind: Option<&str>,
    page: &PageRequest,
) -> Result<Page<Event>> {
    let mut tx = store.read(ctx).await?;
    let mut position = match &page.cursor {
        None => tx.event_position(after).await?,
        Some(cursor) => {
            EventPosition::from_text(cursor).ok_or_else(|| Error::invalid("cursor", "is not a cursor of this list"))?
        }
    };
    let limit = page.limit as usize;
    let mut found: Vec<Event> = Vec::new();
    let mut scanned = 0;
    let mut has_more = true;
    while found.len() < limit && scanned < SCANNED_MAX {
        let batch = tx.events_after(position, PageRequest::LIMIT_MAX).await?;
        scanned += PageRequest::LIMIT_MAX;
        has_more = batch.len() == PageRequest::LIMIT_MAX as usize;
        for event in batch {
            if found.len() == limit {
                has_more = true;
                break;
            }
            position = event.position;
            if kind.is_none_or(|kind| topic_matches(kind, &event.kind)) {
                found.push(event);
            }
        }
        if !has_more {
            break;
        }
    }
    let next_cursor = has_more.then(|| position.to_text());
    Ok(Page { data: found, has_more, next_cursor })
}

/// Whether an event of type `kind` belongs to `topic`: the type itself, `prefix.*`, or `*`.
pub(crate) fn topic_matches(topic: &str, kind: &str) -> bool {
    match topic.strip_suffix('*') {
        Some("") => true,
        Some(prefix) => prefix.ends_with('.') && kind.starts_with(prefix),
        None => topic == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_left_to_the_audit() {
        let data = serde_json::json!({"name": "a", "before": {"role": "viewer"}, "after": {"role": "admin"}, "x": 1});
        assert_eq!(without_changes(&data).to_string(), r#"{"name":"a","x":1}"#);
    }

    #[test]
    fn topics_match_whole_words() {
        assert!(topic_matches("*", "a.b"));
        assert!(topic_matches("a.*", "a.b.c"));
        assert!(topic_matches("a.b", "a.b"));
        assert!(!topic_matches("a.*", "ab.c"));
        assert!(!topic_matches("a*", "ab.c"));
        assert!(!topic_matches("a", "a.b"));
    }
}
