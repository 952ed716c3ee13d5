//! Writing to a node: one process at a time, through one session, which holds the node's lock.

use plasma_kernel::{CollectionId, Error, Result, TenantId, Timestamp};
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};

use super::{
    SearchNode, ShardRow, ShardState, ShardTable,
    error::node_error,
    names::{document_key, passage_key, version_key},
    position, schema,
};
use crate::EventPosition;

/// Any constant: whoever holds it in a session of the node's primary may write there.
const WRITER_LOCK: i64 = 0x706c_6173_6d63;
/// Rows of one statement: some megabytes of text.
const ROWS_MAX: usize = 500;

/// The one who writes to a node. When it is dropped, or its process dies, the server sees the connection end and another may.
pub struct NodeWriter {
    node: String,
    connection: PgConnection,
}

/// A shard to make.
#[derive(Clone, Debug)]
pub struct NewShard {
    /// Which.
    pub table: ShardTable,
    /// Whose collection it is of.
    pub tenant: TenantId,
    /// Numbers in a vector: 1 to [`super::NODE_DIMENSIONS_MAX`].
    pub dimensions: usize,
    /// Which of the collection's vectors it is to have.
    pub vectors: u64,
}

/// A passage to write.
#[derive(Clone, Debug)]
pub struct NodePassage {
    /// Its place among the document's passages.
    pub ordinal: u32,
    /// Its vector; empty when it has no direction, and so is near to nothing.
    pub vector: Vec<f32>,
}

/// A document as it is to be in a shard.
#[derive(Clone, Debug)]
pub struct NodeDocument {
    /// The lower half of its id.
    pub low: u64,
    /// The version that counts: passages of others are deleted. `None` deletes all.
    pub version: Option<u32>,
    /// The passages of that version, in any order; those that are there already stay, for a version never changes.
    pub passages: Vec<NodePassage>,
}

/// A page that was read from the tables for shards that are being copied.
#[derive(Clone, Debug)]
pub struct CopiedPage {
    /// The document and ordinal of its last passage: where the next page begins.
    pub last: (String, u32),
    /// Passages read, of all shards.
    pub read: u64,
    /// What belongs into each shard.
    pub shards: Vec<(ShardTable, Vec<NodeDocument>)>,
}

impl NodeWriter {
    /// Opens a session, makes the schema if need be, and takes the lock; `None` when another process has it. `installation` names
    /// whose data this is, and `head` is the end of its event log: a new node begins there.
    ///
    /// # Errors
    /// `unavailable` when the node does not answer, has no pgvector, or belongs to another installation.
    pub async fn open(
        node: &SearchNode,
        installation: &str,
        head: EventPosition,
        now: Timestamp,
    ) -> Result<Option<Self>> {
        let opened = Self::open_session(node, installation, head, now).await;
        node.primary()?.note(&opened);
        opened
    }

    async fn open_session(
        node: &SearchNode,
        installation: &str,
        head: EventPosition,
        now: Timestamp,
    ) -> Result<Option<Self>> {
        let name = node.name().to_owned();
        let mut connection = node.primary()?.connect(&name).await?;
        let is_ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(WRITER_LOCK)
            .fetch_one(&mut connection)
            .await
            .map_err(|error| node_error(&name, error))?;
        if !is_ours {
            // That it could not be told so is no matter: the connection is gone either way.
            let _ = connection.close().await;
            return Ok(None);
        }
        schema::prepare(&mut connection, &name, installation, head, now).await?;
        Ok(Some(Self { node: name, connection }))
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> Error {
        move |error| node_error(&self.node, error)
    }

    /// Up to where in the event log all shards of the node are.
    ///
    /// # Errors
    /// `unavailable` from the node; so do all that follow.
    pub async fn position(&mut self) -> Result<EventPosition> {
        let row = sqlx::query("SELECT transaction_id, sequence FROM plasma_search.node")
            .fetch_one(&mut self.connection)
            .await
            .map_err(|error| node_error(&self.node, error))?;
        let read = |name: &str| row.try_get::<i64, _>(name).map_err(self.failed());
        Ok(position(read("transaction_id")?, read("sequence")?))
    }

    /// All shards.
    ///
    /// # Errors
    /// As [`NodeWriter::position`].
    pub async fn shards(&mut self) -> Result<Vec<ShardRow>> {
        shard_rows(&mut self.connection).await.map_err(|error| node_error(&self.node, error))
    }

    /// Makes a shard, which then waits for its passages.
    ///
    /// # Errors
    /// As [`NodeWriter::position`].
    pub async fn create(&mut self, new: &NewShard) -> Result<()> {
        let created = create(&mut self.connection, new).await;
        created.map_err(self.failed())
    }

    /// Removes a shard with everything in it.
    ///
    /// # Errors
    /// As [`NodeWriter::position`]; when a long search holds it, it is left for another time.
    pub async fn drop_shard(&mut self, table: ShardTable) -> Result<()> {
        let dropped = drop_shard(&mut self.connection, table).await;
        dropped.map_err(self.failed())
    }

    /// Empties all shards, which then wait for their passages, and goes to `head`: the event log does not know the node's position.
    ///
    /// # Errors
    /// As [`NodeWriter::position`].
    pub async fn start_anew(&mut self, head: EventPosition, now: Timestamp) -> Result<()> {
        let started = start_anew(&mut self.connection, head, now).await;
        started.map_err(self.failed())
    }

    /// Writes documents, and with them, in the same transaction, how far the node is (if that is known). Returns the shards to which
    /// writing failed, with the reasons: they are marked, to be made anew.
    ///
    /// # Errors
    /// As [`NodeWriter::position`]; nothing was written then.
    pub async fn write(
        &mut self,
        changes: &[(ShardTable, Vec<NodeDocument>)],
        position: Option<EventPosition>,
        now: Timestamp,
    ) -> Result<Vec<(ShardTable, String)>> {
        let written = write(&mut self.connection, changes, position, now).await;
        written.map_err(self.failed())
    }

    /// Writes a page of a copy, and with it how far the copy is.
    ///
    /// # Errors
    /// As [`NodeWriter::position`]; nothing was written then.
    pub async fn copy(&mut self, page: &CopiedPage) -> Result<()> {
        let copied = copy(&mut self.connection, page).await;
        copied.map_err(self.failed())
    }

    /// Says how far a shard is.
    ///
    /// # Errors
    /// As [`NodeWriter::position`].
    pub async fn set_state(&mut self, table: ShardTable, state: ShardState, reason: Option<&str>) -> Result<()> {
        let set = set_state(&mut self.connection, table, state, reason).await;
        set.map_err(self.failed())
    }

    /// Gives the lock back, so that another process need not wait for the connection to end.
    pub async fn release(&mut self) {
        // When the server cannot be told, it sees the connection end.
        let _ = sqlx::query("SELECT pg_advisory_unlock($1)").bind(WRITER_LOCK).execute(&mut self.connection).await;
    }
}

/// The columns of [`ShardRow`].
pub(super) async fn shard_rows(connection: &mut PgConnection) -> Result<Vec<ShardRow>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM plasma_search.shards ORDER BY collection, generation, number")
        .fetch_all(connection)
        .await?;
    rows.iter().map(shard_from).collect()
}

fn shard_from(row: &PgRow) -> Result<ShardRow, sqlx::Error> {
    let number = |name: &str| row.try_get::<i64, _>(name);
    let count = |name: &str| number(name).map(|count| u64::try_from(count).unwrap_or(0));
    let narrow = |name: &str| number(name).map(|narrow| u32::try_from(narrow).unwrap_or(0));
    let id = |name: &str| row.try_get::<String, _>(name);
    let collection = id("collection")?.parse::<CollectionId>().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let copied_document: Option<String> = row.try_get("copied_document")?;
    let copied_ordinal: Option<i64> = row.try_get("copied_ordinal")?;
    let copied_ordinal = copied_ordinal.and_then(|ordinal| u32::try_from(ordinal).ok());
    Ok(ShardRow {
        table: ShardTable::new(collection, narrow("generation")?, narrow("number")?),
        tenant: id("tenant_id")?.parse::<TenantId>().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        dimensions: usize::try_from(number("dimensions")?).unwrap_or(0),
        vectors: count("vectors")?,
        state: ShardState::from_text(&id("state")?),
        reason: row.try_get("reason")?,
        copied_after: copied_document.zip(copied_ordinal),
        copied: count("copied")?,
        passages: count("passages")?,
        has_index: row.try_get("has_index")?,
        ef_search: narrow("ef_search")?,
        recall: row.try_get("recall")?,
        recall_low: row.try_get("recall_low")?,
        recall_target: row.try_get("recall_target")?,
        measured_passages: count("measured_passages")?,
    })
}

async fn create(connection: &mut PgConnection, new: &NewShard) -> Result<(), sqlx::Error> {
    const TABLE: &str = "CREATE TABLE {table} (
        document BIGINT NOT NULL,
        passage BIGINT NOT NULL,
        embedding halfvec({dimensions}),
        PRIMARY KEY (document, passage))";
    let mut tx = connection.begin().await?;
    sqlx::query(new.table.statement("DROP TABLE IF EXISTS {table}")).persistent(false).execute(&mut *tx).await?;
    sqlx::query(new.table.statement_with(TABLE, &[("{dimensions}", new.dimensions)]))
        .persistent(false)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "INSERT INTO plasma_search.shards (collection, generation, number, tenant_id, dimensions, vectors, state)
         VALUES ($1, $2, $3, $4, $5, $6, 'copying')",
    )
    .bind(new.table.collection.to_string())
    .bind(i64::from(new.table.generation))
    .bind(i64::from(new.table.number))
    .bind(new.tenant.to_string())
    .bind(i64::try_from(new.dimensions).unwrap_or(i64::MAX))
    .bind(i64::try_from(new.vectors).unwrap_or(i64::MAX))
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

async fn drop_shard(connection: &mut PgConnection, table: ShardTable) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    // Waiting for a search would hold up those that come after it.
    sqlx::query("SELECT set_config('lock_timeout', '2000', true)").execute(&mut *tx).await?;
    sqlx::query(table.statement("DROP TABLE IF EXISTS {table}")).persistent(false).execute(&mut *tx).await?;
    sqlx::query("DELETE FROM plasma_search.shards WHERE collection = $1 AND generation = $2 AND number = $3")
        .bind(table.collection.to_string())
        .bind(i64::from(table.generation))
        .bind(i64::from(table.number))
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

async fn start_anew(connection: &mut PgConnection, head: EventPosition, now: Timestamp) -> Result<(), sqlx::Error> {
    let shards = shard_rows(connection).await?;
    let mut tx = connection.begin().await?;
    for shard in shards {
        sqlx::query(shard.table.statement("TRUNCATE {table}")).persistent(false).execute(&mut *tx).await?;
    }
    sqlx::query(
        "UPDATE plasma_search.shards
         SET state = 'copying', reason = NULL, copied_document = NULL, copied_ordinal = NULL, copied = 0, passages = 0,
             measured_passages = 0",
    )
    .execute(&mut *tx)
    .await?;
    set_position(&mut tx, head, now).await?;
    tx.commit().await
}

async fn set_position(
    connection: &mut PgConnection,
    position: EventPosition,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE plasma_search.node SET transaction_id = $1, sequence = $2, written_at = $3")
        .bind(position.transaction)
        .bind(position.sequence)
        .bind(now)
        .execute(connection)
        .await
        .map(drop)
}

async fn write(
    connection: &mut PgConnection,
    changes: &[(ShardTable, Vec<NodeDocument>)],
    position: Option<EventPosition>,
    now: Timestamp,
) -> Result<Vec<(ShardTable, String)>, sqlx::Error> {
    let mut tx = connection.begin().await?;
    let mut failed = Vec::new();
    for (table, documents) in changes {
        // A savepoint, so that one shard that fails does not hold up the others.
        let mut part = sqlx::Connection::begin(&mut *tx).await?;
        match write_documents(&mut part, *table, documents).await {
            Ok(()) => part.commit().await?,
            Err(error) if is_of_the_shard(&error) => {
                part.rollback().await?;
                let reason = error.to_string();
                set_state(&mut tx, *table, ShardState::Failed, Some(&reason)).await?;
                failed.push((*table, reason));
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(position) = position {
        set_position(&mut tx, position, now).await?;
    }
    tx.commit().await?;
    Ok(failed)
}

/// Whether making the shard anew could help: its table is gone or damaged, or takes other vectors.
fn is_of_the_shard(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(database) = error else { return false };
    let code = database.code().unwrap_or_default();
    ["22", "42", "XX"].iter().any(|class| code.starts_with(class))
}

async fn write_documents(
    connection: &mut PgConnection,
    table: ShardTable,
    documents: &[NodeDocument],
) -> Result<(), sqlx::Error> {
    const DELETE: &str =
        "DELETE FROM {table} WHERE document = $1 AND ($2::bigint IS NULL OR (passage >> 32) <> $2::bigint)";
    let mut gained: i64 = 0;
    for document in documents {
        let deleted = sqlx::query(table.statement(DELETE))
            .bind(document_key(document.low))
            .bind(document.version.map(version_key))
            .execute(&mut *connection)
            .await?;
        gained -= i64::try_from(deleted.rows_affected()).unwrap_or(0);
    }
    gained += insert(connection, table, documents).await?;
    add_passages(connection, table, gained).await
}

async fn add_passages(connection: &mut PgConnection, table: ShardTable, gained: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE plasma_search.shards SET passages = passages + $4 WHERE collection = $1 AND generation = $2 AND number = $3",
    )
    .bind(table.collection.to_string())
    .bind(i64::from(table.generation))
    .bind(i64::from(table.number))
    .bind(gained)
    .execute(connection)
    .await
    .map(drop)
}

/// Inserts the passages that are not there yet, and returns how many they were.
async fn insert(
    connection: &mut PgConnection,
    table: ShardTable,
    documents: &[NodeDocument],
) -> Result<i64, sqlx::Error> {
    const INSERT: &str = "INSERT INTO {table} (document, passage, embedding)
        SELECT v.document, v.passage, v.embedding::halfvec
        FROM UNNEST($1::bigint[], $2::bigint[], $3::text[]) AS v(document, passage, embedding)
        ON CONFLICT (document, passage) DO NOTHING";
    let rows: Vec<(i64, i64, Option<String>)> = documents
        .iter()
        .filter_map(|document| document.version.map(|version| (document, version)))
        .flat_map(|(document, version)| {
            document.passages.iter().map(move |passage| {
                (document_key(document.low), passage_key(version, passage.ordinal), vector_text(&passage.vector))
            })
        })
        .collect();
    let mut inserted = 0;
    for rows in rows.chunks(ROWS_MAX) {
        let documents: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let passages: Vec<i64> = rows.iter().map(|row| row.1).collect();
        let vectors: Vec<Option<String>> = rows.iter().map(|row| row.2.clone()).collect();
        let done = sqlx::query(table.statement(INSERT))
            .bind(documents)
            .bind(passages)
            .bind(vectors)
            .execute(&mut *connection)
            .await?;
        inserted += i64::try_from(done.rows_affected()).unwrap_or(0);
    }
    Ok(inserted)
}

/// A vector in pgvector's text form; `None` for one without a direction.
fn vector_text(vector: &[f32]) -> Option<String> {
    use std::fmt::Write as _;

    if vector.iter().all(|number| *number == 0.0) {
        return None;
    }
    let mut text = String::with_capacity(vector.len() * 12);
    for (at, number) in vector.iter().enumerate() {
        let before = if at == 0 { '[' } else { ',' };
        // Writing to a string does not fail.
        let _ = write!(text, "{before}{number}");
    }
    text.push(']');
    Some(text)
}

async fn copy(connection: &mut PgConnection, page: &CopiedPage) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    for (table, documents) in &page.shards {
        let inserted = insert(&mut tx, *table, documents).await?;
        sqlx::query(
            "UPDATE plasma_search.shards
             SET passages = passages + $4, copied = copied + $5, copied_document = $6, copied_ordinal = $7
             WHERE collection = $1 AND generation = $2 AND number = $3",
        )
        .bind(table.collection.to_string())
        .bind(i64::from(table.generation))
        .bind(i64::from(table.number))
        .bind(inserted)
        .bind(i64::try_from(page.read).unwrap_or(0))
        .bind(page.last.0.as_str())
        .bind(i64::from(page.last.1))
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await
}

async fn set_state(
    connection: &mut PgConnection,
    table: ShardTable,
    state: ShardState,
    reason: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE plasma_search.shards SET state = $4, reason = $5 WHERE collection = $1 AND generation = $2 AND number = $3",
    )
    .bind(table.collection.to_string())
    .bind(i64::from(table.generation))
    .bind(i64::from(table.number))
    .bind(state.as_str())
    .bind(reason)
    .execute(connection)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_written_as_pgvector_reads_them() {
        assert_eq!(vector_text(&[0.5, -1.0, 0.0]).as_deref(), Some("[0.5,-1,0]"));
        assert_eq!(vector_text(&[1e-9]).as_deref(), Some("[0.000000001]"));
        assert_eq!(vector_text(&[0.0, 0.0]), None);
        assert_eq!(vector_text(&[]), None);
    }
}
