//! Vectors of passages beside those that are searched: what was embedded before, and other generations.
//!
//! A passage's vector of the collection's generation stands in `next_embedding` when `next_generation` is that generation, else in
//! `embedding`.

use plasma_kernel::{CollectionId, KnowledgeDocumentId, Result};
use plasma_store::Tx;

use super::passages::{vector_bytes, vector_from};

fn number(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}

/// The vector of some passage of the tenant that was made of the same.
pub(crate) async fn known(tx: &mut Tx, input_hash: &str) -> Result<Option<Vec<f32>>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT embedding FROM passages WHERE tenant_id = $1 AND input_hash = $2 LIMIT 1",
            [tenant.into(), input_hash.into()],
        )
        .await?;
    row.map(|row| vector_from(&row.get::<Vec<u8>>("embedding")?)).transpose()
}

/// Whether a version has passages whose vectors are of another generation than `generation`.
pub(crate) async fn has_others(
    tx: &mut Tx,
    document: KnowledgeDocumentId,
    version: u32,
    generation: u64,
) -> Result<bool> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT 1 AS found FROM passages
             WHERE tenant_id = $1 AND document_id = $2 AND version = $3 AND embedding_generation <> $4 LIMIT 1",
            [tenant.into(), document.into(), version.into(), number(generation).into()],
        )
        .await?;
    Ok(row.is_some())
}

/// A searchable version that lacks vectors of a generation.
pub(crate) struct LackingDocument {
    pub(crate) document: KnowledgeDocumentId,
    pub(crate) version: u32,
    pub(crate) title: String,
}

/// Up to `limit` searchable versions of a collection that are not wholly embedded for `generation`, by id, after the given one.
pub(crate) async fn lacking_documents(
    tx: &mut Tx,
    collection: CollectionId,
    generation: u64,
    after: Option<KnowledgeDocumentId>,
    limit: u32,
) -> Result<Vec<LackingDocument>> {
    let tenant = tx.tenant()?;
    let after = after.map(|document| document.to_string()).unwrap_or_default();
    let rows = tx
        .fetch_all(
            "SELECT d.id, v.version, v.title FROM knowledge_documents d
             JOIN knowledge_versions v ON v.tenant_id = d.tenant_id AND v.document_id = d.id AND v.version = d.live_version
             WHERE d.tenant_id = $1 AND d.collection_id = $2 AND d.id > $3
               AND (d.reembedded_generation IS NULL OR d.reembedded_generation <> $4
                    OR d.reembedded_version <> d.live_version)
             ORDER BY d.id LIMIT $5",
            [tenant.into(), collection.into(), after.into(), number(generation).into(), limit.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(LackingDocument { document: row.get("id")?, version: row.get("version")?, title: row.get("title")? })
        })
        .collect()
}

/// A passage to embed for another generation.
pub(crate) struct LackingPassage {
    pub(crate) ordinal: u32,
    pub(crate) heading: Option<String>,
    pub(crate) text: String,
    pub(crate) token_count: usize,
}

/// Up to `limit` passages of a version without a vector of `generation`, in order, from the ordinal `from` on.
pub(crate) async fn lacking_passages(
    tx: &mut Tx,
    document: &LackingDocument,
    generation: u64,
    from: u32,
    limit: u32,
) -> Result<Vec<LackingPassage>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT ordinal, heading, text, token_count FROM passages
             WHERE tenant_id = $1 AND document_id = $2 AND version = $3 AND ordinal >= $5
               AND (next_generation IS NULL OR next_generation <> $4)
             ORDER BY ordinal LIMIT $6",
            [
                tenant.into(),
                document.document.into(),
                document.version.into(),
                number(generation).into(),
                from.into(),
                limit.into(),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(LackingPassage {
                ordinal: row.get("ordinal")?,
                heading: row.get("heading")?,
                text: row.get("text")?,
                token_count: row.get("token_count")?,
            })
        })
        .collect()
}

/// A vector of the coming generation.
pub(crate) struct NextVector<'a> {
    pub(crate) document: KnowledgeDocumentId,
    pub(crate) version: u32,
    pub(crate) ordinal: u32,
    pub(crate) vector: &'a [f32],
    pub(crate) input_hash: &'a str,
    /// Of this vector.
    pub(crate) generation: u64,
    /// Of the vectors that are searched: one of it that stood in the same place is moved to `embedding` first.
    pub(crate) searched: u64,
}

/// Writes one; nothing happens when the passage is gone.
pub(crate) async fn set_next(tx: &mut Tx, next: NextVector<'_>) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE passages SET
             embedding = CASE WHEN next_generation = $8 THEN next_embedding ELSE embedding END,
             input_hash = CASE WHEN next_generation = $8 THEN next_input_hash ELSE input_hash END,
             embedding_generation = CASE WHEN next_generation = $8 THEN next_generation ELSE embedding_generation END,
             next_embedding = $5, next_input_hash = $6, next_generation = $7
         WHERE tenant_id = $1 AND document_id = $2 AND version = $3 AND ordinal = $4",
        [
            tenant.into(),
            next.document.into(),
            next.version.into(),
            next.ordinal.into(),
            vector_bytes(next.vector).into(),
            next.input_hash.into(),
            number(next.generation).into(),
            number(next.searched).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Notes that all passages of a version have vectors of `generation`, if it is still the one that is searched.
pub(crate) async fn set_reembedded(
    tx: &mut Tx,
    document: KnowledgeDocumentId,
    version: u32,
    generation: u64,
) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE knowledge_documents SET reembedded_version = $3, reembedded_generation = $4
         WHERE tenant_id = $1 AND id = $2 AND live_version = $3",
        [tenant.into(), document.into(), version.into(), number(generation).into()],
    )
    .await?;
    Ok(())
}

/// Up to `limit` documents of a collection whose passages may have vectors of `generation` in their second place, after the given one.
/// Those that were being embedded when the generation was given up are among them, so that all documents are looked at.
pub(crate) async fn documents_after(
    tx: &mut Tx,
    collection: CollectionId,
    after: Option<KnowledgeDocumentId>,
    limit: u32,
) -> Result<Vec<KnowledgeDocumentId>> {
    let tenant = tx.tenant()?;
    let after = after.map(|document| document.to_string()).unwrap_or_default();
    let rows = tx
        .fetch_all(
            "SELECT id FROM knowledge_documents WHERE tenant_id = $1 AND collection_id = $2 AND id > $3 ORDER BY id LIMIT $4",
            [tenant.into(), collection.into(), after.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Up to `limit` passages of a document with a vector of `generation` in their second place: version and ordinal.
pub(crate) async fn of_generation(
    tx: &mut Tx,
    document: KnowledgeDocumentId,
    generation: u64,
    limit: u32,
) -> Result<Vec<(u32, u32)>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT version, ordinal FROM passages WHERE tenant_id = $1 AND document_id = $2 AND next_generation = $3
             ORDER BY version, ordinal LIMIT $4",
            [tenant.into(), document.into(), number(generation).into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get("version")?, row.get("ordinal")?))).collect()
}

/// Empties the second place of a passage that holds a vector of `generation`: the vector becomes the passage's only one when
/// `keep` says so, else it is forgotten.
pub(crate) async fn settle(
    tx: &mut Tx,
    document: KnowledgeDocumentId,
    (version, ordinal): (u32, u32),
    generation: u64,
    keep: bool,
) -> Result<()> {
    let tenant = tx.tenant()?;
    let sql = if keep {
        "UPDATE passages SET embedding = next_embedding, input_hash = next_input_hash,
                embedding_generation = next_generation,
                next_embedding = NULL, next_input_hash = NULL, next_generation = NULL
         WHERE tenant_id = $1 AND document_id = $2 AND version = $3 AND ordinal = $4 AND next_generation = $5"
    } else {
        "UPDATE passages SET next_embedding = NULL, next_input_hash = NULL, next_generation = NULL
         WHERE tenant_id = $1 AND document_id = $2 AND version = $3 AND ordinal = $4 AND next_generation = $5"
    };
    tx.execute(sql, [tenant.into(), document.into(), version.into(), ordinal.into(), number(generation).into()])
        .await?;
    Ok(())
}
