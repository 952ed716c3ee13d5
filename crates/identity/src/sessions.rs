//! Logging in and out, and changing one's password.

use plasma_kernel::{Actor, Code, Ctx, Error, Result, SessionId};
use serde_json::json;

use crate::{
    Identity, LoggedIn, Login, Secret, events,
    store::{self, users::Account},
    throttle::Attempt,
    tokens::{self, Fingerprint, SESSION_PREFIX},
    validation,
};

/// A session ends after this time however much it is used.
pub(crate) const SESSION_LIFETIME_MICROS: i64 = 30 * 24 * 3_600 * 1_000_000;

impl Identity {
    /// Opens a session for whoever knows the account's password. `ctx` is a system context: nobody is known yet.
    ///
    /// # Errors
    /// `unauthenticated` (`login_failed`) for a wrong password and an unknown e-mail alike, `unauthenticated`
    /// (`user_disabled`) for the right password of a disabled user, `rate_limited` after too many failures, `invalid` for
    /// input that no account can match, `unavailable` when too many log in at once.
    pub async fn login(&self, ctx: &Ctx, login: Login) -> Result<LoggedIn> {
        validation::login(&login.email, &login.password)?;
        let email = validation::normalized_email(&login.email);
        let attempt = self.inner.throttle.take(ctx.clock(), &email, login.address)?;
        let account = match self.account(ctx, &email).await {
            Ok(account) => account,
            Err(error) => {
                attempt.abandoned();
                return Err(error);
            }
        };
        let stored = account.as_ref().map(|account| account.password_hash.as_str());
        let Some(attempt) = self.verified(&login.password, stored, attempt).await? else {
            self.tell_failure(ctx, account.as_ref(), &email).await?;
            return Err(login_failed());
        };
        // Only an account that exists can match.
        let account = account.ok_or_else(login_failed)?;
        if account.user.disabled {
            // The attempt counts as a failure: each one is written to the log.
            self.tell_failure(ctx, Some(&account), &email).await?;
            return Err(Error::new(Code::Unauthenticated, "user_disabled", "this user is disabled")
                .remedy("ask an administrator of your workspace to let you in again"));
        }
        attempt.succeeded();
        self.open_session(ctx, account).await
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

    /// Changes the password of the person who acts. Every session of theirs but the one of `current_token` ends.
    ///
    /// # Errors
    /// `forbidden` for API keys; `invalid` (`wrong_password`) when `current` is wrong, or when `new` breaks the rules;
    /// `rate_limited` after too many wrong ones.
    pub async fn change_password(
        &self,
        ctx: &Ctx,
        current: &Secret,
        new: &Secret,
        current_token: Option<&str>,
    ) -> Result<()> {
        let user = ctx.user().ok_or_else(|| {
            Error::forbidden("only a person who logged in can change a password")
                .remedy("log in with your password first")
        })?;
        validation::submitted_password("current_password", current)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let account = store::users::account(&mut tx, user).await?;
        drop(tx);
        validation::password("new_password", new, &account.user.email)?;
        // Guessing through a stolen session is throttled together with guessing at the login.
        let attempt = self.inner.throttle.take(ctx.clock(), &account.user.email, None)?;
        let Some(attempt) = self.verified(current, Some(&account.password_hash), attempt).await? else {
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
        store::sessions::delete_others(&mut tx, user, current_token.map(Fingerprint::of)).await?;
        let event = events::user_updated(user, &["password"], account.user.role, account.user.disabled);
        tx.emit(event.changed(json!({ "password": "old" }), json!({ "password": "new" }))).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }

    async fn account(&self, ctx: &Ctx, email: &str) -> Result<Option<Account>> {
        let mut tx = self.inner.store.read(ctx).await?;
        store::users::account_by_email(&mut tx, email).await
    }

    /// The attempt back if the password is right, to settle; `None` if it is wrong, which uses the attempt up.
    async fn verified(&self, password: &Secret, stored: Option<&str>, attempt: Attempt) -> Result<Option<Attempt>> {
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

    async fn open_session(&self, ctx: &Ctx, account: Account) -> Result<LoggedIn> {
        let Account { mut user, tenant, password_hash } = account;
        let actor = Actor::User { id: user.id };
        let ctx = Ctx::new(tenant.id, actor, user.permissions(), ctx.clock().clone(), ctx.random().clone())
            .with_request(ctx.request())
            .with_origin_of(ctx);
        let now = ctx.now();
        let session = SessionId::new(&ctx);
        let token = tokens::new_session_token(ctx.random());
        let expires_at = now + SESSION_LIFETIME_MICROS;
        let mut tx = self.inner.store.begin(&ctx).await?;
        // Refuses when the password was changed or the user disabled since it was read.
        if !store::users::note_login(&mut tx, user.id, &password_hash, now).await? {
            return Err(login_failed());
        }
        store::sessions::delete_ended(&mut tx, user.id, now).await?;
        store::sessions::insert(&mut tx, session, user.id, &Fingerprint::of(token.expose()), expires_at).await?;
        tx.emit(events::login_succeeded(user.id, session)).await?;
        tx.commit().await?;
        user.last_login_at = Some(now);
        Ok(LoggedIn { token, session, expires_at, user, tenant })
    }
}

fn login_failed() -> Error {
    Error::new(Code::Unauthenticated, "login_failed", "the e-mail or the password is wrong")
}
