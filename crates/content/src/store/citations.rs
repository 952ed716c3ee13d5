use plasma_kernel::{DocumentId, Result};
use plasma_store::{Row, Tx};

use crate::Citation;

/// The citations of a revision, in the order in which they were inserted.
pub(crate) async fn list(tx: &mut Tx, document: DocumentId, revision: u32) -> Result<Vec<Citation>> {
    let rows = tx
        .fetch_all(
            "SELECT * FROM content_citations WHERE tenant_id = $1 AND document_id = $2 AND revision = $3 ORDER BY ordinal",
            [tx.tenant()?.into(), document.into(), revision.into()],
        )
        .await?;
    rows.iter().map(citation).collect()
}

pub(crate) async fn insert(tx: &mut Tx, document: DocumentId, revision: u32, citations: &[Citation]) -> Result<()> {
    for (ordinal, citation) in citations.iter().enumerate() {
        tx.execute(
            "INSERT INTO content_citations (tenant_id, document_id, revision, ordinal, number, passage_id, source_document_id,
                                            collection_id, title, quote, quote_start, quote_end, body_start, body_end)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            [
                tx.tenant()?.into(),
                document.into(),
                revision.into(),
                ordinal.into(),
                citation.number.into(),
                citation.passage_id.into(),
                citation.document_id.into(),
                citation.collection_id.into(),
                citation.title.as_str().into(),
                citation.quote.as_str().into(),
                citation.start.into(),
                citation.end.into(),
                citation.body_start.into(),
                citation.body_end.into(),
            ],
        )
        .await?;
    }
    Ok(())
}

fn citation(row: &Row) -> Result<Citation> {
    Ok(Citation {
        number: row.get("number")?,
        passage_id: row.get("passage_id")?,
        document_id: row.get("source_document_id")?,
        collection_id: row.get("collection_id")?,
        title: row.get("title")?,
        quote: row.get("quote")?,
        start: row.get("quote_start")?,
        end: row.get("quote_end")?,
        body_start: row.get("body_start")?,
        body_end: row.get("body_end")?,
    })
}
