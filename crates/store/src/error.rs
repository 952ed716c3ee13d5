use plasma_kernel::Error;

/// Database failures in the kernel's words. A broken uniqueness rule is a conflict, a busy or unreachable database is
/// transient, the rest is our own fault.
pub(crate) fn database_error(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            Error::conflict("already_exists", "something with this name or key exists already").source(error)
        }
        sqlx::Error::Database(database) if database.is_foreign_key_violation() => {
            Error::conflict("still_referenced", "something else refers to this").source(error)
        }
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::PoolClosed => {
            Error::unavailable("database_unavailable", "the database does not answer")
                .remedy("try again; if it lasts, check /readyz and the database server")
                .source(error)
        }
        // SQLITE_BUSY and SQLITE_LOCKED with their extensions; Postgres serialization failure and deadlock.
        sqlx::Error::Database(database)
            if matches!(database.code().as_deref(), Some("5" | "6" | "261" | "517" | "40001" | "40P01")) =>
        {
            Error::unavailable("database_busy", "the database is busy").remedy("try again").source(error)
        }
        _ => Error::from_source("a database statement failed", error),
    }
}
