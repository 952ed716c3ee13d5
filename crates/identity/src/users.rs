//! A tenant's people.

use plasma_kernel::{Code, Ctx, Error, Page, PageRequest, Permission, Permissions, Result, Role, UserId};
use plasma_store::Tx;
use serde_json::Value;

use crate::{
    Identity, NewUser, User, UserChange, common_passwords, events, quotas, sso::enforcement::keep_break_glass, store,
    teams, types::permissions_of, validation,
};

/// Users of one tenant at most.
const USERS_MAX: i64 = 10_000;

impl Identity {
    /// The tenant's users, newest first.
    ///
    /// # Errors
    /// `forbidden` without `users:read`.
    pub async fn users(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<User>> {
        ctx.require(Permission::UsersRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::users::page(&mut tx, page).await
    }

    /// One user of the tenant.
    ///
    /// # Errors
    /// `forbidden` without `users:read`, `not_found`.
    pub async fn user(&self, ctx: &Ctx, id: UserId) -> Result<User> {
        ctx.require(Permission::UsersRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::users::get(&mut tx, id).await
    }

    /// Adds a person to the tenant.
    ///
    /// # Errors
    /// `forbidden` without `users:write` or for a role above the caller's, `invalid` for wrong input, `conflict`
    /// (`email_taken`, `too_many_users`, `quota_exceeded`).
    pub async fn create_user(&self, ctx: &Ctx, new: NewUser) -> Result<User> {
        ctx.require(Permission::UsersWrite)?;
        require_all(ctx, new.role.permissions(), "give a role")?;
        if new.role == Role::Owner {
            ctx.require_recent_authentication()?;
        }
        let user = User {
            id: UserId::new(ctx),
            email: validation::email("email", &new.email)?,
            name: validation::name("name", &new.name)?,
            role: new.role,
            custom_role: None,
            disabled: false,
            operator: false,
            created_at: ctx.now(),
            last_login_at: None,
        };
        common_passwords::check_new("password", &new.password, &user.email)?;
        self.forget_deleted(ctx, &user.email).await?;
        let password_hash = self.inner.passwords.hash(ctx.random(), &new.password).await?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        admit_user(&mut tx).await?;
        insert_user(&mut tx, &user, &password_hash).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// Changes a user. What is not in `change` stays.
    ///
    /// # Errors
    /// `forbidden` without `users:write`, for a user or a role above the caller's, or for another role without a recent proof;
    /// `invalid` for a wrong name, `not_found`, `conflict` (`last_owner`) when no enabled owner would be left, or (`name_is_shared`)
    /// when the person is in other tenants too and would be called otherwise there.
    pub async fn update_user(&self, ctx: &Ctx, id: UserId, change: UserChange) -> Result<User> {
        ctx.require(Permission::UsersWrite)?;
        let name = change.name.map(|name| validation::name("name", &name)).transpose()?;
        let alone = name.is_none() || !self.is_elsewhere(ctx, id).await?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let before = store::users::get(&mut tx, id).await?;
        require_all(ctx, before.permissions(), "change a user")?;
        let role = change.role.unwrap_or(before.role);
        // A built-in role takes the place of one of the tenant's own too.
        let custom_role = if change.role.is_some() { None } else { before.custom_role.clone() };
        if role != before.role || custom_role != before.custom_role {
            ctx.require_recent_authentication()?;
            require_all(ctx, permissions_of(role, before.operator), "give a role")?;
        }
        let user = User {
            name: name.unwrap_or_else(|| before.name.clone()),
            role,
            custom_role,
            disabled: change.disabled.unwrap_or(before.disabled),
            ..before.clone()
        };
        let changed = changed_fields(&before, &user);
        if changed.is_empty() {
            return Ok(user);
        }
        if user.name != before.name {
            name_is_ours(alone, ctx, id)?;
        }
        if is_enabled_owner(&before) && !is_enabled_owner(&user) {
            keep_an_owner(&mut tx, id).await?;
            keep_break_glass(&mut tx, id).await?;
        }
        store::users::update(&mut tx, &user).await?;
        if user.disabled {
            store::sessions::delete_others(&mut tx, id, None).await?;
            store::oauth_grants::end_authorizations_of(&mut tx, id).await?;
        }
        let event = events::user_updated(id, &changed, user.role, user.disabled);
        tx.emit(event.changed(events::state_of_user(&before), events::state_of_user(&user))).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(user)
    }

    /// Removes a person from the tenant; their sessions end and their API keys are revoked.
    ///
    /// # Errors
    /// `forbidden` without `users:write` or a recent proof or for a user above the caller, `not_found`, `conflict`
    /// (`last_owner`).
    pub async fn delete_user(&self, ctx: &Ctx, id: UserId) -> Result<()> {
        ctx.require(Permission::UsersWrite)?;
        ctx.require_recent_authentication()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let user = store::users::get(&mut tx, id).await?;
        require_all(ctx, user.permissions(), "delete a user")?;
        if is_enabled_owner(&user) {
            keep_an_owner(&mut tx, id).await?;
            keep_break_glass(&mut tx, id).await?;
        }
        teams::leave_all(&mut tx, id).await?;
        store::users::delete_membership(&mut tx, id).await?;
        store::sessions::delete_others(&mut tx, id, None).await?;
        for key in store::api_keys::revoke_created_by(&mut tx, id).await? {
            tx.emit(events::api_key_revoked(key)).await?;
        }
        tx.emit(events::user_deleted(id).changed(events::state_of_user(&user), Value::Null)).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        self.forget_deleted(ctx, &user.email).await
    }

    /// Whether a person is in another tenant too. It looks across tenants, which a tenant's transaction cannot.
    async fn is_elsewhere(&self, ctx: &Ctx, id: UserId) -> Result<bool> {
        let system = Ctx::system("look for a person's other workspaces", ctx.clock().clone(), ctx.random().clone());
        store::memberships::has_another(&mut self.inner.store.read(&system).await?, id, ctx.tenant()?).await
    }

    /// Erases the person with this e-mail if they belong to no tenant any more. It looks across tenants, which the
    /// transaction that removed them from one cannot; if this process dies in between, the next use of the e-mail mends it.
    pub(crate) async fn forget_deleted(&self, ctx: &Ctx, email: &str) -> Result<()> {
        let system = Ctx::system("erase a person without a workspace", ctx.clock().clone(), ctx.random().clone())
            .with_request(ctx.request());
        let mut tx = self.inner.store.begin(&system).await?;
        store::users::delete_without_membership(&mut tx, email).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Refuses one more user than the program's bounds and the tenant's plan allow. Under the tenant's lock.
pub(crate) async fn admit_user(tx: &mut Tx) -> Result<()> {
    let users = store::users::count(tx).await?;
    if users >= USERS_MAX {
        return Err(Error::conflict("too_many_users", format!("a workspace has at most {USERS_MAX} users")));
    }
    quotas::admit_user(tx, users).await
}

/// Writes a checked user into the transaction's tenant.
pub(crate) async fn insert_user(tx: &mut Tx, user: &User, password_hash: &str) -> Result<()> {
    store::users::insert(tx, user, password_hash).await.map_err(|error| {
        if error.code() == Code::Conflict {
            Error::conflict("email_taken", "a user with this e-mail exists already").field("email").source(error)
        } else {
            error
        }
    })?;
    let event = events::user_created(user.id, user.role);
    tx.emit(event.changed(Value::Null, events::state_of_user(user))).await?;
    Ok(())
}

/// Nobody hands out, changes or removes more than they hold themselves.
pub(crate) fn require_all(ctx: &Ctx, permissions: Permissions, what: &str) -> Result<()> {
    if ctx.grantable().contains_all(permissions) {
        return Ok(());
    }
    Err(Error::forbidden(format!("you cannot {what} that allows more than you may do yourself"))
        .remedy("ask an owner of your workspace to do it"))
}

/// A person's name is the same in all of their tenants: one tenant's administrators do not change it for the others.
fn name_is_ours(alone: bool, ctx: &Ctx, id: UserId) -> Result<()> {
    if alone || ctx.user() == Some(id) {
        return Ok(());
    }
    Err(Error::conflict("name_is_shared", "this person is in other workspaces too, and is called the same there")
        .field("name")
        .remedy("they can change their name themselves, under Settings"))
}

pub(crate) fn is_enabled_owner(user: &User) -> bool {
    user.role == Role::Owner && !user.disabled
}

/// Called under the tenant's lock, so that two owners cannot remove each other at the same moment.
pub(crate) async fn keep_an_owner(tx: &mut Tx, without: UserId) -> Result<()> {
    if store::users::count_other_enabled_owners(tx, without).await? > 0 {
        return Ok(());
    }
    Err(Error::conflict("last_owner", "this is the workspace's last enabled owner")
        .remedy("make another user an owner first"))
}

fn changed_fields(before: &User, after: &User) -> Vec<&'static str> {
    [
        ("name", before.name != after.name),
        ("role", before.role != after.role || before.custom_role != after.custom_role),
        ("disabled", before.disabled != after.disabled),
    ]
    .into_iter()
    .filter_map(|(field, changed)| changed.then_some(field))
    .collect()
}
