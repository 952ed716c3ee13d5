use plasma_kernel::{CollectionId, Error, Result, Timestamp};
use plasma_store::Tx;

use crate::SynonymSets;

/// A collection's synonyms and when they were written.
pub(crate) async fn get(tx: &mut Tx, collection: CollectionId) -> Result<Option<(SynonymSets, Timestamp)>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT synonyms, updated_at FROM collection_synonyms WHERE tenant_id = $1 AND collection_id = $2",
            [tenant.into(), collection.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let text: String = row.get("synonyms")?;
    let sets = serde_json::from_str(&text).map_err(|error| Error::from_source("column synonyms", error))?;
    Ok(Some((sets, row.get("updated_at")?)))
}

/// Writes a locked collection's synonyms.
pub(crate) async fn put(tx: &mut Tx, collection: CollectionId, sets: &SynonymSets, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    let text = serde_json::to_string(sets).map_err(|error| Error::from_source("synonyms to JSON", error))?;
    tx.execute(
        "INSERT INTO collection_synonyms (tenant_id, collection_id, synonyms, updated_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, collection_id) DO UPDATE SET synonyms = excluded.synonyms, updated_at = excluded.updated_at",
        [tenant.into(), collection.into(), text.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Removes the synonyms of a collection that is being deleted.
pub(crate) async fn delete(tx: &mut Tx, collection: CollectionId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "DELETE FROM collection_synonyms WHERE tenant_id = $1 AND collection_id = $2",
        [tenant.into(), collection.into()],
    )
    .await?;
    Ok(())
}
