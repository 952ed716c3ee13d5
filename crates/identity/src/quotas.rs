//! A tenant's plan: what an operator lets it have, and how much of that is used. The limits themselves hold where things are made,
//! in the transaction that makes them (`plasma_store`, `Tx::take_quota` and `Tx::check_quota`).

use plasma_kernel::{Ctx, Error, Permission, QuotaResource, Result, TenantId};
use plasma_store::Tx;

use crate::{Identity, NewQuotas, QuotaUse, Quotas, events, store, tenants::acting_in, validation};

const PLAN_CHARS_MAX: usize = 60;
/// What JSON numbers hold exactly.
const LIMIT_MAX: u64 = 1 << 53;

/// With fewer nobody could open the dashboard, also not to allow more.
const REQUESTS_PER_MINUTE_MIN: u64 = 60;

impl Identity {
    /// The plan of the caller's tenant, and how much of it is used.
    ///
    /// # Errors
    /// `forbidden` without `tenants:read`.
    pub async fn quotas(&self, ctx: &Ctx) -> Result<Quotas> {
        ctx.require(Permission::TenantsRead)?;
        quotas_of(&mut self.inner.store.read(ctx).await?).await
    }

    /// The same of any tenant, for an operator.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`, `not_found`.
    pub async fn quotas_of_tenant(&self, ctx: &Ctx, id: TenantId) -> Result<Quotas> {
        ctx.require(Permission::InstallationManage)?;
        quotas_of(&mut self.inner.store.read(&acting_in(ctx, id)).await?).await
    }

    /// Gives a tenant a plan. What it has beyond the new limits stays; it cannot have more.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`; `invalid` for a wrong name, a resource that is named twice, a limit that is
    /// too large, or less than 60 requests a minute; `not_found`.
    pub async fn put_quotas(&self, ctx: &Ctx, id: TenantId, new: NewQuotas) -> Result<Quotas> {
        ctx.require(Permission::InstallationManage)?;
        let plan = validation::name("plan", &new.plan)?;
        if plan.chars().count() > PLAN_CHARS_MAX {
            return Err(Error::invalid("plan", format!("must be at most {PLAN_CHARS_MAX} characters")));
        }
        let mut limits = new.limits;
        limits.sort_by_key(|(resource, _)| *resource);
        if limits.iter().zip(limits.iter().skip(1)).any(|(one, next)| one.0 == next.0) {
            return Err(Error::invalid("limits", "names a resource twice"));
        }
        if limits.iter().any(|(_, limit)| *limit > LIMIT_MAX) {
            return Err(
                Error::invalid("limits", format!("a limit is at most {LIMIT_MAX}")).remedy("leave it out for no limit")
            );
        }
        let is_locked_out = |(resource, limit): &(QuotaResource, u64)| {
            *resource == QuotaResource::RequestsPerMinute && *limit < REQUESTS_PER_MINUTE_MIN
        };
        if limits.iter().any(is_locked_out) {
            return Err(Error::invalid("limits", format!("requests_per_minute is at least {REQUESTS_PER_MINUTE_MIN}"))
                .remedy("suspend the workspace if nobody is to use it"));
        }
        let mut tx = self.inner.store.begin(&acting_in(ctx, id)).await?;
        let (tenant, _) = store::tenants::locked(&mut tx, id).await?;
        let mut before = store::quotas::limits(&mut tx).await?;
        before.sort_by_key(|(resource, _)| *resource);
        if tenant.plan != plan || before != limits {
            store::tenants::set_plan(&mut tx, id, &plan).await?;
            store::quotas::replace(&mut tx, &limits).await?;
            let event = events::quotas_updated(id, &plan, &limits);
            let state_before = events::state_of_plan(&tenant.plan, &before);
            tx.emit(event.changed(state_before, events::state_of_plan(&plan, &limits))).await?;
        }
        let quotas = quotas_of(&mut tx).await?;
        tx.commit().await?;
        // How many requests it may make is known with its credentials.
        self.inner.credentials.forget_tenant(id);
        Ok(quotas)
    }
}

/// What the transaction's tenant may have and has.
async fn quotas_of(tx: &mut Tx) -> Result<Quotas> {
    let tenant = tx.tenant()?;
    let plan = store::tenants::get(tx, tenant).await?.plan;
    let limits = store::quotas::limits(tx).await?;
    let mut uses = Vec::new();
    for resource in QuotaResource::ALL {
        let used = match resource {
            QuotaResource::Users => counted(store::users::count(tx).await?),
            QuotaResource::ApiKeys => counted(store::api_keys::count_usable(tx).await?),
            // Each process counts those of the last minute for itself.
            QuotaResource::RequestsPerMinute => 0,
            _ => tx.quota_used(resource).await?,
        };
        let limit = limits.iter().find(|(limited, _)| *limited == resource).map(|(_, limit)| *limit);
        uses.push(QuotaUse { resource, used, limit });
    }
    Ok(Quotas { plan, uses })
}

fn counted(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// Refuses one more user when the plan does not allow it. Under the tenant's lock.
pub(crate) async fn admit_user(tx: &mut Tx, users: i64) -> Result<()> {
    tx.check_quota(QuotaResource::Users, counted(users), 1).await
}

/// Refuses one more API key when the plan does not allow it. Under the tenant's lock.
pub(crate) async fn admit_api_key(tx: &mut Tx, usable_keys: i64) -> Result<()> {
    tx.check_quota(QuotaResource::ApiKeys, counted(usable_keys), 1).await
}
