//! Background work on vector indexes: one piece at a time, on one core.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::index::Index;

/// How often it is looked for work that nobody announced.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long an index in trouble is left alone.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// How long the end waits for a thread that computes.
const THREADS_WAIT_MAX: Duration = Duration::from_secs(5);

/// Works until `stop` fires.
pub(in crate::index) async fn keep_up(index: Arc<Index>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let mut turn = std::pin::pin!(turn(&index, &stop));
        tokio::select! {
            () = &mut turn => {}
            () = stop.cancelled() => {
                // What has begun to write ends by itself, soon if it can.
                let _ = tokio::time::timeout(THREADS_WAIT_MAX, turn).await;
            }
        }
    }
    index.threads.close();
    if tokio::time::timeout(THREADS_WAIT_MAX, index.threads.wait()).await.is_err() {
        tracing::info!("work on a vector index goes on until the process ends");
    }
}

async fn turn(index: &Index, stop: &CancellationToken) {
    let Some(((tenant, collection), is_damaged)) = index.builds.next() else {
        tokio::select! {
            () = index.builds.due.notified() => {}
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.cancelled() => {}
        }
        return;
    };
    let outcome = if is_damaged {
        index.discard_damaged(tenant, collection).await
    } else {
        index.build_vectors(tenant, collection, stop).await
    };
    if let Err(error) = outcome
        && !stop.is_cancelled()
    {
        tracing::warn!(?error, %collection, "a vector index could not be built; trying again");
        tokio::select! {
            () = tokio::time::sleep(FAILURE_PAUSE) => {}
            () = stop.cancelled() => {}
        }
        index.builds.put_back(tenant, collection, is_damaged);
    }
}
