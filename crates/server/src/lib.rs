#![doc = include_str!("../README.md")]

mod backup;
mod cli;
mod client;
mod compliance;
pub mod config;
mod content_policy;
mod dashboard;
mod edge;
mod encryption;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod listen;
mod lock;
mod metrics;
pub mod openapi;
mod people;
mod router;
mod serve;
mod store;
mod system;
mod tail;
mod telemetry;

pub use cli::run;
