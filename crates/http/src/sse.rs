use std::{convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response, Sse,
    sse::{Event, KeepAlive},
};
use futures::Stream;
use serde::Serialize;

/// One server-sent event: `event: name` and `data:` as JSON on one line.
pub fn sse_event(name: &str, data: &impl Serialize) -> Event {
    // The payloads are our own types with string keys, which always serialize.
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}

/// A stream of events that proxies must not hold back; a comment every 15 s keeps idle connections open.
pub fn event_stream(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    use futures::StreamExt;
    let events = events.map(Ok::<_, Infallible>);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response();
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}
