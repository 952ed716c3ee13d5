//! Who may see which documents. Each document's row has it as JSON, and the table of readers has the same for conditions.

use std::collections::HashMap;

use plasma_kernel::{CollectionId, Error, KnowledgeDocumentId, Result};
use plasma_store::{Row, Sql, Tx, id_array};

use super::{
    collections::{self, CountChange},
    documents::StoredDocument,
};
use crate::Access;

/// The column `access` of a document.
pub(crate) fn access_from(row: &Row) -> Result<Option<Access>> {
    let text: Option<String> = row.get("access")?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| Error::from_source("column access", error))).transpose()
}

/// The column `access` for a document.
pub(super) fn access_text(access: Option<&Access>) -> Result<Option<String>> {
    access
        .map(|access| serde_json::to_string(access).map_err(|error| Error::from_source("access to JSON", error)))
        .transpose()
}

/// Changes who may see a locked document.
pub(crate) async fn set(tx: &mut Tx, stored: &StoredDocument, access: Option<&Access>) -> Result<()> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    let document = &stored.document;
    tx.execute(
        "UPDATE knowledge_documents SET access = $3, updated_at = $4 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), document.id.into(), access_text(access)?.into(), now.into()],
    )
    .await?;
    delete_readers(tx, document.id).await?;
    insert_readers(tx, document.id, access).await?;
    let restricted = i64::from(access.is_some()) - i64::from(document.access.is_some());
    if restricted == 0 {
        return Ok(());
    }
    collections::adjust(tx, document.collection_id, CountChange { restricted, ..CountChange::default() }).await
}

pub(super) async fn insert_readers(tx: &mut Tx, id: KnowledgeDocumentId, access: Option<&Access>) -> Result<()> {
    const INSERT: Sql = Sql::each(
        "INSERT INTO knowledge_document_readers (tenant_id, document_id, reader)
         SELECT $1, $2, value FROM json_each($3)",
        "INSERT INTO knowledge_document_readers (tenant_id, document_id, reader)
         SELECT $1, $2, jsonb_array_elements_text($3::jsonb)",
    );
    let readers = access.map(Access::readers).unwrap_or_default();
    if readers.is_empty() {
        return Ok(());
    }
    let tenant = tx.tenant()?;
    tx.execute(INSERT, [tenant.into(), id.into(), id_array(readers)]).await?;
    Ok(())
}

pub(super) async fn delete_readers(tx: &mut Tx, id: KnowledgeDocumentId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "DELETE FROM knowledge_document_readers WHERE tenant_id = $1 AND document_id = $2",
        [tenant.into(), id.into()],
    )
    .await?;
    Ok(())
}

/// Those of the given documents of a collection that not everybody may see, with who may.
pub(crate) async fn restricted_among(
    tx: &mut Tx,
    collection: CollectionId,
    documents: impl IntoIterator<Item = KnowledgeDocumentId>,
) -> Result<HashMap<KnowledgeDocumentId, Access>> {
    const RESTRICTED: Sql = Sql::each(
        "SELECT id, access FROM knowledge_documents WHERE tenant_id = $1 AND collection_id = $2 AND access IS NOT NULL
           AND id IN (SELECT value FROM json_each($3))",
        "SELECT id, access FROM knowledge_documents WHERE tenant_id = $1 AND collection_id = $2 AND access IS NOT NULL
           AND id IN (SELECT jsonb_array_elements_text($3::jsonb))",
    );
    let tenant = tx.tenant()?;
    let rows = tx.fetch_all(RESTRICTED, [tenant.into(), collection.into(), id_array(documents)]).await?;
    let read = rows.iter().map(|row| Ok((row.get("id")?, access_from(row)?.unwrap_or_default())));
    read.collect()
}

/// What the counts of a collection have too much for someone who does not see all of its documents.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hidden {
    pub(crate) documents: u64,
    pub(crate) ready: u64,
    pub(crate) failed: u64,
    pub(crate) passages: u64,
}

/// What these readers do not see of each of the given collections, or of all with `None`.
pub(crate) async fn hidden(
    tx: &mut Tx,
    collections: Option<Vec<CollectionId>>,
    readers: Vec<String>,
) -> Result<HashMap<CollectionId, Hidden>> {
    const HIDDEN: Sql = Sql::each(
        "SELECT d.collection_id, COUNT(*) AS documents,
                CAST(SUM(CASE WHEN d.state = 'ready' THEN 1 ELSE 0 END) AS BIGINT) AS ready,
                CAST(SUM(CASE WHEN d.state = 'failed' THEN 1 ELSE 0 END) AS BIGINT) AS failed,
                CAST(SUM(d.passage_count) AS BIGINT) AS passages
         FROM knowledge_documents d
         JOIN collections c ON c.tenant_id = d.tenant_id AND c.id = d.collection_id
         WHERE d.tenant_id = $1 AND d.access IS NOT NULL
           AND ($2 = 1 OR d.collection_id IN (SELECT value FROM json_each($3)))
           AND NOT EXISTS (SELECT 1 FROM knowledge_document_readers r WHERE r.tenant_id = $1 AND r.document_id = d.id
                             AND r.reader IN (SELECT value FROM json_each($4)))
         GROUP BY d.collection_id",
        "SELECT d.collection_id, COUNT(*) AS documents,
                CAST(SUM(CASE WHEN d.state = 'ready' THEN 1 ELSE 0 END) AS BIGINT) AS ready,
                CAST(SUM(CASE WHEN d.state = 'failed' THEN 1 ELSE 0 END) AS BIGINT) AS failed,
                CAST(SUM(d.passage_count) AS BIGINT) AS passages
         FROM knowledge_documents d
         JOIN collections c ON c.tenant_id = d.tenant_id AND c.id = d.collection_id
         WHERE d.tenant_id = $1 AND d.access IS NOT NULL
           AND ($2 = 1 OR d.collection_id IN (SELECT jsonb_array_elements_text($3::jsonb)))
           AND NOT EXISTS (SELECT 1 FROM knowledge_document_readers r WHERE r.tenant_id = $1 AND r.document_id = d.id
                             AND r.reader IN (SELECT jsonb_array_elements_text($4::jsonb)))
         GROUP BY d.collection_id",
    );
    let tenant = tx.tenant()?;
    let all = collections.is_none();
    let collections = id_array(collections.unwrap_or_default());
    let rows = tx.fetch_all(HIDDEN, [tenant.into(), all.into(), collections, id_array(readers)]).await?;
    rows.iter()
        .map(|row| {
            let hidden = Hidden {
                documents: row.get("documents")?,
                ready: row.get("ready")?,
                failed: row.get("failed")?,
                passages: row.get("passages")?,
            };
            Ok((row.get("collection_id")?, hidden))
        })
        .collect()
}
