//! Workspaces of the installation.

use plasma_kernel::{Ctx, Page, PageRequest, Permission, Result, Role, TenantId, UserId};
use plasma_store::Tx;
use serde_json::json;

use crate::{Identity, NewTenant, Tenant, User, common_passwords, events, store, users::insert_user, validation};

impl Identity {
    /// The caller's tenant; an operator of the installation sees all, newest first.
    ///
    /// # Errors
    /// `forbidden` without `tenants:read`.
    pub async fn tenants(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Tenant>> {
        ctx.require(Permission::TenantsRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        if ctx.permissions().contains(Permission::InstallationRead) {
            return store::tenants::page(&mut tx, page).await;
        }
        let own = store::tenants::get(&mut tx, ctx.tenant()?).await?;
        Ok(Page { data: vec![own], has_more: false, next_cursor: None })
    }

    /// One tenant: the caller's own, or any for an operator of the installation.
    ///
    /// # Errors
    /// `forbidden` without `tenants:read`, `not_found`.
    pub async fn tenant(&self, ctx: &Ctx, id: TenantId) -> Result<Tenant> {
        ctx.require(Permission::TenantsRead)?;
        require_visible(ctx, id, Permission::InstallationRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::tenants::get(&mut tx, id).await
    }

    /// Makes a tenant with its first owner.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`, `invalid` for wrong input, `conflict` (`email_taken`).
    pub async fn create_tenant(&self, ctx: &Ctx, new: NewTenant) -> Result<Tenant> {
        ctx.require(Permission::InstallationManage)?;
        let tenant = Tenant::new(TenantId::new(ctx), validation::name("name", &new.name)?, ctx.now());
        let email = validation::email("owner.email", &new.owner_email)?;
        let name = validation::name("owner.name", &new.owner_name)?;
        common_passwords::check_new("owner.password", &new.owner_password, &email)?;
        let password_hash = self.inner.passwords.hash(ctx.random(), &new.owner_password).await?;
        self.forget_deleted(ctx, &email).await?;
        let tenant_ctx = acting_in(ctx, tenant.id);
        let owner = first_owner(&tenant_ctx, email, name, false);
        let mut tx = self.inner.store.begin(&tenant_ctx).await?;
        insert_tenant(&mut tx, &tenant, &owner, &password_hash).await.map_err(|error| match error.field_name() {
            Some("email") => error.field("owner.email"),
            _ => error,
        })?;
        tx.commit().await?;
        Ok(tenant)
    }

    /// Gives a tenant another name: the caller's own, or any for an operator of the installation.
    ///
    /// # Errors
    /// `forbidden` without `tenants:write`, `invalid` for a wrong name, `not_found`.
    pub async fn rename_tenant(&self, ctx: &Ctx, id: TenantId, name: Option<&str>) -> Result<Tenant> {
        ctx.require(Permission::TenantsWrite)?;
        require_visible(ctx, id, Permission::InstallationManage)?;
        let name = name.map(|name| validation::name("name", name)).transpose()?;
        let mut tx = self.inner.store.begin(&acting_in(ctx, id)).await?;
        let mut tenant = store::tenants::get(&mut tx, id).await?;
        let Some(name) = name.filter(|name| *name != tenant.name) else { return Ok(tenant) };
        let before = std::mem::replace(&mut tenant.name, name);
        store::tenants::rename(&mut tx, &tenant).await?;
        let event = events::tenant_updated(id, &tenant.name);
        tx.emit(event.changed(json!({ "name": before }), json!({ "name": tenant.name }))).await?;
        tx.commit().await?;
        Ok(tenant)
    }
}

pub(crate) fn first_owner(ctx: &Ctx, email: String, name: String, operator: bool) -> User {
    User {
        id: UserId::new(ctx),
        email,
        name,
        role: Role::Owner,
        custom_role: None,
        disabled: false,
        operator,
        created_at: ctx.now(),
        last_login_at: None,
    }
}

/// Writes a checked tenant and its owner in a transaction that is bound to the new tenant.
pub(crate) async fn insert_tenant(tx: &mut Tx, tenant: &Tenant, owner: &User, password_hash: &str) -> Result<()> {
    store::tenants::insert(tx, tenant).await?;
    tx.emit(events::tenant_created(tenant.id, &tenant.name)).await?;
    insert_user(tx, owner, password_hash).await
}

/// The same caller, bound to the tenant that they act on: its own log tells who did it.
pub(crate) fn acting_in(ctx: &Ctx, tenant: TenantId) -> Ctx {
    Ctx::new(tenant, ctx.actor().clone(), *ctx.permissions(), ctx.clock().clone(), ctx.random().clone())
        .with_request(ctx.request())
        .with_origin_of(ctx)
}

/// Another tenant does not exist for those who may not see beyond their own.
pub(crate) fn require_visible(ctx: &Ctx, id: TenantId, beyond_own: Permission) -> Result<()> {
    if ctx.tenant()? == id || ctx.permissions().contains(beyond_own) {
        return Ok(());
    }
    Err(store::tenants::not_found(id))
}
