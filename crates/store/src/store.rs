use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use plasma_kernel::{Ctx, Error, Result};
use sqlx::{
    Executor as _, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::watch;

use crate::{
    Blobs, Consumer, EventPosition, MasterKeyKind, SQLITE_FILE, Tx, VaultConfig,
    error::database_error,
    migrate,
    secrets::{self, Keys},
    tx::Connection,
};

/// Which engine holds the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// One file in the data directory.
    Sqlite,
    /// A server, shared by several processes.
    Postgres,
}

impl Dialect {
    /// `sqlite` or `postgres`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// Where things are kept.
#[derive(Clone)]
pub struct StoreConfig {
    /// Holds `plasma.db` (SQLite), `blobs/` and the default `master.key`. Made when absent.
    pub data_dir: PathBuf,
    /// `postgres://…`; `None` means SQLite in the data directory.
    pub database_url: Option<String>,
    /// The file of the master keys, 32 random bytes as base16 on each line; `None` means `master.key` in the data directory.
    /// Processes that share a Postgres must share it.
    pub master_key_file: Option<PathBuf>,
    /// Which kind of master key wraps new data keys; `None` means Vault when there is one, else the file.
    pub master_key: Option<MasterKeyKind>,
    /// Vault's transit engine, which wraps data keys or has wrapped some that are still there.
    pub vault: Option<VaultConfig>,
    /// Connections to Postgres at most, or SQLite reader connections.
    pub connections_max: u32,
}

impl StoreConfig {
    /// SQLite in `data_dir`.
    pub fn sqlite(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            database_url: None,
            master_key_file: None,
            master_key: None,
            vault: None,
            connections_max: 4,
        }
    }
}

/// The door to everything durable. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pool: Pool,
    blobs: Blobs,
    keys: Keys,
    data_dir: PathBuf,
    /// The newest event that this process committed; wakes consumers without polling.
    committed: watch::Sender<EventPosition>,
}

enum Pool {
    // SQLite has one writer. A second writing connection would only wait inside SQLite, holding a thread.
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// How long a request waits for a connection before it is told that the database is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

impl Store {
    /// Opens the database, brings its schema up to date, and opens the blobs and the master key.
    ///
    /// # Errors
    /// `unavailable` when the database or a folder cannot be reached, `invalid` when the URL or the master key is wrong.
    pub async fn open(config: StoreConfig) -> Result<Self> {
        std::fs::create_dir_all(&config.data_dir).map_err(|error| {
            Error::unavailable(
                "data_dir_unavailable",
                format!("the data directory {} cannot be made: {error}", config.data_dir.display()),
            )
            .remedy("choose a folder that this user may write with --data-dir")
        })?;
        let master_key_file = config.master_key_file.clone().unwrap_or_else(|| config.data_dir.join("master.key"));
        let keys = Keys::open(&config, &master_key_file)?;
        let blobs = Blobs::local(&config.data_dir.join("blobs"))?;
        let pool = match &config.database_url {
            None => open_sqlite(&config).await?,
            Some(url) => open_postgres(url, &config).await?,
        };
        let (committed, _) = watch::channel(EventPosition::START);
        let inner = Arc::new(Inner { pool, blobs, keys, data_dir: config.data_dir.clone(), committed });
        let store = Self::from_inner(inner);
        Box::pin(store.check_master_key()).await?;
        if config.vault.is_some() {
            tokio::spawn(secrets::sweep(Arc::downgrade(&store.inner)));
        }
        Ok(store)
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Begins a transaction that may write, bound to the context's tenant. Dropping it undoes everything.
    ///
    /// # Errors
    /// `unavailable` when no connection is free in time.
    pub async fn begin(&self, ctx: &Ctx) -> Result<Tx> {
        let connection = match &self.inner.pool {
            Pool::Sqlite { writer, .. } => {
                Connection::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await.map_err(database_error)?)
            }
            Pool::Postgres(pool) => begin_postgres(pool, "BEGIN").await?,
        };
        Tx::new(connection, ctx, Some(self.inner.committed.clone())).await
    }

    /// Begins a transaction that only reads, bound to the context's tenant: one consistent view.
    ///
    /// # Errors
    /// `unavailable` when no connection is free in time.
    pub async fn read(&self, ctx: &Ctx) -> Result<Tx> {
        let connection = match &self.inner.pool {
            Pool::Sqlite { readers, .. } => Connection::Sqlite(readers.begin().await.map_err(database_error)?),
            Pool::Postgres(pool) => begin_postgres(pool, "BEGIN READ ONLY").await?,
        };
        Tx::new(connection, ctx, None).await
    }

    /// A durable consumer of the event log under this name. Each name has one cursor; use one process at a time for it.
    pub fn consumer(&self, name: &'static str) -> Consumer {
        Consumer::new(self.clone(), name)
    }

    /// Changes whenever this process commits an event. Other processes' events are seen by polling.
    pub fn committed_events(&self) -> watch::Receiver<EventPosition> {
        self.inner.committed.subscribe()
    }

    /// Files and other large bytes.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// The data directory, for rebuildable indexes.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.inner.data_dir
    }

    /// Which engine holds the tables.
    pub fn dialect(&self) -> Dialect {
        match self.inner.pool {
            Pool::Sqlite { .. } => Dialect::Sqlite,
            Pool::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// `unavailable` when it gives none.
    pub async fn ping(&self) -> Result<()> {
        match &self.inner.pool {
            Pool::Sqlite { readers, .. } => readers.execute("SELECT 1").await.map(drop),
            Pool::Postgres(pool) => pool.execute("SELECT 1").await.map(drop),
        }
        .map_err(database_error)
    }

    /// Closes every connection, after the transactions that run. SQLite folds its write-ahead log into the database.
    pub async fn close(&self) {
        match &self.inner.pool {
            Pool::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.inner.keys
    }
}

/// Begins a transaction on Postgres in a task of its own, which goes on when the caller goes away: a `begin` of sqlx 0.9.0 that is
/// dropped before the database has answered gives its connection back to the pool with the transaction open, and whoever
/// comes next works in it (transact-rs/sqlx #4393, mended after 0.9.0).
async fn begin_postgres(pool: &PgPool, statement: &'static str) -> Result<Connection> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await }).await;
    let begun = begun.map_err(|error| Error::from_source("beginning a transaction panicked", error))?;
    begun.map(Connection::Postgres).map_err(database_error)
}

async fn open_sqlite(config: &StoreConfig) -> Result<Pool> {
    let path = config.data_dir.join(SQLITE_FILE);
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL, not NORMAL: an acknowledged write survives a power cut, not only a killed process.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .statement_cache_capacity(512);
    let unavailable = |error: sqlx::Error| {
        Error::unavailable("database_unavailable", format!("{} cannot be opened: {error}", path.display()))
            .remedy("check that the file is a Plasma database and that this user may write it")
    };
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options.clone())
        .await
        .map_err(unavailable)?;
    migrate::sqlite(&writer).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(config.connections_max.max(1))
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection answers or the whole process is gone; asking it first would double the cost of a small read.
        .test_before_acquire(false)
        .connect_with(options.read_only(true))
        .await
        .map_err(unavailable)?;
    Ok(Pool::Sqlite { writer, readers })
}

async fn open_postgres(url: &str, config: &StoreConfig) -> Result<Pool> {
    // The URL holds a password: it never appears in an error.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        Error::invalid("database_url", "is not a Postgres URL")
            .remedy("use the form postgres://user:password@host:5432/database")
    })?;
    let options = options.application_name("plasma").statement_cache_capacity(512);
    migrate::postgres(&options).await?;
    let pool = PgPoolOptions::new()
        .max_connections(config.connections_max.max(2))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            // This role owns no table, so row-level security binds it even when the login role is a superuser.
            Box::pin(async move { connection.execute("SET ROLE plasma_runtime").await.map(drop) })
        })
        .connect_with(options)
        .await
        .map_err(database_error)?;
    Ok(Pool::Postgres(pool))
}
