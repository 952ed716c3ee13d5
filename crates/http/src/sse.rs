use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::BytesMut;
use futures::Stream;
use serde::Serialize;
use tokio::time::{Instant, Sleep};

/// Bytes that go out at once even when more would follow.
const GATHERED_BYTES_MAX: usize = 16 << 10;
/// How often other tasks get a turn to bring more before what has gathered goes out: in a row without anything new, and in all.
const EMPTY_TURNS_MAX: u32 = 8;
const TURNS_MAX: u32 = 200;
/// Proxies close connections on which nothing has come for some time: then a comment goes out.
const IDLE_MAX: Duration = Duration::from_secs(15);
/// A line that readers skip (WHATWG HTML, section 9.2.6).
const COMMENT: &[u8] = b":\n\n";

/// One server-sent event: `event: name` and `data:` as JSON on one line.
pub fn sse_event(name: &str, data: &impl Serialize) -> Bytes {
    // The payloads are our own types with string keys, which always serialize.
    let json = serde_json::to_string(data).unwrap_or_default();
    Bytes::from(["event: ", name, "\ndata: ", &json, "\n\n"].concat())
}

/// A stream of server-sent events, each written already, that proxies must not hold back; a comment every 15 s keeps idle
/// connections open.
pub fn event_stream(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(Gathered::new(events, IDLE_MAX));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

/// Events that are ready at the same time go out together: a system call for each would cost more than all else that happens to
/// it. Nothing is held back for longer than the tasks that are ready to run take.
struct Gathered<S> {
    inner: Pin<Box<S>>,
    bytes: BytesMut,
    turns: u32,
    /// Turns since something has come.
    empty_turns: u32,
    has_ended: bool,
    sent_at: Instant,
    idle_max: Duration,
    /// Set anew only when it fires, not with every event.
    idle: Pin<Box<Sleep>>,
}

impl<S: Stream<Item = Bytes>> Stream for Gathered<S> {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        loop {
            match self.inner.as_mut().poll_next(context) {
                Poll::Ready(Some(bytes)) => {
                    self.bytes.extend_from_slice(&bytes);
                    self.empty_turns = 0;
                    if self.bytes.len() >= GATHERED_BYTES_MAX {
                        return self.goes_out();
                    }
                }
                Poll::Ready(None) => {
                    self.has_ended = true;
                    return if self.bytes.is_empty() { Poll::Ready(None) } else { self.goes_out() };
                }
                Poll::Pending if self.bytes.is_empty() => return self.poll_idle(context),
                Poll::Pending if self.empty_turns < EMPTY_TURNS_MAX && self.turns < TURNS_MAX => {
                    self.empty_turns += 1;
                    self.turns += 1;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => return self.goes_out(),
            }
        }
    }
}

impl<S> Gathered<S> {
    fn new(events: S, idle_max: Duration) -> Self {
        Self {
            inner: Box::pin(events),
            bytes: BytesMut::new(),
            turns: 0,
            empty_turns: 0,
            has_ended: false,
            sent_at: Instant::now(),
            idle_max,
            idle: Box::pin(tokio::time::sleep(idle_max)),
        }
    }

    fn goes_out(&mut self) -> Poll<Option<Result<Bytes, axum::Error>>> {
        self.turns = 0;
        self.empty_turns = 0;
        self.sent_at = Instant::now();
        Poll::Ready(Some(Ok(self.bytes.split().freeze())))
    }

    /// A comment when nothing has gone out for a long time.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, axum::Error>>> {
        while self.idle.as_mut().poll(context).is_ready() {
            let is_idle = self.sent_at.elapsed() >= self.idle_max;
            if is_idle {
                self.bytes.extend_from_slice(COMMENT);
                self.sent_at = Instant::now();
            }
            let next = self.sent_at + self.idle_max;
            self.idle.as_mut().reset(next);
            if is_idle {
                return self.goes_out();
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::to_bytes;
    use futures::{StreamExt as _, stream};

    use super::*;

    #[tokio::test]
    async fn events_go_out_in_order_and_a_comment_when_none_comes() {
        let waits = |milliseconds, event: &'static str| async move {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            Bytes::from(event)
        };
        let events = stream::iter([waits(0, "a"), waits(0, "b"), waits(300, "c")]).then(|event| event);
        let body = Body::from_stream(Gathered::new(events, Duration::from_millis(50)));
        let text = String::from_utf8(to_bytes(body, 1_000).await.unwrap().to_vec()).unwrap();
        let comments = text.strip_prefix("ab").unwrap().strip_suffix('c').unwrap();
        assert!(!comments.is_empty() && comments.replace(":\n\n", "").is_empty(), "{text:?}");
    }

    #[test]
    fn an_event_has_its_name_and_one_line_of_data() {
        assert_eq!(sse_event("token", &"two\nlines"), "event: token\ndata: \"two\\nlines\"\n\n");
    }
}
