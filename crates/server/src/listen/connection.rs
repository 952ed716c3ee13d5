//! One connection, in the clear or through TLS: HTTP/1.1, or HTTP/2 where both sides chose it.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::ServiceCertificate;

/// A client has this long to send a request's head, and an idle connection is kept this long.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head, and headers in it.
const HEAD_BYTES_MAX: u32 = 64 << 10;
const HEADERS_MAX: usize = 100;
/// Requests of one HTTP/2 connection at the same time.
const STREAMS_MAX: u32 = 100;
/// How often a client of HTTP/2 is asked whether it lives, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked whether an HTTP/2 connection is still used, and how long its end may take.
const IDLE_CHECK: Duration = Duration::from_secs(5);
const GOODBYE: Duration = Duration::from_secs(5);

/// What becomes of a connection's requests.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) peer: SocketAddr,
    /// The client's own certificate, if it showed one that is a service's.
    pub(super) certificate: Option<ServiceCertificate>,
}

impl Requests {
    async fn answer(mut self, request: Request<Incoming>) -> Result<Response, Infallible> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        if let Some(certificate) = self.certificate {
            request.extensions_mut().insert(certificate);
        }
        // A router is always ready.
        let answer: Result<Response, Infallible> = self.router.call(request).await;
        answer
    }

    /// A request of HTTP/2, made to look like one of HTTP/1.1 to those who read it.
    async fn answer_http2(
        self,
        activity: Arc<Activity>,
        mut request: Request<Incoming>,
    ) -> Result<Response, Infallible> {
        let busy = Busy::begin(activity);
        if request.headers().len() > HEADERS_MAX {
            return Ok(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response());
        }
        if !request.headers().contains_key(header::HOST)
            && let Some(authority) = request.uri().authority()
            && let Ok(host) = HeaderValue::from_str(without_user(authority.as_str()))
        {
            request.headers_mut().insert(header::HOST, host);
        }
        let response = self.answer(request).await?;
        Ok(response.map(|body| Body::new(Answering { body, _busy: busy })))
    }
}

/// `user@host:1` -> `host:1`
fn without_user(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Serves HTTP/1.1 until the client goes, is silent for too long, or the program stops.
pub(super) async fn http1<I>(io: I, requests: Requests, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = requests.peer;
    let service = service_fn(move |request: Request<Incoming>| requests.clone().answer(request));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX as usize)
        .max_headers(HEADERS_MAX)
        .half_close(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended badly");
    }
}

/// The same for HTTP/2. WebSockets come over connections of their own (HTTP/1.1), as browsers do it where a server does not offer
/// otherwise.
pub(super) async fn http2<I>(io: I, requests: Requests, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = requests.peer;
    let activity = Arc::new(Activity::begin());
    let of_requests = Arc::clone(&activity);
    let service =
        service_fn(move |request: Request<Incoming>| requests.clone().answer_http2(Arc::clone(&of_requests), request));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = activity.until_idle() => {
            connection.as_mut().graceful_shutdown();
            // A client that has not even begun would be waited for.
            tokio::time::timeout(GOODBYE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended badly");
    }
}

/// Whether a connection is used.
struct Activity {
    begun: Instant,
    /// Requests whose answers are not wholly sent.
    running: AtomicUsize,
    /// When the last of them ended, in milliseconds after the beginning.
    last_ms: AtomicU64,
}

impl Activity {
    fn begin() -> Self {
        Self { begun: Instant::now(), running: AtomicUsize::new(0), last_ms: AtomicU64::new(0) }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_idle(&self) -> bool {
        let idle_ms = self.now_ms().saturating_sub(self.last_ms.load(Ordering::Relaxed));
        self.running.load(Ordering::Relaxed) == 0 && u128::from(idle_ms) >= HEAD_TIMEOUT.as_millis()
    }

    async fn until_idle(&self) {
        loop {
            tokio::time::sleep(IDLE_CHECK).await;
            if self.is_idle() {
                return;
            }
        }
    }
}

/// Keeps a connection from being idle.
struct Busy(Arc<Activity>);

impl Busy {
    fn begin(activity: Arc<Activity>) -> Self {
        activity.running.fetch_add(1, Ordering::Relaxed);
        Self(activity)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.last_ms.store(self.0.now_ms(), Ordering::Relaxed);
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer on its way: its connection is busy until the end.
struct Answering {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_follows_the_user() {
        assert_eq!(without_user("example.org:8443"), "example.org:8443");
        assert_eq!(without_user("someone@example.org"), "example.org");
    }

    #[test]
    fn a_connection_is_idle_only_when_nothing_has_run_for_a_while() {
        let activity = Arc::new(Activity::begin());
        assert!(!activity.is_idle());
        let begun = Instant::now().checked_sub(HEAD_TIMEOUT * 2).unwrap_or_else(Instant::now);
        let activity = Arc::new(Activity { begun, ..Activity::begin() });
        let busy = Busy::begin(Arc::clone(&activity));
        assert!(!activity.is_idle());
        drop(busy);
        assert!(!activity.is_idle());
        activity.last_ms.store(0, Ordering::Relaxed);
        assert!(activity.is_idle());
    }
}
