use plasma_kernel::{Actor, CallId, Ctx, Error, Money, Page, PageRequest, Result, Timestamp};
use plasma_store::{NewEvent, Row, Store, Tx, page_key};
use serde_json::json;

use crate::{CallFilter, ModelCall, TokenUsage, budgets::Settling, events};

/// Writes the calls of one tenant, their events, and what they cost of budgets, all or none.
pub(crate) async fn insert(ctx: &Ctx, store: &Store, calls: &[&ModelCall], settling: &mut Settling) -> Result<()> {
    let mut tx = store.begin(ctx).await?;
    for call in calls {
        insert_one(&mut tx, call).await?;
        let event = NewEvent::new(events::CALL_COMPLETED, call.id, event_data(call));
        tx.emit(event.in_request(call.request)).await?;
    }
    // Last, for other processes wait for the rows that it locks.
    settling.write(&mut tx).await?;
    tx.commit().await.map(drop)
}

/// Writes a call that has no budget, and its event.
pub(crate) async fn insert_with_event(tx: &mut Tx, call: &ModelCall) -> Result<()> {
    insert_one(tx, call).await?;
    let event = NewEvent::new(events::CALL_COMPLETED, call.id, event_data(call));
    tx.emit(event.in_request(call.request)).await.map(drop)
}

async fn insert_one(tx: &mut Tx, call: &ModelCall) -> Result<()> {
    let tenant = tx.tenant()?;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let actor = serde_json::to_string(&call.actor).map_err(|error| Error::from_source("actor", error))?;
    // One attempt that worked says no more than the call itself.
    let attempts = match call.attempts.as_slice() {
        [] => None,
        [only] if only.error.is_none() => None,
        attempts => Some(serde_json::to_string(attempts).map_err(|error| Error::from_source("attempts", error))?),
    };
    let decision = call.decision.as_ref().map(serde_json::to_string).transpose();
    let decision = decision.map_err(|error| Error::from_source("decision", error))?;
    tx.execute(
        "INSERT INTO model_calls (tenant_id, id, model, kind, purpose, status, streamed, input_tokens, cached_input_tokens,
           output_tokens, queued_ms, first_token_ms, duration_ms, cost_micros, cost_currency, error, actor, request_id, created_at,
           attempts, route, decision, cache_write_tokens, reasoning_tokens)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)",
        [
            tenant.into(),
            call.id.into(),
            (&call.model).into(),
            call.kind.as_str().into(),
            call.purpose.as_str().into(),
            call.status.as_str().into(),
            call.streamed.into(),
            number(call.usage.input_tokens).into(),
            number(call.usage.cached_input_tokens).into(),
            number(call.usage.output_tokens).into(),
            number(call.queued_ms).into(),
            call.first_token_ms.map(number).into(),
            number(call.duration_ms).into(),
            call.cost.as_ref().map(|cost| cost.amount_micros).into(),
            call.cost.as_ref().map(|cost| cost.currency.as_str()).into(),
            call.error.as_deref().into(),
            actor.into(),
            call.request.into(),
            call.created_at.into(),
            attempts.into(),
            call.decision.as_ref().map(|decision| decision.route.as_str()).into(),
            decision.into(),
            number(call.usage.cache_write_tokens).into(),
            number(call.usage.reasoning_tokens).into(),
        ],
    )
    .await
    .map(drop)
}

fn event_data(call: &ModelCall) -> serde_json::Value {
    json!({
        "model": call.model,
        "decision": call.decision,
        "attempts": call.attempts,
        "kind": call.kind,
        "purpose": call.purpose,
        "status": call.status,
        "streamed": call.streamed,
        "input_tokens": call.usage.input_tokens,
        "cached_input_tokens": call.usage.cached_input_tokens,
        "cache_write_tokens": call.usage.cache_write_tokens,
        "output_tokens": call.usage.output_tokens,
        "reasoning_tokens": call.usage.reasoning_tokens,
        "queued_ms": call.queued_ms,
        "first_token_ms": call.first_token_ms,
        "duration_ms": call.duration_ms,
        "cost": call.cost,
        "error": call.error,
        "actor": call.actor,
        "request_id": call.request,
        "created_at": call.created_at,
    })
}

fn money(row: &Row) -> Result<Option<Money>> {
    let amount_micros: Option<i64> = row.get("cost_micros")?;
    let currency: Option<String> = row.get("cost_currency")?;
    Ok(amount_micros.zip(currency).map(|(amount_micros, currency)| Money { amount_micros, currency }))
}

fn call(row: &Row) -> Result<ModelCall> {
    let actor: String = row.get("actor")?;
    let first_token_ms: Option<i64> = row.get("first_token_ms")?;
    let attempts: Option<String> = row.get("attempts")?;
    let decision: Option<String> = row.get("decision")?;
    let decision = decision.map(|text| serde_json::from_str(&text));
    let attempts = attempts.map_or_else(|| Ok(Vec::new()), |text| serde_json::from_str(&text));
    Ok(ModelCall {
        id: row.get("id")?,
        model: row.get("model")?,
        decision: decision.transpose().map_err(|error| Error::from_source("column decision", error))?,
        attempts: attempts.map_err(|error| Error::from_source("column attempts", error))?,
        kind: row.get::<String>("kind")?.parse()?,
        purpose: row.get::<String>("purpose")?.parse()?,
        status: row.get::<String>("status")?.parse()?,
        streamed: row.get("streamed")?,
        usage: TokenUsage {
            input_tokens: row.get("input_tokens")?,
            cached_input_tokens: row.get("cached_input_tokens")?,
            cache_write_tokens: row.get("cache_write_tokens")?,
            output_tokens: row.get("output_tokens")?,
            reasoning_tokens: row.get("reasoning_tokens")?,
        },
        queued_ms: row.get("queued_ms")?,
        first_token_ms: first_token_ms.map(i64::unsigned_abs),
        duration_ms: row.get("duration_ms")?,
        cost: money(row)?,
        error: row.get("error")?,
        actor: serde_json::from_str::<Actor>(&actor).map_err(|error| Error::from_source("column actor", error))?,
        request: row.get("request_id")?,
        created_at: row.get("created_at")?,
    })
}

pub(crate) async fn get(tx: &mut Tx, id: CallId) -> Result<ModelCall> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional("SELECT * FROM model_calls WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?
        .ok_or_else(|| Error::not_found("call_not_found", format!("there is no model call {id}")))?;
    call(&row)
}

pub(crate) async fn list(tx: &mut Tx, filter: &CallFilter, page: &PageRequest) -> Result<Page<ModelCall>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT * FROM model_calls WHERE tenant_id = $1 AND id < $2
               AND (CAST($3 AS TEXT) IS NULL OR model = $3) AND (CAST($4 AS TEXT) IS NULL OR status = $4)
             ORDER BY id DESC LIMIT $5",
            [
                tenant.into(),
                page_key(page.cursor.as_deref()).into(),
                filter.model.as_deref().into(),
                filter.status.map(|status| status.as_str()).into(),
                page.fetch_limit().into(),
            ],
        )
        .await?;
    let calls = rows.iter().map(call).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(calls, page.limit, |call| call.id.to_string()))
}

/// Sums over the calls of one day or model in one currency (or with unknown cost).
pub(crate) struct UsageRow {
    pub(crate) day: i64,
    pub(crate) model: String,
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) duration_ms: u64,
    pub(crate) cost: Option<Money>,
}

/// Sums by day, model and currency since `since_at`.
pub(crate) async fn usage(tx: &mut Tx, since_at: Timestamp) -> Result<Vec<UsageRow>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT created_at / 86400000000 AS day, model, cost_currency, COUNT(*) AS calls,
               CAST(SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS BIGINT) AS failed,
               CAST(SUM(input_tokens) AS BIGINT) AS input_tokens, CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
               CAST(SUM(duration_ms) AS BIGINT) AS duration_ms, CAST(SUM(cost_micros) AS BIGINT) AS cost_micros
             FROM model_calls WHERE tenant_id = $1 AND created_at >= $2
             GROUP BY created_at / 86400000000, model, cost_currency",
            [tenant.into(), since_at.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(UsageRow {
                day: row.get("day")?,
                model: row.get("model")?,
                calls: row.get("calls")?,
                failed: row.get("failed")?,
                input_tokens: row.get("input_tokens")?,
                output_tokens: row.get("output_tokens")?,
                duration_ms: row.get("duration_ms")?,
                cost: money(row)?,
            })
        })
        .collect()
}
