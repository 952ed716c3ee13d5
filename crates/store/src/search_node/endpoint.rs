//! One database of a node: its connections, and whether it failed a moment ago.

use std::{
    str::FromStr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use plasma_kernel::{Error, Result};
use sqlx::{
    ConnectOptions as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    error::{UNAVAILABLE, node_error, unavailable},
    reader::{self, ShardAnswer, ShardQuery},
};

/// How long a database that failed is not asked.
const FAILED_PAUSE: Duration = Duration::from_secs(2);
/// How long a search waits for a connection: short enough that a replica can still answer in time. When nobody listens, sqlx tries
/// again for as long.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(800);
/// How long making a connection of one's own may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// What every session for searches is set to. A plan that was made for any parameter would turn the query into a vector once for
/// each row, and compiling a plan takes longer than the search.
const SESSION: &str = "SET client_min_messages = warning; SET plan_cache_mode = force_custom_plan; SET jit = off; \
                       SET hnsw.scan_mem_multiplier = 4";

pub(super) struct Endpoint {
    /// `primary` or `replica 1`.
    pub(super) label: String,
    options: PgConnectOptions,
    pool: PgPool,
    failed: Mutex<Option<(Instant, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is replaced whole, so that a panic elsewhere leaves nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Endpoint {
    /// Connects when it is first used.
    pub(super) fn new(label: String, node: &str, url: &str, connections_max: u32) -> Result<Self> {
        // The URL holds a password: it never appears in an error.
        let options = PgConnectOptions::from_str(url).map_err(|_| {
            Error::invalid(
                "search.nodes",
                format!("the {label} of the search node `{node}` has a URL that is not one of Postgres"),
            )
            .remedy("use the form postgres://user:password@host:5432/database")
        })?;
        let options = options.application_name("plasma search").statement_cache_capacity(64);
        let pool = PgPoolOptions::new()
            .max_connections(connections_max.max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(sqlx::raw_sql(SESSION)).await.map(drop) })
            })
            .connect_lazy_with(options.clone());
        Ok(Self { label, options, pool, failed: Mutex::new(None) })
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Why it is not to be asked now. After a pause one caller may ask again, while the others still find it failed: a database that
    /// is gone without a word keeps only that one waiting.
    pub(super) fn failure(&self) -> Option<String> {
        let mut failed = lock(&self.failed);
        let (at, reason) = failed.as_mut()?;
        if at.elapsed() < FAILED_PAUSE {
            return Some(reason.clone());
        }
        *at = Instant::now();
        None
    }

    /// What it failed with last, if nothing has gone well since.
    pub(super) fn last_failure(&self) -> Option<String> {
        lock(&self.failed).as_ref().map(|(_, reason)| reason.clone())
    }

    /// Remembers how asking ended.
    pub(super) fn note<T>(&self, outcome: &Result<T>) {
        let mut failed = lock(&self.failed);
        match outcome {
            Ok(_) => *failed = None,
            Err(error) if error.reason() == UNAVAILABLE => *failed = Some((Instant::now(), error.message().to_owned())),
            // It answers; it is the shard that cannot.
            Err(_) => {}
        }
    }

    pub(super) async fn search(&self, node: &str, query: &ShardQuery) -> Result<ShardAnswer> {
        let outcome = reader::search(self, node, query).await;
        self.note(&outcome);
        outcome
    }

    /// A connection of one's own, outside the pool.
    pub(super) async fn connect(&self, node: &str) -> Result<PgConnection> {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, async {
            let mut connection = self.options.connect().await?;
            connection.execute("SET client_min_messages = warning").await?;
            Ok::<_, sqlx::Error>(connection)
        })
        .await;
        match connected {
            Ok(connected) => connected.map_err(|error| node_error(node, error)),
            Err(_) => Err(unavailable(node, "no connection within 5 s")),
        }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}
