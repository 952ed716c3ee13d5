//! All SQL of governance, one file for each table. `log` is the tenant whose log it is, the first parameter everywhere.

pub(crate) mod blocks;
pub(crate) mod checkpoints;
pub(crate) mod keys;
pub(crate) mod logs;
pub(crate) mod records;
pub(crate) mod sealed;
pub(crate) mod sinks;
pub(crate) mod tiles;
