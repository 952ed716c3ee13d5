//! The end of every login, however it began: the tenant's policy is asked, then a session begins or another proof is needed.

use std::sync::Arc;

use plasma_kernel::{
    Actor, Code, Ctx, Error, Method, Methods, Origin, Permissions, Result, SessionId, TenantId, UserId,
};
use plasma_store::Tx;

use crate::{
    Factor, Identity, LoggedIn, LoginPolicy, LoginStep, Need, PendingLogin, events,
    login_policy::Next,
    store::{self, passkeys::StoredPasskey, pending::Pending, sessions::NewSession, users::Account},
    tenant_life::require_open,
    tokens::{self, Fingerprint, PENDING_PREFIX},
};

/// Somebody who has begun to log in has this long to go on.
const PENDING_MICROS: i64 = 10 * 60 * 1_000_000;

/// A person who has proved who they are.
pub(crate) struct Proven {
    pub(crate) user: UserId,
    pub(crate) tenant: TenantId,
    pub(crate) methods: Methods,
    pub(crate) origin: Origin,
}

impl Proven {
    /// The same person with one proof more.
    pub(crate) fn also_by(mut self, method: Method) -> Self {
        self.methods = self.methods.with(method);
        self
    }
}

/// What must still be so when a proof takes effect. Each holds once at most: of two who come with the same proof at the same
/// moment, one gets in.
pub(crate) enum Guard<'a> {
    /// The password is still this one.
    Password(&'a str),
    /// No code of this time step was used.
    TotpStep(i64),
    /// The recovery code was not used.
    RecoveryCode(Fingerprint),
    /// The login that began was not finished.
    Pending(Fingerprint),
    /// The passkey is there, with the counter that was checked.
    Passkey {
        /// As it was when it was checked.
        before: &'a StoredPasskey,
        /// The credential with its new counter.
        after: &'a str,
    },
    /// The link was not used.
    Link(&'a str),
}

impl Guard<'_> {
    async fn hold(&self, tx: &mut Tx, user: UserId) -> Result<()> {
        let (held, refusal): (bool, fn() -> Error) = match self {
            Self::Password(hash) => (store::users::hold_password(tx, user, hash).await?, login_failed),
            Self::TotpStep(step) => (store::factors::use_step(tx, user, *step).await?, wrong_code),
            Self::RecoveryCode(code) => {
                let held = store::factors::use_recovery_code(tx, user, code).await?;
                if held {
                    tx.emit(events::recovery_code_used(user)).await?;
                }
                (held, wrong_code)
            }
            Self::Pending(token) => (store::pending::take(tx, token).await?, login_expired),
            Self::Passkey { before, after } => {
                (store::passkeys::note_use(tx, before.id, &before.credential, after).await?, passkey_refused)
            }
            Self::Link(id) => (store::links::take(tx, id).await?, link_expired),
        };
        if held { Ok(()) } else { Err(refusal()) }
    }
}

/// Holds all of them.
pub(crate) async fn hold_all(tx: &mut Tx, user: UserId, guards: &[Guard<'_>]) -> Result<()> {
    for guard in guards {
        guard.hold(tx, user).await?;
    }
    Ok(())
}

impl Identity {
    /// The context in which a person's login ends: bound to the tenant, acting as the person, without any permission.
    pub fn login_ctx(ctx: &Ctx, tenant: TenantId, user: UserId, origin: &Origin) -> Ctx {
        Ctx::new(tenant, Actor::User { id: user }, Permissions::none(), ctx.clock().clone(), ctx.random().clone())
            .with_request(ctx.request())
            .with_origin(Arc::new(origin.clone()))
    }

    /// Begins a session of a person who has proved who they are by `methods`, or says what they must prove or set up first.
    /// The end of every login: by password, passkey, link, identity provider or invitation. `tx` is bound to the tenant by
    /// [`Identity::login_ctx`]; nothing holds before it commits.
    ///
    /// # Errors
    /// `forbidden` when the tenant is not open (`tenant_suspended`, `tenant_deleting`), or its policy does not allow the address
    /// (`address_not_allowed`) or the methods (`login_method_not_allowed`, `single_sign_on_required`), `unauthenticated` (`user_disabled`) for a disabled user, `not_found` for somebody who is
    /// not in the tenant.
    pub async fn begin_session(
        &self,
        tx: &mut Tx,
        user: UserId,
        tenant: TenantId,
        methods: Methods,
        origin: &Origin,
    ) -> Result<LoginStep> {
        if tx.tenant()? != tenant {
            return Err(Error::internal("a session begins in a transaction of its own tenant"));
        }
        let account = store::users::account(tx, user).await?;
        if account.user.disabled {
            return Err(user_disabled());
        }
        // Owners get into a tenant that is closed, to take their data out.
        require_open(account.tenant.state, account.user.role, true)?;
        let policy = store::login_policies::get(tx).await?;
        let policy = Self::tightened_policy(tx, tenant, user, methods, policy).await?;
        policy.require_address(origin.address)?;
        policy.require_methods(methods)?;
        let own = store::factors::of(tx, user).await?;
        match policy.next(methods, own, account.member_since, tx.ctx().now()) {
            Next::Session(enroll_by) => {
                let mut logged_in = open_session(tx, account, methods, origin, &policy).await?;
                logged_in.enroll_by = enroll_by;
                Ok(LoginStep::Done(Box::new(logged_in)))
            }
            Next::Prove(needs) => open_pending(tx, user, methods, needs, Vec::new()).await,
            Next::Enroll(may_enroll) if may_enroll.is_empty() => Err(nothing_to_enroll()),
            Next::Enroll(may_enroll) => open_pending(tx, user, methods, vec![Need::Enroll], may_enroll).await,
        }
    }

    /// Ends a login in a transaction of its own, if all `guards` hold. A refusal by the policy is told in the tenant's log.
    pub(crate) async fn enter(&self, ctx: &Ctx, proven: &Proven, guards: &[Guard<'_>]) -> Result<LoginStep> {
        let Proven { user, tenant, methods, origin } = proven;
        let person = Self::login_ctx(ctx, *tenant, *user, origin);
        let mut tx = self.inner.store.begin(&person).await?;
        hold_all(&mut tx, *user, guards).await?;
        match Box::pin(self.begin_session(&mut tx, *user, *tenant, *methods, origin)).await {
            Ok(step) => {
                tx.commit().await?;
                Ok(step)
            }
            Err(error) => {
                // Undone before the refusal is written: SQLite has one writer.
                drop(tx);
                if error.code() == Code::Forbidden {
                    let mut tx = self.inner.store.begin(&person).await?;
                    tx.emit(events::login_refused(*user, *methods, error.reason())).await?;
                    tx.commit().await?;
                }
                Err(error)
            }
        }
    }

    /// The login that began with this token.
    ///
    /// # Errors
    /// `unauthenticated` (`login_expired`).
    pub(crate) async fn pending(&self, ctx: &Ctx, token: &str) -> Result<(Pending, Fingerprint)> {
        if !tokens::has_form(token, PENDING_PREFIX) {
            return Err(login_expired());
        }
        let fingerprint = Fingerprint::of(token);
        let mut tx = self.inner.store.read(ctx).await?;
        let pending = store::pending::get(&mut tx, &fingerprint, ctx.now()).await?.ok_or_else(login_expired)?;
        Ok((pending, fingerprint))
    }
}

async fn open_session(
    tx: &mut Tx,
    account: Account,
    methods: Methods,
    origin: &Origin,
    policy: &LoginPolicy,
) -> Result<LoggedIn> {
    let Account { mut user, tenant, .. } = account;
    let now = tx.ctx().now();
    let session = SessionId::new(tx.ctx());
    // Each login has a token of its own: whoever knew one from before has nothing.
    let token = tokens::new_session_token(tx.ctx().random());
    let expires_at = now + policy.session_micros;
    if !store::users::note_login(tx, user.id, now).await? {
        return Err(login_failed());
    }
    store::sessions::delete_ended(tx, user.id, now).await?;
    let new = NewSession {
        id: session,
        user: user.id,
        token: Fingerprint::of(token.expose()),
        methods,
        expires_at,
        idle_micros: policy.idle_micros,
        origin,
    };
    store::sessions::insert(tx, &new).await?;
    tx.emit(events::login_succeeded(user.id, session, methods)).await?;
    user.last_login_at = Some(now);
    Ok(LoggedIn { token, session, expires_at, enroll_by: None, user, tenant })
}

async fn open_pending(
    tx: &mut Tx,
    user: UserId,
    methods: Methods,
    needs: Vec<Need>,
    may_enroll: Vec<Factor>,
) -> Result<LoginStep> {
    let token = tokens::new_token(tx.ctx().random(), PENDING_PREFIX);
    let expires_at = tx.ctx().now() + PENDING_MICROS;
    let tenant = tx.tenant()?;
    let pending = Pending { tenant, user, methods, enrolls: !may_enroll.is_empty(), expires_at };
    store::pending::insert(tx, &Fingerprint::of(token.expose()), &pending).await?;
    Ok(LoginStep::Continue(PendingLogin { token, expires_at, needs, may_enroll }))
}

/// A wrong password and an unknown e-mail alike.
pub(crate) fn login_failed() -> Error {
    Error::new(Code::Unauthenticated, "login_failed", "the e-mail or the password is wrong")
}

pub(crate) fn user_disabled() -> Error {
    Error::new(Code::Unauthenticated, "user_disabled", "this user is disabled")
        .remedy("ask an administrator of your workspace to let you in again")
}

pub(crate) fn login_expired() -> Error {
    Error::new(Code::Unauthenticated, "login_expired", "this sign-in took too long, or was finished already")
        .remedy("start again")
}

pub(crate) fn wrong_code() -> Error {
    Error::new(Code::Unauthenticated, "wrong_code", "the code is wrong, or was used already")
        .field("code")
        .remedy("wait for the next code, and check that the clock of your device is right")
}

/// Whatever is wrong with a passkey's answer: the details are of use to nobody but an attacker.
pub(crate) fn passkey_refused() -> Error {
    Error::new(Code::Unauthenticated, "passkey_refused", "the passkey was not accepted")
        .remedy("start again; if it happens again, sign in another way and make a new passkey")
}

pub(crate) fn link_expired() -> Error {
    Error::new(Code::Unauthenticated, "link_expired", "this link has ended, or was used already")
        .remedy("ask for a new one; a link works once, for 15 minutes")
}

fn nothing_to_enroll() -> Error {
    Error::forbidden("your workspace requires a second factor, and lets you set up none yourself")
        .remedy("sign in with your organization's sign-in, or ask an administrator")
}
