use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a tenant's plan may limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaResource {
    /// People in the tenant.
    Users,
    /// API keys that are not revoked.
    ApiKeys,
    /// Collections of knowledge.
    Collections,
    /// Source documents of all collections.
    Documents,
    /// Bytes of source documents, in all versions that are kept, and of the files of the models' API.
    StorageBytes,
    /// Requests a minute in one process. Nothing is kept of it: what was made long ago does not count.
    RequestsPerMinute,
}

impl QuotaResource {
    /// Every resource, in the order in which people read them.
    pub const ALL: [Self; 6] =
        [Self::Users, Self::ApiKeys, Self::Collections, Self::Documents, Self::StorageBytes, Self::RequestsPerMinute];

    /// The text form, as in `storage_bytes`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::ApiKeys => "api_keys",
            Self::Collections => "collections",
            Self::Documents => "documents",
            Self::StorageBytes => "storage_bytes",
            Self::RequestsPerMinute => "requests_per_minute",
        }
    }

    /// What is counted, in words.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::ApiKeys => "API keys",
            Self::Collections => "collections",
            Self::Documents => "documents",
            Self::StorageBytes => "bytes of stored files",
            Self::RequestsPerMinute => "requests a minute",
        }
    }
}

impl fmt::Display for QuotaResource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for QuotaResource {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|resource| resource.as_str() == text)
            .ok_or_else(|| crate::Error::invalid("resource", format!("`{text}` is nothing that a plan limits")))
    }
}

/// From this share of a limit on, in percent, people are warned.
pub const QUOTA_WARNING_PERCENT: u64 = 80;

/// Whether `used` is so near to `limit` that people are to be warned.
pub fn is_near_quota(used: u64, limit: u64) -> bool {
    u128::from(used) * 100 >= u128::from(limit) * u128::from(QUOTA_WARNING_PERCENT)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn resources_survive_their_text_form() {
        for resource in QuotaResource::ALL {
            assert_eq!(resource.as_str().parse::<QuotaResource>().unwrap(), resource);
        }
        assert!("rockets".parse::<QuotaResource>().is_err());
    }

    #[test]
    fn the_warning_begins_at_four_fifths() {
        assert!(!is_near_quota(79, 100));
        assert!(is_near_quota(80, 100));
        assert!(is_near_quota(4, 5) && !is_near_quota(3, 5));
        assert!(is_near_quota(0, 0));
        assert!(is_near_quota(u64::MAX, u64::MAX));
    }
}
