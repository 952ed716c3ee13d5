//! Runs of benchmarks and their results.

use std::collections::HashSet;

use plasma_kernel::{BenchmarkId, Error, Money, Page, PageRequest, Result, Timestamp};
use plasma_store::{Row, Tx, page_key};
use serde::de::DeserializeOwned;

use crate::benchmarks::{Benchmark, BenchmarkState, CaseResult, ResultFilter, Suite};

/// Between the parts of a cursor: no case's id has it.
const SEPARATOR: char = '/';

fn json<T: DeserializeOwned>(row: &Row, name: &'static str) -> Result<T> {
    serde_json::from_str(&row.get::<String>(name)?).map_err(|error| Error::from_source(format!("column {name}"), error))
}

fn text<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::from_source("a benchmark cannot be written", error))
}

fn benchmark(row: &Row) -> Result<Benchmark> {
    Ok(Benchmark {
        id: row.get("id")?,
        name: row.get("name")?,
        suite: row.get("suite_name")?,
        models: json(row, "models")?,
        case_count: row.get("case_count")?,
        concurrency: row.get("concurrency")?,
        greedy: row.get("greedy")?,
        state: row.get::<String>("state")?.parse()?,
        done: row.get("done")?,
        error: row.get("error")?,
        actor: json(row, "actor")?,
        team: row.get("team_id")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        ended_at: row.get("ended_at")?,
    })
}

fn not_found(id: BenchmarkId) -> Error {
    Error::not_found("benchmark_not_found", format!("there is no benchmark {id}"))
}

pub(crate) async fn insert(tx: &mut Tx, benchmark: &Benchmark, suite: &Suite) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO model_benchmarks (tenant_id, id, name, suite, suite_name, case_count, models, concurrency, greedy, state,
           actor, created_at, team_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        [
            tenant.into(),
            benchmark.id.into(),
            (&benchmark.name).into(),
            text(suite)?.into(),
            (&benchmark.suite).into(),
            suite.cases.len().into(),
            text(&benchmark.models)?.into(),
            benchmark.concurrency.into(),
            benchmark.greedy.into(),
            benchmark.state.as_str().into(),
            text(&benchmark.actor)?.into(),
            benchmark.created_at.into(),
            benchmark.team.into(),
        ],
    )
    .await
    .map(drop)
}

/// All runs of the tenant, and those that have not ended.
pub(crate) async fn count(tx: &mut Tx) -> Result<(usize, usize)> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_one(
            "SELECT COUNT(*) AS runs, COUNT(CASE WHEN state IN ('queued', 'running') THEN 1 END) AS unfinished
             FROM model_benchmarks WHERE tenant_id = $1",
            [tenant.into()],
        )
        .await?;
    Ok((row.get("runs")?, row.get("unfinished")?))
}

pub(crate) async fn get(tx: &mut Tx, id: BenchmarkId) -> Result<Benchmark> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT b.id, b.name, b.suite_name, b.case_count, b.models, b.concurrency, b.greedy, b.state, b.actor, b.team_id, b.error,
               b.created_at, b.started_at, b.ended_at,
               (SELECT COUNT(*) FROM model_benchmark_results r WHERE r.tenant_id = $1 AND r.benchmark_id = b.id) AS done
             FROM model_benchmarks b WHERE b.tenant_id = $1 AND b.id = $2",
            [tenant.into(), id.into()],
        )
        .await?
        .ok_or_else(|| not_found(id))?;
    benchmark(&row)
}

pub(crate) async fn list(tx: &mut Tx, page: &PageRequest) -> Result<Page<Benchmark>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT b.id, b.name, b.suite_name, b.case_count, b.models, b.concurrency, b.greedy, b.state, b.actor, b.team_id, b.error,
               b.created_at, b.started_at, b.ended_at,
               (SELECT COUNT(*) FROM model_benchmark_results r WHERE r.tenant_id = $1 AND r.benchmark_id = b.id) AS done
             FROM model_benchmarks b WHERE b.tenant_id = $1 AND b.id < $2 ORDER BY b.id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let benchmarks = rows.iter().map(benchmark).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(benchmarks, page.limit, |benchmark| benchmark.id.to_string()))
}

pub(crate) async fn suite(tx: &mut Tx, id: BenchmarkId) -> Result<Suite> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT suite FROM model_benchmarks WHERE tenant_id = $1 AND id = $2",
            [tenant.into(), id.into()],
        )
        .await?
        .ok_or_else(|| not_found(id))?;
    json(&row, "suite")
}

/// Marks a run as running; `false` when it has ended.
pub(crate) async fn start(tx: &mut Tx, id: BenchmarkId, now: Timestamp) -> Result<bool> {
    let tenant = tx.tenant()?;
    let changed = tx
        .execute(
            "UPDATE model_benchmarks SET state = 'running', started_at = COALESCE(started_at, $3)
             WHERE tenant_id = $1 AND id = $2 AND state IN ('queued', 'running')",
            [tenant.into(), id.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Whether a run is there and has not ended.
pub(crate) async fn is_running(tx: &mut Tx, id: BenchmarkId) -> Result<bool> {
    let tenant = tx.tenant()?;
    let running = tx
        .fetch_optional(
            "SELECT id FROM model_benchmarks WHERE tenant_id = $1 AND id = $2 AND state = 'running'",
            [tenant.into(), id.into()],
        )
        .await?;
    Ok(running.is_some())
}

/// Ends a run; `false` when it had ended.
pub(crate) async fn end(
    tx: &mut Tx,
    id: BenchmarkId,
    state: BenchmarkState,
    error: Option<&str>,
    now: Timestamp,
) -> Result<bool> {
    let tenant = tx.tenant()?;
    let changed = tx
        .execute(
            "UPDATE model_benchmarks SET state = $3, error = $4, ended_at = $5
             WHERE tenant_id = $1 AND id = $2 AND state IN ('queued', 'running')",
            [tenant.into(), id.into(), state.as_str().into(), error.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Removes a run with its results.
pub(crate) async fn delete(tx: &mut Tx, id: BenchmarkId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM model_benchmarks WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await
        .map(drop)
}

/// Writes a result, unless the run has ended meanwhile or the case has one.
pub(crate) async fn insert_result(tx: &mut Tx, id: BenchmarkId, result: &CaseResult, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO model_benchmark_results (tenant_id, benchmark_id, model, case_id, score, reason, answer, error, call_id,
           first_token_ms, duration_ms, input_tokens, output_tokens, cost_micros, cost_currency, created_at)
         SELECT b.tenant_id, b.id, CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS DOUBLE PRECISION), CAST($6 AS TEXT),
           CAST($7 AS TEXT), CAST($8 AS TEXT), CAST($9 AS TEXT), CAST($10 AS BIGINT), CAST($11 AS BIGINT),
           CAST($12 AS BIGINT), CAST($13 AS BIGINT), CAST($14 AS BIGINT), CAST($15 AS TEXT), CAST($16 AS BIGINT)
         FROM model_benchmarks b WHERE b.tenant_id = $1 AND b.id = $2 AND b.state = 'running'
         ON CONFLICT (tenant_id, benchmark_id, case_id, model) DO NOTHING",
        [
            tenant.into(),
            id.into(),
            (&result.model).into(),
            (&result.case).into(),
            result.score.into(),
            result.reason.as_deref().into(),
            result.answer.as_deref().into(),
            result.error.as_deref().into(),
            result.call_id.into(),
            result.first_token_ms.map(number).into(),
            number(result.duration_ms).into(),
            number(result.input_tokens).into(),
            number(result.output_tokens).into(),
            result.cost.as_ref().map(|cost| cost.amount_micros).into(),
            result.cost.as_ref().map(|cost| cost.currency.as_str()).into(),
            now.into(),
        ],
    )
    .await
    .map(drop)
}

/// Model and case of every result.
pub(crate) async fn asked(tx: &mut Tx, id: BenchmarkId) -> Result<HashSet<(String, String)>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT model, case_id FROM model_benchmark_results WHERE tenant_id = $1 AND benchmark_id = $2",
        [tenant.into(), id.into()],
    )
    .await?
    .iter()
    .map(|row| Ok((row.get("model")?, row.get("case_id")?)))
    .collect()
}

fn result(row: &Row) -> Result<CaseResult> {
    let amount_micros: Option<i64> = row.get("cost_micros")?;
    let currency: Option<String> = row.get("cost_currency")?;
    Ok(CaseResult {
        model: row.get("model")?,
        case: row.get("case_id")?,
        score: row.get("score")?,
        reason: row.get("reason")?,
        answer: row.get("answer")?,
        error: row.get("error")?,
        call_id: row.get("call_id")?,
        first_token_ms: row.get::<Option<i64>>("first_token_ms")?.and_then(|number| u64::try_from(number).ok()),
        duration_ms: row.get("duration_ms")?,
        input_tokens: row.get("input_tokens")?,
        output_tokens: row.get("output_tokens")?,
        cost: amount_micros.zip(currency).map(|(amount_micros, currency)| Money { amount_micros, currency }),
    })
}

/// Every result of a run without answers: at most 5,000.
pub(crate) async fn all_results(tx: &mut Tx, id: BenchmarkId) -> Result<Vec<CaseResult>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT model, case_id, score, reason, CAST(NULL AS TEXT) AS answer, error, call_id, first_token_ms, duration_ms,
           input_tokens, output_tokens, cost_micros, cost_currency
         FROM model_benchmark_results WHERE tenant_id = $1 AND benchmark_id = $2 ORDER BY case_id, model",
        [tenant.into(), id.into()],
    )
    .await?
    .iter()
    .map(result)
    .collect()
}

pub(crate) async fn results(
    tx: &mut Tx,
    benchmark: &Benchmark,
    filter: &ResultFilter,
    page: &PageRequest,
) -> Result<Page<CaseResult>> {
    let tenant = tx.tenant()?;
    // A cursor is a case and the place of a model in the run's list: names may be long.
    // Postgres takes no NUL, not even to compare with.
    let cursor = page.cursor.as_deref().filter(|cursor| !cursor.contains('\0'));
    let (case, place) = cursor.and_then(|cursor| cursor.split_once(SEPARATOR)).unwrap_or_default();
    let model = place.parse().ok().and_then(|place: usize| benchmark.models.get(place)).map_or("", String::as_str);
    let rows = tx
        .fetch_all(
            "SELECT model, case_id, score, reason, answer, error, call_id, first_token_ms, duration_ms, input_tokens,
               output_tokens, cost_micros, cost_currency
             FROM model_benchmark_results
             WHERE tenant_id = $1 AND benchmark_id = $2 AND (case_id > $3 OR (case_id = $3 AND model > $4))
               AND (CAST($5 AS TEXT) IS NULL OR case_id = $5) AND (CAST($6 AS TEXT) IS NULL OR model = $6)
             ORDER BY case_id, model LIMIT $7",
            [
                tenant.into(),
                benchmark.id.into(),
                case.into(),
                model.into(),
                filter.case.as_deref().into(),
                filter.model.as_deref().into(),
                page.fetch_limit().into(),
            ],
        )
        .await?;
    let results = rows.iter().map(result).collect::<Result<Vec<_>>>()?;
    let place = |model: &String| benchmark.models.iter().position(|own| own == model).unwrap_or(0);
    Ok(Page::from_rows(results, page.limit, |result| format!("{}{SEPARATOR}{}", result.case, place(&result.model))))
}
