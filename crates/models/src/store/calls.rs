use plasma_kernel::{Actor, CallId, Ctx, Error, Result};
use plasma_store::{NewEvent, Row, Store, Tx, Value};
use serde_json::json;

use crate::{
    ModelCall, PromptUse, TokenUsage,
    budgets::{Settling, settle_left},
    call_journal::{Left, Spent},
    capture::Payload,
    events,
};

/// Writes the calls of one tenant, their events, sums and kept payloads, and what they cost of budgets, all or none.
pub(crate) async fn insert(
    ctx: &Ctx,
    store: &Store,
    calls: &[&ModelCall],
    payloads: &[(&ModelCall, &Payload)],
    settling: &mut Settling,
) -> Result<()> {
    let mut tx = store.begin(ctx).await?;
    for call in calls {
        insert_one(&mut tx, call).await?;
        let event = NewEvent::new(events::CALL_COMPLETED, call.id, event_data(call));
        tx.emit(event.in_request(call.request)).await?;
    }
    for (call, payload) in payloads {
        super::payloads::insert(&mut tx, store, call, payload).await?;
    }
    // Last, for other processes wait for the rows that these lock.
    super::usage::add(&mut tx, calls).await?;
    settling.write(&mut tx).await?;
    tx.commit().await.map(drop)
}

/// Writes calls of one tenant that an earlier process has recorded elsewhere, and what they cost of budgets, all or none. Those
/// that are there already are passed over.
pub(crate) async fn insert_missing(ctx: &Ctx, store: &Store, records: &[&Left]) -> Result<()> {
    let mut tx = store.begin(ctx).await?;
    let tenant = tx.tenant()?;
    let mut written = Vec::with_capacity(records.len());
    let mut spent: Vec<Spent> = Vec::new();
    for record in records {
        let call = &record.call;
        let known = "SELECT 1 AS known FROM model_calls WHERE tenant_id = $1 AND id = $2";
        if tx.fetch_optional(known, [tenant.into(), call.id.into()]).await?.is_some() {
            continue;
        }
        insert_one(&mut tx, call).await?;
        let event = NewEvent::new(events::CALL_COMPLETED, call.id, event_data(call));
        tx.emit(event.in_request(call.request)).await?;
        spent.extend(&record.spent);
        written.push(call);
    }
    super::usage::add(&mut tx, &written).await?;
    settle_left(&mut tx, &spent).await?;
    tx.commit().await.map(drop)
}

/// Writes a call that has no budget, and its event.
pub(crate) async fn insert_with_event(tx: &mut Tx, call: &ModelCall) -> Result<()> {
    insert_one(tx, call).await?;
    super::usage::add(tx, &[call]).await?;
    let event = NewEvent::new(events::CALL_COMPLETED, call.id, event_data(call));
    tx.emit(event.in_request(call.request)).await.map(drop)
}

async fn insert_one(tx: &mut Tx, call: &ModelCall) -> Result<()> {
    let tenant = tx.tenant()?;
    // One attempt that worked says no more than the call itself.
    let attempts = match call.attempts.as_slice() {
        [] => None,
        [only] if only.error.is_none() => None,
        attempts => Some(attempts),
    };
    tx.execute(
        "INSERT INTO model_calls (tenant_id, id, model, kind, purpose, status, streamed, input_tokens, cached_input_tokens,
           output_tokens, queued_ms, first_token_ms, duration_ms, cost_micros, cost_currency, error, actor, request_id, created_at,
           attempts, route, decision, cache_write_tokens, reasoning_tokens, actor_id, cache, cache_hit, saved_micros,
           prompt, prompt_version, team_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
           $25, $26, $27, $28, $29, $30, $31)",
        [
            tenant.into(),
            call.id.into(),
            (&call.model).into(),
            call.kind.as_str().into(),
            call.purpose.as_str().into(),
            call.status.as_str().into(),
            call.streamed.into(),
            call.usage.input_tokens.into(),
            call.usage.cached_input_tokens.into(),
            call.usage.output_tokens.into(),
            call.queued_ms.into(),
            call.first_token_ms.into(),
            call.duration_ms.into(),
            call.cost.as_ref().map(|cost| cost.amount_micros).into(),
            call.cost.as_ref().map(|cost| cost.currency.as_str()).into(),
            call.error.as_deref().into(),
            Value::json(&call.actor)?,
            call.request.into(),
            call.created_at.into(),
            Value::optional_json(attempts)?,
            call.decision.as_ref().map(|decision| decision.route.as_str()).into(),
            Value::optional_json(call.decision.as_ref())?,
            call.usage.cache_write_tokens.into(),
            call.usage.reasoning_tokens.into(),
            actor_id(&call.actor).into(),
            call.cache.as_ref().map(|hit| hit.kind.as_str()).into(),
            Value::optional_json(call.cache.as_ref())?,
            call.cache.as_ref().and_then(|hit| hit.saved.as_ref()).map(|saved| saved.amount_micros).into(),
            call.prompt.as_ref().map(|prompt| prompt.name.as_str()).into(),
            call.prompt.as_ref().map(|prompt| prompt.version).into(),
            call.team.into(),
        ],
    )
    .await
    .map(drop)
}

/// What the log is searched by; empty for Plasma itself.
fn actor_id(actor: &Actor) -> String {
    match actor {
        Actor::User { id } => id.to_string(),
        Actor::ApiKey { id } => id.to_string(),
        Actor::Application { id, .. } => id.to_string(),
        Actor::System { .. } => String::new(),
    }
}

fn event_data(call: &ModelCall) -> serde_json::Value {
    json!({
        "model": call.model,
        "decision": call.decision,
        "attempts": call.attempts,
        "prompt": call.prompt,
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
        "cache": call.cache,
        "error": call.error,
        "actor": call.actor,
        "team": call.team,
        "request_id": call.request,
        "created_at": call.created_at,
    })
}

pub(super) fn call(row: &Row) -> Result<ModelCall> {
    let (prompt, version): (Option<String>, Option<u32>) = (row.get("prompt")?, row.get("prompt_version")?);
    Ok(ModelCall {
        id: row.get("id")?,
        model: row.get("model")?,
        decision: row.optional_json("decision")?,
        attempts: row.optional_json("attempts")?.unwrap_or_default(),
        prompt: prompt.zip(version).map(|(name, version)| PromptUse { name, version }),
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
        first_token_ms: row.get("first_token_ms")?,
        duration_ms: row.get("duration_ms")?,
        cost: super::money(row, "cost_micros", "cost_currency")?,
        cache: row.optional_json("cache_hit")?,
        error: row.get("error")?,
        actor: row.json("actor")?,
        team: row.get("team_id")?,
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
