//! Brings the schema up to date at start. Each migration runs once, in its own transaction.

use plasma_kernel::{Clock, Error, Result};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _, SqlitePool,
    postgres::PgConnectOptions,
};

use crate::error::database_error;

pub(crate) struct Migration {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)";

fn failed(migration: &Migration, error: sqlx::Error) -> Error {
    Error::from_source(format!("migration {:04}_{} failed", migration.number, migration.name), error)
}

/// Refuses a database that a newer program has changed: an older one would misread it.
fn check_not_newer(applied: Option<i64>) -> Result<()> {
    let newest = MIGRATIONS.last().map_or(0, |migration| migration.number);
    match applied {
        Some(number) if number > newest => Err(Error::unavailable(
            "database_too_new",
            format!("the database has migration {number}, but this program knows only {newest}"),
        )
        .remedy("start the version of Plasma that last used this database, or a newer one")),
        _ => Ok(()),
    }
}

pub(crate) async fn sqlite(writer: &SqlitePool) -> Result<()> {
    writer.execute(HISTORY).await.map_err(database_error)?;
    // IMMEDIATE takes the write lock first, so that two processes that start together do not both migrate.
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(database_error)?;
    let applied: Option<i64> = sqlx::query_scalar("SELECT MAX(number) FROM schema_migrations")
        .fetch_one(&mut *transaction)
        .await
        .map_err(database_error)?;
    check_not_newer(applied)?;
    for migration in MIGRATIONS.iter().filter(|migration| applied.is_none_or(|number| migration.number > number)) {
        transaction.execute(migration.sqlite).await.map_err(|error| failed(migration, error))?;
        sqlx::query("INSERT INTO schema_migrations (number, name, applied_at) VALUES ($1, $2, $3)")
            .bind(migration.number)
            .bind(migration.name)
            .bind(Clock::system().now())
            .execute(&mut *transaction)
            .await
            .map_err(|error| failed(migration, error))?;
    }
    transaction.commit().await.map_err(database_error)
}

/// Any constant: it names the lock under which one process migrates while the others wait.
const MIGRATION_LOCK: i64 = 0x706c_6173_6d61;

/// The role under which every query runs. Roles belong to the whole cluster, so two databases may make it at once.
const RUNTIME_ROLE: &str = "DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'plasma_runtime') THEN
        CREATE ROLE plasma_runtime NOLOGIN NOSUPERUSER NOBYPASSRLS;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$";

/// Every table with a tenant_id gets forced row-level security and our policy, also one that a migration gave another policy; the
/// runtime role gets rows, never structure.
const GUARD_TABLES: &str = "DO $$ DECLARE guarded record; BEGIN
    FOR guarded IN
        SELECT c.oid, c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
          AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS
              (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_isolation'))
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded.relname);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', guarded.relname);
        IF NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = guarded.oid AND p.polname = 'tenant_isolation') THEN
            EXECUTE format('CREATE POLICY tenant_isolation ON %I USING
                (tenant_id = current_setting(''plasma.tenant_id'', true) OR current_setting(''plasma.tenant_id'', true) = ''*'')',
                guarded.relname);
        END IF;
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO plasma_runtime', current_schema());
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO plasma_runtime', current_schema());
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO plasma_runtime', current_schema());
END $$";

pub(crate) async fn postgres(options: &PgConnectOptions) -> Result<()> {
    let mut connection = options.connect().await.map_err(|error| {
        Error::unavailable(
            "database_unavailable",
            format!("Postgres at {}:{} cannot be reached: {error}", options.get_host(), options.get_port()),
        )
        .remedy("check PLASMA_DATABASE_URL and that the server runs and accepts this login")
    })?;
    connection.execute("SET client_min_messages = warning").await.map_err(database_error)?;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut connection)
        .await
        .map_err(database_error)?;
    connection.execute(HISTORY).await.map_err(database_error)?;
    let applied: Option<i64> = sqlx::query("SELECT MAX(number) AS number FROM schema_migrations")
        .fetch_one(&mut connection)
        .await
        .and_then(|row| row.try_get("number"))
        .map_err(database_error)?;
    check_not_newer(applied)?;
    connection.execute(RUNTIME_ROLE).await.map_err(|error| {
        Error::unavailable("database_role_missing", format!("the role plasma_runtime cannot be made: {error}")).remedy(
            "let an administrator run: CREATE ROLE plasma_runtime NOLOGIN; GRANT plasma_runtime TO <the login role>",
        )
    })?;
    // A superuser may become any role; a plain owner needs the membership (repeating the grant changes nothing).
    let _ = connection.execute("GRANT plasma_runtime TO CURRENT_USER").await;
    for migration in MIGRATIONS.iter().filter(|migration| applied.is_none_or(|number| migration.number > number)) {
        let mut transaction = connection.begin().await.map_err(database_error)?;
        // Row-level security is forced on the owner too: a migration changes the rows of all tenants.
        transaction
            .execute("SELECT set_config('plasma.tenant_id', '*', true)")
            .await
            .map_err(|error| failed(migration, error))?;
        // The text is a file of this repository, embedded by build.rs.
        transaction
            .execute(sqlx::raw_sql(AssertSqlSafe(migration.postgres)))
            .await
            .map_err(|error| failed(migration, error))?;
        sqlx::query("INSERT INTO schema_migrations (number, name, applied_at) VALUES ($1, $2, $3)")
            .bind(migration.number)
            .bind(migration.name)
            .bind(Clock::system().now())
            .execute(&mut *transaction)
            .await
            .map_err(|error| failed(migration, error))?;
        transaction.commit().await.map_err(|error| failed(migration, error))?;
    }
    connection.execute(GUARD_TABLES).await.map_err(database_error)?;
    // Closing the session releases the lock.
    connection.close().await.map_err(database_error)
}
