//! Logging in with a password, logging out, and changing or replacing the password.

use plasma_kernel::{Code, Ctx, Error, Method, Methods, Result, TenantId, UserId};
use serde_json::json;

use crate::{
    Identity, Login, LoginStep, Secret,
    begin::{Guard, Proven, login_failed, user_disabled},
    common_passwords, events,
    store::{self, users::Account},
    throttle::Attempt,
    tokens::{Fingerprint, SESSION_PREFIX},
    validation,
};

impl Identity {
    /// Opens a session for whoever knows the account's password, or says what else is needed. `ctx` is a system context:
    /// nobody is known yet.
    ///
    /// # Errors
    /// `unauthenticated` (`login_failed`) for a wrong password and an unknown e-mail alike, `unauthenticated`
    /// (`user_disabled`) for the right password of a disabled user, `rate_limited` after too many failures, `invalid` for
    /// input that no account can match, `unavailable` when too many log in at once; and as [`Identity::begin_session`].
    pub async fn login(&self, ctx: &Ctx, login: Login) -> Result<LoginStep> {
        validation::login(&login.email, &login.password)?;
        let email = validation::normalized_email(&login.email);
        let attempt = self.inner.throttle.take(ctx.clock(), &email, login.origin.address)?;
        let account = match self.account(ctx, &email).await {
            Ok(account) => account,
            Err(error) => {
                attempt.abandoned();
                return Err(error);
            }
        };
        let stored = account.as_ref().and_then(Account::password);
        let Some(attempt) = self.verified(&login.password, stored, attempt).await? else {
            self.tell_failure(ctx, account.as_ref(), &email).await?;
            return Err(login_failed());
        };
        // Only an account that exists can match.
        let account = account.ok_or_else(login_failed)?;
        if account.user.disabled {
            // The attempt counts as a failure: each one is written to the log.
            self.tell_failure(ctx, Some(&account), &email).await?;
            return Err(user_disabled());
        }
        attempt.succeeded();
        let methods = Methods::default().with(Method::Password);
        let proven = Proven { user: account.user.id, tenant: account.tenant.id, methods, origin: login.origin };
        // Refuses when the password was changed since it was read.
        Box::pin(self.enter(ctx, &proven, &[Guard::Password(&account.password_hash)])).await
    }

    /// Ends the session of `token`. Its token is refused from now on.
    ///
    /// # Errors
    /// `invalid` when the token is not a session's.
    pub async fn logout(&self, ctx: &Ctx, token: &str) -> Result<()> {
        let (Some(user), true) = (ctx.user(), token.starts_with(SESSION_PREFIX)) else {
            return Err(Error::invalid("authorization", "only a login session can log out")
                .remedy("revoke an API key with DELETE /api/v1/api-keys/{id}"));
        };
        let mut tx = self.inner.store.begin(ctx).await?;
        if let Some(session) = store::sessions::delete_by_token(&mut tx, user, &Fingerprint::of(token)).await? {
            tx.emit(events::session_revoked(session)).await?;
        }
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }

    /// Changes the password of the person who acts. Every session of theirs but the one that asks ends.
    ///
    /// # Errors
    /// `forbidden` for API keys; `invalid` (`wrong_password`) when `current` is wrong, or when `new` breaks the rules
    /// (`common_password`); `conflict` (`no_password`) for a person who has none; `rate_limited` after too many wrong ones.
    pub async fn change_password(&self, ctx: &Ctx, current: &Secret, new: &Secret) -> Result<()> {
        let user = ctx.user().ok_or_else(|| {
            Error::forbidden("only a person who logged in can change a password")
                .remedy("log in with your password first")
        })?;
        validation::submitted_password("current_password", current)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let account = store::users::account(&mut tx, user).await?;
        drop(tx);
        common_passwords::check_new("new_password", new, &account.user.email)?;
        let Some(stored) = account.password() else { return Err(no_password()) };
        // Guessing through a stolen session is throttled together with guessing at the login.
        let attempt = self.inner.throttle.take(ctx.clock(), &account.user.email, None)?;
        let Some(attempt) = self.verified(current, Some(stored), attempt).await? else {
            return Err(
                Error::new(Code::Invalid, "wrong_password", "the current password is wrong").field("current_password")
            );
        };
        attempt.succeeded();
        let new_hash = self.inner.passwords.hash(ctx.random(), new).await?;
        let mut tx = self.inner.store.begin(ctx).await?;
        if !store::users::set_password(&mut tx, user, &account.password_hash, &new_hash).await? {
            return Err(Error::conflict("password_changed", "the password was changed at the same moment")
                .remedy("log in with the new password"));
        }
        let keep = ctx.authentication().map(|authentication| authentication.session);
        store::sessions::delete_others(&mut tx, user, keep).await?;
        store::pending::delete_of(&mut tx, user).await?;
        store::links::delete_of(&mut tx, user).await?;
        let event = events::user_updated(user, &["password"], account.user.role, account.user.disabled);
        tx.emit(event.changed(json!({ "password": "old" }), json!({ "password": "new" }))).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        self.end_elsewhere(ctx, user, ctx.tenant()?).await
    }

    /// Ends the person's sessions in all tenants but this one.
    pub(crate) async fn end_elsewhere(&self, ctx: &Ctx, user: UserId, tenant: TenantId) -> Result<()> {
        let system = Ctx::system("end a person's sessions", ctx.clock().clone(), ctx.random().clone())
            .with_request(ctx.request());
        let mut tx = self.inner.store.begin(&system).await?;
        let others = store::sessions::delete_elsewhere(&mut tx, user, tenant).await?;
        tx.commit().await?;
        for other in others {
            self.inner.credentials.forget_tenant(other);
        }
        Ok(())
    }

    pub(crate) async fn account(&self, ctx: &Ctx, email: &str) -> Result<Option<Account>> {
        let mut tx = self.inner.store.read(ctx).await?;
        store::users::account_by_email(&mut tx, email).await
    }

    /// The attempt back if the password is right, to settle; `None` if it is wrong, which uses the attempt up.
    pub(crate) async fn verified(
        &self,
        password: &Secret,
        stored: Option<&str>,
        attempt: Attempt,
    ) -> Result<Option<Attempt>> {
        match self.inner.passwords.verify(password, stored).await {
            Ok(true) => Ok(Some(attempt)),
            Ok(false) => Ok(None),
            Err(error) => {
                attempt.abandoned();
                Err(error)
            }
        }
    }

    async fn tell_failure(&self, ctx: &Ctx, account: Option<&Account>, email: &str) -> Result<()> {
        // In the tenant's log when the account is known, for its administrators to see; else in the installation's.
        let ctx = match account {
            Some(account) => &ctx.for_tenant(account.tenant.id, "login").with_origin_of(ctx),
            None => ctx,
        };
        let mut tx = self.inner.store.begin(ctx).await?;
        tx.emit(events::login_failed(account.map(|account| account.user.id), email)).await?;
        tx.commit().await?;
        Ok(())
    }
}

pub(crate) fn no_password() -> Error {
    Error::conflict("no_password", "you have no password")
        .remedy("ask for a link to set one: POST /api/v1/auth/password-reset")
}
