use std::fmt;

use plasma_kernel::{ApiKeyId, Error, LimitId, ProviderId, Result, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// Whose calls a limit counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LimitSubject {
    /// All calls of the workspace, those of Plasma itself included.
    Tenant {},
    /// Calls of a person who logged in.
    User {
        /// The person.
        id: UserId,
    },
    /// Calls with an API key.
    ApiKey {
        /// The key.
        id: ApiKeyId,
    },
    /// Calls that are counted to a team, whoever makes them.
    Team {
        /// The team.
        id: TeamId,
    },
    /// Calls that go to a provider, with its credential.
    Provider {
        /// The provider.
        id: ProviderId,
    },
}

impl LimitSubject {
    /// How it is stored: its kind and its id.
    pub(crate) fn columns(&self) -> (&'static str, String) {
        match self {
            Self::Tenant {} => ("tenant", String::new()),
            Self::User { id } => ("user", id.to_string()),
            Self::ApiKey { id } => ("api_key", id.to_string()),
            Self::Team { id } => ("team", id.to_string()),
            Self::Provider { id } => ("provider", id.to_string()),
        }
    }

    /// Reads what [`LimitSubject::columns`] gave.
    pub(crate) fn from_columns(kind: &str, id: &str) -> Result<Self> {
        let wrong = |error| Error::from_source("column subject_id holds a wrong id", error);
        match kind {
            "tenant" => Ok(Self::Tenant {}),
            "user" => Ok(Self::User { id: id.parse().map_err(wrong)? }),
            "api_key" => Ok(Self::ApiKey { id: id.parse().map_err(wrong)? }),
            "team" => Ok(Self::Team { id: id.parse().map_err(wrong)? }),
            "provider" => Ok(Self::Provider { id: id.parse().map_err(wrong)? }),
            _ => Err(Error::internal(format!("column subject_kind holds `{kind}`"))),
        }
    }
}

impl fmt::Display for LimitSubject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant {} => formatter.write_str("this workspace"),
            Self::User { id } => write!(formatter, "the user {id}"),
            Self::ApiKey { id } => write!(formatter, "the API key {id}"),
            Self::Team { id } => write!(formatter, "the team {id}"),
            Self::Provider { id } => write!(formatter, "the provider {id}"),
        }
    }
}

/// How fast the calls of a subject may come. Each process counts for itself.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Its id.
    pub id: LimitId,
    /// Whose calls it counts.
    pub subject: LimitSubject,
    /// Calls a minute; `None`: any number.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, read and written; `None`: any number.
    pub tokens_per_minute: Option<u32>,
    /// Calls at a time; `None`: any number.
    pub concurrency: Option<u32>,
    /// When it was set.
    pub created_at: Timestamp,
}

/// A limit to set. At least one of the three numbers is there.
#[derive(Clone, Debug)]
pub struct NewLimit {
    /// Whose calls it counts. One subject has one limit.
    pub subject: LimitSubject,
    /// Calls a minute, 1 to 1,000,000.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, 1 to 1,000,000,000.
    pub tokens_per_minute: Option<u32>,
    /// Calls at a time, 1 to 10,000.
    pub concurrency: Option<u32>,
}

/// What to change of a limit: `Some(None)` removes a number.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitChange {
    /// Calls a minute.
    pub requests_per_minute: Option<Option<u32>>,
    /// Tokens a minute.
    pub tokens_per_minute: Option<Option<u32>>,
    /// Calls at a time.
    pub concurrency: Option<Option<u32>>,
}
