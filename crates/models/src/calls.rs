//! The log of calls, read.

use std::collections::BTreeMap;

use plasma_kernel::{CallId, Ctx, Error, Money, Page, PageRequest, Permission, Result};
pub(crate) use plasma_kernel::{date_of_day as date, day_of_date as day_of};

use crate::{
    CallFilter, DayUsage, ModelCall, ModelUsage, Models, UsageReport,
    store::{self, usage::UsageRow},
};

pub(crate) const DAY_MICROS: i64 = 86_400_000_000;
/// Days that a report covers at most.
pub(crate) const USAGE_DAYS_MAX: u32 = 366;

impl Models {
    /// A page of the tenant's calls, newest first.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `invalid` for a key and a person at once.
    pub async fn calls(&self, ctx: &Ctx, filter: &CallFilter, page: &PageRequest) -> Result<Page<ModelCall>> {
        ctx.require(Permission::ModelsRead)?;
        if filter.key.is_some() && filter.user.is_some() {
            return Err(Error::invalid("user", "a call is a key's or a person's: name one of the two"));
        }
        self.inner.calls.flushed().await;
        let mut tx = self.inner.store.read(ctx).await?;
        store::call_list::list(&mut tx, filter, page).await
    }

    /// One call.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found` (also while the call is still under way).
    pub async fn call(&self, ctx: &Ctx, id: CallId) -> Result<ModelCall> {
        ctx.require(Permission::ModelsRead)?;
        self.inner.calls.flushed().await;
        let mut tx = self.inner.store.read(ctx).await?;
        store::calls::get(&mut tx, id).await
    }

    /// The calls of the last `days` days (UTC, today included), summed up by day and by model.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `invalid` when `days` is not 1 to 366.
    pub async fn usage(&self, ctx: &Ctx, days: u32) -> Result<UsageReport> {
        ctx.require(Permission::ModelsRead)?;
        if !(1..=USAGE_DAYS_MAX).contains(&days) {
            return Err(Error::invalid("days", format!("must be 1 to {USAGE_DAYS_MAX}, got {days}")));
        }
        self.inner.calls.flushed().await;
        let today = ctx.now().div_euclid(DAY_MICROS);
        let first = today - i64::from(days) + 1;
        let mut tx = self.inner.store.read(ctx).await?;
        let rows = store::usage::by_day_and_model(&mut tx, first).await?;
        Ok(report(&rows, first, today))
    }
}

/// Sums that grow row by row.
#[derive(Default)]
struct Sums {
    calls: u64,
    failed: u64,
    input_tokens: u64,
    output_tokens: u64,
    duration_ms: u64,
    cost: BTreeMap<String, i64>,
}

impl Sums {
    fn add(&mut self, row: &UsageRow) {
        self.calls += row.calls;
        self.failed += row.failed;
        self.input_tokens = self.input_tokens.saturating_add(row.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(row.output_tokens);
        self.duration_ms = self.duration_ms.saturating_add(row.duration_ms);
        if let Some(cost) = &row.cost {
            let sum = self.cost.entry(cost.currency.clone()).or_default();
            *sum = sum.saturating_add(cost.amount_micros);
        }
    }

    fn cost(self) -> Vec<Money> {
        self.cost.into_iter().map(|(currency, amount_micros)| Money { amount_micros, currency }).collect()
    }
}

fn report(rows: &[UsageRow], first: i64, today: i64) -> UsageReport {
    let mut by_day: BTreeMap<i64, Sums> = (first..=today).map(|day| (day, Sums::default())).collect();
    let mut by_model: BTreeMap<&str, Sums> = BTreeMap::new();
    for row in rows {
        by_day.entry(row.day).or_default().add(row);
        by_model.entry(&row.model).or_default().add(row);
    }
    let days = by_day
        .into_iter()
        .map(|(day, sums)| DayUsage {
            day,
            calls: sums.calls,
            failed: sums.failed,
            input_tokens: sums.input_tokens,
            output_tokens: sums.output_tokens,
            cost: sums.cost(),
        })
        .collect();
    let mut models: Vec<ModelUsage> = by_model
        .into_iter()
        .map(|(model, sums)| ModelUsage {
            model: model.to_owned(),
            calls: sums.calls,
            input_tokens: sums.input_tokens,
            output_tokens: sums.output_tokens,
            duration_ms_mean: sums.duration_ms.checked_div(sums.calls).unwrap_or(0),
            cost: sums.cost(),
        })
        .collect();
    models.sort_by_key(|model| std::cmp::Reverse(model.calls));
    UsageReport { days, models }
}

/// `2026-11-22` of a day counted from 1970-01-01.
pub(crate) fn date_text(day: i64) -> String {
    let (year, month, day_of_month) = date(day);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_four_digits_of_its_year() {
        assert_eq!([20_779, -719_162].map(date_text), ["2026-11-22", "0001-01-01"]);
    }

    #[test]
    fn days_without_calls_are_there_and_currencies_stay_apart() {
        let row = |day, model: &str, cost: Option<(i64, &str)>| UsageRow {
            day,
            model: model.to_owned(),
            calls: 2,
            failed: 1,
            input_tokens: 10,
            output_tokens: 5,
            duration_ms: 100,
            cost: cost.map(|(amount_micros, currency)| Money { amount_micros, currency: currency.to_owned() }),
        };
        let rows = [
            row(5, "a/b", Some((7, "USD"))),
            row(5, "a/b", Some((3, "EUR"))),
            row(5, "a/b", None),
            row(6, "c/d", None),
        ];
        let report = report(&rows, 4, 6);
        assert_eq!(report.days.iter().map(|day| (day.day, day.calls)).collect::<Vec<_>>(), [(4, 0), (5, 6), (6, 2)]);
        let amounts: Vec<(i64, &str)> = report
            .models
            .iter()
            .flat_map(|model| &model.cost)
            .map(|cost| (cost.amount_micros, cost.currency.as_str()))
            .collect();
        assert_eq!(amounts, [(3, "EUR"), (7, "USD")]);
        assert_eq!(
            report.models.first().map(|model| (model.model.as_str(), model.duration_ms_mean)),
            Some(("a/b", 50))
        );
    }
}
