#![doc = include_str!("../README.md")]

mod dispatch;
mod http;
mod jobs;
mod purge;
mod run;
mod step;
mod store;
mod types;

pub use dispatch::Workflows;
pub use http::routes;
pub use jobs::{enqueue, job_counts, list_jobs};
pub use run::Run;
pub use step::{Queue, Step};
pub use types::{Job, JobCounts, JobError, JobFilter, JobProgress, JobState};
