//! The nearest passages of one shard.

use std::{sync::Arc, time::Duration};

use plasma_kernel::{Result, TenantId};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::{
    ShardState, ShardTable,
    endpoint::Endpoint,
    error::{node_error, shard_not_ready},
    names::{document_key, key},
    position,
};
use crate::EventPosition;

/// Passages that a filter lets through, up to which comparing each of them is faster than looking for them in the index.
const EXACT_PASSAGES_MAX: u64 = 10_000;
/// The most that pgvector's `ef_search` takes.
pub(super) const EF_SEARCH_MAX: i64 = 1_000;

/// What is looked for in a shard.
#[derive(Clone, Debug)]
pub struct ShardQuery {
    /// Where.
    pub table: ShardTable,
    /// Whose collection it is: a shard of another tenant does not answer.
    pub tenant: TenantId,
    /// Not all zeros, and as long as the shard's vectors.
    pub vector: Arc<[f32]>,
    /// Which of the collection's vectors it is to be compared with: a shard that has others does not answer.
    pub vectors: u64,
    /// Passages at most.
    pub limit: u32,
    /// Which documents may be found.
    pub filter: ShardFilter,
    /// A database that is behind this position in the event log is passed over if another is not.
    pub wanted: EventPosition,
    /// Whether one that is behind is to search all the same, and not only to say how far it is.
    pub takes_stale: bool,
    /// The server gives up after this time.
    pub timeout: Duration,
}

/// Which documents a search may find, by the lower halves of their ids.
#[derive(Clone, Debug)]
pub enum ShardFilter {
    /// All.
    All,
    /// These.
    Only {
        /// The lower halves of their ids.
        documents: Vec<u64>,
        /// Passages that they have together.
        passages: u64,
    },
    /// All but these.
    Except {
        /// The lower halves of their ids.
        documents: Vec<u64>,
    },
}

/// What a shard answers.
#[derive(Clone, Debug)]
pub struct ShardAnswer {
    /// Keys of passages (the document's lower half, version, ordinal) with their cosine, nearest first.
    pub hits: Vec<(u128, f32)>,
    /// The answer knows everything up to here.
    pub position: EventPosition,
}

/// What the first statement of a search says of the shard.
struct Found {
    state: ShardState,
    reason: Option<String>,
    dimensions: i64,
    vectors: i64,
    copied: i64,
    passages: u64,
    has_index: bool,
    position: EventPosition,
}

/// Sets the session up for the search, until the transaction ends, and reads how far the shard is. The position is read before the
/// passages are: they are at least as new.
const BEGIN: &str = "
    SELECT n.transaction_id, n.sequence, s.state, s.reason, s.dimensions, s.vectors, s.copied, s.passages, s.has_index,
           set_config('hnsw.iterative_scan', 'relaxed_order', true),
           set_config('hnsw.ef_search', LEAST(GREATEST(s.ef_search, $5), $9)::text, true),
           set_config('hnsw.max_scan_tuples',
                      CASE WHEN $6 THEN LEAST(GREATEST(s.passages, 20000), 2147483647) ELSE 20000 END::text, true),
           set_config('enable_indexscan', CASE WHEN s.has_index AND NOT $7 THEN 'on' ELSE 'off' END, true),
           set_config('enable_seqscan', CASE WHEN s.has_index AND NOT $7 THEN 'off' ELSE 'on' END, true),
           set_config('statement_timeout', $8, true)
    FROM plasma_search.shards s CROSS JOIN plasma_search.node n
    WHERE s.collection = $1 AND s.generation = $2 AND s.number = $3 AND s.tenant_id = $4";

const ALL: &str = "
    SELECT document, passage, embedding <=> $1::real[]::halfvec AS distance FROM {table}
    WHERE embedding IS NOT NULL ORDER BY distance LIMIT $2";
const ONLY: &str = "
    SELECT document, passage, embedding <=> $1::real[]::halfvec AS distance FROM {table}
    WHERE embedding IS NOT NULL AND document = ANY($3) ORDER BY distance LIMIT $2";
const EXCEPT: &str = "
    SELECT document, passage, embedding <=> $1::real[]::halfvec AS distance FROM {table}
    WHERE embedding IS NOT NULL AND document <> ALL($3) ORDER BY distance LIMIT $2";

/// Without the index: every passage that the filter lets through is compared.
pub(super) const EXACTLY: &str =
    "SELECT set_config('enable_indexscan', 'off', true), set_config('enable_seqscan', 'on', true)";

/// Searches a shard. The future must not be dropped halfway: a transaction that is dropped while it begins may give its connection
/// back with the transaction open (transact-rs/sqlx #4393).
pub(super) async fn search(endpoint: &Endpoint, node: &str, query: &ShardQuery) -> Result<ShardAnswer> {
    let failed = |error| node_error(node, error);
    let mut tx = endpoint.pool().begin_with("BEGIN READ ONLY").await.map_err(failed)?;
    let Some(found) = begin(&mut tx, query).await.map_err(failed)? else {
        return Err(shard_not_ready(node, "the shard has not been made yet"));
    };
    match found.state {
        ShardState::Ready | ShardState::Indexing => {}
        ShardState::Copying => {
            let why = format!("its passages are being copied ({} so far)", found.copied);
            return Err(shard_not_ready(node, &why));
        }
        ShardState::Failed => {
            let why = found.reason.as_deref().unwrap_or("writing to it failed");
            return Err(shard_not_ready(node, &format!("the shard is made anew: {why}")));
        }
    }
    if i64::try_from(query.vectors) != Ok(found.vectors) {
        return Err(shard_not_ready(node, "it is filled anew for the collection's other embedding model"));
    }
    if i64::try_from(query.vector.len()) != Ok(found.dimensions) {
        return Err(shard_not_ready(
            node,
            &format!("its vectors have {} numbers, unlike the query's", found.dimensions),
        ));
    }
    if found.position < query.wanted && !query.takes_stale {
        tx.commit().await.map_err(failed)?;
        return Ok(ShardAnswer { hits: Vec::new(), position: found.position });
    }
    let mut hits = nearest(&mut tx, query).await.map_err(failed)?;
    let possible = match &query.filter {
        ShardFilter::All | ShardFilter::Except { .. } => found.passages,
        ShardFilter::Only { passages, .. } => *passages,
    };
    let is_short = (hits.len() as u64) < possible.min(u64::from(query.limit));
    if is_short && found.has_index && !is_exact(query) {
        // The index gave up before the filter had let enough through.
        sqlx::query(EXACTLY).execute(&mut *tx).await.map_err(failed)?;
        hits = nearest(&mut tx, query).await.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)?;
    Ok(ShardAnswer { hits, position: found.position })
}

fn is_exact(query: &ShardQuery) -> bool {
    matches!(&query.filter, ShardFilter::Only { passages, .. } if *passages <= EXACT_PASSAGES_MAX)
}

async fn begin(connection: &mut PgConnection, query: &ShardQuery) -> Result<Option<Found>, sqlx::Error> {
    let is_filtered = !matches!(query.filter, ShardFilter::All);
    let row = sqlx::query(BEGIN)
        .bind(query.table.collection.to_string())
        .bind(i64::from(query.table.generation))
        .bind(i64::from(query.table.number))
        .bind(query.tenant.to_string())
        .bind(i64::from(query.limit))
        .bind(is_filtered)
        .bind(is_exact(query))
        .bind(query.timeout.as_millis().max(1).to_string())
        .bind(EF_SEARCH_MAX)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(found_from).transpose()
}

fn found_from(row: &PgRow) -> Result<Found, sqlx::Error> {
    let state: String = row.try_get("state")?;
    let passages: i64 = row.try_get("passages")?;
    Ok(Found {
        state: ShardState::from_text(&state),
        reason: row.try_get("reason")?,
        dimensions: row.try_get("dimensions")?,
        vectors: row.try_get("vectors")?,
        copied: row.try_get("copied")?,
        passages: u64::try_from(passages).unwrap_or(0),
        has_index: row.try_get("has_index")?,
        position: position(row.try_get("transaction_id")?, row.try_get("sequence")?),
    })
}

async fn nearest(connection: &mut PgConnection, query: &ShardQuery) -> Result<Vec<(u128, f32)>, sqlx::Error> {
    let (text, documents) = match &query.filter {
        ShardFilter::All => (ALL, None),
        ShardFilter::Only { documents, .. } => (ONLY, Some(documents)),
        ShardFilter::Except { documents } => (EXCEPT, Some(documents)),
    };
    let vector: Vec<f32> = query.vector.to_vec();
    let mut statement = sqlx::query(query.table.statement(text)).bind(vector).bind(i64::from(query.limit));
    if let Some(documents) = documents {
        let documents: Vec<i64> = documents.iter().map(|low| document_key(*low)).collect();
        statement = statement.bind(documents);
    }
    let rows = statement.fetch_all(connection).await?;
    let mut hits = rows.iter().map(hit_from).collect::<Result<Vec<_>, _>>()?;
    // In relaxed order, the index may be out of order by a little.
    hits.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    Ok(hits)
}

fn hit_from(row: &PgRow) -> Result<(u128, f32), sqlx::Error> {
    let distance: f64 = row.try_get("distance")?;
    #[allow(clippy::cast_possible_truncation)] // it is at most 2
    let similarity = (1.0 - distance) as f32;
    Ok((key(row.try_get("document")?, row.try_get("passage")?), similarity))
}
