use plasma_kernel::{CollectionId, Result};
use plasma_store::{Row, Tx};

use crate::{DocumentError, Reembedding, ReembeddingState};

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A reembedding with what only the engine needs.
#[derive(Clone, Debug)]
pub(crate) struct StoredReembedding {
    pub(crate) reembedding: Reembedding,
    /// Numbers in a vector of the new model; `None` until the first one was made.
    pub(crate) dimensions: Option<usize>,
}

fn from_row(row: &Row) -> Result<StoredReembedding> {
    let dimensions: Option<i64> = row.get("dimensions")?;
    let error = match row.get::<Option<String>>("error_reason")? {
        Some(reason) => Some(DocumentError {
            reason,
            detail: row.get::<Option<String>>("error_detail")?.unwrap_or_default(),
            remedy: row.get("error_remedy")?,
        }),
        None => None,
    };
    let (done, passages): (u64, u64) = (row.get("done")?, row.get("passage_count")?);
    let state: ReembeddingState = row.get::<String>("state")?.parse()?;
    Ok(StoredReembedding {
        dimensions: dimensions.and_then(|dimensions| usize::try_from(dimensions).ok()),
        reembedding: Reembedding {
            collection_id: row.get("collection_id")?,
            generation: row.get("generation")?,
            model: row.get("model")?,
            state,
            // Passages of documents that were replaced or deleted meanwhile were embedded too.
            done: if state == ReembeddingState::Done { passages } else { done.min(passages) },
            total: passages,
            error,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            ended_at: row.get("ended_at")?,
        },
    })
}

/// Gives a new generation its number; the collection must be locked.
pub(crate) async fn next_generation(tx: &mut Tx, collection: CollectionId) -> Result<u64> {
    let tenant = tx.tenant()?;
    tx.fetch_one(
        "UPDATE collections SET embedding_generation_last = embedding_generation_last + 1
         WHERE tenant_id = $1 AND id = $2 RETURNING embedding_generation_last",
        [tenant.into(), collection.into()],
    )
    .await?
    .get("embedding_generation_last")
}

pub(crate) async fn insert(tx: &mut Tx, collection: CollectionId, generation: u64, model: &str) -> Result<()> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    tx.execute(
        "INSERT INTO collection_reembeddings (tenant_id, collection_id, generation, model, state, created_at, updated_at)
         VALUES ($1, $2, $3, $4, 'running', $5, $5)",
        [tenant.into(), collection.into(), number(generation).into(), model.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// The newest one of a collection.
pub(crate) async fn newest(tx: &mut Tx, collection: CollectionId) -> Result<Option<StoredReembedding>> {
    let tenant = tx.tenant()?;
    tx.fetch_optional(
        "SELECT r.*, c.passage_count FROM collection_reembeddings r
         JOIN collections c ON c.tenant_id = r.tenant_id AND c.id = r.collection_id
         WHERE r.tenant_id = $1 AND r.collection_id = $2 ORDER BY r.generation DESC LIMIT 1",
        [tenant.into(), collection.into()],
    )
    .await?
    .as_ref()
    .map(from_row)
    .transpose()
}

/// The one that makes `generation`, if it runs.
pub(crate) async fn running(
    tx: &mut Tx,
    collection: CollectionId,
    generation: u64,
) -> Result<Option<StoredReembedding>> {
    let newest = newest(tx, collection).await?;
    Ok(newest.filter(|stored| {
        stored.reembedding.generation == generation && stored.reembedding.state == ReembeddingState::Running
    }))
}

/// Adds embedded passages and, unless they are known, the dimensions; returns the dimensions that hold. `None` when it does not
/// run any more.
pub(crate) async fn advance(
    tx: &mut Tx,
    collection: CollectionId,
    generation: u64,
    passages: usize,
    dimensions: usize,
) -> Result<Option<usize>> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    let row = tx
        .fetch_optional(
            "UPDATE collection_reembeddings SET done = done + $4, dimensions = COALESCE(dimensions, $5), updated_at = $6
             WHERE tenant_id = $1 AND collection_id = $2 AND generation = $3 AND state = 'running' RETURNING dimensions",
            [
                tenant.into(),
                collection.into(),
                number(generation).into(),
                passages.into(),
                dimensions.into(),
                now.into(),
            ],
        )
        .await?;
    row.map(|row| row.get("dimensions")).transpose()
}

/// Ends one; `false` when it had ended.
pub(crate) async fn end(
    tx: &mut Tx,
    collection: CollectionId,
    generation: u64,
    state: ReembeddingState,
    error: Option<&DocumentError>,
) -> Result<bool> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    let changed = tx
        .execute(
            "UPDATE collection_reembeddings SET state = $4, error_reason = $5, error_detail = $6, error_remedy = $7,
                    updated_at = $8, ended_at = $8
             WHERE tenant_id = $1 AND collection_id = $2 AND generation = $3 AND state = 'running'",
            [
                tenant.into(),
                collection.into(),
                number(generation).into(),
                state.as_str().into(),
                error.map(|error| error.reason.as_str()).into(),
                error.map(|error| error.detail.as_str()).into(),
                error.and_then(|error| error.remedy.as_deref()).into(),
                now.into(),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Makes a generation the one that is searched; the collection must be locked.
pub(crate) async fn swap(tx: &mut Tx, collection: CollectionId, stored: &StoredReembedding) -> Result<()> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    let dimensions = stored.dimensions.and_then(|dimensions| i64::try_from(dimensions).ok());
    tx.execute(
        "UPDATE collections SET embedding_model = $3, dimensions = $4, embedding_generation = $5, updated_at = $6
         WHERE tenant_id = $1 AND id = $2",
        [
            tenant.into(),
            collection.into(),
            stored.reembedding.model.as_str().into(),
            dimensions.into(),
            number(stored.reembedding.generation).into(),
            now.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Removes the records of a deleted collection.
pub(crate) async fn delete_of(tx: &mut Tx, collection: CollectionId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "DELETE FROM collection_reembeddings WHERE tenant_id = $1 AND collection_id = $2",
        [tenant.into(), collection.into()],
    )
    .await?;
    Ok(())
}
