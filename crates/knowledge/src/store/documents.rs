use plasma_kernel::{CollectionId, Error, KnowledgeDocumentId, Page, PageRequest, QuotaResource, Result, Timestamp};
use plasma_store::{Row, Sql, Tx, id_array, page_key};

use super::{
    access,
    collections::{self, CountChange},
};
use crate::{Access, Document, DocumentError, DocumentProgress, DocumentState, access::Viewer};

/// A document with what only the engine needs.
#[derive(Clone, Debug)]
pub(crate) struct StoredDocument {
    pub(crate) document: Document,
    /// The newest version, of which `document.state` tells.
    pub(crate) version: u32,
    /// The version that is searched.
    pub(crate) live_version: Option<u32>,
    /// It has no job, because its embedding model is absent.
    pub(crate) waits_for_model: bool,
    /// The newest version's blob.
    pub(crate) blob: String,
    /// Nobody gave a title: one found inside the document may replace it.
    pub(crate) title_is_guessed: bool,
}

/// A document's newest version, as a state is written for it.
pub(crate) struct StateChange<'a> {
    pub(crate) state: DocumentState,
    pub(crate) error: Option<&'a DocumentError>,
    pub(crate) waits_for_model: bool,
}

macro_rules! select_documents {
    ($condition:literal) => {
        concat!(
            "SELECT d.id, d.collection_id, d.document_key, d.version, d.live_version, d.state, d.error_reason,
                    d.error_detail, d.error_remedy, d.waits_for_model, d.progress_done, d.progress_total, d.seconds_left,
                    d.passage_count, d.access, d.created_at, d.updated_at, v.blob, v.title, v.title_is_guessed, v.file_name,
                    v.media_type, v.size_bytes, v.metadata, v.character_count, v.language
             FROM knowledge_documents d
             JOIN knowledge_versions v ON v.tenant_id = d.tenant_id AND v.document_id = d.id AND v.version = d.version
             WHERE d.tenant_id = $1 AND d.collection_id = $2 AND ",
            $condition
        )
    };
}

fn from_row(row: &Row) -> Result<StoredDocument> {
    let state: DocumentState = row.get::<String>("state")?.parse()?;
    let live_version: Option<i64> = row.get("live_version")?;
    Ok(StoredDocument {
        version: row.get("version")?,
        live_version: live_version.and_then(|version| u32::try_from(version).ok()),
        waits_for_model: row.get("waits_for_model")?,
        blob: row.get("blob")?,
        title_is_guessed: row.get("title_is_guessed")?,
        document: Document {
            id: row.get("id")?,
            collection_id: row.get("collection_id")?,
            key: row.get("document_key")?,
            title: row.get("title")?,
            file_name: row.get("file_name")?,
            media_type: row.get("media_type")?,
            size_bytes: row.get("size_bytes")?,
            metadata: super::versions::metadata_from(row)?,
            access: access::access_from(row)?,
            language: Some(row.get::<String>("language")?).filter(|language| !language.is_empty()),
            state,
            error: error_from(row)?,
            progress: progress_from(row, state)?,
            chunk_count: row.get("passage_count")?,
            character_count: row.get("character_count")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        },
    })
}

fn error_from(row: &Row) -> Result<Option<DocumentError>> {
    let Some(reason) = row.get::<Option<String>>("error_reason")? else { return Ok(None) };
    Ok(Some(DocumentError {
        reason,
        detail: row.get::<Option<String>>("error_detail")?.unwrap_or_default(),
        remedy: row.get("error_remedy")?,
    }))
}

fn progress_from(row: &Row, state: DocumentState) -> Result<Option<DocumentProgress>> {
    if matches!(state, DocumentState::Ready | DocumentState::Failed) {
        return Ok(None);
    }
    let number = |name: &'static str| -> Result<Option<u64>> {
        Ok(row.get::<Option<i64>>(name)?.and_then(|number| u64::try_from(number).ok()))
    };
    let (Some(done), Some(total)) = (number("progress_done")?, number("progress_total")?) else { return Ok(None) };
    Ok(Some(DocumentProgress { done, total, unit: "passages", seconds_left: number("seconds_left")? }))
}

/// Inserts a document's row for its first version; the version's own row is separate. Refuses when the tenant's plan does not
/// allow one more.
pub(crate) async fn insert(
    tx: &mut Tx,
    id: KnowledgeDocumentId,
    collection: CollectionId,
    key: Option<&str>,
    access: Option<&Access>,
) -> Result<()> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    tx.execute(
        "INSERT INTO knowledge_documents (tenant_id, id, collection_id, document_key, version, state, queued_at,
                                          created_at, updated_at, access)
         VALUES ($1, $2, $3, $4, 1, 'queued', $5, $5, $5, $6)",
        [tenant.into(), id.into(), collection.into(), key.into(), now.into(), access::access_text(access)?.into()],
    )
    .await?;
    access::insert_readers(tx, id, access).await?;
    tx.take_quota(QuotaResource::Documents, 1).await?;
    let restricted = i64::from(access.is_some());
    collections::adjust(tx, collection, CountChange { documents: 1, restricted, ..CountChange::default() }).await
}

pub(crate) async fn get(
    tx: &mut Tx,
    collection: CollectionId,
    id: KnowledgeDocumentId,
) -> Result<Option<StoredDocument>> {
    let tenant = tx.tenant()?;
    tx.fetch_optional(select_documents!("d.id = $3"), [tenant.into(), collection.into(), id.into()])
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// The document, held until the transaction ends. Its collection must be locked already.
pub(crate) async fn lock(
    tx: &mut Tx,
    collection: CollectionId,
    id: KnowledgeDocumentId,
) -> Result<Option<StoredDocument>> {
    const LOCK: Sql = Sql::each(select_documents!("d.id = $3"), select_documents!("d.id = $3 FOR UPDATE OF d"));
    let tenant = tx.tenant()?;
    tx.fetch_optional(LOCK, [tenant.into(), collection.into(), id.into()]).await?.as_ref().map(from_row).transpose()
}

/// The document with this key, held until the transaction ends. The collection must be locked already.
pub(crate) async fn lock_by_key(tx: &mut Tx, collection: CollectionId, key: &str) -> Result<Option<StoredDocument>> {
    const LOCK: Sql =
        Sql::each(select_documents!("d.document_key = $3"), select_documents!("d.document_key = $3 FOR UPDATE OF d"));
    let tenant = tx.tenant()?;
    tx.fetch_optional(LOCK, [tenant.into(), collection.into(), key.into()]).await?.as_ref().map(from_row).transpose()
}

/// A page of the documents that the viewer may see.
pub(crate) async fn list(
    tx: &mut Tx,
    collection: CollectionId,
    state: Option<DocumentState>,
    viewer: &Viewer,
    page: &PageRequest,
) -> Result<Page<StoredDocument>> {
    const LIST: Sql = Sql::each(
        select_documents!(
            "d.id < $3 AND ($4 IS NULL OR d.state = $4)
             AND ($6 = 1 OR d.access IS NULL OR EXISTS (
                 SELECT 1 FROM knowledge_document_readers r WHERE r.tenant_id = $1 AND r.document_id = d.id
                   AND r.reader IN (SELECT value FROM json_each($7))))
             ORDER BY d.id DESC LIMIT $5"
        ),
        select_documents!(
            "d.id < $3 AND ($4 IS NULL OR d.state = $4)
             AND ($6 = 1 OR d.access IS NULL OR EXISTS (
                 SELECT 1 FROM knowledge_document_readers r WHERE r.tenant_id = $1 AND r.document_id = d.id
                   AND r.reader IN (SELECT jsonb_array_elements_text($7::jsonb))))
             ORDER BY d.id DESC LIMIT $5"
        ),
    );
    let tenant = tx.tenant()?;
    let readers = viewer.readers();
    let rows = tx
        .fetch_all(
            LIST,
            [
                tenant.into(),
                collection.into(),
                page_key(page.cursor.as_deref()).into(),
                state.map(DocumentState::as_str).into(),
                page.fetch_limit().into(),
                readers.is_none().into(),
                id_array(readers.unwrap_or_default()),
            ],
        )
        .await?;
    let documents = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(documents, page.limit, |stored| stored.document.id.to_string()))
}

/// How a change of state changes the collection's counts.
fn count_change(from: DocumentState, to: DocumentState) -> CountChange {
    let is = |state: DocumentState, wanted: DocumentState| i64::from(state == wanted);
    CountChange {
        ready: is(to, DocumentState::Ready) - is(from, DocumentState::Ready),
        failed: is(to, DocumentState::Failed) - is(from, DocumentState::Failed),
        ..CountChange::default()
    }
}

/// Writes the state of a locked document's newest version. Progress starts anew.
pub(crate) async fn set_state(tx: &mut Tx, stored: &StoredDocument, change: StateChange<'_>) -> Result<()> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    tx.execute(
        "UPDATE knowledge_documents SET state = $3, error_reason = $4, error_detail = $5, error_remedy = $6,
                waits_for_model = $7, progress_done = NULL, progress_total = NULL, seconds_left = NULL, updated_at = $8
         WHERE tenant_id = $1 AND id = $2",
        [
            tenant.into(),
            stored.document.id.into(),
            change.state.as_str().into(),
            change.error.map(|error| error.reason.as_str()).into(),
            change.error.map(|error| error.detail.as_str()).into(),
            change.error.and_then(|error| error.remedy.as_deref()).into(),
            change.waits_for_model.into(),
            now.into(),
        ],
    )
    .await?;
    let counts = count_change(stored.document.state, change.state);
    if counts == CountChange::default() {
        return Ok(());
    }
    collections::adjust(tx, stored.document.collection_id, counts).await
}

/// Makes `version` the newest one of a locked document and puts it into the line.
pub(crate) async fn requeue(tx: &mut Tx, stored: &StoredDocument, version: u32) -> Result<()> {
    set_state(tx, stored, StateChange { state: DocumentState::Queued, error: None, waits_for_model: false }).await?;
    let tenant = tx.tenant()?;
    let now: Timestamp = tx.ctx().now();
    tx.execute(
        "UPDATE knowledge_documents SET version = $3, queued_at = $4 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), stored.document.id.into(), version.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Makes the newest version of a locked document, with this many passages, the one that is searched.
pub(crate) async fn go_live(tx: &mut Tx, stored: &StoredDocument, passages: usize) -> Result<()> {
    set_state(tx, stored, StateChange { state: DocumentState::Ready, error: None, waits_for_model: false }).await?;
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE knowledge_documents SET live_version = version, passage_count = $3 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), stored.document.id.into(), passages.into()],
    )
    .await?;
    let before = i64::try_from(stored.document.chunk_count).unwrap_or(0);
    let passages = i64::try_from(passages).unwrap_or(i64::MAX) - before;
    collections::adjust(tx, stored.document.collection_id, CountChange { passages, ..CountChange::default() }).await
}

/// Writes how far the version has come; `false` when it is no longer the newest one or its collection is gone. Holds the
/// document until the transaction ends, so that it is not deleted between this and what the transaction adds to it.
pub(crate) async fn set_progress(
    tx: &mut Tx,
    id: KnowledgeDocumentId,
    version: u32,
    progress: &DocumentProgress,
) -> Result<bool> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let changed = tx
        .execute(
            "UPDATE knowledge_documents SET progress_done = $4, progress_total = $5, seconds_left = $6, updated_at = $7
             WHERE tenant_id = $1 AND id = $2 AND version = $3
               AND EXISTS (SELECT 1 FROM collections c WHERE c.tenant_id = $1 AND c.id = collection_id)",
            [
                tenant.into(),
                id.into(),
                version.into(),
                number(progress.done).into(),
                number(progress.total).into(),
                progress.seconds_left.map(number).into(),
                now.into(),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Removes a locked document's row. Its versions stay for the step that removes their passages and blobs.
pub(crate) async fn delete(tx: &mut Tx, stored: &StoredDocument) -> Result<()> {
    let tenant = tx.tenant()?;
    let deleted = tx
        .execute(
            "DELETE FROM knowledge_documents WHERE tenant_id = $1 AND id = $2",
            [tenant.into(), stored.document.id.into()],
        )
        .await?;
    if deleted != 1 {
        return Err(Error::internal("a locked document was not there to delete"));
    }
    access::delete_readers(tx, stored.document.id).await?;
    tx.give_back_quota(QuotaResource::Documents, 1).await?;
    let gone = count_change(stored.document.state, DocumentState::Queued);
    let passages = -i64::try_from(stored.document.chunk_count).unwrap_or(0);
    let restricted = -i64::from(stored.document.access.is_some());
    let change = CountChange { documents: -1, passages, restricted, ..gone };
    collections::adjust(tx, stored.document.collection_id, change).await
}

/// Up to `limit` documents of a collection that was deleted.
pub(crate) async fn of_deleted_collection(
    tx: &mut Tx,
    collection: CollectionId,
    limit: u32,
) -> Result<Vec<KnowledgeDocumentId>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT id FROM knowledge_documents WHERE tenant_id = $1 AND collection_id = $2 ORDER BY id LIMIT $3",
            [tenant.into(), collection.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Removes rows of documents whose collection was deleted.
pub(crate) async fn delete_orphan(tx: &mut Tx, id: KnowledgeDocumentId) -> Result<()> {
    let tenant = tx.tenant()?;
    access::delete_readers(tx, id).await?;
    let deleted = tx
        .execute("DELETE FROM knowledge_documents WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?;
    tx.give_back_quota(QuotaResource::Documents, deleted).await
}
