use plasma_kernel::{CallId, CollectionId, DocumentId, Page, PageRequest, Result, Timestamp};
use plasma_store::{Row, Tx, Value, page_key};

use crate::{Citation, Document, DocumentFilter, DocumentState, DocumentSummary};

/// A document's row to insert.
pub(crate) struct NewDocument<'a> {
    pub(crate) id: DocumentId,
    pub(crate) title: &'a str,
    pub(crate) excerpt: &'a str,
    pub(crate) brief: Option<&'a str>,
    pub(crate) collection: Option<CollectionId>,
    pub(crate) call: Option<CallId>,
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewDocument<'_>) -> Result<()> {
    let (now, by) = (tx.ctx().now(), Value::json(tx.ctx().actor())?);
    tx.execute(
        "INSERT INTO content_documents (tenant_id, id, state, title, excerpt, revision, brief, collection_id, call_id,
                                        created_at, created_by, updated_at, updated_by)
         VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9, $10, $9, $10)",
        [
            tx.tenant()?.into(),
            new.id.into(),
            DocumentState::Draft.as_str().into(),
            new.title.into(),
            new.excerpt.into(),
            new.brief.into(),
            new.collection.into(),
            new.call.into(),
            now.into(),
            by,
        ],
    )
    .await?;
    Ok(())
}

/// The document with the body of its newest revision and these citations; `None` when it is absent or deleted.
pub(crate) async fn get(tx: &mut Tx, id: DocumentId) -> Result<Option<Document>> {
    let row = tx
        .fetch_optional(
            "SELECT d.*, r.body FROM content_documents d
             JOIN content_revisions r ON r.tenant_id = d.tenant_id AND r.document_id = d.id AND r.number = d.revision
             WHERE d.tenant_id = $1 AND d.id = $2 AND d.deleted_at IS NULL",
            [tx.tenant()?.into(), id.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let citations = super::citations::list(tx, id, row.get("revision")?).await?;
    document(&row, citations).map(Some)
}

/// Whether the document is there and not deleted.
pub(crate) async fn exists(tx: &mut Tx, id: DocumentId) -> Result<bool> {
    let row = tx
        .fetch_optional(
            "SELECT 1 AS found FROM content_documents WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL",
            [tx.tenant()?.into(), id.into()],
        )
        .await?;
    Ok(row.is_some())
}

/// Moves the document on to its next revision and returns that number. Of several transactions that expect the same
/// revision one moves it; the others wait for its end and then get `None`.
pub(crate) async fn advance(
    tx: &mut Tx,
    id: DocumentId,
    expected_revision: Option<u32>,
    title: &str,
    excerpt: &str,
) -> Result<Option<u32>> {
    let (now, by) = (tx.ctx().now(), Value::json(tx.ctx().actor())?);
    let row = tx
        .fetch_optional(
            "UPDATE content_documents
             SET revision = revision + 1, title = $3, excerpt = $4, updated_at = $5, updated_by = $6
             WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL AND ($7 IS NULL OR revision = $7)
             RETURNING revision",
            [tx.tenant()?.into(), id.into(), title.into(), excerpt.into(), now.into(), by, expected_revision.into()],
        )
        .await?;
    row.map(|row| row.get("revision")).transpose()
}

/// Hides the document. Returns its title and revision, or `None` when there is nothing to hide.
pub(crate) async fn mark_deleted(tx: &mut Tx, id: DocumentId) -> Result<Option<(String, u32)>> {
    let now = tx.ctx().now();
    let row = tx
        .fetch_optional(
            "UPDATE content_documents SET deleted_at = $3 WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL
             RETURNING title, revision",
            [tx.tenant()?.into(), id.into(), now.into()],
        )
        .await?;
    row.map(|row| Ok((row.get("title")?, row.get("revision")?))).transpose()
}

/// Removes every row of documents that were deleted before that time, of all tenants. Needs a system context.
pub(crate) async fn purge_deleted(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(
        "DELETE FROM content_citations WHERE EXISTS (
             SELECT 1 FROM content_documents d WHERE d.tenant_id = content_citations.tenant_id
               AND d.id = content_citations.document_id AND d.deleted_at < $1)",
        [before.into()],
    )
    .await?;
    tx.execute(
        "DELETE FROM content_revisions WHERE EXISTS (
             SELECT 1 FROM content_documents d WHERE d.tenant_id = content_revisions.tenant_id
               AND d.id = content_revisions.document_id AND d.deleted_at < $1)",
        [before.into()],
    )
    .await?;
    tx.execute("DELETE FROM content_documents WHERE deleted_at < $1", [before.into()]).await
}

pub(crate) async fn list(tx: &mut Tx, filter: &DocumentFilter, page: &PageRequest) -> Result<Page<DocumentSummary>> {
    let rows = tx
        .fetch_all(
            "SELECT * FROM content_documents
             WHERE tenant_id = $1 AND id < $2 AND deleted_at IS NULL
               AND ($3 IS NULL OR state = $3) AND ($4 IS NULL OR collection_id = $4)
             ORDER BY id DESC LIMIT $5",
            [
                tx.tenant()?.into(),
                page_key(page.cursor.as_deref()).into(),
                filter.state.map(DocumentState::as_str).into(),
                filter.collection.into(),
                page.fetch_limit().into(),
            ],
        )
        .await?;
    let documents = rows.iter().map(summary).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(documents, page.limit, |document| document.id.to_string()))
}

pub(crate) async fn count(tx: &mut Tx) -> Result<u64> {
    tx.fetch_one(
        "SELECT COUNT(*) AS documents FROM content_documents WHERE tenant_id = $1 AND deleted_at IS NULL",
        [tx.tenant()?.into()],
    )
    .await?
    .get("documents")
}

fn state(row: &Row) -> Result<DocumentState> {
    row.get::<String>("state")?.parse()
}

fn summary(row: &Row) -> Result<DocumentSummary> {
    Ok(DocumentSummary {
        id: row.get("id")?,
        title: row.get("title")?,
        excerpt: row.get("excerpt")?,
        state: state(row)?,
        revision: row.get("revision")?,
        brief: row.get("brief")?,
        collection_id: row.get("collection_id")?,
        call_id: row.get("call_id")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        created_by: row.json("created_by")?,
        updated_by: row.json("updated_by")?,
    })
}

fn document(row: &Row, citations: Vec<Citation>) -> Result<Document> {
    Ok(Document {
        id: row.get("id")?,
        title: row.get("title")?,
        body: row.get("body")?,
        state: state(row)?,
        revision: row.get("revision")?,
        brief: row.get("brief")?,
        collection_id: row.get("collection_id")?,
        call_id: row.get("call_id")?,
        citations,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        created_by: row.json("created_by")?,
        updated_by: row.json("updated_by")?,
    })
}
