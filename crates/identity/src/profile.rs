//! What callers may see and change of themselves.

use plasma_kernel::{Actor, Ctx, Error, Result, Role};

use crate::{Identity, Me, User, events, oauth, store, validation};

impl Identity {
    /// Who the caller is and what they may do.
    ///
    /// # Errors
    /// `not_found` when the caller was deleted a moment ago.
    pub async fn me(&self, ctx: &Ctx) -> Result<Me> {
        let mut tx = self.inner.store.read(ctx).await?;
        let tenant = store::tenants::get(&mut tx, ctx.tenant()?).await?;
        let (name, role, custom_role, user) = match ctx.actor() {
            Actor::User { id } => {
                let user = store::users::get(&mut tx, *id).await?;
                (user.name.clone(), user.role, user.custom_role.clone(), Some(user))
            }
            Actor::ApiKey { id } => {
                let key = store::api_keys::get(&mut tx, *id).await?;
                (key.name, key.role, key.custom_role, None)
            }
            Actor::Application { id, user: Some(user) } => {
                let user = store::users::get(&mut tx, *user).await?;
                (oauth::name_of(&mut tx, *id).await?, user.role, user.custom_role.clone(), Some(user))
            }
            Actor::Application { id, user: None } => (oauth::name_of(&mut tx, *id).await?, Role::Service, None, None),
            Actor::System { .. } => return Err(Error::internal("the system has no profile")),
        };
        let permissions = *ctx.permissions();
        Ok(Me { actor: ctx.actor().clone(), name, user, tenant, role, custom_role, permissions })
    }

    /// Changes what the caller is called.
    ///
    /// # Errors
    /// `forbidden` for API keys, `invalid` for a wrong name.
    pub async fn rename_me(&self, ctx: &Ctx, name: Option<&str>) -> Result<User> {
        let id = ctx.user().ok_or_else(|| Error::forbidden("an API key has no profile of its own"))?;
        let name = name.map(|name| validation::name("name", name)).transpose()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let mut user = store::users::get(&mut tx, id).await?;
        let Some(name) = name.filter(|name| *name != user.name) else { return Ok(user) };
        let before = events::state_of_user(&user);
        user.name = name;
        store::users::update(&mut tx, &user).await?;
        let event = events::user_updated(id, &["name"], user.role, user.disabled);
        tx.emit(event.changed(before, events::state_of_user(&user))).await?;
        tx.commit().await?;
        Ok(user)
    }
}
