//! What is kept of calls, sealed.

use std::fmt::Display;

use plasma_kernel::{CallId, Result, Timestamp};
use plasma_store::{Row, Store, Tx};

use crate::{CallPayload, KeptText, ModelCall, capture::Payload};

pub(crate) const REQUEST: &str = "request";
pub(crate) const ANSWER: &str = "answer";

/// What a sealed text is bound to, so that one call's is never shown as another's.
pub(crate) fn purpose(call: impl Display, part: &str) -> String {
    format!("model-call/{call}/{part}")
}

/// Writes what is kept of a call, in the transaction that records it.
pub(crate) async fn insert(tx: &mut Tx, store: &Store, call: &ModelCall, payload: &Payload) -> Result<()> {
    if payload.request.is_none() && payload.answer.is_none() {
        return Ok(());
    }
    let tenant = tx.tenant()?;
    let mut sealed = Vec::with_capacity(2);
    for (part, kept) in [(REQUEST, &payload.request), (ANSWER, &payload.answer)] {
        sealed.push(match kept {
            Some(kept) => Some(store.seal_secret(tx, &purpose(call.id, part), &kept.text).await?),
            None => None,
        });
    }
    let truncated = |kept: &Option<KeptText>| kept.as_ref().is_some_and(|kept| kept.truncated);
    let mut sealed = sealed.into_iter();
    tx.execute(
        "INSERT INTO model_call_payloads (tenant_id, call_id, request_sealed, answer_sealed, request_truncated,
           answer_truncated, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            tenant.into(),
            call.id.into(),
            sealed.next().flatten().into(),
            sealed.next().flatten().into(),
            truncated(&payload.request).into(),
            truncated(&payload.answer).into(),
            call.created_at.into(),
            call.created_at.saturating_add(payload.retention()).into(),
        ],
    )
    .await
    .map(drop)
}

/// What is kept of a call, unless its time is over.
pub(crate) async fn get(tx: &mut Tx, store: &Store, id: CallId, now: Timestamp) -> Result<Option<CallPayload>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT request_sealed, answer_sealed, request_truncated, answer_truncated, created_at, expires_at
             FROM model_call_payloads WHERE tenant_id = $1 AND call_id = $2 AND expires_at > $3",
            [tenant.into(), id.into(), now.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(CallPayload {
        request: opened(tx, store, &row, "request_sealed", "request_truncated", &purpose(id, REQUEST)).await?,
        answer: opened(tx, store, &row, "answer_sealed", "answer_truncated", &purpose(id, ANSWER)).await?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    }))
}

async fn opened(
    tx: &mut Tx,
    store: &Store,
    row: &Row,
    sealed: &'static str,
    truncated: &'static str,
    purpose: &str,
) -> Result<Option<KeptText>> {
    let Some(sealed): Option<Vec<u8>> = row.get(sealed)? else { return Ok(None) };
    let text = store.open_secret(tx, purpose, &sealed).await?;
    Ok(Some(KeptText { text: text.as_str().to_owned(), truncated: row.get(truncated)? }))
}

/// Removes what is kept of a call; `false` when there was nothing.
pub(crate) async fn delete(tx: &mut Tx, id: CallId) -> Result<bool> {
    let tenant = tx.tenant()?;
    let deleted = tx
        .execute("DELETE FROM model_call_payloads WHERE tenant_id = $1 AND call_id = $2", [tenant.into(), id.into()])
        .await?;
    Ok(deleted > 0)
}

/// Lets what is kept end after `retention` microseconds, where it would later.
pub(crate) async fn shorten(tx: &mut Tx, retention: i64) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_call_payloads SET expires_at = created_at + $2 WHERE tenant_id = $1 AND expires_at > created_at + $2",
        [tenant.into(), retention.into()],
    )
    .await
    .map(drop)
}

/// Removes up to `limit` payloads whose time is over, of all tenants. Needs a system context.
pub(crate) async fn purge(tx: &mut Tx, now: Timestamp, limit: usize) -> Result<usize> {
    let removed = tx
        .execute(
            "DELETE FROM model_call_payloads WHERE (tenant_id, call_id) IN
               (SELECT tenant_id, call_id FROM model_call_payloads WHERE expires_at <= $1 LIMIT $2)",
            [now.into(), limit.into()],
        )
        .await?;
    Ok(usize::try_from(removed).unwrap_or(usize::MAX))
}
