use bytes::Bytes;
use plasma_kernel::{CollectionId, Ctx, Error, KnowledgeDocumentId, Page, PageRequest, Permission, Result};
use plasma_store::Tx;
use plasma_workflows::enqueue;
use serde_json::json;

use crate::{
    Access, Document, DocumentFile, DocumentProgress, DocumentState, DocumentText, Knowledge,
    access::Viewer,
    collections::not_found as collection_not_found,
    events, ingest,
    steps::{IngestDocument, PurgeVersions},
    store::{
        access, collections,
        documents::{self, StoredDocument},
        passages, queue,
        versions::{self, text_blob},
    },
};

fn not_found(id: KnowledgeDocumentId) -> Error {
    Error::not_found("document_not_found", format!("there is no document {id} in this collection"))
}

fn not_ready(document: &Document) -> Error {
    let remedy = match document.state {
        DocumentState::Failed => "see the document's `error`, mend it, and try again",
        _ => "wait until its state is `ready`",
    };
    Error::conflict(
        "document_not_ready",
        format!("document {} has no text yet: it is {}", document.id, document.state.as_str()),
    )
    .remedy(remedy)
}

impl Knowledge {
    /// A page of those of a collection's documents that whoever asks may see, newest first.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`, `not_found` for the collection.
    pub async fn list_documents(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        state: Option<DocumentState>,
        page: &PageRequest,
    ) -> Result<Page<Document>> {
        ctx.require(Permission::CollectionsRead)?;
        self.collection(ctx, &collection.to_string()).await?;
        let mut tx = self.store().read(ctx).await?;
        let page = documents::list(&mut tx, collection, state, &Viewer::of(ctx), page).await?;
        let mut page = page.map(|stored| stored.document);
        self.estimate(&mut tx, &mut page.data).await?;
        Ok(page)
    }

    /// One document.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`, `not_found`.
    pub async fn get_document(&self, ctx: &Ctx, collection: CollectionId, id: KnowledgeDocumentId) -> Result<Document> {
        let (mut tx, stored) = self.read(ctx, collection, id).await?;
        let mut document = [stored.document];
        self.estimate(&mut tx, &mut document).await?;
        let [document] = document;
        Ok(document)
    }

    /// A document that whoever acts may see, and the transaction that read it. Others are told that there is none.
    async fn read(&self, ctx: &Ctx, collection: CollectionId, id: KnowledgeDocumentId) -> Result<(Tx, StoredDocument)> {
        ctx.require(Permission::CollectionsRead)?;
        // Documents of a deleted collection are still being removed. Before the transaction: a request that holds one
        // connection and waits for another could wait forever.
        self.collection(ctx, &collection.to_string()).await?;
        let mut tx = self.store().read(ctx).await?;
        let stored = documents::get(&mut tx, collection, id).await?;
        let stored = stored.filter(|stored| visible(ctx, stored)).ok_or_else(|| not_found(id))?;
        Ok((tx, stored))
    }

    /// Tells queued documents when their turn has come and gone.
    async fn estimate(&self, tx: &mut Tx, documents: &mut [Document]) -> Result<()> {
        let queued: Vec<KnowledgeDocumentId> = documents
            .iter()
            .filter(|document| matches!(document.state, DocumentState::Queued | DocumentState::Parsing))
            .map(|document| document.id)
            .collect();
        if queued.is_empty() {
            return Ok(());
        }
        let backlogs = queue::backlogs(tx, queued).await?;
        for document in documents {
            let Some(backlog) = backlogs.get(&document.id) else { continue };
            let seconds_left = self.throughput().seconds_left(*backlog);
            document.progress =
                seconds_left.map(|_| DocumentProgress { done: 0, total: 0, unit: "passages", seconds_left });
        }
        Ok(())
    }

    /// The text of a document's searchable version, with its passages.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`, `not_found`, `conflict` (`document_not_ready`).
    pub async fn document_text(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        id: KnowledgeDocumentId,
    ) -> Result<DocumentText> {
        let (mut tx, stored) = self.read(ctx, collection, id).await?;
        let live = stored.live_version.ok_or_else(|| not_ready(&stored.document))?;
        let blob = versions::blob_of(&mut tx, id, live).await?.ok_or_else(|| not_ready(&stored.document))?;
        let passages = passages::ranges(&mut tx, id, live).await?;
        drop(tx);
        let bytes = self.store().blobs().get(ctx, &text_blob(&blob)).await?;
        let text = String::from_utf8(bytes.into())
            .map_err(|error| Error::from_source(format!("the text of document {id} is not UTF-8"), error))?;
        Ok(DocumentText { text, passages })
    }

    /// The original bytes of a document's newest version.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`, `not_found`.
    pub async fn document_file(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        id: KnowledgeDocumentId,
    ) -> Result<DocumentFile> {
        let (tx, stored) = self.read(ctx, collection, id).await?;
        drop(tx);
        let bytes: Bytes = self.store().blobs().get(ctx, &stored.blob).await?;
        let document = stored.document;
        let name = document.file_name.unwrap_or_else(|| inline_file_name(&document.title, &document.media_type));
        Ok(DocumentFile { name, media_type: document.media_type, bytes })
    }

    /// Deletes a document. No search finds it any more; a background step removes what it held. A document that is being
    /// read may be deleted too: the reading ends.
    ///
    /// # Errors
    /// `forbidden` without `collections:write`, `not_found`.
    pub async fn delete_document(&self, ctx: &Ctx, collection: CollectionId, id: KnowledgeDocumentId) -> Result<()> {
        ctx.require(Permission::CollectionsWrite)?;
        let mut tx = self.store().begin(ctx).await?;
        let stored = lock(ctx, &mut tx, collection, id).await?;
        documents::delete(&mut tx, &stored).await?;
        tx.emit(events::document_deleted(&stored.document)).await?;
        let purge = PurgeVersions { document: id, versions: versions::all(&mut tx, id).await? };
        enqueue(&mut tx, &purge, &id.to_string(), None).await?;
        self.commit_searchable(tx).await
    }

    /// Reads a failed document again, or one that waits for its model.
    ///
    /// # Errors
    /// `forbidden` without `collections:write`, `not_found`, `conflict` (`document_not_failed`).
    pub async fn retry_document(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        id: KnowledgeDocumentId,
    ) -> Result<Document> {
        ctx.require(Permission::CollectionsWrite)?;
        let mut tx = self.store().begin(ctx).await?;
        let stored = lock(ctx, &mut tx, collection, id).await?;
        if stored.document.state != DocumentState::Failed && !stored.waits_for_model {
            return Err(Error::conflict(
                "document_not_failed",
                format!(
                    "document {id} is {}; only failed documents can be tried again",
                    stored.document.state.as_str()
                ),
            ));
        }
        documents::requeue(&mut tx, &stored, stored.version).await?;
        self.enqueue_ingest(tx, collection, id, false).await
    }

    /// Says who may see a document: `None` is everybody who may search. It holds for every search and reading that begins
    /// after this returns; in other processes a moment later. Nothing is read or embedded again.
    ///
    /// Whoever says it may take the document away from themselves.
    ///
    /// # Errors
    /// `forbidden` without `documents:write`, `not_found` also where the document may not be seen, `too_large` beyond 1,000
    /// entries.
    pub async fn set_document_access(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        id: KnowledgeDocumentId,
        access: Option<Access>,
    ) -> Result<Document> {
        ctx.require(Permission::DocumentsWrite)?;
        let access = access.map(Access::tidied).transpose()?;
        let mut tx = self.store().begin(ctx).await?;
        let mut stored = lock(ctx, &mut tx, collection, id).await?;
        if stored.document.access == access {
            return Ok(stored.document);
        }
        access::set(&mut tx, &stored, access.as_ref()).await?;
        let before = json!({ "access": stored.document.access });
        stored.document.access = access;
        stored.document.updated_at = ctx.now();
        let event = events::document_access_changed(&stored.document);
        tx.emit(event.changed(before, json!({ "access": stored.document.access }))).await?;
        self.commit_access(tx).await?;
        Ok(stored.document)
    }

    /// Enqueues the newest version of a document that the transaction has just queued, and commits. `access_changed`: so is who
    /// may see the version that is searched.
    pub(crate) async fn enqueue_ingest(
        &self,
        mut tx: Tx,
        collection: CollectionId,
        id: KnowledgeDocumentId,
        access_changed: bool,
    ) -> Result<Document> {
        let stored = documents::get(&mut tx, collection, id).await?.ok_or_else(|| not_found(id))?;
        tx.emit(ingest::queued_event(&stored, None)).await?;
        let step = IngestDocument { collection, document: id, version: stored.version, blob: stored.blob };
        enqueue(&mut tx, &step, &id.to_string(), None).await?;
        if access_changed {
            tx.emit(events::document_access_changed(&stored.document)).await?;
            self.commit_access(tx).await?;
        } else {
            self.commit(tx).await?;
        }
        Ok(stored.document)
    }
}

/// Whether the document is there for whoever acts.
pub(crate) fn visible(ctx: &Ctx, stored: &StoredDocument) -> bool {
    Viewer::of(ctx).may_see(stored.document.access.as_ref())
}

/// The document that whoever acts may see, held until the transaction ends, with its collection.
async fn lock(ctx: &Ctx, tx: &mut Tx, collection: CollectionId, id: KnowledgeDocumentId) -> Result<StoredDocument> {
    if collections::lock(tx, collection).await?.is_none() {
        return Err(collection_not_found(&collection.to_string()));
    }
    let stored = documents::lock(tx, collection, id).await?;
    stored.filter(|stored| visible(ctx, stored)).ok_or_else(|| not_found(id))
}

/// A file name for text that came in a request.
fn inline_file_name(title: &str, media_type: &str) -> String {
    let extension = match media_type {
        "text/markdown" => "md",
        "text/html" => "html",
        _ => "txt",
    };
    format!("{title}.{extension}")
}
