//! The tenants of one person, and the way from one into another.

use plasma_kernel::{Ctx, Error, Result, TenantId, UserId};

use crate::{Identity, LoginStep, Membership, events, store};

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

    /// Lets the caller go on in another of their tenants, as the same person by the same proofs: that tenant's login policy
    /// decides whether they are enough. With the new session the old one ends. Nobody has proved anything anew by it.
    ///
    /// # Errors
    /// `forbidden` for API keys and applications, for sessions for which only an identity provider has vouched (`sso_session_bound`), and
    /// as the other tenant's login policy and state say; `not_found` for a tenant that the caller is not in; `unauthenticated`
    /// (`user_disabled`) for one that they are locked out of.
    pub async fn enter_tenant(&self, ctx: &Ctx, id: TenantId) -> Result<LoginStep> {
        let person = person(ctx)?;
        let authentication = *ctx.authentication().ok_or_else(no_person)?;
        let methods = Self::proofs_for_another_tenant(authentication.methods)?;
        let origin = ctx.origin().cloned().unwrap_or_default();
        let mut tx = self.inner.store.begin(&Self::login_ctx(ctx, id, person, &origin)).await?;
        let begun = Box::pin(self.begin_session(&mut tx, person, id, methods, &origin)).await;
        let step = begun.map_err(|error| match error.reason() {
            "user_not_found" => store::tenants::not_found(id),
            _ => error,
        })?;
        if let LoginStep::Done(entered) = &step {
            store::sessions::set_authenticated_at(&mut tx, entered.session, authentication.at).await?;
            tx.emit(events::tenant_entered(person, entered.session)).await?;
        }
        tx.commit().await?;
        if matches!(step, LoginStep::Done(_)) {
            let mut tx = self.inner.store.begin(ctx).await?;
            if store::sessions::delete(&mut tx, person, authentication.session).await? {
                tx.emit(events::session_revoked(authentication.session)).await?;
            }
            tx.commit().await?;
            self.inner.credentials.forget_tenant(ctx.tenant()?);
        }
        Ok(step)
    }
}

/// The person who acts themselves.
pub(crate) fn person(ctx: &Ctx) -> Result<UserId> {
    ctx.user().ok_or_else(no_person)
}

fn no_person() -> Error {
    Error::forbidden("only a person who logged in has workspaces to choose from")
        .remedy("log in with your own account; an API key belongs to one workspace")
}
