use plasma_kernel::{Actor, CallId, Ctx, Error, Money, Result};
use plasma_store::{NewEvent, Row, Store, Tx};
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
    let hit = call.cache.as_ref().map(serde_json::to_string).transpose();
    let hit = hit.map_err(|error| Error::from_source("cache_hit", error))?;
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
            actor_id(&call.actor).into(),
            call.cache.as_ref().map(|hit| hit.kind.as_str()).into(),
            hit.into(),
            call.cache.as_ref().and_then(|hit| hit.saved.as_ref()).map(|saved| saved.amount_micros).into(),
            call.prompt.as_ref().map(|prompt| prompt.name.as_str()).into(),
            call.prompt.as_ref().map(|prompt| i64::from(prompt.version)).into(),
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

fn money(row: &Row) -> Result<Option<Money>> {
    let amount_micros: Option<i64> = row.get("cost_micros")?;
    let currency: Option<String> = row.get("cost_currency")?;
    Ok(amount_micros.zip(currency).map(|(amount_micros, currency)| Money { amount_micros, currency }))
}

pub(super) fn call(row: &Row) -> Result<ModelCall> {
    let actor: String = row.get("actor")?;
    let first_token_ms: Option<i64> = row.get("first_token_ms")?;
    let attempts: Option<String> = row.get("attempts")?;
    let decision: Option<String> = row.get("decision")?;
    let (prompt, version): (Option<String>, Option<i64>) = (row.get("prompt")?, row.get("prompt_version")?);
    let version = version.and_then(|version| u32::try_from(version).ok());
    let decision = decision.map(|text| serde_json::from_str(&text));
    let hit: Option<String> = row.get("cache_hit")?;
    let hit = hit.map(|text| serde_json::from_str(&text)).transpose();
    let attempts = attempts.map_or_else(|| Ok(Vec::new()), |text| serde_json::from_str(&text));
    Ok(ModelCall {
        id: row.get("id")?,
        model: row.get("model")?,
        decision: decision.transpose().map_err(|error| Error::from_source("column decision", error))?,
        attempts: attempts.map_err(|error| Error::from_source("column attempts", error))?,
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
        first_token_ms: first_token_ms.map(i64::unsigned_abs),
        duration_ms: row.get("duration_ms")?,
        cost: money(row)?,
        cache: hit.map_err(|error| Error::from_source("column cache_hit", error))?,
        error: row.get("error")?,
        actor: serde_json::from_str::<Actor>(&actor).map_err(|error| Error::from_source("column actor", error))?,
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
