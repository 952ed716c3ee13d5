use plasma_kernel::{CallId, DocumentId, Error, Page, PageRequest, Result};
use plasma_store::{Row, Tx, Value};

use crate::{Revision, RevisionKind, Text};

/// A revision's row to insert.
pub(crate) struct NewRevision<'a> {
    pub(crate) document: DocumentId,
    pub(crate) number: u32,
    pub(crate) kind: RevisionKind,
    pub(crate) text: &'a Text,
    pub(crate) note: Option<&'a str>,
    pub(crate) call: Option<CallId>,
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewRevision<'_>) -> Result<()> {
    let (now, by) = (tx.ctx().now(), Value::json(tx.ctx().actor())?);
    tx.execute(
        "INSERT INTO content_revisions (tenant_id, document_id, number, kind, title, body, note, call_id, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        [
            tx.tenant()?.into(),
            new.document.into(),
            new.number.into(),
            new.kind.as_str().into(),
            new.text.title.as_str().into(),
            new.text.body.as_str().into(),
            new.note.into(),
            new.call.into(),
            now.into(),
            by,
        ],
    )
    .await?;
    Ok(())
}

/// One revision with its body, of a document that is known to be there.
pub(crate) async fn get(tx: &mut Tx, document: DocumentId, number: u32) -> Result<Option<Revision>> {
    let row = tx
        .fetch_optional(
            "SELECT * FROM content_revisions WHERE tenant_id = $1 AND document_id = $2 AND number = $3",
            [tx.tenant()?.into(), document.into(), number.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut revision = revision(&row)?;
    revision.body = Some(row.get("body")?);
    Ok(Some(revision))
}

/// A page of revisions without their bodies, newest first. The cursor is the last one's number.
pub(crate) async fn list(tx: &mut Tx, document: DocumentId, page: &PageRequest) -> Result<Page<Revision>> {
    let before: i64 = match &page.cursor {
        None => i64::MAX,
        Some(cursor) => cursor.parse().map_err(|_| Error::invalid("cursor", "is not a cursor of this list"))?,
    };
    let rows = tx
        .fetch_all(
            "SELECT number, kind, title, note, call_id, created_at, created_by FROM content_revisions
             WHERE tenant_id = $1 AND document_id = $2 AND number < $3 ORDER BY number DESC LIMIT $4",
            [tx.tenant()?.into(), document.into(), before.into(), page.fetch_limit().into()],
        )
        .await?;
    let revisions = rows.iter().map(revision).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(revisions, page.limit, |revision| revision.number.to_string()))
}

fn revision(row: &Row) -> Result<Revision> {
    Ok(Revision {
        number: row.get("number")?,
        title: row.get("title")?,
        note: row.get("note")?,
        kind: row.get::<String>("kind")?.parse()?,
        created_at: row.get("created_at")?,
        created_by: row.json("created_by")?,
        call_id: row.get("call_id")?,
        body: None,
    })
}
