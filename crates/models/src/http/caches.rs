use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use plasma_http::{Caller, Json, Problem, ProblemBody, Query};
use plasma_kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CacheSettings, CacheState, CacheUsage, Calibration, Models, TextPair, caches::CacheWish};

impl CacheWish {
    /// `cache-control: no-cache` or `no-store`; what else the header may say is for others.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
        let directives: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
        let says = |wanted: &str| directives.iter().any(|directive| directive.eq_ignore_ascii_case(wanted));
        if says("no-store") {
            Self::Refuse
        } else if says("no-cache") {
            Self::Renew
        } else {
            Self::Use
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CacheWish {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// How the workspace's cache of answers works.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelCache)]
pub struct CacheBody {
    /// For requests that name a model, and how long a kept answer may be.
    pub settings: CacheSettings,
    /// When all answers were thrown away last, in microseconds since 1970 UTC; null when never.
    #[schema(required)]
    pub purged_at: Option<Timestamp>,
}

impl From<CacheState> for CacheBody {
    fn from(state: CacheState) -> Self {
        Self { settings: state.settings, purged_at: (state.purged_at > 0).then_some(state.purged_at) }
    }
}

/// Get the cache's settings
///
/// Routes have settings of their own.
#[utoipa::path(
    get, path = "/api/v1/models/cache", tag = "models", security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = CacheBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_model_cache(
    State(models): State<Models>,
    Caller(ctx): Caller,
) -> Result<Json<CacheBody>, Problem> {
    Ok(Json(models.cache_state(&ctx).await?.into()))
}

/// Change the cache's settings
///
/// The exact cache gives an answer again where the same question is asked of the same model. A shorter time holds also for
/// answers that are kept already. Vectors of texts have a switch of their own, `embeddings`.
#[utoipa::path(
    put, path = "/api/v1/models/cache", tag = "models", request_body = CacheSettings, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = CacheBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn set_model_cache(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(settings): Json<CacheSettings>,
) -> Result<Json<CacheBody>, Problem> {
    Ok(Json(models.set_cache(&ctx, settings).await?.into()))
}

/// Purge the cache
///
/// Throws all kept answers of the workspace away, those of routes and vectors of texts too.
#[utoipa::path(
    delete, path = "/api/v1/models/cache", tag = "models", security(("bearer" = [])),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 204, description = "Purged"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn purge_model_cache(
    State(models): State<Models>,
    Caller(ctx): Caller,
) -> Result<StatusCode, Problem> {
    models.purge_cache(&ctx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `?days=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CacheUsageQuery {
    /// How many days, today included: 1 to 366, 30 when absent.
    #[param(minimum = 1, maximum = 366)]
    days: Option<u32>,
}

/// What the cache did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelCacheReport)]
pub struct CacheUsageBody {
    /// Each model of which clients asked something, or that embedded texts, most calls first.
    pub models: Vec<CacheUsage>,
}

/// Sum up the cache's hits
///
/// Of the last days, by model.
#[utoipa::path(
    get, path = "/api/v1/models/cache/usage", tag = "models", params(CacheUsageQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = CacheUsageBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_model_cache_usage(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(query): Query<CacheUsageQuery>,
) -> Result<Json<CacheUsageBody>, Problem> {
    const DAYS_DEFAULT: u32 = 30;
    Ok(Json(CacheUsageBody { models: models.cache_usage(&ctx, query.days.unwrap_or(DAYS_DEFAULT)).await? }))
}

/// Pairs of messages of which a person has said whether they ask the same.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CacheCalibrationRequest)]
pub struct CalibrationRequest {
    /// 1 to 2,000. A share of false hits of 1% cannot be shown with fewer than 268 hits.
    #[schema(min_items = 1, max_items = 2_000)]
    pairs: Vec<TextPair>,
    /// The share of hits that may be false: above 0, below 1.
    #[schema(example = 0.01)]
    target_false_hit_rate: f64,
}

/// Calibrate the semantic cache
///
/// Finds the smallest similarity at which the share of false hits among the given pairs is surely within the target. Changes
/// nothing: write the threshold into a route's settings.
#[utoipa::path(
    post, path = "/api/v1/models/cache/calibrate", tag = "models", request_body = CalibrationRequest,
    security(("bearer" = [])), extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = Calibration),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn calibrate_model_cache(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(request): Json<CalibrationRequest>,
) -> Result<Json<Calibration>, Problem> {
    Ok(Json(models.calibrate_cache(&ctx, &request.pairs, request.target_false_hit_rate).await?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_the_caller_wants() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CACHE_CONTROL, value.parse().unwrap());
            }
            CacheWish::of(&headers)
        };
        assert_eq!(of(&[]), CacheWish::Use);
        assert_eq!(of(&["max-age=60"]), CacheWish::Use);
        assert_eq!(of(&["No-Cache"]), CacheWish::Renew);
        assert_eq!(of(&["max-age=0, no-cache"]), CacheWish::Renew);
        assert_eq!(of(&["no-cache", "no-store"]), CacheWish::Refuse);
    }
}
