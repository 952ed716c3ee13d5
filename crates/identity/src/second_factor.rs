//! The second proof of a login: a code of an authenticator application, or a recovery code.

use std::{fmt, net::IpAddr};

use plasma_kernel::{Code, Ctx, Error, Method, Origin, Result, TenantId, UserId};

use crate::{
    Identity, LoginStep, Secret,
    begin::{Guard, Proven, wrong_code},
    events, store,
    tokens::Fingerprint,
    totp,
};

/// A recovery code with its hyphens is shorter; the rest is not looked at.
const RECOVERY_CODE_CHARS_MAX: usize = 64;

impl Identity {
    /// Goes on with a login that needs a second factor: with the code that the person's authenticator shows now. A code is
    /// good once.
    ///
    /// # Errors
    /// `unauthenticated` (`login_expired`, `wrong_code`), `rate_limited` after too many wrong ones, `invalid` for what is no
    /// code, and as [`Identity::begin_session`].
    pub async fn login_with_totp(&self, ctx: &Ctx, pending: &str, code: &str, origin: Origin) -> Result<LoginStep> {
        let (pending, token) = self.pending(ctx, pending).await?;
        let step = self.right_step(ctx, pending.tenant, pending.user, code, origin.address).await?;
        let proven = Proven { user: pending.user, tenant: pending.tenant, methods: pending.methods, origin };
        let proven = proven.also_by(Method::Totp);
        Box::pin(self.enter(ctx, &proven, &[Guard::Pending(token), Guard::TotpStep(step)])).await
    }

    /// Goes on with a login that needs a second factor: with one of the person's recovery codes. A code is good once.
    ///
    /// # Errors
    /// As [`Identity::login_with_totp`].
    pub async fn login_with_recovery_code(
        &self,
        ctx: &Ctx,
        pending: &str,
        code: &str,
        origin: Origin,
    ) -> Result<LoginStep> {
        let (pending, token) = self.pending(ctx, pending).await?;
        let attempt = self.inner.throttle.take(ctx.clock(), &throttled_as(pending.user), origin.address)?;
        let (tenant, user) = (pending.tenant, pending.user);
        let proven = Proven { user, tenant, methods: pending.methods, origin }.also_by(Method::RecoveryCode);
        let guards = [Guard::Pending(token), Guard::RecoveryCode(recovery_fingerprint(user, code))];
        match Box::pin(self.enter(ctx, &proven, &guards)).await {
            Err(error) if error.reason() == "wrong_code" => {
                // The attempt counts.
                drop(attempt);
                self.tell_wrong_proof(ctx, tenant, user, Method::RecoveryCode).await?;
                Err(error)
            }
            Err(error) => {
                attempt.abandoned();
                Err(error)
            }
            Ok(step) => {
                attempt.succeeded();
                Ok(step)
            }
        }
    }

    /// The time step of `code`, if it is the person's and was not used: which is made sure when it takes effect, by
    /// [`Guard::TotpStep`].
    ///
    /// # Errors
    /// `unauthenticated` (`wrong_code`), `rate_limited`, `invalid`.
    pub(crate) async fn right_step(
        &self,
        ctx: &Ctx,
        tenant: TenantId,
        user: UserId,
        code: &str,
        address: Option<IpAddr>,
    ) -> Result<i64> {
        let code = normalized_code(code)?;
        let attempt = self.inner.throttle.take(ctx.clock(), &throttled_as(user), address)?;
        match self.find_step(ctx, user, &code).await {
            Ok(Some(step)) => {
                attempt.succeeded();
                Ok(step)
            }
            Ok(None) => {
                drop(attempt);
                self.tell_wrong_proof(ctx, tenant, user, Method::Totp).await?;
                Err(wrong_code())
            }
            Err(error) => {
                attempt.abandoned();
                Err(error)
            }
        }
    }

    async fn find_step(&self, ctx: &Ctx, user: UserId, code: &str) -> Result<Option<i64>> {
        let mut tx = self.inner.store.read(&vault(ctx)).await?;
        let kept = store::factors::totp(&mut tx, user).await?;
        let Some(sealed) = kept.secret else { return Ok(None) };
        let secret = self.inner.store.open_secret(&mut tx, &purpose(user), &sealed).await?;
        let step = totp::matching_step(&Secret::new(secret.as_str()), code, ctx.now())?;
        Ok(step.filter(|step| *step > kept.last_step))
    }

    pub(crate) async fn tell_wrong_proof(
        &self,
        ctx: &Ctx,
        tenant: TenantId,
        user: UserId,
        method: Method,
    ) -> Result<()> {
        let mut tx = self.inner.store.begin(&ctx.for_tenant(tenant, "login")).await?;
        tx.emit(events::proof_failed(user, method)).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// A context that seals and opens what belongs to people, under the installation's data key: they may be in several tenants, and their
/// factors are the same in all.
pub(crate) fn vault(ctx: &Ctx) -> Ctx {
    Ctx::system("second factors", ctx.clock().clone(), ctx.random().clone()).with_request(ctx.request())
}

/// What the secret of a person's authenticator is sealed for. `user` is their id.
pub(crate) fn purpose(user: impl fmt::Display) -> String {
    format!("totp/{user}")
}

/// Guesses at second factors are counted apart from those at passwords.
pub(crate) fn throttled_as(user: UserId) -> String {
    format!("second-factor/{user}")
}

pub(crate) fn normalized_code(code: &str) -> Result<String> {
    totp::normalized(code).ok_or_else(|| {
        Error::invalid("code", "must be six digits").remedy("enter the code that your authenticator shows")
    })
}

/// What is kept of a recovery code. Upper case, hyphens and letters that are easily mistaken do not matter.
pub(crate) fn recovery_fingerprint(user: UserId, code: &str) -> Fingerprint {
    let code: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(RECOVERY_CODE_CHARS_MAX)
        .map(|letter| match letter.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            letter => letter,
        })
        .collect();
    Fingerprint::of(&format!("recovery/{user}/{code}"))
}

/// The same refusal for somebody who is in a session: it does not end by it.
pub(crate) fn as_mistake(error: Error) -> Error {
    if error.code() != Code::Unauthenticated {
        return error;
    }
    let mistake = Error::new(Code::Invalid, error.reason(), error.message());
    let mistake = match error.field_name() {
        Some(field) => mistake.field(field),
        None => mistake,
    };
    match error.remedy_text() {
        Some(remedy) => mistake.remedy(remedy),
        None => mistake,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_code_is_the_same_however_it_is_typed() {
        let user = UserId::from_bits(7);
        let stored = recovery_fingerprint(user, "0a1b-2c3d-4e5f-6g7h");
        assert_eq!(recovery_fingerprint(user, " OAIB 2C3D4e5f-6g7h "), stored);
        assert_ne!(recovery_fingerprint(user, "0a1b-2c3d-4e5f-6g7j"), stored);
        assert_ne!(recovery_fingerprint(UserId::from_bits(8), "0a1b-2c3d-4e5f-6g7h"), stored, "it is one person's");
    }

    #[test]
    fn a_refusal_inside_of_a_session_does_not_end_it() {
        let mistake = as_mistake(wrong_code());
        assert_eq!(
            (mistake.code(), mistake.reason(), mistake.field_name()),
            (Code::Invalid, "wrong_code", Some("code"))
        );
        assert!(mistake.remedy_text().is_some());
        assert_eq!(as_mistake(Error::forbidden("no")).code(), Code::Forbidden);
    }
}
