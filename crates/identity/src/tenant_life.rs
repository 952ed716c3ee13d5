//! Suspending a tenant, and the way to its end: the owner asks for the deletion, may take it back until the grace period is over,
//! and then everything is erased (`erasure.rs`).

use plasma_kernel::{Code, Ctx, Error, Permission, Result, Role, TenantId};

use crate::{
    Identity, Tenant, TenantState, events, store,
    tenants::{acting_in, require_visible},
    validation,
};

const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// How long a deletion can be taken back when the operator does not say otherwise.
pub(crate) const GRACE_DAYS_DEFAULT: u32 = 30;

impl Identity {
    /// Closes a tenant: its people are refused, but for its owners, who may look at it and take their data out; its background work
    /// waits. `reason` is shown to them.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`; `invalid` for a wrong reason; `not_found`; `conflict` for one's own tenant
    /// (`own_tenant`) and for one that is to be deleted (`deletion_requested`).
    pub async fn suspend_tenant(&self, ctx: &Ctx, id: TenantId, reason: Option<&str>) -> Result<Tenant> {
        ctx.require(Permission::InstallationManage)?;
        if ctx.tenant()? == id {
            return Err(Error::conflict("own_tenant", "you work in this workspace: suspending it would lock you out")
                .remedy("switch to another workspace first"));
        }
        let reason = reason.map(|reason| validation::description("reason", reason)).transpose()?;
        let reason = reason.filter(|reason| !reason.is_empty());
        let mut tx = self.inner.store.begin(&acting_in(ctx, id)).await?;
        let (mut tenant, _) = store::tenants::locked(&mut tx, id).await?;
        match tenant.state {
            TenantState::Active | TenantState::Suspended => {}
            TenantState::Deleting | TenantState::Erasing => return Err(deleting()),
        }
        if tenant.state == TenantState::Suspended && tenant.state_reason == reason {
            return Ok(tenant);
        }
        (tenant.state, tenant.state_reason) = (TenantState::Suspended, reason);
        store::tenants::set_state(&mut tx, &tenant, None).await?;
        tx.emit(events::tenant_suspended(id, tenant.state_reason.as_deref())).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(id);
        Ok(tenant)
    }

    /// Opens a suspended tenant again. One that is active stays so.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`; `not_found`; `conflict` (`deletion_requested`).
    pub async fn resume_tenant(&self, ctx: &Ctx, id: TenantId) -> Result<Tenant> {
        ctx.require(Permission::InstallationManage)?;
        let mut tx = self.inner.store.begin(&acting_in(ctx, id)).await?;
        let (mut tenant, _) = store::tenants::locked(&mut tx, id).await?;
        match tenant.state {
            TenantState::Active => return Ok(tenant),
            TenantState::Suspended => {}
            TenantState::Deleting | TenantState::Erasing => return Err(deleting()),
        }
        (tenant.state, tenant.state_reason) = (TenantState::Active, None);
        store::tenants::set_state(&mut tx, &tenant, None).await?;
        tx.emit(events::tenant_resumed(id)).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(id);
        Ok(tenant)
    }

    /// Asks for a tenant's deletion: from now on only its owners get in, to take their data out or the deletion back. When the
    /// grace period is over, everything is erased. `name` is the tenant's name, typed by hand.
    ///
    /// # Errors
    /// `forbidden` without `tenants:delete`, and without a recent proof of who one is (`step_up_required`); `not_found` for
    /// another tenant without `installation:manage`; `invalid` for another name; `conflict` when it is asked for already
    /// (`deletion_requested`), or when nobody would be left who manages the installation (`last_operator`).
    pub async fn request_deletion(&self, ctx: &Ctx, id: TenantId, name: &str) -> Result<Tenant> {
        ctx.require(Permission::TenantsDelete)?;
        require_visible(ctx, id, Permission::InstallationManage)?;
        ctx.require_recent_authentication()?;
        self.keep_an_operator(ctx, id).await?;
        let mut tx = self.inner.store.begin(&acting_in(ctx, id)).await?;
        let (mut tenant, _) = store::tenants::locked(&mut tx, id).await?;
        if matches!(tenant.state, TenantState::Deleting | TenantState::Erasing) {
            return Err(deleting());
        }
        if name.trim() != tenant.name {
            return Err(Error::invalid("name", "is not the name of this workspace")
                .remedy("type the workspace's name exactly, to show that you mean this one"));
        }
        let before = tenant.state;
        let delete_at = ctx.now().saturating_add(i64::from(self.grace_days()).saturating_mul(DAY_MICROS));
        (tenant.state, tenant.delete_at) = (TenantState::Deleting, Some(delete_at));
        store::tenants::set_state(&mut tx, &tenant, Some(before)).await?;
        tx.emit(events::tenant_deletion_requested(id, delete_at)).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(id);
        Ok(tenant)
    }

    /// Takes a deletion back: the tenant is again what it was before.
    ///
    /// # Errors
    /// `forbidden` without `tenants:delete`; `not_found` for another tenant without `installation:manage`; `conflict` when there
    /// is nothing to take back (`tenant_not_deleting`) or it is too late (`deletion_begun`).
    pub async fn cancel_deletion(&self, ctx: &Ctx, id: TenantId) -> Result<Tenant> {
        ctx.require(Permission::TenantsDelete)?;
        require_visible(ctx, id, Permission::InstallationManage)?;
        let mut tx = self.inner.store.begin(&acting_in(ctx, id)).await?;
        let (mut tenant, before) = store::tenants::locked(&mut tx, id).await?;
        match tenant.state {
            TenantState::Deleting => {}
            TenantState::Erasing => {
                return Err(Error::conflict("deletion_begun", "the workspace is being erased: it is too late"));
            }
            TenantState::Active | TenantState::Suspended => {
                return Err(Error::conflict("tenant_not_deleting", "nobody asked for this workspace's deletion"));
            }
        }
        (tenant.state, tenant.delete_at) = (before.unwrap_or(TenantState::Active), None);
        store::tenants::set_state(&mut tx, &tenant, None).await?;
        tx.emit(events::tenant_deletion_cancelled(id)).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(id);
        Ok(tenant)
    }

    /// How long a deletion can be taken back, in days.
    pub(crate) fn grace_days(&self) -> u32 {
        self.inner.config.deletion_grace_days.unwrap_or(GRACE_DAYS_DEFAULT)
    }

    /// Looks across tenants, which the tenant's own transaction cannot.
    async fn keep_an_operator(&self, ctx: &Ctx, without: TenantId) -> Result<()> {
        let system = Ctx::system("look for operators", ctx.clock().clone(), ctx.random().clone());
        let mut tx = self.inner.store.read(&system).await?;
        if store::tenants::another_has_an_operator(&mut tx, without).await? {
            return Ok(());
        }
        Err(Error::conflict("last_operator", "nobody would be left who manages this installation").remedy(
            "make another workspace in which an operator works, or stop the program and remove its data directory",
        ))
    }
}

/// Refuses whoever may not get in while a tenant is not active. `owner_may`: whether its owners may do this all the same.
///
/// # Errors
/// `forbidden` (`tenant_suspended`, `tenant_deleting`).
pub(crate) fn require_open(state: TenantState, role: Role, owner_may: bool) -> Result<()> {
    let is_owner = owner_may && role == Role::Owner;
    match state {
        TenantState::Active => Ok(()),
        TenantState::Suspended | TenantState::Deleting if is_owner => Ok(()),
        TenantState::Suspended => Err(Error::new(
            Code::Forbidden,
            "tenant_suspended",
            "this workspace is suspended by whoever runs the installation",
        )
        .remedy("turn to them; an owner of the workspace can still take its data out")),
        TenantState::Deleting => Err(Error::new(
            Code::Forbidden,
            "tenant_deleting",
            "this workspace is to be deleted when its grace period ends",
        )
        .remedy("an owner of the workspace can take its data out, or take the deletion back")),
        TenantState::Erasing => Err(erasing()),
    }
}

fn erasing() -> Error {
    Error::new(Code::Forbidden, "tenant_erasing", "this workspace is being erased")
}

fn deleting() -> Error {
    Error::conflict("deletion_requested", "the deletion of this workspace was asked for already")
        .remedy("take the deletion back first")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_owners_get_into_a_closed_tenant_and_only_where_they_may() {
        let reason =
            |state, role, owner_may| require_open(state, role, owner_may).map_err(|error| error.reason()).err();
        assert_eq!(reason(TenantState::Active, Role::Viewer, false), None);
        assert_eq!(reason(TenantState::Suspended, Role::Owner, true), None);
        assert_eq!(reason(TenantState::Deleting, Role::Owner, true), None);
        assert_eq!(reason(TenantState::Suspended, Role::Owner, false), Some("tenant_suspended"));
        assert_eq!(reason(TenantState::Suspended, Role::Admin, true), Some("tenant_suspended"));
        assert_eq!(reason(TenantState::Deleting, Role::Editor, true), Some("tenant_deleting"));
        assert_eq!(reason(TenantState::Erasing, Role::Owner, true), Some("tenant_erasing"));
    }
}
