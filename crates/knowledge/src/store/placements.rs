//! Where collections' vectors are, and what search nodes need of the tables.

use plasma_kernel::{CollectionId, KnowledgeDocumentId, Result, TenantId};
use plasma_store::{Row, Sql, Tx};

use super::passages::{PassageVector, vector_from};
use crate::nodes::placement::{Place, PlacedCollection, Placement};

fn place_from(row: &Row, generation: &'static str, nodes: &'static str, split: &'static str) -> Result<Option<Place>> {
    let Some(generation) = row.get::<Option<u32>>(generation)? else { return Ok(None) };
    Ok(Some(Place {
        generation,
        nodes: row.optional_json(nodes)?.unwrap_or_default(),
        split: row.get::<Option<u32>>(split)?.unwrap_or(0),
    }))
}

fn placement_from(row: &Row) -> Result<Placement> {
    Ok(Placement {
        serving: place_from(row, "generation", "nodes", "split")?.unwrap_or_else(|| Place::in_process(0)),
        target: place_from(row, "target_generation", "target_nodes", "target_split")?,
        last_generation: row.get("last_generation")?,
        move_error: row.get("move_error")?,
        move_started_at: row.get("move_started_at")?,
    })
}

/// Where a collection is; in the processes' own indexes if nothing else was ever said.
pub(crate) async fn of(tx: &mut Tx, collection: CollectionId) -> Result<Placement> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT * FROM collection_placements WHERE tenant_id = $1 AND collection_id = $2",
            [tenant.into(), collection.into()],
        )
        .await?;
    row.as_ref().map_or_else(|| Ok(Placement::in_process()), placement_from)
}

/// The same, held until the transaction ends, if it has a row. The collection is locked first.
pub(crate) async fn lock(tx: &mut Tx, collection: CollectionId) -> Result<Placement> {
    const LOCK: Sql = Sql::each(
        "SELECT * FROM collection_placements WHERE tenant_id = $1 AND collection_id = $2",
        "SELECT * FROM collection_placements WHERE tenant_id = $1 AND collection_id = $2 FOR UPDATE",
    );
    let tenant = tx.tenant()?;
    let row = tx.fetch_optional(LOCK, [tenant.into(), collection.into()]).await?;
    row.as_ref().map_or_else(|| Ok(Placement::in_process()), placement_from)
}

pub(crate) async fn put(tx: &mut Tx, collection: CollectionId, placement: &Placement) -> Result<()> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    let target = placement.target.as_ref();
    tx.execute(
        "INSERT INTO collection_placements (tenant_id, collection_id, generation, nodes, split, target_generation, target_nodes,
                                            target_split, last_generation, move_error, move_started_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (tenant_id, collection_id) DO UPDATE
           SET generation = excluded.generation, nodes = excluded.nodes, split = excluded.split,
               target_generation = excluded.target_generation, target_nodes = excluded.target_nodes,
               target_split = excluded.target_split, last_generation = excluded.last_generation, move_error = excluded.move_error,
               move_started_at = excluded.move_started_at, updated_at = excluded.updated_at",
        [
            tenant.into(),
            collection.into(),
            placement.serving.generation.into(),
            plasma_store::Value::json(&placement.serving.nodes)?,
            placement.serving.split.into(),
            target.map(|target| target.generation).into(),
            plasma_store::Value::optional_json(target.map(|target| &target.nodes))?,
            target.map(|target| target.split).into(),
            placement.last_generation.into(),
            placement.move_error.as_deref().into(),
            placement.move_started_at.into(),
            now.into(),
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, collection: CollectionId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "DELETE FROM collection_placements WHERE tenant_id = $1 AND collection_id = $2",
        [tenant.into(), collection.into()],
    )
    .await?;
    Ok(())
}

/// A page of all tenants' collections that are on nodes or are being moved, after the given one.
pub(crate) async fn placed(
    tx: &mut Tx,
    after: Option<(TenantId, CollectionId)>,
    limit: u32,
) -> Result<Vec<PlacedCollection>> {
    let (tenant, collection) = match after {
        Some((tenant, collection)) => (tenant.to_string(), collection.to_string()),
        None => (String::new(), String::new()),
    };
    let rows = tx
        .fetch_all(
            "SELECT p.*, c.dimensions, c.recall_target, c.embedding_generation FROM collection_placements p
             JOIN collections c ON c.tenant_id = p.tenant_id AND c.id = p.collection_id
             WHERE (p.tenant_id, p.collection_id) > ($1, $2) AND (p.nodes <> '[]' OR p.target_generation IS NOT NULL)
             ORDER BY p.tenant_id, p.collection_id LIMIT $3",
            [tenant.into(), collection.into(), limit.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(PlacedCollection {
                tenant: row.get("tenant_id")?,
                collection: row.get("collection_id")?,
                dimensions: row.get("dimensions")?,
                vectors: row.get("embedding_generation")?,
                recall_target: row.get("recall_target")?,
                placement: placement_from(row)?,
            })
        })
        .collect()
}

/// Vectors of a version's passages from the ordinal `from` on.
pub(crate) async fn vectors_of_version(
    tx: &mut Tx,
    document: KnowledgeDocumentId,
    version: u32,
    from: u32,
    limit: u32,
) -> Result<Vec<PassageVector>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT p.ordinal,
                    CASE WHEN p.next_generation = c.embedding_generation THEN p.next_embedding ELSE p.embedding END AS embedding
             FROM passages p
             JOIN knowledge_documents d ON d.tenant_id = p.tenant_id AND d.id = p.document_id
             JOIN collections c ON c.tenant_id = d.tenant_id AND c.id = d.collection_id
             WHERE p.tenant_id = $1 AND p.document_id = $2 AND p.version = $3 AND p.ordinal >= $4
             ORDER BY p.ordinal LIMIT $5",
            [tenant.into(), document.into(), version.into(), from.into(), limit.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let embedding = vector_from(&row.get::<Vec<u8>>("embedding")?)?;
            Ok(PassageVector { document, version, ordinal: row.get("ordinal")?, embedding })
        })
        .collect()
}
