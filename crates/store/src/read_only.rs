use std::str::FromStr as _;

use plasma_kernel::{Ctx, Error, Result};
use sqlx::{
    Executor as _, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use crate::{SQLITE_FILE, StoreConfig, Tx, error::database_error, tx::Connection};

/// A database that is only looked at, for checks from outside of the program: nothing is made, migrated or written, and no
/// key is needed. A copy of a data directory will do.
pub struct Snapshot {
    pool: Pool,
}

enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Snapshot {
    /// Opens the database that `config` names.
    ///
    /// # Errors
    /// `not_found` (`database_not_found`) when there is no file, `unavailable` when the database cannot be opened, `invalid`
    /// for a wrong URL.
    pub async fn open(config: &StoreConfig) -> Result<Self> {
        let pool = match &config.database_url {
            None => Pool::Sqlite(open_sqlite(config).await?),
            Some(url) => Pool::Postgres(open_postgres(url).await?),
        };
        Ok(Self { pool })
    }

    /// One consistent view, bound to the context's tenant.
    ///
    /// # Errors
    /// `unavailable` when the database does not answer.
    pub async fn read(&self, ctx: &Ctx) -> Result<Tx> {
        let connection = match &self.pool {
            Pool::Sqlite(pool) => Connection::Sqlite(pool.begin().await.map_err(database_error)?),
            Pool::Postgres(pool) => {
                let begun = pool.begin_with("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
                Connection::Postgres(begun.map_err(database_error)?)
            }
        };
        Tx::new(connection, ctx, None).await
    }

    /// The number of the newest migration that the database has.
    ///
    /// # Errors
    /// `internal` when it is no database of Plasma.
    pub async fn migration(&self, ctx: &Ctx) -> Result<i64> {
        let row = self.read(ctx).await?.fetch_one("SELECT MAX(number) AS number FROM schema_migrations", []).await?;
        row.get("number")
    }

    /// Closes the connections.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

async fn open_sqlite(config: &StoreConfig) -> Result<SqlitePool> {
    let path = config.data_dir.join(SQLITE_FILE);
    if !path.is_file() {
        return Err(Error::not_found("database_not_found", format!("there is no database {}", path.display()))
            .remedy("name the data directory of a Plasma installation, or a copy of one"));
    }
    // Without a write-ahead log the file is at rest, and may lie where nothing can be written.
    let at_rest = !config.data_dir.join("plasma.db-wal").exists();
    let options =
        SqliteConnectOptions::new().filename(&path).create_if_missing(false).read_only(true).immutable(at_rest);
    SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(|error| {
        Error::unavailable("database_unavailable", format!("{} cannot be opened: {error}", path.display()))
            .remedy("check that the file is a Plasma database; of a copy, take plasma.db-wal along")
    })
}

async fn open_postgres(url: &str) -> Result<PgPool> {
    // The URL holds a password: it never appears in an error.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        Error::invalid("database_url", "is not a Postgres URL")
            .remedy("use the form postgres://user:password@host:5432/database")
    })?;
    let (host, port) = (options.get_host().to_owned(), options.get_port());
    PgPoolOptions::new()
        .max_connections(1)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute("SET ROLE plasma_runtime").await.map(drop) })
        })
        .connect_with(options.application_name("plasma-verify"))
        .await
        .map_err(|error| {
            Error::unavailable("database_unavailable", format!("Postgres at {host}:{port} cannot be reached"))
                .remedy("check the URL and that the server runs and accepts this login")
                .source(error)
        })
}
