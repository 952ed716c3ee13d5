//! Bodies that are too large, or that never end.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::header,
};
use futures::StreamExt as _;
use http_body_util::Limited;
use hyper::body::{Frame, SizeHint};
use plasma_kernel::Error;
use tower_http::timeout::TimeoutBody;

/// A client that sends nothing for this long in the middle of its body is given up.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How much of a refused body is still read, and for how long: a client that is sending sees our answer only if we do not
/// close the connection under it.
const DRAINED_BYTES_MAX: usize = 256 << 20;
const DRAINED_FOR: Duration = Duration::from_secs(20);

/// The request with a body of at most `bytes_max` bytes: refused now when its stated length is larger, else while it is
/// read.
pub(super) fn bounded(request: Request, bytes_max: usize) -> plasma_kernel::Result<Request> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let stated =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(bytes) = stated
        && bytes > bytes_max as u64
    {
        drop(request.map(Drained::new));
        return Err(Error::too_large(
            "body",
            format!("the request body has {bytes} bytes; this route accepts {bytes_max}"),
        )
        .remedy("send less at once, or raise the limit in the server's configuration (…_body_bytes_max)"));
    }
    Ok(request.map(|body| Body::new(Limited::new(TimeoutBody::new(SILENCE_MAX, Drained::new(body)), bytes_max))))
}

/// A body whose rest is read and forgotten when nobody wants it any more.
struct Drained {
    /// `None` when it has ended.
    body: Option<Body>,
}

impl Drained {
    fn new(body: Body) -> Self {
        Self { body: Some(body) }
    }
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(drain(body));
        }
    }
}

/// Reads and forgets.
async fn drain(body: Body) {
    let mut read = 0;
    let mut frames = body.into_data_stream();
    let reading = async {
        while let Some(Ok(bytes)) = frames.next().await {
            read += bytes.len();
            if read > DRAINED_BYTES_MAX {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAINED_FOR, reading).await;
}
