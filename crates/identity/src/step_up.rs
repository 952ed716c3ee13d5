//! Proving again that it is still oneself, for a dangerous action.

use plasma_kernel::{Authentication, Code, Ctx, Error, Method, Result, UserId};
use url::Url;

use crate::{
    Ceremony, Identity, Proof, Secret, SteppedUp,
    begin::{Guard, hold_all},
    ceremonies::UsedPasskey,
    events,
    factors::person,
    second_factor::as_mistake,
    sessions::no_password,
    store,
    tokens::{self, Fingerprint},
    validation,
};

/// A proof that was right, and what must still be so when it takes effect.
enum Checked {
    Password(String),
    Totp(i64),
    Passkey(Box<UsedPasskey>),
}

impl Checked {
    fn method(&self) -> Method {
        match self {
            Self::Password(_) => Method::Password,
            Self::Totp(_) => Method::Totp,
            Self::Passkey(_) => Method::Passkey,
        }
    }

    fn guard(&self) -> Guard<'_> {
        match self {
            Self::Password(hash) => Guard::Password(hash),
            Self::Totp(step) => Guard::TotpStep(*step),
            Self::Passkey(used) => Guard::Passkey { before: &used.before, after: &used.after },
        }
    }
}

/// With what the person who acts can prove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepUpMethods {
    /// They have a password.
    pub password: bool,
    /// They have an authenticator application.
    pub totp: bool,
    /// They have a passkey.
    pub passkey: bool,
}

impl Identity {
    /// With what the person who acts can prove that it is still them.
    ///
    /// # Errors
    /// `forbidden` for API keys and applications.
    pub async fn step_up_methods(&self, ctx: &Ctx) -> Result<StepUpMethods> {
        let user = person(ctx)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let account = store::users::account(&mut tx, user).await?;
        let own = store::factors::of(&mut tx, user).await?;
        Ok(StepUpMethods { password: account.password().is_some(), totp: own.totp, passkey: own.passkeys })
    }

    /// A challenge for one of the passkeys of the person who acts.
    ///
    /// # Errors
    /// `forbidden` for API keys and applications, `conflict` (`passkeys_need_a_name`).
    pub async fn begin_step_up(&self, ctx: &Ctx, base: &Url) -> Result<Ceremony> {
        let user = person(ctx)?;
        self.begin_assertion(ctx, Some(user), base).await
    }

    /// Notes that the person who acts has just proved who they are: for ten minutes dangerous actions are open to this session.
    /// It keeps its id and gets a new token; the old one goes on for a few seconds and opens no dangerous action.
    ///
    /// # Errors
    /// `forbidden` for API keys and applications, `invalid` for a wrong proof (`wrong_password`, `wrong_code`,
    /// `passkey_refused`), `conflict` (`no_password`), `rate_limited` after too many wrong ones.
    pub async fn step_up(&self, ctx: &Ctx, proof: Proof, base: &Url) -> Result<SteppedUp> {
        let user = person(ctx)?;
        let Some(&Authentication { session, .. }) = ctx.authentication() else {
            return Err(Error::forbidden("only a login session needs to prove that it is still the same person"));
        };
        let checked = Box::pin(self.check(ctx, user, proof, base)).await.map_err(as_mistake)?;
        let token = tokens::new_session_token(ctx.random());
        let mut tx = self.inner.store.begin(ctx).await?;
        hold_all(&mut tx, user, &[checked.guard()]).await.map_err(as_mistake)?;
        let open = store::sessions::get(&mut tx, session).await?;
        let methods = open.methods.with(checked.method());
        store::sessions::step_up(&mut tx, session, &Fingerprint::of(token.expose()), methods).await?;
        tx.emit(events::stepped_up(session, checked.method())).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(SteppedUp { token, session, expires_at: open.expires_at })
    }

    async fn check(&self, ctx: &Ctx, user: UserId, proof: Proof, base: &Url) -> Result<Checked> {
        let tenant = ctx.tenant()?;
        let address = ctx.origin().and_then(|origin| origin.address);
        match proof {
            Proof::Password(password) => self.check_password(ctx, user, &password).await.map(Checked::Password),
            Proof::Totp(code) => self.right_step(ctx, tenant, user, &code, address).await.map(Checked::Totp),
            Proof::Passkey(answer) => match self.finish_assertion(ctx, Some(user), &answer, base).await {
                Ok(used) => Ok(Checked::Passkey(Box::new(used))),
                Err(error) => {
                    if error.reason() == "passkey_refused" {
                        self.tell_wrong_proof(ctx, tenant, user, Method::Passkey).await?;
                    }
                    Err(error)
                }
            },
        }
    }

    /// The hash that the password matched.
    async fn check_password(&self, ctx: &Ctx, user: UserId, password: &Secret) -> Result<String> {
        validation::submitted_password("password", password)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let account = store::users::account(&mut tx, user).await?;
        drop(tx);
        let Some(stored) = account.password() else { return Err(no_password()) };
        // Guessing through a stolen session is throttled together with guessing at the login.
        let attempt = self.inner.throttle.take(ctx.clock(), &account.user.email, None)?;
        let Some(attempt) = self.verified(password, Some(stored), attempt).await? else {
            self.tell_wrong_proof(ctx, ctx.tenant()?, user, Method::Password).await?;
            return Err(Error::new(Code::Invalid, "wrong_password", "the password is wrong").field("password"));
        };
        attempt.succeeded();
        Ok(account.password_hash)
    }
}
