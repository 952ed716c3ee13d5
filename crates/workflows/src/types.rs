use std::str::FromStr;

use plasma_kernel::{Error, JobId, Timestamp};

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time and a free worker.
    Queued,
    /// A worker holds its lease.
    Running,
    /// Done.
    Succeeded,
    /// Will not be tried again.
    Failed,
}

impl JobState {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for JobState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Error::invalid("state", "must be queued, running, succeeded or failed"))
    }
}

/// How far a job has come, in the step's own unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct JobProgress {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
}

/// A background job.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does, as in `knowledge.ingest`.
    pub kind: String,
    /// The id of the thing it works on.
    pub subject: String,
    /// Where it is.
    pub state: JobState,
    /// Attempts begun.
    pub attempt: u32,
    /// Attempts at most.
    pub max_attempts: u32,
    /// How far it has come.
    #[schema(required)]
    pub progress: Option<JobProgress>,
    /// Why the last attempt failed.
    #[schema(required)]
    pub error: Option<JobError>,
    /// When it may run, in microseconds since 1970 UTC.
    pub run_at: Timestamp,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Why an attempt failed.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct JobError {
    /// A stable identifier.
    pub reason: String,
    /// For a person.
    pub detail: String,
}

/// Which jobs a list shows.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only this state.
    pub state: Option<JobState>,
}

/// How many jobs wait, run and have failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Waiting.
    pub queued: u64,
    /// Running.
    pub running: u64,
    /// Given up.
    pub failed: u64,
}
