//! All SQL of this crate.

pub(crate) mod aliases;
pub(crate) mod benchmarks;
pub(crate) mod budget_spend;
pub(crate) mod budgets;
pub(crate) mod calls;
pub(crate) mod custom_models;
pub(crate) mod limits;
pub(crate) mod models;
pub(crate) mod providers;
pub(crate) mod routes;
