//! Takes connections and gives each to the router, until the program stops: in the clear, or through TLS.

mod acme;
mod certificates;
mod connection;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod redirect;
mod service_certificate;
mod tls;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use connection::Requests;

pub use redirect::redirect;
pub(crate) use service_certificate::ServiceCertificate;
pub use tls::Tls;

/// How long requests that run may go on when the program stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `stop`, then lets requests that run end for up to ten seconds.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    connections_max: usize,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(connections_max));
    let connections = TaskTracker::new();
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let Some((permit, accepted)) = stop.run_until_cancelled(next).await else { break };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, tls.clone(), router.clone(), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => wait_after(&error).await,
        }
    }
    // New clients are refused at once, not left waiting.
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "some requests did not end in time");
    }
}

/// A connection that broke before it was taken is the client's affair. Anything else, such as too many open files, would
/// repeat at once.
async fn wait_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "a connection could not be taken");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<Tls>>,
    router: Router,
    stop: CancellationToken,
) {
    // Without it, the small frames of a streamed answer wait for each other. An error means that the client is gone.
    let _ = stream.set_nodelay(true);
    let mut requests = Requests { router, peer, certificate: None };
    let Some(tls) = tls else {
        return connection::http1(stream, requests, stop).await;
    };
    // Boxed: most of a connection's life is after its handshake.
    let Some(Some(secured)) = stop.run_until_cancelled(Box::pin(tls.accept(stream, peer))).await else { return };
    requests.certificate = secured.certificate;
    if secured.is_http2 {
        connection::http2(secured.stream, requests, stop).await;
    } else {
        connection::http1(secured.stream, requests, stop).await;
    }
}
