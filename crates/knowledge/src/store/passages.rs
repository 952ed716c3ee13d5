use plasma_kernel::{ChunkId, CollectionId, Error, KnowledgeDocumentId, Result};
use plasma_store::{Row, Sql, Tx};

use crate::PassageRange;

/// A passage to write.
pub(crate) struct NewPassage<'a> {
    pub(crate) ordinal: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) heading: Option<&'a str>,
    pub(crate) page: Option<u32>,
    pub(crate) word_count: usize,
    pub(crate) token_count: usize,
    pub(crate) text: &'a str,
    /// Of length 1, unless it is all zeros.
    pub(crate) embedding: &'a [f32],
}

/// A passage as the index takes it up.
#[derive(Clone, Debug)]
pub(crate) struct IndexedPassage {
    pub(crate) ordinal: u32,
    pub(crate) heading: Option<String>,
    pub(crate) text: String,
    /// Empty when it was not asked for.
    pub(crate) embedding: Vec<f32>,
}

/// A passage as a result shows it.
#[derive(Clone, Debug)]
pub(crate) struct ShownPassage {
    pub(crate) id: ChunkId,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) heading: Option<String>,
    pub(crate) text: String,
}

/// Which passage: document, version, ordinal.
pub(crate) type PassagePlace = (KnowledgeDocumentId, u32, u32);

/// Writes a passage of a version; one that is there already stays as it is.
pub(crate) async fn insert(
    tx: &mut Tx,
    document: KnowledgeDocumentId,
    version: u32,
    passage: NewPassage<'_>,
) -> Result<()> {
    let tenant = tx.tenant()?;
    let id = ChunkId::new(tx.ctx());
    let embedding: Vec<u8> = passage.embedding.iter().flat_map(|number| number.to_le_bytes()).collect();
    tx.execute(
        "INSERT INTO passages (tenant_id, document_id, version, ordinal, id, start_offset, end_offset, heading, page,
                               word_count, token_count, text, embedding)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (tenant_id, document_id, version, ordinal) DO NOTHING",
        [
            tenant.into(),
            document.into(),
            version.into(),
            passage.ordinal.into(),
            id.into(),
            passage.start.into(),
            passage.end.into(),
            passage.heading.into(),
            passage.page.map(i64::from).into(),
            passage.word_count.into(),
            passage.token_count.into(),
            passage.text.into(),
            embedding.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Where each passage of a version is that has been written so far, in order.
pub(crate) async fn ranges(tx: &mut Tx, document: KnowledgeDocumentId, version: u32) -> Result<Vec<PassageRange>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT id, ordinal, start_offset, end_offset, heading FROM passages
             WHERE tenant_id = $1 AND document_id = $2 AND version = $3 ORDER BY ordinal",
            [tenant.into(), document.into(), version.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(PassageRange {
                id: row.get("id")?,
                ordinal: row.get("ordinal")?,
                start: row.get("start_offset")?,
                end: row.get("end_offset")?,
                heading: row.get("heading")?,
            })
        })
        .collect()
}

/// How much of a version has been written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrittenPassages {
    pub(crate) passages: usize,
    /// Words as the text index counts them.
    pub(crate) words: usize,
}

pub(crate) async fn written(tx: &mut Tx, document: KnowledgeDocumentId, version: u32) -> Result<WrittenPassages> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_one(
            "SELECT COUNT(*) AS passages, CAST(COALESCE(SUM(word_count), 0) AS BIGINT) AS words FROM passages
             WHERE tenant_id = $1 AND document_id = $2 AND version = $3",
            [tenant.into(), document.into(), version.into()],
        )
        .await?;
    Ok(WrittenPassages { passages: row.get("passages")?, words: row.get("words")? })
}

/// Deletes up to `limit` passages of a version and returns how many they were.
pub(crate) async fn delete_some(tx: &mut Tx, document: KnowledgeDocumentId, version: u32, limit: u32) -> Result<u64> {
    let tenant = tx.tenant()?;
    tx.execute(
        "DELETE FROM passages WHERE tenant_id = $1 AND document_id = $2 AND version = $3 AND ordinal IN (
             SELECT ordinal FROM passages WHERE tenant_id = $1 AND document_id = $2 AND version = $3
             ORDER BY ordinal LIMIT $4)",
        [tenant.into(), document.into(), version.into(), limit.into()],
    )
    .await
}

fn indexed_from(row: &Row, with_embedding: bool) -> Result<IndexedPassage> {
    let embedding = if with_embedding { vector_from(&row.get::<Vec<u8>>("embedding")?)? } else { Vec::new() };
    Ok(IndexedPassage { ordinal: row.get("ordinal")?, heading: row.get("heading")?, text: row.get("text")?, embedding })
}

pub(super) fn vector_from(bytes: &[u8]) -> Result<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Error::internal("column embedding does not hold whole numbers"));
    }
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

/// Up to `limit` passages of a version from the ordinal `from` on.
pub(crate) async fn page(
    tx: &mut Tx,
    document: KnowledgeDocumentId,
    version: u32,
    from: u32,
    limit: u32,
    with_embedding: bool,
) -> Result<Vec<IndexedPassage>> {
    let tenant = tx.tenant()?;
    let sql = if with_embedding {
        "SELECT ordinal, heading, text, embedding FROM passages
         WHERE tenant_id = $1 AND document_id = $2 AND version = $3 AND ordinal >= $4 ORDER BY ordinal LIMIT $5"
    } else {
        "SELECT ordinal, heading, text FROM passages
         WHERE tenant_id = $1 AND document_id = $2 AND version = $3 AND ordinal >= $4 ORDER BY ordinal LIMIT $5"
    };
    let rows = tx.fetch_all(sql, [tenant.into(), document.into(), version.into(), from.into(), limit.into()]).await?;
    rows.iter().map(|row| indexed_from(row, with_embedding)).collect()
}

/// These passages as results show them; those that are gone are left out. The caller bounds their number.
pub(crate) async fn shown(tx: &mut Tx, places: &[PassagePlace]) -> Result<Vec<(PassagePlace, ShownPassage)>> {
    // One statement for all: the list is short, and each of it is found by the primary key.
    const SHOWN: Sql = Sql::each(
        "SELECT p.document_id, p.version, p.ordinal, p.id, p.start_offset, p.end_offset, p.heading, p.text
         FROM json_each($2) k CROSS JOIN passages p
         WHERE p.tenant_id = $1 AND p.document_id = json_extract(k.value, '$[0]')
           AND p.version = json_extract(k.value, '$[1]') AND p.ordinal = json_extract(k.value, '$[2]')",
        "SELECT p.document_id, p.version, p.ordinal, p.id, p.start_offset, p.end_offset, p.heading, p.text
         FROM jsonb_array_elements($2::jsonb) AS k(value) JOIN passages p
           ON p.document_id = k.value ->> 0 AND p.version = (k.value ->> 1)::bigint AND p.ordinal = (k.value ->> 2)::bigint
         WHERE p.tenant_id = $1",
    );
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let tenant = tx.tenant()?;
    let places = serde_json::to_string(places).map_err(|error| Error::from_source("places to JSON", error))?;
    let rows = tx.fetch_all(SHOWN, [tenant.into(), places.into()]).await?;
    rows.iter()
        .map(|row| {
            let place = (row.get("document_id")?, row.get("version")?, row.get("ordinal")?);
            let passage = ShownPassage {
                id: row.get("id")?,
                start: row.get("start_offset")?,
                end: row.get("end_offset")?,
                heading: row.get("heading")?,
                text: row.get("text")?,
            };
            Ok((place, passage))
        })
        .collect()
}

/// The vector of a passage.
pub(crate) struct PassageVector {
    pub(crate) document: KnowledgeDocumentId,
    pub(crate) version: u32,
    pub(crate) ordinal: u32,
    pub(crate) embedding: Vec<f32>,
}

/// A page of the vectors of a collection's searchable passages, ordered by document and ordinal, after the given place.
pub(crate) async fn vectors_of_collection(
    tx: &mut Tx,
    collection: CollectionId,
    after: Option<(KnowledgeDocumentId, u32)>,
    limit: u32,
) -> Result<Vec<PassageVector>> {
    let tenant = tx.tenant()?;
    let (document, ordinal) = match after {
        Some((document, ordinal)) => (document.to_string(), i64::from(ordinal)),
        None => (String::new(), -1),
    };
    let rows = tx
        .fetch_all(
            "SELECT p.document_id, p.version, p.ordinal, p.embedding
             FROM knowledge_documents d
             JOIN passages p ON p.tenant_id = d.tenant_id AND p.document_id = d.id AND p.version = d.live_version
             WHERE d.tenant_id = $1 AND d.collection_id = $2 AND d.id >= $3
               AND (d.id > $3 OR p.ordinal > $4)
             ORDER BY d.id, p.ordinal LIMIT $5",
            [tenant.into(), collection.into(), document.into(), ordinal.into(), limit.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(PassageVector {
                document: row.get("document_id")?,
                version: row.get("version")?,
                ordinal: row.get("ordinal")?,
                embedding: vector_from(&row.get::<Vec<u8>>("embedding")?)?,
            })
        })
        .collect()
}
