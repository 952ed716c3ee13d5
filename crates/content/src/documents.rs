use plasma_kernel::{CallId, CollectionId, Ctx, DocumentId, Error, Page, PageRequest, Permission, Result};
use plasma_store::{NewEvent, Tx};
use serde_json::json;

use crate::{
    Citation, Content, Document, DocumentFilter, DocumentSummary, RevisionKind, Text, events,
    excerpt::excerpt,
    limits::check_text,
    store::{self, documents::NewDocument, revisions::NewRevision},
};

/// A document that is about to be stored, already checked.
pub(crate) struct FirstRevision {
    pub(crate) text: Text,
    pub(crate) kind: RevisionKind,
    pub(crate) brief: Option<String>,
    pub(crate) collection: Option<CollectionId>,
    pub(crate) call: Option<CallId>,
    pub(crate) citations: Vec<Citation>,
}

impl Content {
    /// Makes a document with its first revision.
    ///
    /// # Errors
    /// `forbidden` without `content:write`; `invalid` or `too_large`, naming the field.
    pub async fn create(&self, ctx: &Ctx, text: Text) -> Result<Document> {
        ctx.require(Permission::ContentWrite)?;
        let first = FirstRevision {
            text: check_text(text)?,
            kind: RevisionKind::Created,
            brief: None,
            collection: None,
            call: None,
            citations: Vec::new(),
        };
        self.insert(ctx, first).await
    }

    /// Stores a document, its first revision, its citations and the event in one transaction.
    pub(crate) async fn insert(&self, ctx: &Ctx, first: FirstRevision) -> Result<Document> {
        let id = DocumentId::new(ctx);
        let FirstRevision { text, kind, brief, collection, call, citations } = first;
        let mut tx = self.store.begin(ctx).await?;
        let new = NewDocument {
            id,
            title: &text.title,
            excerpt: &excerpt(&text.body),
            brief: brief.as_deref(),
            collection,
            call,
        };
        store::documents::insert(&mut tx, &new).await?;
        let revision = NewRevision { document: id, number: 1, kind, text: &text, note: None, call };
        store::revisions::insert(&mut tx, &revision).await?;
        store::citations::insert(&mut tx, id, 1, &citations).await?;
        let data = json!({
            "title": text.title,
            "kind": kind.as_str(),
            "revision": 1,
            "collection_id": collection,
            "call_id": call,
            "citations": citations.len(),
        });
        tx.emit(NewEvent::new(events::DOCUMENT_CREATED, id, data)).await?;
        let document = require(&mut tx, id).await?;
        tx.commit().await?;
        Ok(document)
    }

    /// The document as it is now.
    ///
    /// # Errors
    /// `forbidden` without `content:read`; `not_found` (`content_document_not_found`), also for a deleted one.
    pub async fn document(&self, ctx: &Ctx, id: DocumentId) -> Result<Document> {
        ctx.require(Permission::ContentRead)?;
        require(&mut self.store.read(ctx).await?, id).await
    }

    /// A page of documents, newest first.
    ///
    /// # Errors
    /// `forbidden` without `content:read`.
    pub async fn documents(
        &self,
        ctx: &Ctx,
        filter: &DocumentFilter,
        page: &PageRequest,
    ) -> Result<Page<DocumentSummary>> {
        ctx.require(Permission::ContentRead)?;
        store::documents::list(&mut self.store.read(ctx).await?, filter, page).await
    }

    /// How many documents the tenant has.
    ///
    /// # Errors
    /// `forbidden` without `content:read`.
    pub async fn count(&self, ctx: &Ctx) -> Result<u64> {
        ctx.require(Permission::ContentRead)?;
        store::documents::count(&mut self.store.read(ctx).await?).await
    }

    /// Deletes a document with all its revisions. It is gone for every reader at once; its rows are removed a week later.
    ///
    /// # Errors
    /// `forbidden` without `content:write`; `not_found`.
    pub async fn delete(&self, ctx: &Ctx, id: DocumentId) -> Result<()> {
        ctx.require(Permission::ContentWrite)?;
        let mut tx = self.store.begin(ctx).await?;
        let (title, revision) = store::documents::mark_deleted(&mut tx, id).await?.ok_or_else(|| not_found(id))?;
        let data = json!({ "title": title, "revision": revision });
        tx.emit(NewEvent::new(events::DOCUMENT_DELETED, id, data)).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The document, or the error that says that there is none.
pub(crate) async fn require(tx: &mut Tx, id: DocumentId) -> Result<Document> {
    store::documents::get(tx, id).await?.ok_or_else(|| not_found(id))
}

pub(crate) fn not_found(id: DocumentId) -> Error {
    Error::not_found("content_document_not_found", format!("there is no content document {id}"))
}
