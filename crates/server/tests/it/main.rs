//! The whole system: the real program on a fresh folder, on SQLite and on Postgres.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod audit;
mod budget_crash;
mod command_line;
mod crash;
mod dashboard;
mod edge;
mod harness;
mod hostile;
mod isolation;
mod live;
mod stop;
mod telemetry;
mod values;
