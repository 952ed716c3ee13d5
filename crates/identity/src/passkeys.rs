//! Passkeys: of the person who acts, and logging in with them.

use std::net::IpAddr;

use plasma_kernel::{Code, Ctx, Error, Method, Methods, Origin, PasskeyId, Result, UserId};
use plasma_store::Tx;
use url::Url;

use crate::{
    Ceremony, Enrolled, Factor, Identity, LoginStep, Passkey, PasskeyAnswer,
    begin::{Guard, Proven, passkey_refused},
    ceremonies::NewCredential,
    events,
    factors::{check_what_is_left, first_recovery_codes, person},
    pace::Limit,
    second_factor::as_mistake,
    store, validation,
};

const PASSKEYS_MAX: usize = 20;
/// A login page asks for a challenge when it opens, and again every few minutes.
const CHALLENGES: Limit = Limit::new(100, 5);

impl Identity {
    /// The passkeys of the person who acts, the oldest first.
    ///
    /// # Errors
    /// `forbidden` for API keys and applications.
    pub async fn my_passkeys(&self, ctx: &Ctx) -> Result<Vec<Passkey>> {
        let user = person(ctx)?;
        store::passkeys::list(&mut self.inner.store.read(ctx).await?, user).await
    }

    /// A challenge to make a passkey for the person who acts. `base` is the address of the dashboard.
    ///
    /// # Errors
    /// `forbidden` for API keys, or without a recent proof; `conflict` (`passkeys_need_a_name`) at an IP address.
    pub async fn begin_passkey(&self, ctx: &Ctx, base: &Url) -> Result<Ceremony> {
        let user = self.person_with_own_proof(ctx).await?;
        ctx.require_recent_authentication()?;
        let mut tx = self.inner.store.read(ctx).await?;
        let account = store::users::account(&mut tx, user).await?;
        drop(tx);
        self.begin_registration(ctx, &account, base).await
    }

    /// Keeps the passkey that the browser made. With the first factor come recovery codes.
    ///
    /// # Errors
    /// `forbidden` for API keys, `invalid` (`passkey_refused`, `ceremony_expired`), `conflict` (`passkey_exists`,
    /// `too_many_passkeys`).
    pub async fn finish_passkey(
        &self,
        ctx: &Ctx,
        name: &str,
        answer: &PasskeyAnswer,
        base: &Url,
    ) -> Result<Enrolled<Passkey>> {
        let user = self.person_with_own_proof(ctx).await?;
        let name = validation::name("name", name)?;
        let new = Box::pin(self.finish_registration(ctx, user, answer, base)).await.map_err(as_mistake)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let added = add_passkey(&mut tx, user, name, &new).await?;
        tx.commit().await?;
        Ok(added)
    }

    /// Gives a passkey of the person who acts another name.
    ///
    /// # Errors
    /// `forbidden` for API keys, `invalid` for a wrong name, `not_found`.
    pub async fn rename_passkey(&self, ctx: &Ctx, id: PasskeyId, name: &str) -> Result<Passkey> {
        let user = person(ctx)?;
        let name = validation::name("name", name)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let passkey = store::passkeys::rename(&mut tx, user, id, &name).await?;
        tx.emit(events::passkey_renamed(id)).await?;
        tx.commit().await?;
        Ok(passkey)
    }

    /// Removes a passkey of the person who acts.
    ///
    /// # Errors
    /// `forbidden` for API keys, or without a recent proof; `not_found`; `conflict` (`last_factor`) when the tenant requires one.
    pub async fn remove_passkey(&self, ctx: &Ctx, id: PasskeyId) -> Result<()> {
        let user = self.person_with_own_proof(ctx).await?;
        ctx.require_recent_authentication()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        if !store::passkeys::delete(&mut tx, user, id).await? {
            return Err(store::passkeys::not_found(id));
        }
        tx.emit(events::factor_removed(user, Factor::Passkey)).await?;
        check_what_is_left(&mut tx, user).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A challenge for a login: with any passkey that the browser has for this place, or, with the token of a login that needs
    /// a second factor, with one of that person's.
    ///
    /// # Errors
    /// `rate_limited`, `unauthenticated` (`login_expired`), `conflict` (`passkeys_need_a_name`).
    pub async fn begin_passkey_login(
        &self,
        ctx: &Ctx,
        pending: Option<&str>,
        address: Option<IpAddr>,
        base: &Url,
    ) -> Result<Ceremony> {
        self.inner.pace.take_from(ctx.clock(), "passkey challenge", address, CHALLENGES)?;
        let user = match pending {
            Some(token) => Some(self.pending(ctx, token).await?.0.user),
            None => None,
        };
        self.begin_assertion(ctx, user, base).await
    }

    /// Logs in whoever's passkey answered, without an e-mail; or goes on with a login that needs a second factor.
    ///
    /// # Errors
    /// `unauthenticated` (`passkey_refused`, `ceremony_expired`, `login_expired`, `user_disabled`), `invalid` for what is no
    /// credential, and as [`Identity::begin_session`].
    pub async fn login_with_passkey(
        &self,
        ctx: &Ctx,
        pending: Option<&str>,
        answer: &PasskeyAnswer,
        base: &Url,
        origin: Origin,
    ) -> Result<LoginStep> {
        if let Some(token) = pending {
            let (pending, token) = self.pending(ctx, token).await?;
            let used = match Box::pin(self.finish_assertion(ctx, Some(pending.user), answer, base)).await {
                Err(error) if error.reason() == "passkey_refused" => {
                    self.tell_wrong_proof(ctx, pending.tenant, pending.user, Method::Passkey).await?;
                    return Err(error);
                }
                other => other?,
            };
            let proven = Proven { user: pending.user, tenant: pending.tenant, methods: pending.methods, origin };
            let proven = proven.also_by(Method::Passkey);
            let passkey = Guard::Passkey { before: &used.before, after: &used.after };
            return Box::pin(self.enter(ctx, &proven, &[Guard::Pending(token), passkey])).await;
        }
        let used = Box::pin(self.finish_assertion(ctx, None, answer, base)).await?;
        let mut tx = self.inner.store.read(ctx).await?;
        let account = store::users::account_by_id(&mut tx, used.before.user).await?.ok_or_else(passkey_refused)?;
        drop(tx);
        let methods = Methods::default().with(Method::Passkey);
        let proven = Proven { user: account.user.id, tenant: account.tenant.id, methods, origin };
        let passkey = Guard::Passkey { before: &used.before, after: &used.after };
        Box::pin(self.enter(ctx, &proven, &[passkey])).await
    }
}

/// Keeps a verified credential; with the first factor come recovery codes.
pub(crate) async fn add_passkey(
    tx: &mut Tx,
    user: UserId,
    name: String,
    new: &NewCredential,
) -> Result<Enrolled<Passkey>> {
    if store::passkeys::list(tx, user).await?.len() >= PASSKEYS_MAX {
        return Err(Error::conflict("too_many_passkeys", format!("a person has at most {PASSKEYS_MAX} passkeys"))
            .remedy("remove one that is no longer used"));
    }
    let passkey = Passkey { id: PasskeyId::new(tx.ctx()), name, created_at: tx.ctx().now(), last_used_at: None };
    store::passkeys::insert(tx, user, &passkey, &new.id, &new.credential).await.map_err(|error| {
        if error.code() == Code::Conflict {
            Error::conflict("passkey_exists", "this passkey is kept already").source(error)
        } else {
            error
        }
    })?;
    tx.emit(events::factor_added(user, Factor::Passkey)).await?;
    let recovery_codes = first_recovery_codes(tx, user).await?;
    Ok(Enrolled { made: passkey, recovery_codes })
}
