//! What a person allowed applications, for themselves to see and to take back.

use plasma_kernel::{Ctx, GrantId, Page, PageRequest, Result};

use super::{Grant, applications::command_line, authorization::person_of};
use crate::{Identity, events, store};

impl Identity {
    /// The applications that may act for the person who asks, newest first.
    ///
    /// # Errors
    /// `forbidden` for keys and applications.
    pub async fn my_grants(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Grant>> {
        let user = person_of(ctx)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::oauth_grants::page(&mut tx, user, page, &command_line().name).await
    }

    /// Takes back what the person allowed an application: its tokens are refused at once, in other processes within 5 seconds,
    /// and it has to ask again.
    ///
    /// # Errors
    /// `forbidden` for keys and applications, `not_found`.
    pub async fn revoke_my_grant(&self, ctx: &Ctx, id: GrantId) -> Result<()> {
        let user = person_of(ctx)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let application = store::oauth_grants::delete(&mut tx, user, id).await?;
        tx.emit(events::grant_revoked(id, application)).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }
}
