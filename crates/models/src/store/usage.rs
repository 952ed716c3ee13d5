//! The sums of calls, in `model_usage`.

use std::collections::{BTreeMap, BTreeSet};

use plasma_kernel::{Money, Result};
use plasma_store::{Row, Sql, Tx, Value, id_array};

use crate::{
    ModelCall,
    usage::{COLUMNS, Counters, GroupKey, UsageDimension, UsageQuery, roll_up},
};

/// Makes a text or a list of the columns that are sums, in the order of [`Counters::columns`], each with its place among the
/// parameters of [`UPSERT`].
macro_rules! counters {
    ($then:ident) => {
        $then! {
            "calls" "$10", "failed" "$11", "cancelled" "$12", "cache_hits" "$13", "input_tokens" "$14",
            "cached_input_tokens" "$15", "cache_write_tokens" "$16", "output_tokens" "$17", "reasoning_tokens" "$18",
            "cost_micros" "$19", "duration_ms" "$20", "first_token_ms" "$21", "duration_00" "$22", "duration_01" "$23",
            "duration_02" "$24", "duration_03" "$25", "duration_04" "$26", "duration_05" "$27", "duration_06" "$28",
            "duration_07" "$29", "duration_08" "$30", "duration_09" "$31", "duration_10" "$32", "duration_11" "$33",
            "duration_12" "$34", "duration_13" "$35", "duration_14" "$36", "duration_15" "$37", "duration_16" "$38",
            "duration_17" "$39", "duration_18" "$40", "duration_19" "$41", "first_token_00" "$42",
            "first_token_01" "$43", "first_token_02" "$44", "first_token_03" "$45", "first_token_04" "$46",
            "first_token_05" "$47", "first_token_06" "$48", "first_token_07" "$49", "first_token_08" "$50",
            "first_token_09" "$51", "first_token_10" "$52", "first_token_11" "$53", "first_token_12" "$54",
            "first_token_13" "$55", "first_token_14" "$56", "first_token_15" "$57", "first_token_16" "$58",
            "first_token_17" "$59", "first_token_18" "$60", "first_token_19" "$61"
        }
    };
}

macro_rules! names {
    ($($name:literal $place:literal),*) => { [$($name),*] };
}

macro_rules! columns {
    ($($name:literal $place:literal),*) => { concat!($(", ", $name),*) };
}

macro_rules! places {
    ($($name:literal $place:literal),*) => { concat!($(", ", $place),*) };
}

macro_rules! additions {
    ($first:literal $first_place:literal $(, $name:literal $place:literal)*) => {
        concat!(
            $first, " = model_usage.", $first, " + excluded.", $first
            $(, ", ", $name, " = model_usage.", $name, " + excluded.", $name)*
        )
    };
}

macro_rules! sums {
    ($($name:literal $place:literal),*) => { concat!($(", CAST(SUM(", $name, ") AS BIGINT) AS ", $name),*) };
}

const NAMES: [&str; COLUMNS] = counters!(names);

const UPSERT: &str = concat!(
    "INSERT INTO model_usage (tenant_id, day, model, provider, api_key_id, user_id, team_id, route, currency",
    counters!(columns),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9",
    counters!(places),
    ") ON CONFLICT (tenant_id, day, model, api_key_id, user_id, team_id, route, currency) DO UPDATE SET ",
    counters!(additions)
);

/// A dimension that is not asked for is the same for all rows. The parameters from $4 on say which are asked for.
macro_rules! grouped {
    () => {
        concat!(
            "SELECT day, model, provider, api_key_id, user_id, team_id, route, currency",
            counters!(sums),
            " FROM (SELECT tenant_id, CASE WHEN $4 = 1 THEN day ELSE 0 END AS day,
                CASE WHEN $5 = 1 THEN model ELSE '' END AS model,
                CASE WHEN $6 = 1 THEN provider ELSE '' END AS provider,
                CASE WHEN $7 = 1 THEN api_key_id ELSE '' END AS api_key_id,
                CASE WHEN $8 = 1 THEN user_id ELSE '' END AS user_id,
                CASE WHEN $9 = 1 THEN team_id ELSE '' END AS team_id,
                CASE WHEN $10 = 1 THEN route ELSE '' END AS route, currency",
            counters!(columns),
            " FROM model_usage
              WHERE tenant_id = $1 AND day >= $2 AND day <= $3
                AND (CAST($11 AS TEXT) IS NULL OR model = $11) AND (CAST($12 AS TEXT) IS NULL OR provider = $12)
                AND (CAST($13 AS TEXT) IS NULL OR api_key_id = $13) AND (CAST($14 AS TEXT) IS NULL OR user_id = $14)
                AND (CAST($15 AS TEXT) IS NULL OR team_id = $15) AND (CAST($16 AS TEXT) IS NULL OR route = $16)) AS chosen
              GROUP BY day, model, provider, api_key_id, user_id, team_id, route, currency LIMIT $17"
        )
    };
}

const GROUPED: &str = grouped!();
/// How the database reads [`GROUPED`], for a test.
#[cfg(test)]
const EXPLAINED: Sql = Sql::each(concat!("EXPLAIN QUERY PLAN ", grouped!()), concat!("EXPLAIN ", grouped!()));

/// Adds calls to the sums, in the transaction that records them.
pub(crate) async fn add(tx: &mut Tx, calls: &[&ModelCall]) -> Result<()> {
    let tenant = tx.tenant()?;
    for (key, counters) in roll_up(calls) {
        let GroupKey { day, model, provider, api_key, user, team, route, currency } = key;
        let group: [Value; 9] = [
            tenant.into(),
            day.into(),
            model.into(),
            provider.into(),
            api_key.into(),
            user.into(),
            team.into(),
            route.into(),
            currency.into(),
        ];
        tx.execute(UPSERT, group.into_iter().chain(counters.columns().map(Value::from))).await?;
    }
    Ok(())
}

fn counters(row: &Row) -> Result<Counters> {
    let mut columns = [0; COLUMNS];
    for (column, name) in columns.iter_mut().zip(NAMES) {
        *column = row.get(name)?;
    }
    Ok(columns.into())
}

fn group(row: &Row) -> Result<(GroupKey, Counters)> {
    let key = GroupKey {
        day: row.get("day")?,
        model: row.get("model")?,
        provider: row.get("provider")?,
        api_key: row.get("api_key_id")?,
        user: row.get("user_id")?,
        team: row.get("team_id")?,
        route: row.get("route")?,
        currency: row.get("currency")?,
    };
    Ok((key, counters(row)?))
}

fn parameters(tx: &Tx, query: &UsageQuery, limit: usize) -> Result<Vec<Value>> {
    let tenant = tx.tenant()?;
    let wanted = |dimension| Value::from(query.group_by.contains(&dimension));
    let filter = &query.filter;
    Ok(vec![
        tenant.into(),
        query.from_day.into(),
        query.to_day.into(),
        wanted(UsageDimension::Day),
        wanted(UsageDimension::Model),
        wanted(UsageDimension::Provider),
        wanted(UsageDimension::Key),
        wanted(UsageDimension::User),
        wanted(UsageDimension::Team),
        wanted(UsageDimension::Route),
        filter.model.as_deref().into(),
        filter.provider.as_deref().into(),
        filter.key.as_deref().into(),
        filter.user.as_deref().into(),
        filter.team.as_deref().into(),
        filter.route.as_deref().into(),
        limit.into(),
    ])
}

/// At most `limit` groups of calls; what is not grouped by is empty in their keys. They come in no order.
pub(crate) async fn grouped(tx: &mut Tx, query: &UsageQuery, limit: usize) -> Result<Vec<(GroupKey, Counters)>> {
    let parameters = parameters(tx, query, limit)?;
    tx.fetch_all(GROUPED, parameters).await?.iter().map(group).collect()
}

/// The plan of [`grouped`].
#[cfg(test)]
pub(crate) async fn explained(tx: &mut Tx, query: &UsageQuery) -> Result<String> {
    let parameters = parameters(tx, query, 1)?;
    let name = match tx.dialect() {
        plasma_store::Dialect::Sqlite => "detail",
        plasma_store::Dialect::Postgres => "QUERY PLAN",
    };
    let rows = tx.fetch_all(EXPLAINED, parameters).await?;
    let lines = rows.iter().map(|row| row.get::<String>(name)).collect::<Result<Vec<_>>>()?;
    Ok(lines.join("\n"))
}

/// The calls of one model on one day in one currency (or with unknown cost).
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

/// Sums by day, model and currency from `first_day` on.
pub(crate) async fn by_day_and_model(tx: &mut Tx, first_day: i64) -> Result<Vec<UsageRow>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT day, model, currency, CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(failed) AS BIGINT) AS failed,
               CAST(SUM(input_tokens) AS BIGINT) AS input_tokens, CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
               CAST(SUM(duration_ms) AS BIGINT) AS duration_ms, CAST(SUM(cost_micros) AS BIGINT) AS cost_micros
             FROM model_usage WHERE tenant_id = $1 AND day >= $2 GROUP BY day, model, currency",
            [tenant.into(), first_day.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let currency: String = row.get("currency")?;
            let amount_micros = row.get("cost_micros")?;
            Ok(UsageRow {
                day: row.get("day")?,
                model: row.get("model")?,
                calls: row.get("calls")?,
                failed: row.get("failed")?,
                input_tokens: row.get("input_tokens")?,
                output_tokens: row.get("output_tokens")?,
                duration_ms: row.get("duration_ms")?,
                cost: (!currency.is_empty()).then_some(Money { amount_micros, currency }),
            })
        })
        .collect()
}

/// SQLite and Postgres read a list of ids each in its own way.
const KEY_NAMES: Sql = Sql::each(
    "SELECT id, name FROM api_keys WHERE tenant_id = $1 AND id IN (SELECT value FROM json_each($2))",
    "SELECT id, name FROM api_keys WHERE tenant_id = $1 AND id IN (SELECT jsonb_array_elements_text($2::jsonb))",
);

/// Only people of the tenant have a name here.
const USER_NAMES: Sql = Sql::each(
    "SELECT u.id, u.name FROM memberships m JOIN users u ON u.id = m.user_id
     WHERE m.tenant_id = $1 AND u.id IN (SELECT value FROM json_each($2))",
    "SELECT u.id, u.name FROM memberships m JOIN users u ON u.id = m.user_id
     WHERE m.tenant_id = $1 AND u.id IN (SELECT jsonb_array_elements_text($2::jsonb))",
);

const TEAM_NAMES: Sql = Sql::each(
    "SELECT id, name FROM teams WHERE tenant_id = $1 AND id IN (SELECT value FROM json_each($2))",
    "SELECT id, name FROM teams WHERE tenant_id = $1 AND id IN (SELECT jsonb_array_elements_text($2::jsonb))",
);

async fn names(tx: &mut Tx, statement: Sql, ids: BTreeSet<&str>) -> Result<BTreeMap<String, String>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let tenant = tx.tenant()?;
    let rows = tx.fetch_all(statement, [tenant.into(), id_array(ids)]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("name")?))).collect()
}

/// The names of API keys by their ids, revoked ones included.
pub(crate) async fn key_names(tx: &mut Tx, ids: BTreeSet<&str>) -> Result<BTreeMap<String, String>> {
    names(tx, KEY_NAMES, ids).await
}

/// The names of the workspace's people by their ids.
pub(crate) async fn user_names(tx: &mut Tx, ids: BTreeSet<&str>) -> Result<BTreeMap<String, String>> {
    names(tx, USER_NAMES, ids).await
}

/// The names of teams by their ids, but for those that were deleted.
pub(crate) async fn team_names(tx: &mut Tx, ids: BTreeSet<&str>) -> Result<BTreeMap<String, String>> {
    names(tx, TEAM_NAMES, ids).await
}
