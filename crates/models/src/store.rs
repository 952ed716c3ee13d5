//! All SQL of this crate.

pub(crate) mod aliases;
pub(crate) mod batches;
pub(crate) mod benchmarks;
pub(crate) mod budget_spend;
pub(crate) mod budgets;
pub(crate) mod caches;
pub(crate) mod call_list;
pub(crate) mod calls;
pub(crate) mod capture;
pub(crate) mod custom_models;
pub(crate) mod files;
pub(crate) mod limits;
pub(crate) mod models;
pub(crate) mod names;
pub(crate) mod payloads;
pub(crate) mod prompts;
pub(crate) mod providers;
pub(crate) mod pulls;
pub(crate) mod quality;
pub(crate) mod routes;
pub(crate) mod sealed;
pub(crate) mod usage;

use plasma_kernel::{Money, Result};
use plasma_store::Row;

/// An amount in two columns; `None` where either is NULL.
fn money(row: &Row, amount_micros: &'static str, currency: &'static str) -> Result<Option<Money>> {
    let (amount_micros, currency): (Option<i64>, Option<String>) = (row.get(amount_micros)?, row.get(currency)?);
    Ok(amount_micros.zip(currency).map(|(amount_micros, currency)| Money { amount_micros, currency }))
}
