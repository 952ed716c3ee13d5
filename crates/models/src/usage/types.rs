use std::str::FromStr;

use plasma_kernel::{Error, Money, Result};
use serde::{Deserialize, Serialize};

use crate::types::words;

words! {
    /// What usage can be grouped by.
    UsageDimension, "group_by" {
        /// The day (UTC) on which the call started.
        Day = "day",
        /// The model that answered, or was asked last.
        Model = "model",
        /// Whose model it is.
        Provider = "provider",
        /// The API key that called.
        Key = "key",
        /// The person who called with a login. Calls with a key are the key's.
        User = "user",
        /// The team to which the call is counted, whoever called.
        Team = "team",
        /// The route that the caller named.
        Route = "route",
    }
}

/// Which usage is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    /// The first day, counted from 1970-01-01 UTC.
    pub from_day: i64,
    /// The last day, included. 366 days at most.
    pub to_day: i64,
    /// What lines are told apart by; empty for one line.
    pub group_by: Vec<UsageDimension>,
    /// Only some of the calls.
    pub filter: UsageFilter,
    /// Lines at most: 1 to 10,000.
    pub limit: u32,
}

/// Which calls count: those that fit everything that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Of the model with this name.
    pub model: Option<String>,
    /// Of this provider's models; `local` for those of this process.
    pub provider: Option<String>,
    /// With this API key.
    pub key: Option<String>,
    /// Of this person.
    pub user: Option<String>,
    /// Counted to this team.
    pub team: Option<String>,
    /// By this route.
    pub route: Option<String>,
}

/// Usage by groups.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageTable {
    /// By day, then most calls first.
    pub lines: Vec<UsageLine>,
    /// Whether groups were left off.
    pub has_more: bool,
    /// All groups together.
    pub total: UsageSums,
}

/// The usage of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageLine {
    /// Which.
    pub group: UsageGroup,
    /// What it used.
    pub sums: UsageSums,
}

/// What the calls of a group have in common: `None` where they are not told apart by it, or there is no such thing (a call
/// without a route, a person's call without a key).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageGroup {
    /// Days since 1970-01-01 UTC.
    pub day: Option<i64>,
    /// The model's name.
    pub model: Option<String>,
    /// The provider's name.
    pub provider: Option<String>,
    /// The API key's id.
    pub key: Option<String>,
    /// Its name, for those who may see keys.
    pub key_name: Option<String>,
    /// The person's id.
    pub user: Option<String>,
    /// Their name, for those who may see people.
    pub user_name: Option<String>,
    /// The team's id.
    pub team: Option<String>,
    /// Its name, for those who may see teams; `None` also for one that was deleted.
    pub team_name: Option<String>,
    /// The route's name.
    pub route: Option<String>,
}

/// What calls used. Percentiles are between the bounds of buckets that double: at most twice or half of the true time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageSums {
    /// All calls.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those whose caller went away.
    pub cancelled: u64,
    /// Those that a cache of Plasma answered.
    pub cache_hits: u64,
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
    /// The mean time of a call; `None` without calls, as the following.
    pub duration_ms_mean: Option<u64>,
    /// Half of the calls took at most so long.
    pub duration_ms_p50: Option<u64>,
    /// 95 of 100 calls took at most so long.
    pub duration_ms_p95: Option<u64>,
    /// Half of the calls that were answered piece by piece had their first token by then.
    pub first_token_ms_p50: Option<u64>,
    /// 95 of 100 of them.
    pub first_token_ms_p95: Option<u64>,
}
