//! The whole system: the real program on a fresh folder, on SQLite and on Postgres.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod audit;
mod backups;
mod budget_crash;
mod certificates;
mod command_line;
mod compliance;
mod crash;
mod dashboard;
mod defences;
mod edge;
mod encryption;
mod harness;
mod hostile;
mod isolation;
mod live;
mod oauth;
mod policies;
mod secrets;
mod stop;
mod telemetry;
mod tls;
mod values;
