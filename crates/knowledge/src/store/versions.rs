use plasma_kernel::{CollectionId, Error, KnowledgeDocumentId, QuotaResource, Result, Timestamp};
use plasma_store::{Row, Tx};

use super::access::access_from;
use crate::{Access, Metadata, index::language::Language};

/// A version of a document to write.
pub(crate) struct NewVersion<'a> {
    pub(crate) document: KnowledgeDocumentId,
    pub(crate) version: u32,
    pub(crate) collection: CollectionId,
    pub(crate) blob: &'a str,
    pub(crate) title: &'a str,
    pub(crate) title_is_guessed: bool,
    pub(crate) file_name: Option<&'a str>,
    pub(crate) media_type: &'a str,
    pub(crate) size_bytes: usize,
    pub(crate) metadata: &'a Metadata,
    /// As the caller names it; otherwise it is found when the version is read.
    pub(crate) language: Option<&'a str>,
}

/// A version that is searched, as the index shows it.
#[derive(Clone, Debug)]
pub(crate) struct LiveVersion {
    pub(crate) document: KnowledgeDocumentId,
    pub(crate) version: u32,
    pub(crate) title: String,
    pub(crate) metadata: Metadata,
    pub(crate) language: Language,
    /// When the document was first brought.
    pub(crate) created_at: Timestamp,
    /// When this version was brought.
    pub(crate) updated_at: Timestamp,
    /// Who may see it; `None`: everybody.
    pub(crate) access: Option<Access>,
    pub(crate) passages: u32,
}

/// The blob that holds a version's extracted text.
pub(crate) fn text_blob(blob: &str) -> String {
    format!("{blob}.text")
}

pub(crate) fn metadata_from(row: &Row) -> Result<Metadata> {
    let text: String = row.get("metadata")?;
    serde_json::from_str(&text).map_err(|error| Error::from_source("column metadata", error))
}

fn live_from(row: &Row) -> Result<LiveVersion> {
    Ok(LiveVersion {
        document: row.get("document_id")?,
        version: row.get("version")?,
        title: row.get("title")?,
        metadata: metadata_from(row)?,
        language: Language::from_code(&row.get::<String>("language")?).unwrap_or_default(),
        created_at: row.get("created_at")?,
        updated_at: row.get("version_at")?,
        access: access_from(row)?,
        passages: row.get("passage_count")?,
    })
}

/// Refuses when the tenant's plan does not allow that many more bytes.
pub(crate) async fn insert(tx: &mut Tx, version: NewVersion<'_>) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.take_quota(QuotaResource::StorageBytes, version.size_bytes as u64).await?;
    let now = tx.ctx().now();
    let metadata =
        serde_json::to_string(version.metadata).map_err(|error| Error::from_source("metadata to JSON", error))?;
    tx.execute(
        "INSERT INTO knowledge_versions (tenant_id, document_id, version, collection_id, blob, title, title_is_guessed,
                                         file_name, media_type, size_bytes, metadata, created_at, language)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        [
            tenant.into(),
            version.document.into(),
            version.version.into(),
            version.collection.into(),
            version.blob.into(),
            version.title.into(),
            version.title_is_guessed.into(),
            version.file_name.into(),
            version.media_type.into(),
            version.size_bytes.into(),
            metadata.into(),
            now.into(),
            version.language.unwrap_or_default().into(),
        ],
    )
    .await?;
    Ok(())
}

/// What parsing found.
pub(crate) struct ParsedVersion<'a> {
    pub(crate) title: &'a str,
    pub(crate) media_type: &'a str,
    /// Of the text, in code points.
    pub(crate) character_count: usize,
    pub(crate) language: Language,
}

/// Writes what parsing found.
pub(crate) async fn set_parsed(
    tx: &mut Tx,
    document: KnowledgeDocumentId,
    version: u32,
    parsed: ParsedVersion<'_>,
) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE knowledge_versions SET title = $4, media_type = $5, character_count = $6, language = $7
         WHERE tenant_id = $1 AND document_id = $2 AND version = $3",
        [
            tenant.into(),
            document.into(),
            version.into(),
            parsed.title.into(),
            parsed.media_type.into(),
            parsed.character_count.into(),
            parsed.language.code().into(),
        ],
    )
    .await?;
    Ok(())
}

/// The blob of a version, if it is still there.
pub(crate) async fn blob_of(tx: &mut Tx, document: KnowledgeDocumentId, version: u32) -> Result<Option<String>> {
    let tenant = tx.tenant()?;
    tx.fetch_optional(
        "SELECT blob FROM knowledge_versions WHERE tenant_id = $1 AND document_id = $2 AND version = $3",
        [tenant.into(), document.into(), version.into()],
    )
    .await?
    .map(|row| row.get("blob"))
    .transpose()
}

/// All versions of a document that have rows, with their blobs.
pub(crate) async fn all(tx: &mut Tx, document: KnowledgeDocumentId) -> Result<Vec<u32>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT version FROM knowledge_versions WHERE tenant_id = $1 AND document_id = $2 ORDER BY version",
            [tenant.into(), document.into()],
        )
        .await?;
    rows.iter().map(|row| row.get("version")).collect()
}

pub(crate) async fn delete(tx: &mut Tx, document: KnowledgeDocumentId, version: u32) -> Result<()> {
    let tenant = tx.tenant()?;
    let deleted = tx
        .fetch_optional(
            "DELETE FROM knowledge_versions WHERE tenant_id = $1 AND document_id = $2 AND version = $3
             RETURNING size_bytes",
            [tenant.into(), document.into(), version.into()],
        )
        .await?;
    match deleted {
        Some(row) => tx.give_back_quota(QuotaResource::StorageBytes, row.get("size_bytes")?).await,
        None => Ok(()),
    }
}

/// The searchable version of a document; `None` when it has none, is deleted, or its collection is.
pub(crate) async fn live(
    tx: &mut Tx,
    collection: CollectionId,
    document: KnowledgeDocumentId,
) -> Result<Option<LiveVersion>> {
    let tenant = tx.tenant()?;
    tx.fetch_optional(
        "SELECT v.document_id, v.version, v.title, v.metadata, v.language, v.created_at AS version_at, d.created_at,
                d.passage_count, d.access
         FROM knowledge_documents d
         JOIN collections c ON c.tenant_id = d.tenant_id AND c.id = d.collection_id
         JOIN knowledge_versions v ON v.tenant_id = d.tenant_id AND v.document_id = d.id AND v.version = d.live_version
         WHERE d.tenant_id = $1 AND d.collection_id = $2 AND d.id = $3",
        [tenant.into(), collection.into(), document.into()],
    )
    .await?
    .as_ref()
    .map(live_from)
    .transpose()
}

/// A page of a collection's searchable versions, in the order of their documents' ids.
pub(crate) async fn live_of_collection(
    tx: &mut Tx,
    collection: CollectionId,
    after: Option<KnowledgeDocumentId>,
    limit: u32,
) -> Result<Vec<LiveVersion>> {
    let tenant = tx.tenant()?;
    let after = after.map(|document| document.to_string()).unwrap_or_default();
    let rows = tx
        .fetch_all(
            "SELECT v.document_id, v.version, v.title, v.metadata, v.language, v.created_at AS version_at, d.created_at,
                    d.passage_count, d.access
             FROM knowledge_documents d
             JOIN knowledge_versions v ON v.tenant_id = d.tenant_id AND v.document_id = d.id AND v.version = d.live_version
             WHERE d.tenant_id = $1 AND d.collection_id = $2 AND d.id > $3 ORDER BY d.id LIMIT $4",
            [tenant.into(), collection.into(), after.into(), limit.into()],
        )
        .await?;
    rows.iter().map(live_from).collect()
}
