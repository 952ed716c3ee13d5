//! Enforced single sign-on: the tenant's people log in by a connection and by nothing else, but for owners who are named for the day on
//! which the provider does not answer. They keep their password, with a second factor.

use std::collections::BTreeSet;

use plasma_kernel::{Code, ConnectionId, Ctx, Error, Method, Methods, Permission, Result, Role, TenantId, UserId};
use plasma_store::Tx;

use super::events;
use crate::{Identity, LoginPolicy, SingleSignOn, events as identity_events, store};

const BREAK_GLASS_MAX: usize = 10;

impl Identity {
    /// What the tenant has decided.
    ///
    /// # Errors
    /// `forbidden` without `security:read`.
    pub async fn single_sign_on(&self, ctx: &Ctx) -> Result<SingleSignOn> {
        ctx.require(Permission::SecurityRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::connections::settings(&mut tx, ctx.tenant()?).await
    }

    /// Enforces single sign-on, or ends that. When it begins, sessions that did not begin at a connection end, but for those of the
    /// owners who are kept for emergencies and the one that asks.
    ///
    /// # Errors
    /// `forbidden` without `security:write` or a recent proof; `invalid` for break-glass people who are no enabled owners, or none;
    /// `conflict` for one without a second factor (`break_glass_without_factor`), and while nobody has logged in by an enabled
    /// connection (`connection_unproven`).
    pub async fn set_single_sign_on(&self, ctx: &Ctx, settings: SingleSignOn) -> Result<SingleSignOn> {
        ctx.require(Permission::SecurityWrite)?;
        ctx.require_recent_authentication()?;
        let break_glass: BTreeSet<UserId> = settings.break_glass.into_iter().collect();
        if break_glass.len() > BREAK_GLASS_MAX {
            return Err(Error::too_large(
                "break_glass",
                format!("at most {BREAK_GLASS_MAX} owners are kept for emergencies"),
            ));
        }
        let after = SingleSignOn { enforced: settings.enforced, break_glass: break_glass.into_iter().collect() };
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let before = store::connections::settings(&mut tx, ctx.tenant()?).await?;
        for (index, user) in after.break_glass.iter().enumerate() {
            let field = format!("break_glass[{index}]");
            let person = store::users::get(&mut tx, *user).await.map_err(|error| error.field(field.clone()))?;
            if person.role != Role::Owner || person.disabled {
                return Err(Error::invalid(field, format!("{} is no enabled owner", person.name))
                    .remedy("only owners are kept for emergencies, for they can mend the connection"));
            }
            // Set up later, it would be set up by whoever knows the password.
            if !store::factors::of(&mut tx, *user).await?.any() {
                return Err(Error::conflict(
                    "break_glass_without_factor",
                    format!("{} has no second factor", person.name),
                )
                .field(field)
                .remedy("let them set up an authenticator or a passkey under Settings, Security first"));
            }
        }
        if after.enforced {
            if after.break_glass.is_empty() {
                return Err(Error::invalid(
                    "break_glass",
                    "name at least one owner who gets in when the provider does not answer",
                ));
            }
            if store::connections::count_proven(&mut tx, None).await? == 0 {
                return Err(Error::conflict(
                    "connection_unproven",
                    "nobody has logged in by an enabled connection yet",
                )
                .remedy("log in by the connection once, so that it is known to work; then enforce it"));
            }
        }
        if before == after {
            return Ok(after);
        }
        store::connections::put_settings(&mut tx, &after).await?;
        tx.emit(events::settings_changed(&before, &after)).await?;
        if after.enforced && !before.enforced {
            let own = ctx.authentication().map(|authentication| authentication.session);
            for session in store::sso::end_other_sessions(&mut tx, own).await? {
                tx.emit(identity_events::session_revoked(session)).await?;
            }
        }
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(after)
    }

    /// The tenant's login policy, made stricter by its decision about single sign-on. The end of every login asks this before the policy itself.
    ///
    /// # Errors
    /// `forbidden` (`single_sign_on_required`) for whoever must log in by a connection and did not.
    pub async fn tightened_policy(
        tx: &mut Tx,
        tenant: TenantId,
        user: UserId,
        methods: Methods,
        mut policy: LoginPolicy,
    ) -> Result<LoginPolicy> {
        if !store::connections::settings(tx, tenant).await?.enforced {
            return Ok(policy);
        }
        policy.methods = policy.methods.with(Method::SingleSignOn);
        if methods.contains(Method::SingleSignOn) {
            return Ok(policy);
        }
        if !store::connections::is_break_glass(tx, tenant, user).await? {
            return Err(single_sign_on_required());
        }
        // At once and whatever the policy says: two factors, and a way to set the second one up.
        let factors = [Method::Password, Method::Totp, Method::Passkey];
        policy.methods = factors.into_iter().fold(policy.methods, Methods::with);
        (policy.mfa_required, policy.mfa_required_at, policy.mfa_grace_micros) = (true, None, 0);
        Ok(policy)
    }

    /// Those of a session's proofs that count in another tenant than its own. That somebody's provider knows them is a matter between that
    /// tenant and its provider: it opens no other tenant.
    ///
    /// # Errors
    /// `forbidden` (`sso_session_bound`) when nothing is left.
    pub fn proofs_for_another_tenant(methods: Methods) -> Result<Methods> {
        let left: Methods = methods.iter().filter(|method| *method != Method::SingleSignOn).collect();
        if left == Methods::default() {
            return Err(Error::new(
                Code::Forbidden,
                "sso_session_bound",
                "you logged in by the identity provider of this workspace, which does not speak for another one",
            )
            .remedy("log in to the other workspace in its own way"));
        }
        Ok(left)
    }

    /// Refuses to leave an enforced tenant without a connection that is known to work.
    pub(super) async fn require_another(&self, tx: &mut Tx, id: ConnectionId) -> Result<()> {
        let tenant = tx.tenant()?;
        let is_enforced = store::connections::settings(tx, tenant).await?.enforced;
        if !is_enforced || store::connections::count_proven(tx, Some(id)).await? > 0 {
            return Ok(());
        }
        Err(Error::conflict(
            "connection_needed",
            "single sign-on is enforced, and no other connection is known to work",
        )
        .remedy("end the enforcement first under Settings, Sign-in"))
    }
}

/// What is answered to whoever must log in by a connection and did not.
fn single_sign_on_required() -> Error {
    Error::new(
        Code::Forbidden,
        "single_sign_on_required",
        "your workspace lets people log in only by its identity provider",
    )
    .remedy("enter your e-mail on the login page and choose your organization's login")
}

/// Called under the tenant's lock when an owner is disabled, removed or gets another role: an enforced tenant keeps somebody for
/// emergencies.
///
/// # Errors
/// `conflict` (`last_break_glass`).
pub(crate) async fn keep_break_glass(tx: &mut Tx, without: UserId) -> Result<()> {
    let tenant = tx.tenant()?;
    let settings = store::connections::settings(tx, tenant).await?;
    if !settings.enforced || !settings.break_glass.contains(&without) {
        return Ok(());
    }
    for user in settings.break_glass.iter().filter(|user| **user != without) {
        let person = store::users::get(tx, *user).await?;
        if person.role == Role::Owner && !person.disabled {
            return Ok(());
        }
    }
    Err(Error::conflict(
        "last_break_glass",
        "this is the last owner who may log in when the identity provider does not answer",
    )
    .remedy("name another owner for emergencies first under Settings, Sign-in"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_word_opens_only_its_own_tenant() {
        let only = Methods::default().with(Method::SingleSignOn);
        assert_eq!(Identity::proofs_for_another_tenant(only).unwrap_err().reason(), "sso_session_bound");
        let more = only.with(Method::Password).with(Method::Totp);
        let left = Identity::proofs_for_another_tenant(more).unwrap();
        assert!(!left.contains(Method::SingleSignOn) && left.contains(Method::Password) && left.contains(Method::Totp));
    }
}
