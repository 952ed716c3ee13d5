//! What waits to be ingested.

use std::collections::HashMap;

use plasma_kernel::{CollectionId, KnowledgeDocumentId, Result, TenantId};
use plasma_store::{Sql, Tx, id_array};

/// Collections of all tenants (the transaction works across them) with documents that wait for an embedding model.
pub(crate) async fn waiting_collections(tx: &mut Tx) -> Result<Vec<(TenantId, CollectionId, String)>> {
    let rows = tx
        .fetch_all(
            "SELECT DISTINCT c.tenant_id, c.id, c.embedding_model FROM knowledge_documents d
             JOIN collections c ON c.tenant_id = d.tenant_id AND c.id = d.collection_id
             WHERE d.waits_for_model = 1 LIMIT 1000",
            [],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get("tenant_id")?, row.get("id")?, row.get("embedding_model")?))).collect()
}

/// Takes up to `limit` documents of a collection that wait for its model. Whoever takes them enqueues them in the same
/// transaction.
pub(crate) async fn take_waiting(
    tx: &mut Tx,
    collection: CollectionId,
    limit: u32,
) -> Result<Vec<(KnowledgeDocumentId, u32)>> {
    const TAKE: Sql = Sql::each(
        "UPDATE knowledge_documents
         SET waits_for_model = 0, error_reason = NULL, error_detail = NULL, error_remedy = NULL
         WHERE tenant_id = $1 AND id IN (
             SELECT id FROM knowledge_documents WHERE tenant_id = $1 AND waits_for_model = 1 AND collection_id = $2
             ORDER BY id LIMIT $3)
         RETURNING id, version",
        // Materialized: a subquery in the condition may be run once for each row, and then takes more than the limit.
        "WITH due AS MATERIALIZED (
             SELECT id FROM knowledge_documents WHERE tenant_id = $1 AND waits_for_model = 1 AND collection_id = $2
             ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED)
         UPDATE knowledge_documents AS d
         SET waits_for_model = 0, error_reason = NULL, error_detail = NULL, error_remedy = NULL
         FROM due WHERE d.tenant_id = $1 AND d.id = due.id
         RETURNING d.id, d.version",
    );
    let tenant = tx.tenant()?;
    let rows = tx.fetch_all(TAKE, [tenant.into(), collection.into(), limit.into()]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("version")?))).collect()
}

/// How much of the tenant's work stands before a queued document, its own included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backlog {
    /// Bytes of documents that have not been parsed.
    pub(crate) unparsed_bytes: u64,
    /// Passages of parsed documents that have not been embedded.
    pub(crate) passages: u64,
}

/// The backlog before each of these queued documents.
pub(crate) async fn backlogs(
    tx: &mut Tx,
    documents: impl IntoIterator<Item = KnowledgeDocumentId>,
) -> Result<HashMap<KnowledgeDocumentId, Backlog>> {
    const BACKLOGS: Sql = Sql::each(
        "SELECT id, bytes_before, passages_before FROM (
             SELECT d.id,
                    CAST(SUM(CASE WHEN d.progress_total IS NULL THEN v.size_bytes ELSE 0 END)
                         OVER (ORDER BY d.queued_at, d.id) AS BIGINT) AS bytes_before,
                    CAST(SUM(COALESCE(d.progress_total - d.progress_done, 0))
                         OVER (ORDER BY d.queued_at, d.id) AS BIGINT) AS passages_before
             FROM knowledge_documents d
             JOIN knowledge_versions v ON v.tenant_id = d.tenant_id AND v.document_id = d.id AND v.version = d.version
             WHERE d.tenant_id = $1 AND d.state IN ('queued', 'parsing', 'embedding') AND d.waits_for_model = 0) AS line
         WHERE id IN (SELECT value FROM json_each($2))",
        "SELECT id, bytes_before, passages_before FROM (
             SELECT d.id,
                    CAST(SUM(CASE WHEN d.progress_total IS NULL THEN v.size_bytes ELSE 0 END)
                         OVER (ORDER BY d.queued_at, d.id) AS BIGINT) AS bytes_before,
                    CAST(SUM(COALESCE(d.progress_total - d.progress_done, 0))
                         OVER (ORDER BY d.queued_at, d.id) AS BIGINT) AS passages_before
             FROM knowledge_documents d
             JOIN knowledge_versions v ON v.tenant_id = d.tenant_id AND v.document_id = d.id AND v.version = d.version
             WHERE d.tenant_id = $1 AND d.state IN ('queued', 'parsing', 'embedding') AND d.waits_for_model = 0) AS line
         WHERE id IN (SELECT jsonb_array_elements_text($2::jsonb))",
    );
    let tenant = tx.tenant()?;
    let rows = tx.fetch_all(BACKLOGS, [tenant.into(), id_array(documents)]).await?;
    rows.iter()
        .map(|row| {
            let backlog = Backlog { unparsed_bytes: row.get("bytes_before")?, passages: row.get("passages_before")? };
            Ok((row.get("id")?, backlog))
        })
        .collect()
}

/// The identity that this database was given when its first index was built, or `fresh` if it had none.
pub(crate) async fn identity(tx: &mut Tx, fresh: &str) -> Result<String> {
    tx.execute(
        "INSERT INTO knowledge_identity (name, value) VALUES ('index', $1) ON CONFLICT (name) DO NOTHING",
        [fresh.into()],
    )
    .await?;
    tx.fetch_one("SELECT value FROM knowledge_identity WHERE name = 'index'", []).await?.get("value")
}

/// A page of all tenants' searchable documents after `after`, for building an index anew.
pub(crate) async fn live_documents(
    tx: &mut Tx,
    after: Option<(TenantId, KnowledgeDocumentId)>,
    limit: u32,
) -> Result<Vec<(TenantId, CollectionId, KnowledgeDocumentId)>> {
    let (tenant, document) = match after {
        Some((tenant, document)) => (tenant.to_string(), document.to_string()),
        None => (String::new(), String::new()),
    };
    let rows = tx
        .fetch_all(
            "SELECT tenant_id, collection_id, id FROM knowledge_documents
             WHERE (tenant_id, id) > ($1, $2) AND live_version IS NOT NULL ORDER BY tenant_id, id LIMIT $3",
            [tenant.into(), document.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get("tenant_id")?, row.get("collection_id")?, row.get("id")?))).collect()
}
