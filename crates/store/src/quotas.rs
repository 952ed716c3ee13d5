//! How much a tenant has of what its plan may limit.
//!
//! Users and API keys are few: whoever adds one counts them. The rest is kept as sums in `tenant_usage`, by the transactions that
//! change what is counted.

use plasma_kernel::{Error, QuotaResource, Result, is_near_quota};
use serde_json::json;

use crate::{NewEvent, Tx};

/// A tenant has come near to a limit of its plan: `{resource, used, limit}`. Told once each time that the mark is passed.
pub const QUOTA_NEAR: &str = "identity.quota.near";

impl Tx {
    /// The tenant's limit of `resource`; `None` when its plan has none.
    ///
    /// # Errors
    /// `internal` for a system context, else as [`Tx::execute`].
    pub async fn quota(&mut self, resource: QuotaResource) -> Result<Option<u64>> {
        let tenant = self.tenant()?;
        self.fetch_optional(
            "SELECT limit_max FROM tenant_quotas WHERE tenant_id = $1 AND resource = $2",
            [tenant.into(), resource.as_str().into()],
        )
        .await?
        .map(|row| row.get("limit_max"))
        .transpose()
    }

    /// How much of `resource` is kept as a sum for the tenant.
    ///
    /// # Errors
    /// `internal` for a system context, else as [`Tx::execute`].
    pub async fn quota_used(&mut self, resource: QuotaResource) -> Result<u64> {
        let tenant = self.tenant()?;
        self.fetch_optional(
            "SELECT used FROM tenant_usage WHERE tenant_id = $1 AND resource = $2",
            [tenant.into(), resource.as_str().into()],
        )
        .await?
        .map_or(Ok(0), |row| row.get("used"))
    }

    /// By how much the tenant's `resource` may still grow; `None` when nothing limits it.
    ///
    /// # Errors
    /// As [`Tx::quota`].
    pub async fn quota_room(&mut self, resource: QuotaResource) -> Result<Option<u64>> {
        let Some(limit) = self.quota(resource).await? else { return Ok(None) };
        Ok(Some(limit.saturating_sub(self.quota_used(resource).await?)))
    }

    /// Adds to what the tenant has of `resource`. The row of the sum is held until the transaction ends, so that two of them
    /// never take the last place both.
    ///
    /// # Errors
    /// `conflict` (`quota_exceeded`) when the plan does not allow it: the transaction must be dropped. Else as [`Tx::quota`].
    pub async fn take_quota(&mut self, resource: QuotaResource, more: u64) -> Result<()> {
        let used = self.note_quota(resource, more).await?;
        self.check_quota(resource, used.saturating_sub(more), more).await
    }

    /// The same for what is there already and cannot be refused, such as the results of calls that were paid for. Says how much
    /// it is now.
    ///
    /// # Errors
    /// As [`Tx::quota`].
    pub async fn note_quota(&mut self, resource: QuotaResource, more: u64) -> Result<u64> {
        let tenant = self.tenant()?;
        self.fetch_one(
            "INSERT INTO tenant_usage (tenant_id, resource, used) VALUES ($1, $2, $3)
             ON CONFLICT (tenant_id, resource) DO UPDATE SET used = tenant_usage.used + excluded.used
             RETURNING used",
            [tenant.into(), resource.as_str().into(), more.into()],
        )
        .await?
        .get("used")
    }

    /// Takes from what the tenant has of `resource`.
    ///
    /// # Errors
    /// As [`Tx::quota`].
    pub async fn give_back_quota(&mut self, resource: QuotaResource, less: u64) -> Result<()> {
        let tenant = self.tenant()?;
        self.execute(
            "UPDATE tenant_usage SET used = CASE WHEN used > $3 THEN used - $3 ELSE 0 END
             WHERE tenant_id = $1 AND resource = $2",
            [tenant.into(), resource.as_str().into(), less.into()],
        )
        .await
        .map(drop)
    }

    /// Refuses `more` of `resource` on top of the `used` that the caller has counted under a lock, and tells when the tenant comes
    /// near to the limit.
    ///
    /// # Errors
    /// `conflict` (`quota_exceeded`); else as [`Tx::quota`].
    pub async fn check_quota(&mut self, resource: QuotaResource, used: u64, more: u64) -> Result<()> {
        let Some(limit) = self.quota(resource).await?.filter(|_| more > 0) else { return Ok(()) };
        let after = used.saturating_add(more);
        if after > limit {
            return Err(exceeded(resource, limit));
        }
        if is_near_quota(after, limit) && !is_near_quota(used, limit) {
            let tenant = self.tenant()?;
            let data = json!({ "resource": resource, "used": after, "limit": limit });
            self.emit(NewEvent::new(QUOTA_NEAR, tenant, data)).await?;
        }
        Ok(())
    }
}

fn exceeded(resource: QuotaResource, limit: u64) -> Error {
    let message = format!("the workspace's plan allows {limit} {}", resource.noun());
    Error::conflict("quota_exceeded", message)
        .remedy("delete what is no longer needed, or ask whoever runs this installation for a larger plan")
}
