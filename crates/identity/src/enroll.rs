//! Setting up a first second factor in the middle of a login, because the tenant requires one.

use plasma_kernel::{Ctx, Error, Method, Methods, Origin, Result};
use plasma_store::Tx;
use url::Url;

use crate::{
    Ceremony, Enrolled, Factor, Identity, LoginStep, PasskeyAnswer, Secret, TotpSetup,
    begin::{Guard, hold_all, login_expired},
    factors::add_totp,
    passkeys::add_passkey,
    store::{self, pending::Pending, users::Account},
    tokens::Fingerprint,
    validation,
};

impl Identity {
    /// Shows a new secret to somebody whose login needs a second factor, and who has none.
    ///
    /// # Errors
    /// `unauthenticated` (`login_expired`), also when the login needs something else; `forbidden` when the policy does not let
    /// it count.
    pub async fn enroll_totp(&self, ctx: &Ctx, pending: &str) -> Result<TotpSetup> {
        let (_, _, account) = self.enrolling(ctx, pending, Factor::Totp).await?;
        self.set_up_totp(ctx, account.user.id, &account.user.email).await
    }

    /// Takes the shown secret into use, and finishes the login.
    ///
    /// # Errors
    /// As [`Identity::enroll_totp`], `unauthenticated` (`wrong_code`), `conflict` (`totp_setup_expired`), and as
    /// [`Identity::begin_session`].
    pub async fn finish_enrolling_totp(
        &self,
        ctx: &Ctx,
        pending: &str,
        code: &str,
        origin: Origin,
    ) -> Result<Enrolled<LoginStep>> {
        let (pending, token, _) = self.enrolling(ctx, pending, Factor::Totp).await?;
        let confirmed = self.confirmed_totp(ctx, pending.user, code).await?;
        let person = Self::login_ctx(ctx, pending.tenant, pending.user, &origin);
        let mut tx = self.inner.store.begin(&person).await?;
        hold_enrollment(&mut tx, &pending, token).await?;
        let recovery_codes = add_totp(&mut tx, pending.user, &confirmed).await?;
        let methods = pending.methods.with(Method::Totp);
        let step = Box::pin(self.begin_session(&mut tx, pending.user, pending.tenant, methods, &origin)).await?;
        tx.commit().await?;
        Ok(Enrolled { made: step, recovery_codes })
    }

    /// A challenge to make a passkey for somebody whose login needs a second factor, and who has none.
    ///
    /// # Errors
    /// As [`Identity::enroll_totp`], `conflict` (`passkeys_need_a_name`).
    pub async fn enroll_passkey(&self, ctx: &Ctx, pending: &str, base: &Url) -> Result<Ceremony> {
        let (_, _, account) = self.enrolling(ctx, pending, Factor::Passkey).await?;
        self.begin_registration(ctx, &account, base).await
    }

    /// Keeps the passkey that the browser made, and finishes the login.
    ///
    /// # Errors
    /// As [`Identity::enroll_totp`], `unauthenticated` (`passkey_refused`, `ceremony_expired`), and as
    /// [`Identity::begin_session`].
    pub async fn finish_enrolling_passkey(
        &self,
        ctx: &Ctx,
        pending: &str,
        name: &str,
        answer: &PasskeyAnswer,
        base: &Url,
        origin: Origin,
    ) -> Result<Enrolled<LoginStep>> {
        let name = validation::name("name", name)?;
        let (pending, token, _) = self.enrolling(ctx, pending, Factor::Passkey).await?;
        let new = Box::pin(self.finish_registration(ctx, pending.user, answer, base)).await?;
        let person = Self::login_ctx(ctx, pending.tenant, pending.user, &origin);
        let mut tx = self.inner.store.begin(&person).await?;
        hold_enrollment(&mut tx, &pending, token).await?;
        let recovery_codes: Option<Vec<Secret>> = add_passkey(&mut tx, pending.user, name, &new).await?.recovery_codes;
        let methods = pending.methods.with(Method::Passkey);
        let step = Box::pin(self.begin_session(&mut tx, pending.user, pending.tenant, methods, &origin)).await?;
        tx.commit().await?;
        Ok(Enrolled { made: step, recovery_codes })
    }

    /// The login that began with this token, if it needs a second factor to be set up and the policy lets `factor` count.
    async fn enrolling(&self, ctx: &Ctx, token: &str, factor: Factor) -> Result<(Pending, Fingerprint, Account)> {
        let (pending, token) = self.pending(ctx, token).await?;
        // A login of somebody who has a factor needs that one: setting up another would be a way around it.
        if !pending.enrolls {
            return Err(login_expired());
        }
        self.require_own_proof(ctx, pending.user, pending.methods).await?;
        let person = Self::login_ctx(ctx, pending.tenant, pending.user, &Origin::default());
        let mut tx = self.inner.store.read(&person).await?;
        let policy = store::login_policies::get(&mut tx).await?;
        if !policy.enrollable().contains(&factor) {
            return Err(Error::forbidden("your workspace does not let this count as a second factor")
                .remedy("set up another one"));
        }
        let account = store::users::account(&mut tx, pending.user).await?;
        Ok((pending, token, account))
    }
}

/// Takes the login, and makes sure that the person still has no factor: of two who come with the right password, the second
/// must use what the first has set up.
async fn hold_enrollment(tx: &mut Tx, pending: &Pending, token: Fingerprint) -> Result<()> {
    hold_all(tx, pending.user, &[Guard::Pending(token)]).await?;
    let proved: Methods = pending.methods;
    if store::factors::of(tx, pending.user).await?.any() && !proved.is_multi_factor() {
        return Err(login_expired());
    }
    store::pending::delete_of(tx, pending.user).await
}
