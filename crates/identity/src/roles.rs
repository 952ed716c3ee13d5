//! Roles: built-in ones and those that a tenant makes itself.
//!
//! Whoever makes or changes a role, or gives it to somebody, holds all that it allows and allowed before. So no chain of such
//! changes gives anybody more than somebody in it held.

use plasma_kernel::{Ctx, Error, Permission, Permissions, Result, Role, RoleId, UserId};

use crate::{
    Identity, NewRole, RoleChange, RoleDetails, RoleName, User, events,
    sso::enforcement::keep_break_glass,
    store,
    types::INSTALLATION,
    users::{is_enabled_owner, keep_an_owner, require_all},
    validation,
};

/// Roles of one tenant's own at most.
const ROLES_MAX: i64 = 100;
const BUILT_IN: [Role; 5] = [Role::Owner, Role::Admin, Role::Editor, Role::Viewer, Role::Service];

impl Identity {
    /// The built-in roles, then the tenant's own, the newest first.
    ///
    /// # Errors
    /// `forbidden` without `roles:read`.
    pub async fn roles(&self, ctx: &Ctx) -> Result<Vec<RoleDetails>> {
        ctx.require(Permission::RolesRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let counts = store::roles::built_in_counts(&mut tx).await?;
        let mut roles: Vec<RoleDetails> = BUILT_IN.into_iter().map(|role| built_in(role, &counts)).collect();
        roles.extend(store::roles::all(&mut tx).await?);
        Ok(roles)
    }

    /// One role.
    ///
    /// # Errors
    /// `forbidden` without `roles:read`, `not_found`.
    pub async fn role(&self, ctx: &Ctx, name: RoleName) -> Result<RoleDetails> {
        ctx.require(Permission::RolesRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        match name {
            RoleName::BuiltIn(role) => Ok(built_in(role, &store::roles::built_in_counts(&mut tx).await?)),
            RoleName::Custom(id) => store::roles::get(&mut tx, id).await,
        }
    }

    /// Makes a role.
    ///
    /// # Errors
    /// `forbidden` without `roles:write` or for permissions that the caller does not hold, `invalid` for wrong input, `conflict`
    /// (`role_name_taken`, `too_many_roles`).
    pub async fn create_role(&self, ctx: &Ctx, new: NewRole) -> Result<RoleDetails> {
        ctx.require(Permission::RolesWrite)?;
        ctx.require_recent_authentication()?;
        let id = RoleId::new(ctx);
        let role = RoleDetails {
            id: RoleName::Custom(id),
            name: checked_name(&new.name)?,
            description: validation::description("description", &new.description)?,
            permissions: checked_permissions(&new.permissions)?,
            user_count: 0,
            api_key_count: 0,
            created_at: Some(ctx.now()),
            updated_at: Some(ctx.now()),
        };
        require_all(ctx, role.permissions, "make a role")?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        if store::roles::count(&mut tx).await? >= ROLES_MAX {
            return Err(Error::conflict(
                "too_many_roles",
                format!("a workspace has at most {ROLES_MAX} roles of its own"),
            )
            .remedy("delete roles that nobody has"));
        }
        store::roles::insert(&mut tx, id, &role).await?;
        tx.emit(events::role_created(id, &role.name, role.permissions)).await?;
        tx.commit().await?;
        Ok(role)
    }

    /// Changes a role of the tenant's own. It holds at once for everybody who has it.
    ///
    /// # Errors
    /// `forbidden` without `roles:write` or when the role allows, or would allow, more than the caller may do; `invalid` for wrong
    /// input, `not_found`, `conflict` (`built_in_role`, `role_name_taken`).
    pub async fn update_role(&self, ctx: &Ctx, name: RoleName, change: RoleChange) -> Result<RoleDetails> {
        ctx.require(Permission::RolesWrite)?;
        ctx.require_recent_authentication()?;
        let id = own(name)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let before = store::roles::get(&mut tx, id).await?;
        let role = RoleDetails {
            name: change.name.map_or_else(|| Ok(before.name.clone()), |name| checked_name(&name))?,
            description: match change.description {
                Some(description) => validation::description("description", &description)?,
                None => before.description.clone(),
            },
            permissions: match change.permissions {
                Some(permissions) => checked_permissions(&permissions)?,
                None => before.permissions,
            },
            updated_at: Some(ctx.now()),
            ..before.clone()
        };
        require_all(ctx, before.permissions.union(role.permissions), "change a role")?;
        let changed: Vec<&str> = [
            ("name", before.name != role.name),
            ("description", before.description != role.description),
            ("permissions", before.permissions != role.permissions),
        ]
        .into_iter()
        .filter_map(|(field, changed)| changed.then_some(field))
        .collect();
        if changed.is_empty() {
            return Ok(before);
        }
        store::roles::update(&mut tx, id, &role).await?;
        let event = events::role_updated(id, &changed, &role.name, before.permissions, role.permissions);
        tx.emit(event.changed(events::state_of_role(&before), events::state_of_role(&role))).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(role)
    }

    /// Deletes a role of the tenant's own. Whoever has it gets `replacement`.
    ///
    /// # Errors
    /// `forbidden` without `roles:write` or when the role or its replacement allows more than the caller may do, `not_found`,
    /// `conflict` (`built_in_role`, `role_in_use` without a replacement), `invalid` for a role that would replace itself.
    pub async fn delete_role(&self, ctx: &Ctx, name: RoleName, replacement: Option<RoleName>) -> Result<()> {
        ctx.require(Permission::RolesWrite)?;
        let id = own(name)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let role = store::roles::get(&mut tx, id).await?;
        require_all(ctx, role.permissions, "delete a role")?;
        let in_use = role.user_count > 0 || role.api_key_count > 0;
        let (label, custom) = match replacement {
            Some(replacement) if replacement == name => {
                return Err(
                    Error::invalid("replacement", "a role cannot take its own place").remedy("name another role")
                );
            }
            Some(replacement) => {
                store::roles::resolve(&mut tx, replacement).await.map_err(|error| error.field("replacement"))?
            }
            None if in_use => return Err(role_in_use(&role)),
            // Only keys that were revoked long ago may still name it.
            None => (Role::Viewer, None),
        };
        if in_use {
            let permissions = crate::types::held(label, custom.as_ref(), false);
            require_all(ctx, permissions, "give a role")?;
        }
        let custom = custom.map(|custom| custom.id);
        let (users, keys) = store::roles::replace(&mut tx, id, label, custom).await?;
        for user in &users {
            tx.emit(events::user_role_changed(*user, label, custom)).await?;
        }
        for key in &keys {
            tx.emit(events::api_key_updated(*key, &["role"])).await?;
        }
        store::roles::delete(&mut tx, id).await?;
        tx.emit(events::role_deleted(id, &role.name, role.permissions, users.len(), keys.len())).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }

    /// Gives a person a role, a built-in one or one of the tenant's own. It holds from their next request on.
    ///
    /// # Errors
    /// `forbidden` without `users:write` or a recent proof, or for a user or a role above the caller's; `not_found` for the user or the
    /// role; `conflict` (`last_owner`) when no enabled owner would be left.
    pub async fn assign_role(&self, ctx: &Ctx, id: UserId, name: RoleName) -> Result<User> {
        ctx.require(Permission::UsersWrite)?;
        ctx.require_recent_authentication()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let before = store::users::get(&mut tx, id).await?;
        require_all(ctx, before.permissions(), "change a user")?;
        let (role, custom_role) = store::roles::resolve(&mut tx, name).await.map_err(|error| error.field("role"))?;
        let user = User { role, custom_role, ..before.clone() };
        if user == before {
            return Ok(before);
        }
        require_all(ctx, user.permissions(), "give a role")?;
        if is_enabled_owner(&before) && !is_enabled_owner(&user) {
            keep_an_owner(&mut tx, id).await?;
            keep_break_glass(&mut tx, id).await?;
        }
        let custom = user.custom_role.as_ref().map(|custom| custom.id);
        store::roles::assign(&mut tx, id, role, custom).await?;
        let event = events::user_role_changed(id, role, custom);
        tx.emit(event.changed(events::state_of_user(&before), events::state_of_user(&user))).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(user)
    }
}

fn built_in(role: Role, counts: &[(Role, u64, u64)]) -> RoleDetails {
    let (name, description) = match role {
        Role::Owner => ("Owner", "Everything in the workspace."),
        Role::Admin => ("Administrator", "Also manages models, users, teams, roles and API keys."),
        Role::Editor => ("Editor", "Also writes knowledge and content, and calls models."),
        Role::Viewer => ("Viewer", "Reads and searches."),
        Role::Service => ("Service", "A program: what an editor may do."),
    };
    let (user_count, api_key_count) =
        counts.iter().find(|(held, ..)| *held == role).map_or((0, 0), |(_, users, keys)| (*users, *keys));
    RoleDetails {
        id: RoleName::BuiltIn(role),
        name: name.to_owned(),
        description: description.to_owned(),
        permissions: role.permissions(),
        user_count,
        api_key_count,
        created_at: None,
        updated_at: None,
    }
}

/// Only a tenant's own roles can be changed.
fn own(name: RoleName) -> Result<RoleId> {
    match name {
        RoleName::Custom(id) => Ok(id),
        RoleName::BuiltIn(role) => Err(Error::conflict("built_in_role", format!("the role {role} is built in"))
            .remedy("make a role of your own with the permissions that you want")),
    }
}

/// A role that is called like a built-in one would deceive.
fn checked_name(name: &str) -> Result<String> {
    let name = validation::name("name", name)?;
    let is = |taken: &str| taken.eq_ignore_ascii_case(&name);
    if BUILT_IN.into_iter().any(|role| is(role.as_str()) || is(&built_in(role, &[]).name)) {
        return Err(Error::conflict("role_name_taken", format!("`{name}` is the name of a built-in role"))
            .field("name")
            .remedy("choose another name"));
    }
    Ok(name)
}

fn checked_permissions(permissions: &[Permission]) -> Result<Permissions> {
    if permissions.is_empty() {
        return Err(Error::invalid("permissions", "a role without any permission is of no use")
            .remedy("name at least one permission"));
    }
    match permissions.iter().find(|permission| INSTALLATION.contains(permission)) {
        Some(permission) => Err(Error::invalid(
            "permissions",
            format!("`{permission}` is for operators of the installation; no role holds it"),
        )
        .remedy("leave it out")),
        None => Ok(permissions.iter().copied().collect()),
    }
}

fn role_in_use(role: &RoleDetails) -> Error {
    Error::conflict(
        "role_in_use",
        format!("{} people and {} API keys have the role `{}`", role.user_count, role.api_key_count, role.name),
    )
    .remedy("name the role that they get instead with ?replacement=, as in ?replacement=viewer")
}
