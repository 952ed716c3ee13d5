use plasma_kernel::{Ctx, Error, Result, TenantId};
use sqlx::{AssertSqlSafe, Postgres, Sqlite, Transaction};
use tokio::sync::watch;

use crate::{Dialect, EventPosition, Row, Sql, Value, error::database_error};

/// A transaction bound to one tenant. Dropped without [`Tx::commit`], it undoes everything.
pub struct Tx {
    connection: Connection,
    ctx: Ctx,
    /// The last event emitted here; published to consumers after the commit.
    last_event: Option<EventPosition>,
    committed: Option<watch::Sender<EventPosition>>,
}

pub(crate) enum Connection {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// Binds the parameters one by one to a statement of either engine.
macro_rules! bind {
    ($query:expr, $parameters:expr) => {{
        let mut query = $query;
        for parameter in $parameters {
            query = match parameter {
                Value::Text(text) => query.bind(text),
                Value::Int(number) => query.bind(number),
                Value::Real(number) => query.bind(number),
                Value::Blob(bytes) => query.bind(bytes),
            };
        }
        query
    }};
}

impl Tx {
    pub(crate) async fn new(
        mut connection: Connection,
        ctx: &Ctx,
        committed: Option<watch::Sender<EventPosition>>,
    ) -> Result<Self> {
        if let Connection::Postgres(transaction) = &mut connection {
            // The row-level security policies compare with this setting; `*` is for work across tenants.
            let scope = ctx.tenant_scope().map_or_else(|| "*".to_owned(), |tenant| tenant.to_string());
            sqlx::query::<Postgres>("SELECT set_config('plasma.tenant_id', $1, true)")
                .bind(scope)
                .execute(&mut **transaction)
                .await
                .map_err(database_error)?;
        }
        Ok(Self { connection, ctx: ctx.clone(), last_event: None, committed })
    }

    /// The tenant of this transaction: the first parameter of every statement.
    ///
    /// # Errors
    /// `internal` for a system context.
    pub fn tenant(&self) -> Result<TenantId> {
        self.ctx.tenant()
    }

    /// The context that began this transaction.
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// Runs a statement and returns how many rows it changed.
    ///
    /// # Errors
    /// `conflict` (`already_exists`) when a uniqueness rule is broken, `unavailable` when the database is, else `internal`.
    pub async fn execute(&mut self, sql: impl Into<Sql>, parameters: impl IntoIterator<Item = Value>) -> Result<u64> {
        let sql = sql.into();
        match &mut self.connection {
            Connection::Sqlite(transaction) => bind!(sqlx::query::<Sqlite>(sql.sqlite), parameters)
                .execute(&mut **transaction)
                .await
                .map(|done| done.rows_affected()),
            Connection::Postgres(transaction) => bind!(sqlx::query::<Postgres>(sql.postgres), parameters)
                .execute(&mut **transaction)
                .await
                .map(|done| done.rows_affected()),
        }
        .map_err(database_error)
    }

    /// All rows of an answer. The statement bounds their number with LIMIT where input decides it.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fetch_all(
        &mut self,
        sql: impl Into<Sql>,
        parameters: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Row>> {
        let sql = sql.into();
        match &mut self.connection {
            Connection::Sqlite(transaction) => bind!(sqlx::query::<Sqlite>(sql.sqlite), parameters)
                .fetch_all(&mut **transaction)
                .await
                .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
            Connection::Postgres(transaction) => bind!(sqlx::query::<Postgres>(sql.postgres), parameters)
                .fetch_all(&mut **transaction)
                .await
                .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
        }
        .map_err(database_error)
    }

    /// The first row, or `None`.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fetch_optional(
        &mut self,
        sql: impl Into<Sql>,
        parameters: impl IntoIterator<Item = Value>,
    ) -> Result<Option<Row>> {
        let sql = sql.into();
        match &mut self.connection {
            Connection::Sqlite(transaction) => bind!(sqlx::query::<Sqlite>(sql.sqlite), parameters)
                .fetch_optional(&mut **transaction)
                .await
                .map(|row| row.map(Row::Sqlite)),
            Connection::Postgres(transaction) => bind!(sqlx::query::<Postgres>(sql.postgres), parameters)
                .fetch_optional(&mut **transaction)
                .await
                .map(|row| row.map(Row::Postgres)),
        }
        .map_err(database_error)
    }

    /// The row of a statement that always has one, such as a count or `INSERT … RETURNING`.
    ///
    /// # Errors
    /// `internal` when there is none, else as [`Tx::execute`].
    pub async fn fetch_one(&mut self, sql: impl Into<Sql>, parameters: impl IntoIterator<Item = Value>) -> Result<Row> {
        self.fetch_optional(sql, parameters)
            .await?
            .ok_or_else(|| Error::internal("a statement that must return a row returned none"))
    }

    /// As [`Tx::execute`], for a statement with names of tables that were read from the schema (see `tenant_data.rs`).
    pub(crate) async fn execute_named(
        &mut self,
        sql: String,
        parameters: impl IntoIterator<Item = Value>,
    ) -> Result<u64> {
        let sql = AssertSqlSafe(sql);
        match &mut self.connection {
            Connection::Sqlite(transaction) => bind!(sqlx::query::<Sqlite>(sql).persistent(false), parameters)
                .execute(&mut **transaction)
                .await
                .map(|done| done.rows_affected()),
            Connection::Postgres(transaction) => bind!(sqlx::query::<Postgres>(sql).persistent(false), parameters)
                .execute(&mut **transaction)
                .await
                .map(|done| done.rows_affected()),
        }
        .map_err(database_error)
    }

    /// As [`Tx::fetch_all`], likewise.
    pub(crate) async fn fetch_all_named(
        &mut self,
        sql: String,
        parameters: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Row>> {
        let sql = AssertSqlSafe(sql);
        match &mut self.connection {
            Connection::Sqlite(transaction) => bind!(sqlx::query::<Sqlite>(sql).persistent(false), parameters)
                .fetch_all(&mut **transaction)
                .await
                .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
            Connection::Postgres(transaction) => bind!(sqlx::query::<Postgres>(sql).persistent(false), parameters)
                .fetch_all(&mut **transaction)
                .await
                .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
        }
        .map_err(database_error)
    }

    /// Makes everything of this transaction durable and visible, then wakes the event log's consumers. Returns the
    /// position of the last event that it emitted, if any.
    ///
    /// # Errors
    /// `unavailable` or `internal`; nothing was written then.
    pub async fn commit(self) -> Result<Option<EventPosition>> {
        match self.connection {
            Connection::Sqlite(transaction) => transaction.commit().await,
            Connection::Postgres(transaction) => transaction.commit().await,
        }
        .map_err(database_error)?;
        if let (Some(position), Some(committed)) = (self.last_event, &self.committed) {
            committed.send_if_modified(|newest| {
                let newer = position > *newest;
                if newer {
                    *newest = position;
                }
                newer
            });
        }
        Ok(self.last_event)
    }

    /// Which engine runs this transaction.
    pub fn dialect(&self) -> Dialect {
        match self.connection {
            Connection::Sqlite(_) => Dialect::Sqlite,
            Connection::Postgres(_) => Dialect::Postgres,
        }
    }

    pub(crate) fn note_event(&mut self, position: EventPosition) {
        self.last_event = Some(position);
    }
}
