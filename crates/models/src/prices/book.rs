//! `models/prices.json`, read: the format is described in `scripts/price_book.py`.

use std::{collections::BTreeMap, sync::Arc};

use plasma_kernel::{Timestamp, day_of_date};
use serde::Deserialize;
use serde_json::Value;

use super::{
    ProviderHint, TieredPrice,
    batch::{BatchPrice, overlaid},
    clause::{Clause, Pattern},
};
use crate::{Price, PriceSnapshot, PriceTier, Rates, calls::DAY_MICROS, catalog::PRICE_MICROS_MAX};

const MINUTE_MICROS: i64 = 60_000_000;
/// Kinds that are one service at whatever address, and the snapshot's id of it.
const SERVICES: &[(&str, &str)] = &[("azure", "azure"), ("bedrock", "aws"), ("gemini", "google")];

/// All prices of the snapshot.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) providers: Vec<Provider>,
}

#[derive(Debug)]
pub(super) struct Provider {
    id: String,
    /// Found at the beginning of the provider's addresses.
    pub(super) address: Pattern,
    /// Ids of providers whose models this one offers too.
    fallback: Vec<String>,
    /// The first that matches counts.
    pub(super) models: Vec<Model>,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) clause: Clause,
    /// The last that holds counts; the first when none does.
    pub(super) prices: Vec<ConditionalPrice>,
}

#[derive(Debug)]
pub(super) struct ConditionalPrice {
    condition: Condition,
    pub(super) tiered: TieredPrice,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Condition {
    Always,
    /// From this day on, counted from 1970-01-01 UTC.
    From(i64),
    /// At these times of the day, in microseconds since midnight UTC; the second is excluded. It may be past midnight.
    Between(i64, i64),
}

impl Condition {
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        match *self {
            Self::Always => true,
            Self::From(day) => at.div_euclid(DAY_MICROS) >= day,
            Self::Between(start, end) => {
                let time = at.rem_euclid(DAY_MICROS);
                if end < start { time >= start || time < end } else { start <= time && time < end }
            }
        }
    }
}

impl Book {
    /// # Errors
    /// Says what is wrong with the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let version: Arc<str> = file.header.version.into();
        let providers = file.providers.into_iter().map(|provider| provider.read(&version)).collect::<Result<_, _>>()?;
        Ok(Self { providers })
    }

    pub(super) fn find(&self, hint: &ProviderHint, upstream_model: &str, at: Timestamp) -> Option<&TieredPrice> {
        let provider = self.provider(hint)?;
        let name = upstream_model.to_lowercase();
        let model = self.model(provider, &name).or_else(|| self.model(provider, &with_dashed_dates(&name)?))?;
        let tiered = model.price_at(at)?;
        let rates = tiered.price.rates;
        (rates.input.is_some() || rates.output.is_some()).then_some(tiered)
    }

    fn provider(&self, hint: &ProviderHint) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.address.is_match_at_start(hint.base_url)).or_else(|| {
            let (_, id) = SERVICES.iter().find(|(kind, _)| *kind == hint.kind)?;
            self.provider_by_id(id)
        })
    }

    fn provider_by_id(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.id == id)
    }

    fn model<'a>(&'a self, provider: &'a Provider, name: &str) -> Option<&'a Model> {
        let others = provider.fallback.iter().filter_map(|id| self.provider_by_id(id));
        std::iter::once(provider)
            .chain(others)
            .find_map(|provider| provider.models.iter().find(|model| model.clause.is_match(name)))
    }
}

impl Model {
    fn price_at(&self, at: Timestamp) -> Option<&TieredPrice> {
        let holds = self.prices.iter().rev().find(|price| price.condition.holds(at));
        holds.or_else(|| self.prices.first()).map(|price| &price.tiered)
    }
}

/// The name with each date like `-20251211` written as `-2025-12-11`, as providers name dated models; `None` when it has none.
/// The date is followed by `-`, `:` or the end, and it is one of the calendar between 2000 and 2099.
fn with_dashed_dates(name: &str) -> Option<String> {
    let mut dashed = String::with_capacity(name.len() + 2);
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('-') {
        dashed.push_str(before);
        dashed.push('-');
        rest = after;
        if let Some((digits, next)) = after.split_at_checked(8)
            && (next.is_empty() || next.starts_with(['-', ':']))
            && let Some((year, month, day)) = compact_date(digits)
        {
            dashed.push_str(&format!("{year}-{month}-{day}"));
            rest = next;
        }
    }
    dashed.push_str(rest);
    (dashed != name).then_some(dashed)
}

fn compact_date(digits: &str) -> Option<(&str, &str, &str)> {
    let (year, month_and_day) = digits.split_at_checked(4)?;
    let (month, day) = month_and_day.split_at_checked(2)?;
    (year.starts_with("20") && date(year, month, day).is_some()).then_some((year, month, day))
}

/// The day of a date in digits.
fn date(year: &str, month: &str, day: &str) -> Option<i64> {
    day_of_date(number(year, 4)?, number(month, 2)?, number(day, 2)?)
}

/// Exactly so many digits.
fn number(digits: &str, length: usize) -> Option<i64> {
    let is_number = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

#[derive(Deserialize)]
struct File {
    header: Header,
    providers: Vec<FileProvider>,
}

#[derive(Deserialize)]
struct Header {
    version: String,
}

#[derive(Deserialize)]
struct FileProvider {
    id: String,
    address: Pattern,
    #[serde(default)]
    fallback: Vec<String>,
    models: Vec<FileModel>,
}

#[derive(Deserialize)]
struct FileModel {
    id: String,
    r#match: Clause,
    prices: Vec<FilePrice>,
    /// Prices of other ways to call.
    #[serde(default)]
    variants: Vec<FilePrice>,
}

/// Prices of what the calls of this program do not count (audio, images, searches) and of other ways to call (service tiers) are
/// in the file too; they are passed over here.
#[derive(Deserialize)]
struct FilePrice {
    /// In variants: how a call is made.
    #[serde(default)]
    when: BTreeMap<String, Value>,
    from: Option<String>,
    between: Option<(String, String)>,
    input: Option<i64>,
    cache_read: Option<i64>,
    cache_write: Option<i64>,
    output: Option<i64>,
    output_reasoning: Option<i64>,
    requests_kcount: Option<i64>,
    #[serde(default)]
    tiers: Vec<FileTier>,
}

#[derive(Deserialize)]
struct FileTier {
    above: u64,
    input: Option<i64>,
    cache_read: Option<i64>,
    cache_write: Option<i64>,
    output: Option<i64>,
    output_reasoning: Option<i64>,
}

impl FileProvider {
    fn read(self, version: &Arc<str>) -> Result<Provider, String> {
        let Self { id, address, fallback, models } = self;
        let provider: Arc<str> = id.as_str().into();
        let models = models
            .into_iter()
            .map(|model| {
                let name: Arc<str> = model.id.into();
                let snapshot = PriceSnapshot {
                    version: version.clone(),
                    provider: provider.clone(),
                    model: name.clone(),
                    effective_date: None,
                };
                let prices = FilePrice::read_all(model.prices, model.variants, &snapshot)
                    .map_err(|error| format!("{id}, {name}: {error}"))?;
                Ok(Model { clause: model.r#match, prices })
            })
            .collect::<Result<_, String>>()?;
        Ok(Provider { id, address, fallback, models })
    }
}

impl FilePrice {
    /// A model's prices, each with those of batches in its place.
    fn read_all(
        prices: Vec<Self>,
        variants: Vec<Self>,
        snapshot: &PriceSnapshot,
    ) -> Result<Vec<ConditionalPrice>, String> {
        let mut of_batches = Vec::new();
        for variant in variants.into_iter().filter(Self::is_batch) {
            let (condition, price) = variant.read()?;
            // Some say only what is not counted here.
            if price != Price::default() {
                of_batches.push((condition, price));
            }
        }
        let complete = |file_price: Self| -> Result<ConditionalPrice, String> {
            let effective_date = file_price.from.as_deref().map(Into::into);
            let (condition, price) = file_price.read()?;
            let batches = of_batches
                .iter()
                .map(|(condition, batch)| BatchPrice { condition: *condition, price: overlaid(&price, batch) })
                .collect();
            let snapshot = PriceSnapshot { effective_date, ..snapshot.clone() };
            Ok(ConditionalPrice { condition, tiered: TieredPrice { price, snapshot, batches } })
        };
        prices.into_iter().map(complete).collect()
    }

    /// Whether it is for the calls that a provider's own batch API runs, and for all of them.
    fn is_batch(&self) -> bool {
        self.when.len() == 1 && self.when.get("processing").and_then(Value::as_str) == Some("batch")
    }

    /// When it holds, and what it says.
    fn read(self) -> Result<(Condition, Price), String> {
        let condition = match (self.from, self.between) {
            (None, None) => Condition::Always,
            (Some(from), None) => Condition::From(day(&from)?),
            (None, Some((start, end))) => Condition::Between(time(&start)?, time(&end)?),
            (Some(_), Some(_)) => return Err("a price has two conditions".to_owned()),
        };
        let rates = Rates {
            input: within(self.input)?,
            cached_input: within(self.cache_read)?,
            cache_write: within(self.cache_write)?,
            output: within(self.output)?,
            reasoning: within(self.output_reasoning)?,
        };
        let price = Price {
            rates,
            call_micros_per_thousand: within(self.requests_kcount)?,
            tiers: self.tiers.into_iter().map(FileTier::read).collect::<Result<_, _>>()?,
            ..Price::default()
        };
        if !price.tiers.is_sorted_by(|a, b| a.above_input_tokens < b.above_input_tokens) {
            return Err("the tiers do not ascend".to_owned());
        }
        Ok((condition, price))
    }
}

impl FileTier {
    fn read(self) -> Result<PriceTier, String> {
        let rates = Rates {
            input: within(self.input)?,
            cached_input: within(self.cache_read)?,
            cache_write: within(self.cache_write)?,
            output: within(self.output)?,
            reasoning: within(self.output_reasoning)?,
        };
        Ok(PriceTier { above_input_tokens: self.above, rates })
    }
}

fn within(micros: Option<i64>) -> Result<Option<i64>, String> {
    match micros {
        Some(micros) if !(0..=PRICE_MICROS_MAX).contains(&micros) => Err(format!("the price {micros} is out of range")),
        _ => Ok(micros),
    }
}

/// The day of `2026-10-12`.
fn day(text: &str) -> Result<i64, String> {
    let mut parts = text.splitn(3, '-');
    let mut part = || parts.next().unwrap_or_default();
    date(part(), part(), part()).ok_or_else(|| format!("`{text}` is not a date"))
}

/// The microseconds from midnight to `16:30`.
fn time(text: &str) -> Result<i64, String> {
    let within = |digits: &str, max: i64| {
        let number = number(digits, 2)?;
        (number <= max).then_some(number)
    };
    let read = || {
        let (hours, minutes) = text.split_once(':')?;
        Some((within(hours, 23)? * 60 + within(minutes, 59)?) * MINUTE_MICROS)
    };
    read().ok_or_else(|| format!("`{text}` is not a time of the day"))
}
