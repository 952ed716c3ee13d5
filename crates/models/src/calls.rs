//! The log of calls, read.

use std::collections::BTreeMap;

use plasma_kernel::{CallId, Ctx, Error, Money, Page, PageRequest, Permission, Result};

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

/// Year, month and day of the month of a day counted from 1970-01-01, in the proleptic Gregorian calendar. Years count from
/// March here, so that the leap day is the last of its year; 400 years have 146,097 days and 5 months (March to July, August
/// to December) 153.
pub(crate) fn date(day: i64) -> (i64, i64, i64) {
    // Days from 0000-03-01 to 1970-01-01.
    let days = day + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_month)
}

/// The day of a date, counted as in [`date_text`], whose inverse this is; `None` when the calendar has no such date.
pub(crate) fn day_of(year: i64, month: i64, day_of_month: i64) -> Option<i64> {
    if !(0..=9_999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day_of_month) {
        return None;
    }
    let year_from_march = if month > 2 { year } else { year - 1 };
    let era = year_from_march.div_euclid(400);
    let year_of_era = year_from_march.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day_of_month - 1;
    let day = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    // The 30th of February became a day of March.
    (date_text(day) == format!("{year:04}-{month:02}-{day_of_month:02}")).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (day, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_782, "2024-02-29"),
            (20_779, "2026-11-22"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date_text(day), text);
        }
        for day in (-719_000..2_900_000).step_by(7) {
            let text = date_text(day);
            let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
            assert_eq!(day_of(part(0..4), part(5..7), part(8..10)), Some(day), "{text}");
        }
        for (year, month, day) in [(2026, 2, 29), (2026, 4, 31), (2026, 13, 1), (2026, 0, 1), (2026, 1, 0), (-1, 1, 1)]
        {
            assert_eq!(day_of(year, month, day), None);
        }
    }

    #[test]
    fn every_day_has_its_own_date_in_order() {
        let dates: Vec<String> = (-200_000..200_000).map(date_text).filter(|date| !date.starts_with('-')).collect();
        assert!(dates.iter().zip(dates.iter().skip(1)).all(|(a, b)| a < b));
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
