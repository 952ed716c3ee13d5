use axum::extract::State;
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::{Error, Money, Result};
use serde::{Deserialize, Serialize};

use super::models::ModelBody;
use crate::{Models, Price, PriceSource, PriceTier, Rates, catalog};

/// What a model costs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelPrice)]
pub struct PriceBody {
    #[serde(flatten)]
    rates: RatesBody,
    /// For a thousand calls, besides their tokens; null: nothing.
    #[schema(required)]
    pub per_thousand_calls: Option<Money>,
    /// Other prices of calls that read much, by ascending `above_input_tokens`.
    pub tiers: Vec<PriceTierBody>,
    /// By how many percent a call costs less that the provider's own batch API runs, as an administrator says; null: it costs as
    /// much, unless there is `batch`.
    #[schema(required)]
    pub batch_discount_percent: Option<u32>,
    /// What a call costs that the provider's own batch API runs, as the snapshot says; null: nothing is said.
    #[schema(required)]
    pub batch: Option<BatchPriceBody>,
    /// Whether it costs nothing.
    pub free: bool,
}

/// What calls cost that the provider's own batch API runs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelBatchPrice)]
pub struct BatchPriceBody {
    #[serde(flatten)]
    rates: RatesBody,
    /// Other prices of calls that read much, by ascending `above_input_tokens`.
    pub tiers: Vec<PriceTierBody>,
}

/// The prices of all tokens of a call that reads more than so many.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelPriceTier)]
pub struct PriceTierBody {
    /// Tokens read, from a cache or not.
    pub above_input_tokens: u64,
    #[serde(flatten)]
    rates: RatesBody,
}

/// What a million tokens cost.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelRates)]
pub struct RatesBody {
    /// For tokens read.
    #[schema(required)]
    pub input_per_million: Option<Money>,
    /// For those of them that a cache answered; null: as much as other tokens read.
    #[schema(required)]
    pub cached_input_per_million: Option<Money>,
    /// For those of them that were written to a cache; null: as much as other tokens read.
    #[schema(required)]
    pub cache_write_per_million: Option<Money>,
    /// For tokens written.
    #[schema(required)]
    pub output_per_million: Option<Money>,
    /// For those of them that were thoughts; null: as much as other tokens written.
    #[schema(required)]
    pub reasoning_per_million: Option<Money>,
}

impl From<&Price> for PriceBody {
    fn from(price: &Price) -> Self {
        Self {
            rates: RatesBody::of(price, &price.rates),
            per_thousand_calls: price.call_micros_per_thousand.map(|micros| price.money(micros)),
            tiers: tiers(price),
            batch_discount_percent: price.batch_discount_percent,
            batch: price.batch.as_deref().map(BatchPriceBody::from),
            free: price.free,
        }
    }
}

impl From<&Price> for BatchPriceBody {
    fn from(price: &Price) -> Self {
        Self { rates: RatesBody::of(price, &price.rates), tiers: tiers(price) }
    }
}

fn tiers(price: &Price) -> Vec<PriceTierBody> {
    let tier = |tier: &PriceTier| PriceTierBody {
        above_input_tokens: tier.above_input_tokens,
        rates: RatesBody::of(price, &tier.rates),
    };
    price.tiers.iter().map(tier).collect()
}

impl RatesBody {
    /// In the price's currency.
    fn of(price: &Price, rates: &Rates) -> Self {
        let money = |micros: Option<i64>| micros.map(|micros| price.money(micros));
        Self {
            input_per_million: money(rates.input),
            cached_input_per_million: money(rates.cached_input),
            cache_write_per_million: money(rates.cache_write),
            output_per_million: money(rates.output),
            reasoning_per_million: money(rates.reasoning),
        }
    }
}

/// Who says what a model costs.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PriceSource)]
pub enum PriceSourceWord {
    /// An administrator of the workspace.
    Administrator,
    /// The snapshot of public prices in this program.
    Snapshot,
}

impl From<&PriceSource> for PriceSourceWord {
    fn from(source: &PriceSource) -> Self {
        match source {
            PriceSource::Administrator => Self::Administrator,
            PriceSource::Snapshot(_) => Self::Snapshot,
        }
    }
}

/// Where in the snapshot of public prices a price stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PriceSnapshot)]
pub struct PriceSnapshotBody {
    /// The release of genai-prices.
    #[schema(example = "0.2.3")]
    pub version: String,
    /// Its id of the provider whose price it is.
    #[schema(example = "anthropic")]
    pub provider: String,
    /// Its id of the model.
    pub model: String,
    /// The day (UTC) since which the price holds; null when the snapshot knows no beginning.
    #[schema(required, example = "2026-10-12")]
    pub effective_date: Option<String>,
}

impl PriceSnapshotBody {
    pub(super) fn of(source: PriceSource) -> Option<Self> {
        match source {
            PriceSource::Administrator => None,
            PriceSource::Snapshot(snapshot) => Some(Self {
                version: snapshot.version.to_string(),
                provider: snapshot.provider.to_string(),
                model: snapshot.model.to_string(),
                effective_date: snapshot.effective_date.map(|date| date.to_string()),
            }),
        }
    }
}

/// A price of your own. It takes the place of a public price as a whole: what it leaves out is unknown.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GivenPrice)]
pub struct GivenPrice {
    /// Millionths of the currency for a million tokens read. 2500000 is 2.50.
    #[schema(minimum = 0)]
    pub(super) input_price_micros_per_million: Option<i64>,
    /// The same for those of them that a cache answered; when absent they cost as much as other tokens read.
    #[schema(minimum = 0)]
    pub(super) cached_input_price_micros_per_million: Option<i64>,
    /// The same for those of them that were written to a cache; when absent they cost as much as other tokens read.
    #[schema(minimum = 0)]
    pub(super) cache_write_price_micros_per_million: Option<i64>,
    /// Millionths of the currency for a million tokens written.
    #[schema(minimum = 0)]
    pub(super) output_price_micros_per_million: Option<i64>,
    /// Millionths of the currency for a thousand calls, besides their tokens. Calls that make pictures, write recordings down or
    /// speak have no other price.
    #[schema(minimum = 0)]
    pub(super) call_price_micros_per_thousand: Option<i64>,
    /// ISO 4217 code; USD when absent.
    pub(super) currency: Option<String>,
    /// By how many percent a call costs less that the provider's own batch API runs, such as 50; when absent it costs as much.
    #[schema(minimum = 0, maximum = 100)]
    pub(super) batch_discount_percent: Option<u32>,
    /// Whether it costs nothing; then no price is given.
    #[serde(default)]
    pub(super) free: bool,
}

impl GivenPrice {
    /// `None` when no price is given.
    pub(super) fn into_price(self) -> Result<Option<Price>> {
        let Self { currency, free, .. } = self;
        let price = Price {
            rates: Rates {
                input: self.input_price_micros_per_million,
                cached_input: self.cached_input_price_micros_per_million,
                cache_write: self.cache_write_price_micros_per_million,
                output: self.output_price_micros_per_million,
                reasoning: None,
            },
            call_micros_per_thousand: self.call_price_micros_per_thousand,
            ..Price::default()
        };
        let is_priced = price != Price::default();
        if self.batch_discount_percent.is_some() && !is_priced {
            return Err(Error::invalid("batch_discount_percent", "is given without a price"));
        }
        let price = Price { batch_discount_percent: self.batch_discount_percent, ..price };
        match (free, is_priced, currency) {
            (true, false, None) => Ok(Some(Price { free: true, ..price })),
            (true, true, _) => Err(catalog::free_and_priced()),
            (_, false, Some(_)) => Err(Error::invalid("currency", "is given without a price")),
            (false, false, None) => Ok(None),
            (false, true, None) => Ok(Some(price)),
            (false, true, Some(currency)) => Ok(Some(Price { currency, ..price })),
        }
    }
}

/// Set a model's price
///
/// Replaces the whole price of a provider's model. An empty object takes your price away, so that the snapshot of public prices
/// counts again, where it has the model; `{"free": true}` says that the model costs nothing. The next calls use it; costs in
/// the call log stay. Slashes in the id are encoded as `%2F`.
#[utoipa::path(
    put, path = "/api/v1/models/{id}/price", tag = "models", request_body = GivenPrice, security(("bearer" = [])),
    params(("id" = String, Path, description = "The model's name, with slashes as `%2F`", example = "acme%2Flarge-1")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = ModelBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn set_model_price(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Json(body): Json<GivenPrice>,
) -> Result<Json<ModelBody>, Problem> {
    Ok(Json(models.set_price(&ctx, &id, body.into_price()?).await?.into()))
}
