//! Bodies that are too large, or that never end.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
    http::header,
};
use futures::StreamExt as _;
use http_body_util::Limited;
use plasma_kernel::{Error, Result};
use tower_http::timeout::TimeoutBody;

/// A client that sends nothing for this long in the middle of its body is given up.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How much of a refused body is still read, and for how long: a client that is sending sees our answer only if we do not
/// close the connection under it.
const DRAINED_BYTES_MAX: usize = 256 << 20;
const DRAINED_FOR: Duration = Duration::from_secs(20);

/// The request with a body of at most `bytes_max` bytes: refused now when its stated length is larger, else while it is
/// read.
pub(super) fn bounded(request: Request, bytes_max: usize) -> Result<Request> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let stated =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(bytes) = stated
        && bytes > bytes_max as u64
    {
        tokio::spawn(drain(request.into_body()));
        return Err(Error::too_large(
            "body",
            format!("the request body has {bytes} bytes; this route accepts {bytes_max}"),
        )
        .remedy("send less at once, or raise the limit in the server's configuration (…_body_bytes_max)"));
    }
    Ok(request.map(|body| Body::new(Limited::new(TimeoutBody::new(SILENCE_MAX, body), bytes_max))))
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
