//! Calls summed up by day and group.

use std::collections::BTreeMap;

use plasma_kernel::Actor;

use super::histogram::{BUCKETS, Histogram};
use crate::{CacheKind, CallStatus, ModelCall, calls::DAY_MICROS};

/// What the calls of a row of `model_usage` have in common. The texts are empty where there is no such thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupKey {
    /// Days since 1970-01-01 UTC.
    pub(crate) day: i64,
    pub(crate) model: String,
    pub(crate) provider: String,
    pub(crate) api_key: String,
    pub(crate) user: String,
    pub(crate) team: String,
    pub(crate) route: String,
    /// Empty when the cost is not known.
    pub(crate) currency: String,
}

/// The sums of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) calls: i64,
    pub(crate) failed: i64,
    pub(crate) cancelled: i64,
    pub(crate) cache_hits: i64,
    pub(crate) input_tokens: i64,
    pub(crate) cached_input_tokens: i64,
    pub(crate) cache_write_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) reasoning_tokens: i64,
    pub(crate) cost_micros: i64,
    pub(crate) duration_ms: i64,
    pub(crate) first_token_ms: i64,
    pub(crate) durations: Histogram,
    pub(crate) first_tokens: Histogram,
}

/// Numbers of [`Counters`] that are not of a histogram.
const PLAIN: usize = 12;
/// Columns of [`Counters`].
pub(crate) const COLUMNS: usize = PLAIN + 2 * BUCKETS;

impl Counters {
    fn count(&mut self, call: &ModelCall) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut one = Self {
            calls: 1,
            failed: i64::from(call.status == CallStatus::Failed),
            cancelled: i64::from(call.status == CallStatus::Cancelled),
            cache_hits: i64::from(call.cache.as_ref().is_some_and(|hit| hit.kind != CacheKind::Partial)),
            input_tokens: number(call.usage.input_tokens),
            cached_input_tokens: number(call.usage.cached_input_tokens),
            cache_write_tokens: number(call.usage.cache_write_tokens),
            output_tokens: number(call.usage.output_tokens),
            reasoning_tokens: number(call.usage.reasoning_tokens),
            cost_micros: call.cost.as_ref().map_or(0, |cost| cost.amount_micros),
            duration_ms: number(call.duration_ms),
            first_token_ms: number(call.first_token_ms.unwrap_or(0)),
            ..Self::default()
        };
        one.durations.record(call.duration_ms);
        if let Some(first_token_ms) = call.first_token_ms {
            one.first_tokens.record(first_token_ms);
        }
        self.add(&one);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, number) in [
            (&mut self.calls, other.calls),
            (&mut self.failed, other.failed),
            (&mut self.cancelled, other.cancelled),
            (&mut self.cache_hits, other.cache_hits),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.cached_input_tokens, other.cached_input_tokens),
            (&mut self.cache_write_tokens, other.cache_write_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.reasoning_tokens, other.reasoning_tokens),
            (&mut self.cost_micros, other.cost_micros),
            (&mut self.duration_ms, other.duration_ms),
            (&mut self.first_token_ms, other.first_token_ms),
        ] {
            *sum = sum.saturating_add(number);
        }
        self.durations.merge(&other.durations);
        self.first_tokens.merge(&other.first_tokens);
    }

    /// In the order of the table's columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = i64> + use<> {
        let plain: [i64; PLAIN] = [
            self.calls,
            self.failed,
            self.cancelled,
            self.cache_hits,
            self.input_tokens,
            self.cached_input_tokens,
            self.cache_write_tokens,
            self.output_tokens,
            self.reasoning_tokens,
            self.cost_micros,
            self.duration_ms,
            self.first_token_ms,
        ];
        plain.into_iter().chain(self.durations.counts()).chain(self.first_tokens.counts())
    }
}

impl From<[i64; COLUMNS]> for Counters {
    /// In the order of [`Counters::columns`].
    fn from(columns: [i64; COLUMNS]) -> Self {
        let mut columns = columns.into_iter();
        let mut next = || columns.next().unwrap_or(0);
        Self {
            calls: next(),
            failed: next(),
            cancelled: next(),
            cache_hits: next(),
            input_tokens: next(),
            cached_input_tokens: next(),
            cache_write_tokens: next(),
            output_tokens: next(),
            reasoning_tokens: next(),
            cost_micros: next(),
            duration_ms: next(),
            first_token_ms: next(),
            durations: Histogram::from(std::array::from_fn(|_| next())),
            first_tokens: Histogram::from(std::array::from_fn(|_| next())),
        }
    }
}

/// Sums calls up. The order of the keys is the one in which every process locks their rows.
pub(crate) fn roll_up(calls: &[&ModelCall]) -> BTreeMap<GroupKey, Counters> {
    let mut groups: BTreeMap<GroupKey, Counters> = BTreeMap::new();
    for call in calls {
        groups.entry(group_of(call)).or_default().count(call);
    }
    groups
}

fn group_of(call: &ModelCall) -> GroupKey {
    let (api_key, user) = match &call.actor {
        Actor::ApiKey { id } => (id.to_string(), String::new()),
        Actor::User { id } | Actor::Application { user: Some(id), .. } => (String::new(), id.to_string()),
        Actor::Application { user: None, .. } | Actor::System { .. } => Default::default(),
    };
    GroupKey {
        day: call.created_at.div_euclid(DAY_MICROS),
        model: call.model.clone(),
        provider: call.model.split('/').next().unwrap_or_default().to_owned(),
        api_key,
        user,
        team: call.team.map(|team| team.to_string()).unwrap_or_default(),
        route: call.decision.as_ref().map(|decision| decision.route.clone()).unwrap_or_default(),
        currency: call.cost.as_ref().map(|cost| cost.currency.clone()).unwrap_or_default(),
    }
}
