use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use bytes::BytesMut;
use futures::Stream;
use serde::Serialize;

/// Bytes that go out at once even when more would follow.
const GATHERED_BYTES_MAX: usize = 16 << 10;
/// How often other tasks get a turn to bring more before what has gathered goes out.
const TURNS_MAX: u32 = 8;

/// One server-sent event: `event: name` and `data:` as JSON on one line.
pub fn sse_event(name: &str, data: &impl Serialize) -> Event {
    // The payloads are our own types with string keys, which always serialize.
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}

/// A stream of events that proxies must not hold back; a comment every 15 s keeps idle connections open.
pub fn event_stream(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    use futures::StreamExt;
    let events = events.map(Ok::<_, Infallible>);
    let response = Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response();
    let mut response = response.map(|body| {
        Body::from_stream(Gathered {
            inner: body.into_data_stream(),
            bytes: BytesMut::new(),
            turns: 0,
            has_ended: false,
        })
    });
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}

/// Events that are ready at the same time go out together: a system call for each would cost more than all else that happens to
/// it. Nothing is held back for longer than the tasks that are ready to run take.
struct Gathered {
    inner: BodyDataStream,
    bytes: BytesMut,
    turns: u32,
    has_ended: bool,
}

impl Stream for Gathered {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.inner).poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => {
                    self.bytes.extend_from_slice(&bytes);
                    if self.bytes.len() >= GATHERED_BYTES_MAX {
                        return self.goes_out();
                    }
                }
                // Events never fail; a body that did would end here.
                Poll::Ready(end) => {
                    self.has_ended = true;
                    return if self.bytes.is_empty() { Poll::Ready(end) } else { self.goes_out() };
                }
                Poll::Pending if self.bytes.is_empty() => return Poll::Pending,
                Poll::Pending if self.turns < TURNS_MAX => {
                    self.turns += 1;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => return self.goes_out(),
            }
        }
    }
}

impl Gathered {
    fn goes_out(&mut self) -> Poll<Option<Result<Bytes, axum::Error>>> {
        self.turns = 0;
        Poll::Ready(Some(Ok(self.bytes.split().freeze())))
    }
}
