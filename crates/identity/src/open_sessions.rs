//! Seeing sessions and ending them: one's own, and those of others.

use plasma_kernel::{Ctx, Page, PageRequest, Permission, Result, SessionId, UserId};
use plasma_store::Tx;

use crate::{Identity, Session, events, factors::person, store, users::require_all};

impl Identity {
    /// The sessions of the person who acts in this tenant, the newest first.
    ///
    /// # Errors
    /// `forbidden` for API keys and applications.
    pub async fn my_sessions(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Session>> {
        let user = person(ctx)?;
        store::sessions::page(&mut self.inner.store.read(ctx).await?, Some(user), page).await
    }

    /// Ends one session of the person who acts.
    ///
    /// # Errors
    /// `forbidden` for API keys and applications, `not_found`.
    pub async fn end_my_session(&self, ctx: &Ctx, id: SessionId) -> Result<()> {
        let user = person(ctx)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        end(&mut tx, user, id).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }

    /// Ends every session of the person who acts, in all tenants, but the one that asks. Links on their way end too.
    ///
    /// # Errors
    /// `forbidden` for API keys and applications.
    pub async fn end_my_other_sessions(&self, ctx: &Ctx) -> Result<()> {
        let user = person(ctx)?;
        let keep = ctx.authentication().map(|authentication| authentication.session);
        let mut tx = self.inner.store.begin(ctx).await?;
        end_others(&mut tx, user, keep).await?;
        store::links::delete_of(&mut tx, user).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        self.end_elsewhere(ctx, user, ctx.tenant()?).await
    }

    /// The sessions of the tenant's people, or of one of them, the newest first.
    ///
    /// # Errors
    /// `forbidden` without `sessions:read`.
    pub async fn sessions(&self, ctx: &Ctx, user: Option<UserId>, page: &PageRequest) -> Result<Page<Session>> {
        ctx.require(Permission::SessionsRead)?;
        store::sessions::page(&mut self.inner.store.read(ctx).await?, user, page).await
    }

    /// Ends a session of somebody in the tenant.
    ///
    /// # Errors
    /// `forbidden` without `sessions:write` or for a user above the caller, `not_found`.
    pub async fn end_session(&self, ctx: &Ctx, id: SessionId) -> Result<()> {
        ctx.require(Permission::SessionsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let user = store::sessions::owner(&mut tx, id).await?;
        require_not_above(&mut tx, ctx, user).await?;
        end(&mut tx, user, id).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }

    /// Ends every session of somebody in the tenant.
    ///
    /// # Errors
    /// `forbidden` without `sessions:write` or for a user above the caller, `not_found`.
    pub async fn end_sessions_of(&self, ctx: &Ctx, user: UserId) -> Result<()> {
        ctx.require(Permission::SessionsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        require_not_above(&mut tx, ctx, user).await?;
        end_others(&mut tx, user, None).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }
}

async fn require_not_above(tx: &mut Tx, ctx: &Ctx, user: UserId) -> Result<()> {
    let user = store::users::get(tx, user).await?;
    require_all(ctx, user.permissions(), "end the sessions of a user")
}

async fn end(tx: &mut Tx, user: UserId, id: SessionId) -> Result<()> {
    if !store::sessions::delete(tx, user, id).await? {
        return Err(store::sessions::not_found(id));
    }
    tx.emit(events::session_revoked(id)).await?;
    Ok(())
}

async fn end_others(tx: &mut Tx, user: UserId, keep: Option<SessionId>) -> Result<()> {
    for session in store::sessions::delete_others(tx, user, keep).await? {
        tx.emit(events::session_revoked(session)).await?;
    }
    store::pending::delete_of(tx, user).await
}
