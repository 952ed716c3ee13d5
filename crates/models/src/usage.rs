//! What calls used, by any dimension, out of sums that are written with the calls' records.

mod dates;
mod histogram;
mod rollup;
#[cfg(test)]
mod tests;
mod types;

use std::collections::{BTreeMap, BTreeSet};

use plasma_kernel::{Ctx, Error, Money, Permission, Result};

pub(crate) use dates::{day_of_text, moment_of_text};
pub(crate) use rollup::{COLUMNS, Counters, GroupKey, roll_up};
pub use types::{UsageDimension, UsageFilter, UsageGroup, UsageLine, UsageQuery, UsageSums, UsageTable};

use crate::{Models, calls::USAGE_DAYS_MAX, store};

/// Lines of an answer at most.
pub(crate) const LINES_MAX: u32 = 10_000;
/// Groups that one question may have, each currency counted for itself: all of them are in memory for a moment.
const GROUPS_MAX: usize = 20_000;

impl Models {
    /// What the calls of a range of days used, by the dimensions asked for.
    ///
    /// Lines come by day, oldest first, and those of a day by their calls, most first. The total counts all groups, also those
    /// beyond the limit. Names of keys, people and teams are there for those who may see keys (`api_keys:read`), people
    /// (`users:read`) or teams (`teams:read`).
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `invalid` naming the field, `too_large` beyond 20,000 groups.
    pub async fn usage_by(&self, ctx: &Ctx, query: &UsageQuery) -> Result<UsageTable> {
        ctx.require(Permission::ModelsRead)?;
        check(query)?;
        self.inner.calls.flushed().await;
        let mut tx = self.inner.store.read(ctx).await?;
        let groups = store::usage::grouped(&mut tx, query, GROUPS_MAX + 1).await?;
        if groups.len() > GROUPS_MAX {
            return Err(Error::too_large("group_by", format!("the answer has more than {GROUPS_MAX} groups"))
                .remedy("ask for fewer days or dimensions, or filter"));
        }
        let (lines, total) = sum_up(query, groups);
        let mut table = UsageTable { has_more: lines.len() > query.limit as usize, lines, total };
        table.lines.truncate(query.limit as usize);
        let ids = |of: fn(&UsageGroup) -> Option<&str>| -> BTreeSet<&str> {
            table.lines.iter().filter_map(|line| of(&line.group)).collect()
        };
        let (keys, users) = (ids(|group| group.key.as_deref()), ids(|group| group.user.as_deref()));
        let teams = ids(|group| group.team.as_deref());
        let mut names = BTreeMap::new();
        if ctx.permissions().contains(Permission::ApiKeysRead) {
            names.append(&mut store::usage::key_names(&mut tx, keys).await?);
        }
        if ctx.permissions().contains(Permission::UsersRead) {
            names.append(&mut store::usage::user_names(&mut tx, users).await?);
        }
        if ctx.permissions().contains(Permission::TeamsRead) {
            names.append(&mut store::usage::team_names(&mut tx, teams).await?);
        }
        let name_of = |id: &Option<String>| id.as_ref().and_then(|id| names.get(id).cloned());
        for group in table.lines.iter_mut().map(|line| &mut line.group) {
            group.key_name = name_of(&group.key);
            group.user_name = name_of(&group.user);
            group.team_name = name_of(&group.team);
        }
        Ok(table)
    }
}

fn check(query: &UsageQuery) -> Result<()> {
    if query.from_day > query.to_day {
        return Err(Error::invalid("from", "must not be after `to`"));
    }
    if query.to_day - query.from_day >= i64::from(USAGE_DAYS_MAX) {
        return Err(Error::invalid("from", format!("a range has at most {USAGE_DAYS_MAX} days")));
    }
    if !(1..=LINES_MAX).contains(&query.limit) {
        return Err(Error::invalid("limit", format!("must be 1 to {LINES_MAX}, got {}", query.limit)));
    }
    Ok(())
}

/// The dimensions of `group_by`: names separated by commas, each once.
///
/// # Errors
/// `invalid` for a name that is none.
pub(crate) fn dimensions(text: &str) -> Result<Vec<UsageDimension>> {
    let mut dimensions = Vec::new();
    for name in text.split(',') {
        let dimension: UsageDimension = name.trim().parse()?;
        if !dimensions.contains(&dimension) {
            dimensions.push(dimension);
        }
    }
    Ok(dimensions)
}

/// Sums that grow group by group.
#[derive(Default)]
struct Sums {
    counters: Counters,
    cost: BTreeMap<String, i64>,
    unpriced_calls: i64,
}

impl Sums {
    fn add(&mut self, currency: &str, counters: &Counters) {
        self.counters.add(counters);
        if currency.is_empty() {
            self.unpriced_calls = self.unpriced_calls.saturating_add(counters.calls);
        } else {
            let sum = self.cost.entry(currency.to_owned()).or_default();
            *sum = sum.saturating_add(counters.cost_micros);
        }
    }

    fn finish(self) -> UsageSums {
        let Counters { durations, first_tokens, .. } = self.counters;
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let calls = number(self.counters.calls);
        UsageSums {
            calls,
            failed: number(self.counters.failed),
            cancelled: number(self.counters.cancelled),
            cache_hits: number(self.counters.cache_hits),
            input_tokens: number(self.counters.input_tokens),
            cached_input_tokens: number(self.counters.cached_input_tokens),
            cache_write_tokens: number(self.counters.cache_write_tokens),
            output_tokens: number(self.counters.output_tokens),
            reasoning_tokens: number(self.counters.reasoning_tokens),
            cost: self.cost.into_iter().map(|(currency, amount_micros)| Money { amount_micros, currency }).collect(),
            unpriced_calls: number(self.unpriced_calls),
            duration_ms_mean: number(self.counters.duration_ms).checked_div(calls),
            duration_ms_p50: durations.percentile(50),
            duration_ms_p95: durations.percentile(95),
            first_token_ms_p50: first_tokens.percentile(50),
            first_token_ms_p95: first_tokens.percentile(95),
        }
    }
}

/// One line for each group, whatever its currencies, and the sum of all.
fn sum_up(query: &UsageQuery, groups: Vec<(GroupKey, Counters)>) -> (Vec<UsageLine>, UsageSums) {
    let mut total = Sums::default();
    let mut lines: BTreeMap<GroupKey, Sums> = BTreeMap::new();
    for (mut key, counters) in groups {
        let currency = std::mem::take(&mut key.currency);
        total.add(&currency, &counters);
        lines.entry(key).or_default().add(&currency, &counters);
    }
    let some = |dimension, text: String| (query.group_by.contains(&dimension) && !text.is_empty()).then_some(text);
    let mut lines: Vec<UsageLine> = lines
        .into_iter()
        .map(|(key, sums)| {
            let group = UsageGroup {
                day: query.group_by.contains(&UsageDimension::Day).then_some(key.day),
                model: some(UsageDimension::Model, key.model),
                provider: some(UsageDimension::Provider, key.provider),
                key: some(UsageDimension::Key, key.api_key),
                key_name: None,
                user: some(UsageDimension::User, key.user),
                user_name: None,
                team: some(UsageDimension::Team, key.team),
                team_name: None,
                route: some(UsageDimension::Route, key.route),
            };
            UsageLine { group, sums: sums.finish() }
        })
        .collect();
    // Stable: what has as many calls stays in the order of its key.
    lines.sort_by_key(|line| (line.group.day, std::cmp::Reverse(line.sums.calls)));
    (lines, total.finish())
}
