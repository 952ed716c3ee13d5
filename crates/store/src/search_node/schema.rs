//! The schema on a node: made by whoever writes there, in versions of its own.

use plasma_kernel::{Error, Result, Timestamp};
use sqlx::{Connection as _, Executor as _, PgConnection, Postgres, Row as _, Transaction};

use super::error::{node_error, unavailable};
use crate::EventPosition;

/// Any constant: it names the lock under which one process makes the schema while others wait.
const SCHEMA_LOCK: i64 = 0x706c_6173_6d62;
/// The oldest pgvector whose index goes on until a filter has let enough through.
const PGVECTOR_MIN: (u32, u32) = (0, 8);

/// Each step runs once, in the order of the list.
const VERSIONS: &[&str] = &["
    -- One row: whose node this is, and up to where in that installation's event log all of its shards are.
    CREATE TABLE plasma_search.node (
        singleton BIGINT PRIMARY KEY CHECK (singleton = 1),
        installation TEXT NOT NULL,
        name TEXT NOT NULL,
        transaction_id BIGINT NOT NULL,
        sequence BIGINT NOT NULL,
        written_at BIGINT NOT NULL
    );
    -- A shard has a table of its own. passages counts its rows, and changes with them.
    CREATE TABLE plasma_search.shards (
        collection TEXT NOT NULL,
        generation BIGINT NOT NULL,
        number BIGINT NOT NULL,
        tenant_id TEXT NOT NULL,
        dimensions BIGINT NOT NULL,
        -- Which of the collection's vectors these are: other models make others.
        vectors BIGINT NOT NULL,
        -- copying, indexing, ready or failed.
        state TEXT NOT NULL,
        reason TEXT,
        copied_document TEXT,
        copied_ordinal BIGINT,
        copied BIGINT NOT NULL DEFAULT 0,
        passages BIGINT NOT NULL DEFAULT 0,
        has_index BOOLEAN NOT NULL DEFAULT false,
        ef_search BIGINT NOT NULL DEFAULT 100,
        recall DOUBLE PRECISION,
        recall_low DOUBLE PRECISION,
        recall_target DOUBLE PRECISION,
        measured_passages BIGINT NOT NULL DEFAULT 0,
        measured_at BIGINT,
        PRIMARY KEY (collection, generation, number)
    );
"];

/// Makes the schema, or brings it up to date, and takes the node for this installation. `head` is the end of its event log.
pub(super) async fn prepare(
    connection: &mut PgConnection,
    node: &str,
    installation: &str,
    head: EventPosition,
    now: Timestamp,
) -> Result<()> {
    let failed = |error| node_error(node, error);
    let mut tx = connection.begin().await.map_err(failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(SCHEMA_LOCK).execute(&mut *tx).await.map_err(failed)?;
    pgvector(&mut tx, node).await?;
    tx.execute("CREATE SCHEMA IF NOT EXISTS plasma_search").await.map_err(failed)?;
    tx.execute(
        "CREATE TABLE IF NOT EXISTS plasma_search.versions (number BIGINT PRIMARY KEY, applied_at BIGINT NOT NULL)",
    )
    .await
    .map_err(failed)?;
    let applied: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM plasma_search.versions")
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
    let applied = usize::try_from(applied).unwrap_or(0);
    if applied > VERSIONS.len() {
        return Err(unavailable(node, "a newer version of Plasma has changed its schema; start that version"));
    }
    for (at, version) in VERSIONS.iter().copied().enumerate().skip(applied) {
        tx.execute(sqlx::raw_sql(version)).await.map_err(failed)?;
        sqlx::query("INSERT INTO plasma_search.versions (number, applied_at) VALUES ($1, $2)")
            .bind(i64::try_from(at + 1).unwrap_or(i64::MAX))
            .bind(now)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
    }
    sqlx::query(
        "INSERT INTO plasma_search.node (singleton, installation, name, transaction_id, sequence, written_at)
         VALUES (1, $1, $2, $3, $4, $5) ON CONFLICT (singleton) DO NOTHING",
    )
    .bind(installation)
    .bind(node)
    .bind(head.transaction)
    .bind(head.sequence)
    .bind(now)
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    let row =
        sqlx::query("SELECT installation, name FROM plasma_search.node").fetch_one(&mut *tx).await.map_err(failed)?;
    let (owner, name): (String, String) =
        (row.try_get("installation").map_err(failed)?, row.try_get("name").map_err(failed)?);
    if owner != installation || name != node {
        let whose =
            if owner == installation { format!("the node `{name}`") } else { "another installation".to_owned() };
        return Err(unavailable(node, &format!("its database is in use by {whose}")).remedy(
            "give each node a database of its own; to take this one over, drop its schema plasma_search first",
        ));
    }
    tx.commit().await.map_err(failed)
}

/// Makes sure that pgvector is there, and new enough.
async fn pgvector(tx: &mut Transaction<'_, Postgres>, node: &str) -> Result<()> {
    let failed = |error| node_error(node, error);
    let mut found = extension_version(tx).await.map_err(failed)?;
    if found.is_none() {
        tx.execute("CREATE EXTENSION IF NOT EXISTS vector").await.map_err(|error| {
            Error::unavailable("search_node_unavailable", format!("the search node `{node}` has no pgvector"))
                .remedy("install pgvector 0.8 or newer there, and let a superuser run CREATE EXTENSION vector in its database")
                .source(error)
        })?;
        found = extension_version(tx).await.map_err(failed)?;
    }
    let found = found.unwrap_or_default();
    if version_of(&found) < PGVECTOR_MIN {
        return Err(unavailable(node, &format!("its pgvector is {found}, and 0.8 or newer is needed")));
    }
    Ok(())
}

/// The version of pgvector in this database.
pub(super) async fn extension_version(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetch_optional(connection).await
}

fn version_of(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_pgvector_are_compared_as_numbers() {
        assert!(
            version_of("0.8.6") >= PGVECTOR_MIN
                && version_of("0.10.0") >= PGVECTOR_MIN
                && version_of("1.0") >= PGVECTOR_MIN
        );
        assert!(version_of("0.7.4") < PGVECTOR_MIN && version_of("") < PGVECTOR_MIN);
    }
}
