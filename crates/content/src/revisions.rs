use plasma_kernel::{Ctx, DocumentId, Error, Page, PageRequest, Permission, Result};
use plasma_store::{NewEvent, Tx};
use serde_json::json;

use crate::{
    Citation, Content, Diff, Document, Edit, Revision, RevisionKind, Text, TitleDiff,
    carry::carry,
    diff,
    documents::{not_found, require},
    events,
    excerpt::excerpt,
    limits::{REVISIONS_MAX, check_note, check_text},
    store::{self, revisions::NewRevision},
};

impl Content {
    /// Gives a document a new text, as a new revision. An unchanged text makes none. Citations stay with the sentences that
    /// stay.
    ///
    /// # Errors
    /// `forbidden` without `content:write`; `not_found`; `conflict` (`revision_stale`) when the newest revision is not the
    /// expected one: of editors who save at the same time one wins. `invalid` or `too_large`, naming the field.
    pub async fn edit(&self, ctx: &Ctx, id: DocumentId, edit: Edit) -> Result<Document> {
        ctx.require(Permission::ContentWrite)?;
        let text = check_text(edit.text)?;
        let note = check_note(edit.note)?;
        let mut tx = self.store.begin(ctx).await?;
        let now = require(&mut tx, id).await?;
        if now.revision != edit.expected_revision {
            return Err(stale(&format!(
                "the document is at revision {}, not {}",
                now.revision, edit.expected_revision
            )));
        }
        if now.title == text.title && now.body == text.body {
            return Ok(now);
        }
        let citations = carry(&now.citations, &now.body, &text.body);
        let change = Change { kind: RevisionKind::Edited, text, note, citations };
        let document = self::change(&mut tx, id, Some(edit.expected_revision), change).await?;
        tx.commit().await?;
        Ok(document)
    }

    /// Takes up an older revision again: its text and citations become a new revision. When the document reads so already,
    /// nothing changes.
    ///
    /// # Errors
    /// `forbidden` without `content:write`; `not_found` for the document or the revision.
    pub async fn restore(&self, ctx: &Ctx, id: DocumentId, number: u32) -> Result<Document> {
        ctx.require(Permission::ContentWrite)?;
        let mut tx = self.store.begin(ctx).await?;
        let now = require(&mut tx, id).await?;
        let old = require_revision(&mut tx, id, number).await?;
        let text = Text { title: old.title, body: old.body.unwrap_or_default() };
        if now.title == text.title && now.body == text.body {
            return Ok(now);
        }
        let citations = store::citations::list(&mut tx, id, number).await?;
        let note = Some(format!("from revision {number}"));
        let change = Change { kind: RevisionKind::Restored, text, note, citations };
        let document = self::change(&mut tx, id, None, change).await?;
        tx.commit().await?;
        Ok(document)
    }

    /// A page of a document's revisions without their bodies, newest first.
    ///
    /// # Errors
    /// `forbidden` without `content:read`; `not_found`.
    pub async fn revisions(&self, ctx: &Ctx, id: DocumentId, page: &PageRequest) -> Result<Page<Revision>> {
        ctx.require(Permission::ContentRead)?;
        let mut tx = self.store.read(ctx).await?;
        require_exists(&mut tx, id).await?;
        store::revisions::list(&mut tx, id, page).await
    }

    /// One revision with its body.
    ///
    /// # Errors
    /// `forbidden` without `content:read`; `not_found` for the document or the revision.
    pub async fn revision(&self, ctx: &Ctx, id: DocumentId, number: u32) -> Result<Revision> {
        ctx.require(Permission::ContentRead)?;
        let mut tx = self.store.read(ctx).await?;
        require_exists(&mut tx, id).await?;
        require_revision(&mut tx, id, number).await
    }

    /// How revision `to` differs from revision `from`, line by line.
    ///
    /// # Errors
    /// `forbidden` without `content:read`; `not_found` for the document or a revision; `too_large` when more than 20,000
    /// lines differ.
    pub async fn diff(&self, ctx: &Ctx, id: DocumentId, from: u32, to: u32) -> Result<Diff> {
        ctx.require(Permission::ContentRead)?;
        let mut tx = self.store.read(ctx).await?;
        require_exists(&mut tx, id).await?;
        let old = require_revision(&mut tx, id, from).await?;
        let new = require_revision(&mut tx, id, to).await?;
        drop(tx);
        let (old_body, new_body) = (old.body.unwrap_or_default(), new.body.unwrap_or_default());
        let compared = tokio::task::spawn_blocking(move || diff::compare(&old_body, &new_body))
            .await
            .map_err(|error| Error::from_source("comparing two revisions", error))?;
        let (hunks, added, removed) = compared?;
        Ok(Diff { from, to, title: TitleDiff { from: old.title, to: new.title }, hunks, added, removed })
    }
}

/// What a new revision holds.
struct Change {
    kind: RevisionKind,
    text: Text,
    note: Option<String>,
    citations: Vec<Citation>,
}

/// Writes the next revision. Only one of several transactions that expect the same revision gets past the first statement.
async fn change(tx: &mut Tx, id: DocumentId, expected_revision: Option<u32>, change: Change) -> Result<Document> {
    let Change { kind, text, note, citations } = change;
    let before = store::documents::get(tx, id).await?.map(|document| json!({ "title": document.title }));
    let number = store::documents::advance(tx, id, expected_revision, &text.title, &excerpt(&text.body))
        .await?
        .ok_or_else(|| stale("somebody else has just saved this document"))?;
    if number > REVISIONS_MAX {
        let message = format!("the document has {REVISIONS_MAX} revisions, which is the limit");
        return Err(Error::conflict("too_many_revisions", message).remedy("continue in a new document"));
    }
    let revision = NewRevision { document: id, number, kind, text: &text, note: note.as_deref(), call: None };
    store::revisions::insert(tx, &revision).await?;
    store::citations::insert(tx, id, number, &citations).await?;
    let data = json!({
        "title": text.title,
        "kind": kind.as_str(),
        "revision": number,
        "citations": citations.len(),
    });
    let event = NewEvent::new(events::DOCUMENT_REVISED, id, data);
    tx.emit(event.changed(json!(before), json!({ "title": text.title }))).await?;
    require(tx, id).await
}

async fn require_exists(tx: &mut Tx, id: DocumentId) -> Result<()> {
    if store::documents::exists(tx, id).await? { Ok(()) } else { Err(not_found(id)) }
}

async fn require_revision(tx: &mut Tx, id: DocumentId, number: u32) -> Result<Revision> {
    store::revisions::get(tx, id, number).await?.ok_or_else(|| {
        Error::not_found("revision_not_found", format!("the content document {id} has no revision {number}"))
    })
}

fn stale(message: &str) -> Error {
    Error::conflict("revision_stale", message)
        .field("expected_revision")
        .remedy("load the document again and apply your change to its newest text")
}
