//! Linked accounts: which account at a provider is whose. People link and unlink their own; owners may unlink anybody's.

use plasma_kernel::{Code, ConnectionId, Ctx, Error, Page, PageRequest, Permission, Result, UserId};
use plasma_store::Tx;

use super::{
    events,
    login::{SsoStart, SsoStarted},
    people::other_account_linked,
    verify::Proof,
};
use crate::{
    Identity, LinkedAccount, LinkedPerson, events as identity_events,
    store::{self, connections::StoredConnection, sso::Identified},
};

impl Identity {
    /// The connections of the person's tenant, with their account at each.
    ///
    /// # Errors
    /// `forbidden` for API keys and applications.
    pub async fn linked_accounts(&self, ctx: &Ctx) -> Result<Vec<LinkedAccount>> {
        let user = person(ctx)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let accounts = store::sso::accounts(&mut tx, user).await?;
        let connections = store::connections::enabled(&mut tx).await?.into_iter().map(|stored| {
            let connection = stored.connection;
            let account = accounts.iter().find(|account| account.connection == connection.id);
            LinkedAccount {
                connection: connection.id,
                name: connection.name,
                preset: connection.preset,
                linked: account.is_some(),
                email: account.and_then(|account| account.email.clone()),
                linked_at: account.map(|account| account.linked_at),
                last_login_at: account.and_then(|account| account.last_login_at),
            }
        });
        Ok(connections.collect())
    }

    /// Begins to link an account at the connection's provider to the person who acts: they log in there once. Nothing is asked of the
    /// account's e-mail, for its owner sits here, logged in.
    ///
    /// # Errors
    /// `not_found` for a connection that is not the tenant's or disabled; `forbidden` for API keys and without a recent proof;
    /// `conflict` (`account_linked`) when one is linked there; `upstream` or `timeout` when the provider does not answer.
    pub(crate) async fn start_link(&self, ctx: &Ctx, start: SsoStart) -> Result<SsoStarted> {
        let mut tx = self.inner.store.read(ctx).await?;
        let stored = store::connections::get(&mut tx, start.connection).await?;
        if !stored.connection.enabled {
            return Err(store::connections::not_found(start.connection));
        }
        let user = person(ctx)?;
        ctx.require_recent_authentication()?;
        if is_linked(&mut tx, user, start.connection).await? {
            return Err(Error::conflict("account_linked", "you have linked an account at this connection already")
                .remedy("unlink it first"));
        }
        drop(tx);
        self.start_sso(ctx, SsoStart { link: Some(user), ..start }).await
    }

    /// Links the account that the proof is about to `user`, who began this in the same browser.
    pub(super) async fn finish_link(
        &self,
        ctx: &Ctx,
        stored: &StoredConnection,
        proof: &Proof,
        user: UserId,
    ) -> Result<()> {
        let connection = stored.connection.id;
        let email = super::claims::text(&proof.claims, "email").filter(|email| email.len() <= 254);
        let who = Identified { issuer: &proof.issuer, subject: &proof.subject, email };
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        store::users::get(&mut tx, user).await?;
        match store::sso::person(&mut tx, who.issuer, who.subject).await? {
            Some(known) if known == user => return Ok(()),
            Some(_) => {
                return Err(Error::new(
                    Code::Forbidden,
                    "sso_account_taken",
                    "this account at the identity provider is linked to another user of your workspace",
                )
                .remedy(
                    "log in there with your own account, or ask an owner of your workspace to unlink the other one",
                ));
            }
            None => {}
        }
        if is_linked(&mut tx, user, connection).await? {
            return Err(other_account_linked());
        }
        store::sso::link(&mut tx, &who, user, connection).await?;
        tx.emit(events::account_linked(user, connection, "security_page")).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Unlinks the person's own account at the connection, and ends the sessions that began with it.
    ///
    /// # Errors
    /// `not_found`; `forbidden` for API keys and without a recent proof.
    pub async fn unlink_account(&self, ctx: &Ctx, connection: ConnectionId) -> Result<()> {
        let user = person(ctx)?;
        self.unlink(ctx, connection, user).await
    }

    /// Who has linked an account at the connection, newest people first.
    ///
    /// # Errors
    /// `forbidden` without `security:read`, `not_found`.
    pub async fn people_of_connection(
        &self,
        ctx: &Ctx,
        id: ConnectionId,
        page: &PageRequest,
    ) -> Result<Page<LinkedPerson>> {
        ctx.require(Permission::SecurityRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::connections::get(&mut tx, id).await?;
        store::sso::people(&mut tx, id, page).await
    }

    /// Unlinks somebody's account, for an account that was lost or given to somebody else, and ends the sessions that began with it.
    ///
    /// # Errors
    /// `forbidden` without `security:write` or a recent proof, `not_found`.
    pub async fn unlink_person(&self, ctx: &Ctx, connection: ConnectionId, user: UserId) -> Result<()> {
        ctx.require(Permission::SecurityWrite)?;
        self.unlink(ctx, connection, user).await
    }

    async fn unlink(&self, ctx: &Ctx, connection: ConnectionId, user: UserId) -> Result<()> {
        let mut tx = self.inner.store.begin(ctx).await?;
        let Some(subject) = store::sso::unlink(&mut tx, user, connection).await? else {
            return Err(Error::not_found("linked_account_not_found", "there is no linked account at this connection"));
        };
        // Dropped, the transaction undoes it.
        ctx.require_recent_authentication()?;
        tx.emit(events::account_unlinked(user, connection)).await?;
        for session in store::sso::end_sessions_at_provider(&mut tx, connection, None, Some(&subject)).await? {
            tx.emit(identity_events::session_revoked(session)).await?;
        }
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }
}

async fn is_linked(tx: &mut Tx, user: UserId, connection: ConnectionId) -> Result<bool> {
    Ok(store::sso::accounts(tx, user).await?.iter().any(|account| account.connection == connection))
}

fn person(ctx: &Ctx) -> Result<UserId> {
    ctx.user().ok_or_else(|| {
        Error::forbidden("only a person who logged in has linked accounts").remedy("log in with your own account")
    })
}
