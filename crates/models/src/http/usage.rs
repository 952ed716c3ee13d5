use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use plasma_http::{Caller, Json, Problem, ProblemBody, Query};
use plasma_kernel::{Error, Money, Result};
use serde::{Deserialize, Serialize};

use super::usage_csv;
use crate::{
    Models, UsageDimension, UsageFilter, UsageLine, UsageQuery, UsageSums, UsageTable,
    calls::{DAY_MICROS, date_text},
    usage::{day_of_text, dimensions},
};

/// Days when the caller does not say.
const DAYS_DEFAULT: i64 = 30;
const LINES_DEFAULT: u32 = 1_000;

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// As JSON.
    Json,
    /// As CSV (RFC 4180), with a header.
    Csv,
}

/// `?from=&to=&group_by=&model=&provider=&key=&user=&team=&route=&limit=&format=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UsageParameters {
    /// The first day (UTC), such as `2026-11-01`; 29 days before `to` when absent.
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// The last day, included; today when absent. A range has at most 366 days.
    #[param(example = "2026-11-30")]
    to: Option<String>,
    /// What lines are told apart by: `day`, `model`, `provider`, `key`, `user`, `team`, `route`, several of them separated
    /// by commas; `day` when absent.
    #[param(example = "day,model")]
    group_by: Option<String>,
    /// Only calls of the model with this name.
    model: Option<String>,
    /// Only calls of this provider's models, by its name; `local` for those of this process.
    provider: Option<String>,
    /// Only calls with the API key of this id.
    key: Option<String>,
    /// Only calls of the person of this id, with a login.
    user: Option<String>,
    /// Only calls that are counted to the team of this id, whoever called.
    team: Option<String>,
    /// Only calls that named this route.
    route: Option<String>,
    /// Lines at most: 1 to 10,000, 1,000 when absent.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
    /// `json` or `csv`; when absent the header `Accept` decides.
    #[param(inline)]
    format: Option<Format>,
}

impl UsageParameters {
    fn query(self, today: i64) -> Result<UsageQuery> {
        let day = |field, text: Option<String>| text.map(|text| day_of_text(field, &text)).transpose();
        let to_day = day("to", self.to)?.unwrap_or(today);
        let UsageParameters { model, provider, key, user, team, route, .. } = self;
        Ok(UsageQuery {
            from_day: day("from", self.from)?.unwrap_or(to_day - DAYS_DEFAULT + 1),
            to_day,
            group_by: self.group_by.map_or_else(|| Ok(vec![UsageDimension::Day]), |text| dimensions(&text))?,
            filter: UsageFilter { model, provider, key, user, team, route },
            limit: self.limit.unwrap_or(LINES_DEFAULT),
        })
    }
}

/// What calls used, by groups.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Usage)]
pub struct UsageBody {
    /// The first day.
    #[schema(example = "2026-11-01")]
    pub from: String,
    /// The last day, included.
    #[schema(example = "2026-11-30")]
    pub to: String,
    /// What lines are told apart by.
    pub group_by: Vec<UsageDimension>,
    /// By day, oldest first, and then most calls first. Days without calls are not there.
    pub data: Vec<UsageLineBody>,
    /// Whether lines beyond the limit were left off.
    pub has_more: bool,
    /// All groups together, also those that were left off.
    pub total: UsageSumsBody,
}

/// The usage of one group. A field of the group is null where lines are not told apart by it, or there is no such thing: a call
/// without a route, a person's call without a key.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = UsageLine)]
pub struct UsageLineBody {
    /// The day (UTC) on which the calls started.
    #[schema(required, example = "2026-11-22")]
    pub day: Option<String>,
    /// The model's name.
    #[schema(required)]
    pub model: Option<String>,
    /// The provider's name; `local` for models of this process.
    #[schema(required)]
    pub provider: Option<String>,
    /// The id of the API key.
    #[schema(required)]
    pub key: Option<String>,
    /// Its name, for those who may see keys.
    #[schema(required)]
    pub key_name: Option<String>,
    /// The id of the person who called with a login.
    #[schema(required)]
    pub user: Option<String>,
    /// Their name, for those who may see people.
    #[schema(required)]
    pub user_name: Option<String>,
    /// The id of the team to which the calls are counted.
    #[schema(required)]
    pub team: Option<String>,
    /// Its name, for those who may see teams; null also for one that was deleted.
    #[schema(required)]
    pub team_name: Option<String>,
    /// The route's name.
    #[schema(required)]
    pub route: Option<String>,
    /// What it used.
    #[serde(flatten)]
    pub sums: UsageSumsBody,
}

/// What calls used. Percentiles are read from a histogram whose steps double: they are in the right step, at most twice or half
/// of the true time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = UsageSums)]
pub struct UsageSumsBody {
    /// All calls.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those whose caller went away before the end.
    pub cancelled: u64,
    /// Those that a cache of Plasma answered.
    pub cache_hits: u64,
    /// Failed calls by all calls, 0 to 1; null without calls.
    #[schema(required)]
    pub error_rate: Option<f64>,
    /// Tokens read.
    pub input_tokens: u64,
    /// Those of them that a provider's cache answered.
    pub cached_input_tokens: u64,
    /// Those of them that were written to a provider's cache.
    pub cache_write_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Those of them that were thoughts.
    pub reasoning_tokens: u64,
    /// Known costs, one entry for each currency.
    pub cost: Vec<Money>,
    /// Calls whose cost is not known.
    pub unpriced_calls: u64,
    /// The mean time of a call; null without calls.
    #[schema(required)]
    pub duration_ms_mean: Option<u64>,
    /// The median time of a call.
    #[schema(required)]
    pub duration_ms_p50: Option<u64>,
    /// 95 of 100 calls took at most so long.
    #[schema(required)]
    pub duration_ms_p95: Option<u64>,
    /// The median time to the first token, of calls that were answered piece by piece; null when there are none.
    #[schema(required)]
    pub first_token_ms_p50: Option<u64>,
    /// 95 of 100 of them had their first token by then.
    #[schema(required)]
    pub first_token_ms_p95: Option<u64>,
}

impl From<UsageSums> for UsageSumsBody {
    fn from(sums: UsageSums) -> Self {
        Self {
            calls: sums.calls,
            failed: sums.failed,
            cancelled: sums.cancelled,
            cache_hits: sums.cache_hits,
            error_rate: (sums.calls > 0).then(|| sums.failed as f64 / sums.calls as f64),
            input_tokens: sums.input_tokens,
            cached_input_tokens: sums.cached_input_tokens,
            cache_write_tokens: sums.cache_write_tokens,
            output_tokens: sums.output_tokens,
            reasoning_tokens: sums.reasoning_tokens,
            cost: sums.cost,
            unpriced_calls: sums.unpriced_calls,
            duration_ms_mean: sums.duration_ms_mean,
            duration_ms_p50: sums.duration_ms_p50,
            duration_ms_p95: sums.duration_ms_p95,
            first_token_ms_p50: sums.first_token_ms_p50,
            first_token_ms_p95: sums.first_token_ms_p95,
        }
    }
}

impl From<UsageLine> for UsageLineBody {
    fn from(UsageLine { group, sums }: UsageLine) -> Self {
        Self {
            day: group.day.map(date_text),
            model: group.model,
            provider: group.provider,
            key: group.key,
            key_name: group.key_name,
            user: group.user,
            user_name: group.user_name,
            team: group.team,
            team_name: group.team_name,
            route: group.route,
            sums: sums.into(),
        }
    }
}

impl UsageBody {
    fn of(query: UsageQuery, table: UsageTable) -> Self {
        Self {
            from: date_text(query.from_day),
            to: date_text(query.to_day),
            group_by: query.group_by,
            data: table.lines.into_iter().map(UsageLineBody::from).collect(),
            has_more: table.has_more,
            total: table.total.into(),
        }
    }
}

/// Sum up usage
///
/// Calls, tokens, cost, errors and times of a range of days, by any dimensions. A call counts on the day on which it started,
/// from the moment when its record is written.
#[utoipa::path(
    get, path = "/api/v1/usage", tag = "models", params(UsageParameters), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, content((UsageBody = "application/json"), (String = "text/csv")),
         description = "JSON, or CSV where `format` or `Accept` asks for it"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_usage(
    State(models): State<Models>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Query(parameters): Query<UsageParameters>,
) -> Result<Response, Problem> {
    let format = parameters.format;
    let query = parameters.query(ctx.now().div_euclid(DAY_MICROS))?;
    let table = models.usage_by(&ctx, &query).await?;
    let body = UsageBody::of(query, table);
    let wants_csv = format.map_or_else(|| accepts_csv(&headers), |format| format == Format::Csv);
    if !wants_csv {
        return Ok(Json(body).into_response());
    }
    let name = format!("attachment; filename=\"usage-{}-{}.csv\"", body.from, body.to);
    let name = HeaderValue::from_str(&name).map_err(|error| Error::from_source("a file's name", error))?;
    let content_type = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    Ok(([(header::CONTENT_TYPE, content_type), (header::CONTENT_DISPOSITION, name)], usage_csv::write(&body))
        .into_response())
}

/// Whether CSV is named before JSON. A browser, which names neither, gets JSON.
fn accepts_csv(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = accepted
        .split(',')
        .filter_map(|range| range.split(';').next())
        .map(str::trim)
        .find(|range| matches!(*range, "text/csv" | "application/json" | "*/*"));
    first == Some("text/csv")
}
