//! Copies of a SQLite database that is in use, for backups, and the check of a copy.

use std::path::Path;

use plasma_kernel::{Error, Result};
use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::error::database_error;

/// The name of the database in a data directory.
pub const SQLITE_FILE: &str = "plasma.db";
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

async fn open(file: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(false).busy_timeout(BUSY_TIMEOUT);
    SqliteConnection::connect_with(&options).await.map_err(|error| {
        Error::unavailable("database_unavailable", format!("{} cannot be opened: {error}", file.display()))
            .remedy("name the folder in which Plasma keeps its data with --data-dir")
    })
}

/// Writes the database in `data_dir` as it is at this moment to the new file `target`. The server may go on: its transactions are in
/// the copy wholly or not at all.
///
/// # Errors
/// `unavailable` when there is no database or the disk is full, `internal` when the target exists.
pub async fn snapshot_sqlite(data_dir: &Path, target: &Path) -> Result<()> {
    let target = target.to_str().ok_or_else(|| Error::invalid("to", "is not valid Unicode"))?;
    let mut connection = open(&data_dir.join(SQLITE_FILE)).await?;
    sqlx::query("VACUUM INTO $1").bind(target).execute(&mut connection).await.map_err(database_error)?;
    connection.close().await.map_err(database_error)
}

/// Whether a database is whole.
///
/// # Errors
/// `unavailable` (`database_damaged`) with the first thing that is not as it should be.
pub async fn check_sqlite(file: &Path) -> Result<()> {
    let mut connection = open(file).await?;
    let row = sqlx::query("PRAGMA quick_check(1)").fetch_one(&mut connection).await.map_err(database_error)?;
    let found: String = row.try_get(0).map_err(database_error)?;
    connection.close().await.map_err(database_error)?;
    if found == "ok" {
        return Ok(());
    }
    Err(Error::unavailable("database_damaged", format!("{} is damaged: {found}", file.display()))
        .remedy("restore another backup"))
}
