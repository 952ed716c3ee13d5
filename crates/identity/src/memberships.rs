//! The tenants of one person, and the way from one into another.

use plasma_kernel::{Ctx, Error, Result, UserId};

use crate::{Identity, Membership, store, tokens::Fingerprint};

/// Tenants of one person that are shown.
const SHOWN_MAX: u32 = 200;

impl Identity {
    /// The tenants that the caller belongs to, the last used first.
    ///
    /// # Errors
    /// `forbidden` for API keys and applications: they belong to one tenant.
    pub async fn my_tenants(&self, ctx: &Ctx) -> Result<Vec<Membership>> {
        let person = person(ctx)?;
        let system = self.system("show a person's workspaces").with_request(ctx.request());
        store::memberships::of_person(&mut self.inner.store.read(&system).await?, person, SHOWN_MAX).await
    }

    /// Ends all sessions of a person, in all tenants, but the one with the token `keep`.
    pub(crate) async fn end_sessions_everywhere(
        &self,
        ctx: &Ctx,
        user: UserId,
        keep: Option<Fingerprint>,
    ) -> Result<()> {
        let system = self.system("end a person's sessions").with_request(ctx.request());
        let mut tx = self.inner.store.begin(&system).await?;
        let tenants = store::sessions::delete_everywhere(&mut tx, user, keep).await?;
        tx.commit().await?;
        for tenant in tenants {
            self.inner.credentials.forget_tenant(tenant);
        }
        Ok(())
    }
}

/// The person who acts themselves.
pub(crate) fn person(ctx: &Ctx) -> Result<UserId> {
    ctx.user().ok_or_else(|| {
        Error::forbidden("only a person who logged in has workspaces to choose from")
            .remedy("log in with your own account; an API key belongs to one workspace")
    })
}
