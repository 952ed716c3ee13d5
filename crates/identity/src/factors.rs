//! The second factors of a person: authenticator application, recovery codes, and what they have of all.

use plasma_kernel::{Code, Ctx, Error, Method, Methods, Permission, Result, Timestamp, UserId};
use plasma_store::Tx;

use crate::{
    Enrolled, Factor, Identity, Secret, SecurityOverview, TotpSetup,
    begin::wrong_code,
    events,
    login_policy::{Next, OwnFactors},
    second_factor::{as_mistake, normalized_code, purpose, recovery_fingerprint, vault},
    store, tokens, totp,
    users::require_all,
};

/// A secret that was shown can be confirmed for this long.
const SETUP_MICROS: i64 = 15 * 60 * 1_000_000;
const RECOVERY_CODES: usize = 10;

/// A secret that a code has confirmed, not in use yet.
pub(crate) struct ConfirmedTotp {
    sealed: Vec<u8>,
    step: i64,
}

impl Identity {
    /// How the person who acts can log in.
    ///
    /// # Errors
    /// `forbidden` for API keys and applications.
    pub async fn security_overview(&self, ctx: &Ctx) -> Result<SecurityOverview> {
        let user = person(ctx)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let account = store::users::account(&mut tx, user).await?;
        let policy = store::login_policies::get(&mut tx).await?;
        let own = store::factors::of(&mut tx, user).await?;
        let methods = ctx.authentication().map(|authentication| authentication.methods).unwrap_or_default();
        let enroll_by = match policy.next(methods, own, account.member_since, ctx.now()) {
            Next::Session(enroll_by) => enroll_by,
            Next::Prove(_) => None,
            Next::Enroll(_) => Some(ctx.now()),
        };
        Ok(SecurityOverview {
            has_password: account.password().is_some(),
            totp_since: store::factors::totp(&mut tx, user).await?.confirmed_at,
            recovery_codes: store::factors::count_recovery_codes(&mut tx, user).await?,
            passkeys: store::passkeys::list(&mut tx, user).await?,
            mfa_required: policy.mfa_required,
            enroll_by,
            may_enroll: policy.enrollable(),
        })
    }

    /// Shows a new secret to the person who acts. Until a code of it has come back, one that they have stays in use.
    ///
    /// # Errors
    /// `forbidden` for API keys, without a recent proof, or without one of one's own (`own_proof_required`).
    pub async fn begin_totp(&self, ctx: &Ctx) -> Result<TotpSetup> {
        let user = self.person_with_own_proof(ctx).await?;
        ctx.require_recent_authentication()?;
        let mut tx = self.inner.store.read(ctx).await?;
        let email = store::users::get(&mut tx, user).await?.email;
        drop(tx);
        self.set_up_totp(ctx, user, &email).await
    }

    /// Takes the shown secret into use: the code proves that the application has it. With the first factor come recovery codes.
    ///
    /// # Errors
    /// `forbidden` for API keys, `invalid` (`wrong_code`), `conflict` (`totp_setup_expired`).
    pub async fn confirm_totp(&self, ctx: &Ctx, code: &str) -> Result<Enrolled<()>> {
        let user = self.person_with_own_proof(ctx).await?;
        let confirmed = self.confirmed_totp(ctx, user, code).await.map_err(as_mistake)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let recovery_codes = add_totp(&mut tx, user, &confirmed).await?;
        tx.commit().await?;
        Ok(Enrolled { made: (), recovery_codes })
    }

    /// Takes the authenticator of the person who acts out of use.
    ///
    /// # Errors
    /// `forbidden` for API keys, or without a recent proof; `not_found`; `conflict` (`last_factor`) when the tenant requires one.
    pub async fn remove_totp(&self, ctx: &Ctx) -> Result<()> {
        let user = self.person_with_own_proof(ctx).await?;
        ctx.require_recent_authentication()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        if !store::factors::delete_totp(&mut tx, user).await? {
            return Err(Error::not_found("totp_not_found", "you have no authenticator application"));
        }
        tx.emit(events::factor_removed(user, Factor::Totp)).await?;
        check_what_is_left(&mut tx, user).await?;
        tx.commit().await?;
        Ok(())
    }

    /// New recovery codes in place of the old ones, which are good no longer.
    ///
    /// # Errors
    /// `forbidden` for API keys, or without a recent proof; `conflict` (`no_second_factor`) for a person who has none.
    pub async fn renew_recovery_codes(&self, ctx: &Ctx) -> Result<Vec<Secret>> {
        let user = self.person_with_own_proof(ctx).await?;
        ctx.require_recent_authentication()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        if !store::factors::of(&mut tx, user).await?.any() {
            return Err(Error::conflict(
                "no_second_factor",
                "recovery codes stand for a second factor, and you have none",
            )
            .remedy("set up an authenticator or a passkey first"));
        }
        let codes = make_recovery_codes(&mut tx, user).await?;
        tx.commit().await?;
        Ok(codes)
    }

    /// Takes all second factors and passkeys from a person who lost them, and ends their sessions in this tenant. They log in
    /// with their password then, and set up new ones.
    ///
    /// # Errors
    /// `forbidden` without `users:write` or a recent proof, or for a user above the caller; `not_found`; `conflict`
    /// (`factors_shared`) when they protect the person in another tenant too.
    pub async fn reset_factors(&self, ctx: &Ctx, id: UserId) -> Result<()> {
        ctx.require(Permission::UsersWrite)?;
        ctx.require_recent_authentication()?;
        let tenants = self.count_tenants(ctx, id).await?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let user = store::users::get(&mut tx, id).await?;
        require_all(ctx, user.permissions(), "reset the second factors of a user")?;
        if tenants > 1 && !ctx.permissions().contains(Permission::InstallationManage) {
            return Err(Error::conflict("factors_shared", "this person belongs to other workspaces too")
                .remedy("ask whoever operates the installation"));
        }
        store::factors::delete_totp(&mut tx, id).await?;
        store::factors::delete_recovery_codes(&mut tx, id).await?;
        store::passkeys::delete_all(&mut tx, id).await?;
        for session in store::sessions::delete_others(&mut tx, id, None).await? {
            tx.emit(events::session_revoked(session)).await?;
        }
        tx.emit(events::factors_reset(id)).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }

    /// The person who acts, if they may change how they log in.
    ///
    /// # Errors
    /// As [`person`] and [`Identity::require_own_proof`].
    pub(crate) async fn person_with_own_proof(&self, ctx: &Ctx) -> Result<UserId> {
        let user = person(ctx)?;
        let methods = ctx.authentication().map(|authentication| authentication.methods).unwrap_or_default();
        self.require_own_proof(ctx, user, methods).await?;
        Ok(user)
    }

    /// Refuses somebody of several tenants for whom only an identity provider has vouched. It is one tenant's, and what the person proves
    /// themselves by counts in all: whoever runs the provider could make themselves a key to the others.
    ///
    /// # Errors
    /// `forbidden` (`own_proof_required`).
    pub(crate) async fn require_own_proof(&self, ctx: &Ctx, user: UserId, methods: Methods) -> Result<()> {
        let vouched_for = Methods::default().with(Method::SingleSignOn);
        if methods != vouched_for || self.count_tenants(ctx, user).await? <= 1 {
            return Ok(());
        }
        Err(Error::new(
            Code::Forbidden,
            "own_proof_required",
            "you belong to several workspaces, and only this one's identity provider says that it is you",
        )
        .remedy("prove it by your password, authenticator or passkey first, or log in by one of them"))
    }

    /// It looks across tenants, which a tenant's transaction cannot.
    async fn count_tenants(&self, ctx: &Ctx, user: UserId) -> Result<i64> {
        let system = Ctx::system("look for a person's tenants", ctx.clock().clone(), ctx.random().clone());
        store::users::count_tenants(&mut self.inner.store.read(&system).await?, user).await
    }

    /// Makes a secret for `user` and keeps it sealed until it is confirmed.
    pub(crate) async fn set_up_totp(&self, ctx: &Ctx, user: UserId, email: &str) -> Result<TotpSetup> {
        let secret = totp::new_secret(ctx.random());
        let address = totp::address(&secret, email);
        let qr_svg = totp::qr_svg(&address)?;
        let expires_at = ctx.now() + SETUP_MICROS;
        let mut tx = self.inner.store.begin(&vault(ctx)).await?;
        let sealed = self.inner.store.seal_secret(&mut tx, &purpose(user), secret.expose()).await?;
        store::factors::set_pending_totp(&mut tx, user, sealed, expires_at).await?;
        tx.commit().await?;
        Ok(TotpSetup { secret, address: Secret::new(address), qr_svg: Secret::new(qr_svg), expires_at })
    }

    /// The shown secret of `user`, if `code` is one of its.
    pub(crate) async fn confirmed_totp(&self, ctx: &Ctx, user: UserId, code: &str) -> Result<ConfirmedTotp> {
        let code = normalized_code(code)?;
        let mut tx = self.inner.store.read(&vault(ctx)).await?;
        let kept = store::factors::totp(&mut tx, user).await?;
        let until: Timestamp = kept.pending_until.unwrap_or(0);
        let sealed = kept.pending_secret.filter(|_| ctx.now() < until).ok_or_else(|| {
            Error::conflict("totp_setup_expired", "no authenticator is being set up, or it took too long")
                .remedy("start again with a new QR code")
        })?;
        let secret = self.inner.store.open_secret(&mut tx, &purpose(user), &sealed).await?;
        let step = totp::matching_step(&Secret::new(secret.as_str()), &code, ctx.now())?.ok_or_else(wrong_code)?;
        Ok(ConfirmedTotp { sealed, step })
    }
}

/// The person who acts: nobody else has factors.
pub(crate) fn person(ctx: &Ctx) -> Result<UserId> {
    ctx.user().ok_or_else(|| {
        Error::forbidden("only a person who logged in can see and change how they sign in").remedy("log in first")
    })
}

/// Takes a confirmed secret into use; with the first factor come recovery codes.
pub(crate) async fn add_totp(tx: &mut Tx, user: UserId, confirmed: &ConfirmedTotp) -> Result<Option<Vec<Secret>>> {
    let now = tx.ctx().now();
    if !store::factors::confirm_totp(tx, user, &confirmed.sealed, confirmed.step, now).await? {
        return Err(Error::conflict("totp_setup_changed", "another authenticator was set up at the same moment")
            .remedy("look at your security settings"));
    }
    tx.emit(events::factor_added(user, Factor::Totp)).await?;
    first_recovery_codes(tx, user).await
}

/// Recovery codes, if the person has none.
pub(crate) async fn first_recovery_codes(tx: &mut Tx, user: UserId) -> Result<Option<Vec<Secret>>> {
    if store::factors::count_recovery_codes(tx, user).await? > 0 {
        return Ok(None);
    }
    make_recovery_codes(tx, user).await.map(Some)
}

async fn make_recovery_codes(tx: &mut Tx, user: UserId) -> Result<Vec<Secret>> {
    let codes: Vec<Secret> = (0..RECOVERY_CODES).map(|_| tokens::new_recovery_code(tx.ctx().random())).collect();
    let kept: Vec<_> = codes.iter().map(|code| recovery_fingerprint(user, code.expose())).collect();
    store::factors::replace_recovery_codes(tx, user, kept).await?;
    tx.emit(events::recovery_codes_made(user)).await?;
    Ok(codes)
}

/// After a factor was removed: the tenant may require one, and recovery codes stand for none without.
pub(crate) async fn check_what_is_left(tx: &mut Tx, user: UserId) -> Result<()> {
    let left: OwnFactors = store::factors::of(tx, user).await?;
    if left.any() {
        return Ok(());
    }
    if store::login_policies::get(tx).await?.mfa_required {
        return Err(Error::conflict(
            "last_factor",
            "your workspace requires a second factor, and this is your last one",
        )
        .remedy("set up another one first"));
    }
    store::factors::delete_recovery_codes(tx, user).await
}
