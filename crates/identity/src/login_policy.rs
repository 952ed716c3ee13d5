//! How the people of a tenant must log in, and what follows from it for one login.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use plasma_kernel::{Code, Ctx, Error, Method, Methods, Permission, Result, SessionId, Timestamp};
use plasma_store::Tx;

use crate::{Factor, Identity, Need, events, networks, store};

const MICROS: i64 = 1_000_000;
const HOUR_MICROS: i64 = 3_600 * MICROS;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;
/// A session ends after this time however much it is used, when no policy says otherwise.
pub(crate) const SESSION_MICROS: i64 = 30 * DAY_MICROS;
/// A session that nobody uses ends after this time, when no policy says otherwise.
pub(crate) const IDLE_MICROS: i64 = 7 * DAY_MICROS;
/// The last use of a session is written once a minute, so a shorter time would mean nothing.
const SHORTEST_MICROS: i64 = 5 * 60 * MICROS;
const LONGEST_MICROS: i64 = 90 * DAY_MICROS;
const GRACE_MICROS_MAX: i64 = 90 * DAY_MICROS;
const NETWORKS_MAX: usize = 100;

/// With which a login can begin.
const FIRST: [Method; 4] = [Method::Password, Method::Passkey, Method::MagicLink, Method::SingleSignOn];
/// What a policy allows or does not. A recovery code stands for the second factor that was lost, and is allowed with it.
const CHOOSABLE: [Method; 5] =
    [Method::Password, Method::Totp, Method::Passkey, Method::MagicLink, Method::SingleSignOn];

/// How the people of a tenant must log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginPolicy {
    /// With what: password, one-time code, passkey, magic link, single sign-on.
    pub methods: Methods,
    /// Whether everybody needs a second factor or a passkey.
    pub mfa_required: bool,
    /// Since when.
    pub mfa_required_at: Option<Timestamp>,
    /// How long after that, or after joining, people may log in without, to set one up.
    pub mfa_grace_micros: i64,
    /// A session ends after this time.
    pub session_micros: i64,
    /// A session that nobody uses ends after this time.
    pub idle_micros: i64,
    /// From which addresses; empty means from everywhere.
    pub ip_ranges: Vec<IpNet>,
    /// When it was changed last; `None` for the default one.
    pub updated_at: Option<Timestamp>,
}

impl Default for LoginPolicy {
    fn default() -> Self {
        Self {
            methods: CHOOSABLE.into_iter().collect(),
            mfa_required: false,
            mfa_required_at: None,
            mfa_grace_micros: 0,
            session_micros: SESSION_MICROS,
            idle_micros: IDLE_MICROS,
            ip_ranges: Vec::new(),
            updated_at: None,
        }
    }
}

/// What a person can prove beyond the first step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnFactors {
    pub(crate) totp: bool,
    pub(crate) passkeys: bool,
    pub(crate) recovery_codes: bool,
}

impl OwnFactors {
    pub(crate) fn any(self) -> bool {
        self.totp || self.passkeys
    }
}

/// How a login goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The session may begin. With a time: a second factor must be set up by then.
    Session(Option<Timestamp>),
    /// The person must use a factor that they have.
    Prove(Vec<Need>),
    /// The person must set up a factor that counts.
    Enroll(Vec<Factor>),
}

impl LoginPolicy {
    /// Refuses an address outside of the ranges. A login that does not come over the network has none and passes.
    pub(crate) fn require_address(&self, address: Option<IpAddr>) -> Result<()> {
        require_network(&self.ip_ranges, address)
    }

    /// Refuses methods of which none that can begin a login is allowed.
    pub(crate) fn require_methods(&self, methods: Methods) -> Result<()> {
        if FIRST.iter().any(|method| methods.contains(*method) && self.methods.contains(*method)) {
            return Ok(());
        }
        let allowed: Vec<&str> =
            FIRST.iter().filter(|method| self.methods.contains(**method)).map(|method| in_words(*method)).collect();
        Err(Error::new(
            Code::Forbidden,
            "login_method_not_allowed",
            "your workspace does not let people sign in this way",
        )
        .remedy(format!("sign in with {}", allowed.join(" or "))))
    }

    /// What comes after `methods`, for a person with these factors who joined at `member_since`.
    pub(crate) fn next(&self, methods: Methods, own: OwnFactors, member_since: Timestamp, now: Timestamp) -> Next {
        // Whoever has a second factor is asked for it, whatever the policy says: that is why they have it.
        if own.any() && !methods.is_multi_factor() {
            let needs =
                [(own.passkeys, Need::Passkey), (own.totp, Need::Totp), (own.recovery_codes, Need::RecoveryCode)];
            return Next::Prove(needs.into_iter().filter_map(|(has, need)| has.then_some(need)).collect());
        }
        if !self.mfa_required || self.counted(methods).is_multi_factor() {
            return Next::Session(None);
        }
        let due_at = self.mfa_required_at.unwrap_or(0).max(member_since).saturating_add(self.mfa_grace_micros);
        if now < due_at { Next::Session(Some(due_at)) } else { Next::Enroll(self.enrollable()) }
    }

    /// What a person may set up to satisfy the policy.
    pub(crate) fn enrollable(&self) -> Vec<Factor> {
        [(Method::Passkey, Factor::Passkey), (Method::Totp, Factor::Totp)]
            .into_iter()
            .filter_map(|(method, factor)| self.methods.contains(method).then_some(factor))
            .collect()
    }

    /// Those of the methods that the policy lets count.
    pub(crate) fn counted(&self, methods: Methods) -> Methods {
        methods.iter().filter(|method| *method == Method::RecoveryCode || self.methods.contains(*method)).collect()
    }

    fn check(&self) -> Result<()> {
        if let Some(method) = self.methods.iter().find(|method| !CHOOSABLE.contains(method)) {
            return Err(Error::invalid("methods", format!("`{}` cannot be chosen", method.as_str()))
                .remedy("recovery codes are allowed wherever a second factor is"));
        }
        if !FIRST.iter().any(|method| self.methods.contains(*method)) {
            return Err(Error::invalid("methods", "with these nobody could sign in")
                .remedy("allow at least one of password, passkey, magic_link and single_sign_on"));
        }
        let possible = [Method::Totp, Method::Passkey, Method::SingleSignOn];
        if self.mfa_required && !possible.iter().any(|method| self.methods.contains(*method)) {
            return Err(Error::invalid("methods", "a second factor is required, and none is allowed")
                .remedy("allow totp, passkey or single_sign_on"));
        }
        let bounds = [
            ("mfa_grace_seconds", self.mfa_grace_micros, 0, GRACE_MICROS_MAX),
            ("session_seconds", self.session_micros, SHORTEST_MICROS, LONGEST_MICROS),
            ("idle_seconds", self.idle_micros, SHORTEST_MICROS, self.session_micros),
        ];
        for (field, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                let (least, most) = (least / MICROS, most / MICROS);
                return Err(Error::invalid(
                    field,
                    format!("must be {least} to {most} seconds, got {}", value / MICROS),
                ));
            }
        }
        if self.ip_ranges.len() > NETWORKS_MAX {
            return Err(Error::invalid("ip_ranges", format!("must be at most {NETWORKS_MAX} ranges")));
        }
        Ok(())
    }
}

impl Identity {
    /// How the people of the tenant must log in.
    ///
    /// # Errors
    /// `forbidden` without `security:read`.
    pub async fn login_policy(&self, ctx: &Ctx) -> Result<LoginPolicy> {
        ctx.require(Permission::SecurityRead)?;
        store::login_policies::get(&mut self.inner.store.read(ctx).await?).await
    }

    /// Says how the people of the tenant must log in. Sessions that do not fit end: at once when they began in a way that is
    /// no longer allowed or last too long, after the grace when they lack a second factor. The session that asks stays.
    ///
    /// # Errors
    /// `forbidden` without `security:write` or a recent proof, `invalid` for wrong values and for what would lock the caller out.
    pub async fn set_login_policy(
        &self,
        ctx: &Ctx,
        mut policy: LoginPolicy,
        address: Option<IpAddr>,
    ) -> Result<LoginPolicy> {
        ctx.require(Permission::SecurityWrite)?;
        ctx.require_recent_authentication()?;
        policy.check()?;
        refuse_lockout(ctx, &policy, address)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let before = store::login_policies::get(&mut tx).await?;
        policy.mfa_required_at = match (policy.mfa_required, before.mfa_required) {
            (true, true) => before.mfa_required_at,
            (true, false) => Some(ctx.now()),
            (false, _) => None,
        };
        policy.updated_at = Some(ctx.now());
        store::login_policies::put(&mut tx, &policy).await?;
        let keep = ctx.authentication().map(|authentication| authentication.session);
        for session in fit_sessions(&mut tx, &policy, keep).await? {
            tx.emit(events::session_revoked(session)).await?;
        }
        let event = events::login_policy_updated(ctx.tenant()?, &policy);
        tx.emit(event.changed(events::state_of_login_policy(&before), events::state_of_login_policy(&policy))).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(policy)
    }
}

/// Whoever changes the policy must be able to come back.
fn refuse_lockout(ctx: &Ctx, policy: &LoginPolicy, address: Option<IpAddr>) -> Result<()> {
    let Some(authentication) = ctx.authentication() else { return Ok(()) };
    if policy.require_address(address).is_err() {
        return Err(Error::invalid("ip_ranges", "your own address is in none of the ranges: this would lock you out")
            .remedy(format!(
                "add {}",
                address.map_or_else(String::new, |address| address.to_canonical().to_string())
            )));
    }
    if policy.require_methods(authentication.methods).is_err() {
        return Err(Error::invalid("methods", "you signed in with a method that would no longer be allowed")
            .remedy("sign in with one of the others first, to be sure that it works"));
    }
    Ok(())
}

/// Shortens or ends the tenant's sessions that the policy does not allow, all but `keep`; returns those that ended now.
async fn fit_sessions(tx: &mut Tx, policy: &LoginPolicy, keep: Option<SessionId>) -> Result<Vec<SessionId>> {
    store::sessions::shorten(tx, policy.session_micros, policy.idle_micros).await?;
    let due_at = policy.mfa_required_at.unwrap_or(0).saturating_add(policy.mfa_grace_micros);
    let mut ended = Vec::new();
    for stored in store::sessions::distinct_methods(tx).await? {
        let methods = Methods::from_text(&stored);
        if policy.require_methods(methods).is_err() {
            ended.extend(store::sessions::delete_by_methods(tx, &stored, keep).await?);
        } else if policy.mfa_required && !policy.counted(methods).is_multi_factor() {
            store::sessions::end_by_methods(tx, &stored, due_at, keep).await?;
        }
    }
    Ok(ended)
}

/// Refuses an address outside of the networks. What does not come over the network has none and passes.
pub(crate) fn require_network(networks: &[IpNet], address: Option<IpAddr>) -> Result<()> {
    let Some(address) = address.map(|address| address.to_canonical()) else { return Ok(()) };
    if networks::allow(networks, Some(address)) {
        return Ok(());
    }
    Err(Error::new(
        Code::Forbidden,
        "address_not_allowed",
        format!("your workspace does not let people in from the address {address}"),
    )
    .remedy("use your organization's network, or ask an owner to allow this address"))
}

/// Reads `192.0.2.0/24`, or a single address.
pub(crate) fn network(field: &str, text: &str) -> Result<IpNet> {
    networks::read(text).ok_or_else(|| {
        Error::invalid(field, "is no range of addresses").remedy("use the form 192.0.2.0/24 or 2001:db8::/32")
    })
}

/// What the table holds.
pub(crate) fn stored_networks(texts: Option<Vec<String>>) -> Arc<[IpNet]> {
    networks::stored(texts.iter().flatten().map(String::as_str))
}

fn in_words(method: Method) -> &'static str {
    match method {
        Method::Password => "your password",
        Method::Totp => "a code of your authenticator",
        Method::RecoveryCode => "a recovery code",
        Method::Passkey => "a passkey",
        Method::MagicLink => "a link by mail",
        Method::SingleSignOn => "your organization's sign-in",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NONE: OwnFactors = OwnFactors { totp: false, passkeys: false, recovery_codes: false };
    const TOTP: OwnFactors = OwnFactors { totp: true, passkeys: false, recovery_codes: true };

    fn of(methods: &[Method]) -> Methods {
        methods.iter().copied().collect()
    }

    #[test]
    fn whoever_has_a_second_factor_is_asked_for_it_and_others_are_not() {
        let policy = LoginPolicy::default();
        assert_eq!(policy.next(of(&[Method::Password]), NONE, 0, 0), Next::Session(None));
        assert_eq!(policy.next(of(&[Method::Password]), TOTP, 0, 0), Next::Prove(vec![Need::Totp, Need::RecoveryCode]));
        assert_eq!(
            policy.next(of(&[Method::MagicLink]), TOTP, 0, 0),
            Next::Prove(vec![Need::Totp, Need::RecoveryCode])
        );
        for methods in [&[Method::Password, Method::Totp][..], &[Method::Passkey], &[Method::SingleSignOn]] {
            assert_eq!(policy.next(of(methods), TOTP, 0, 0), Next::Session(None));
        }
    }

    #[test]
    fn a_required_factor_has_a_grace_from_the_change_or_from_joining() {
        let policy = LoginPolicy {
            mfa_required: true,
            mfa_required_at: Some(100),
            mfa_grace_micros: 50,
            ..LoginPolicy::default()
        };
        let password = of(&[Method::Password]);
        assert_eq!(policy.next(password, NONE, 0, 149), Next::Session(Some(150)));
        assert_eq!(policy.next(password, NONE, 0, 150), Next::Enroll(vec![Factor::Passkey, Factor::Totp]));
        assert_eq!(policy.next(password, NONE, 400, 449), Next::Session(Some(450)));
        assert_eq!(policy.next(of(&[Method::Passkey]), NONE, 0, 900), Next::Session(None));
    }

    #[test]
    fn a_factor_that_is_not_allowed_is_asked_for_but_does_not_count() {
        let methods = of(&[Method::Password, Method::Passkey]);
        let policy = LoginPolicy { methods, mfa_required: true, mfa_required_at: Some(0), ..LoginPolicy::default() };
        assert_eq!(policy.next(of(&[Method::Password]), TOTP, 0, 9), Next::Prove(vec![Need::Totp, Need::RecoveryCode]));
        assert_eq!(policy.next(of(&[Method::Password, Method::Totp]), TOTP, 0, 9), Next::Enroll(vec![Factor::Passkey]));
    }

    #[test]
    fn addresses_outside_of_the_ranges_are_refused() {
        let ip_ranges =
            vec![network("ip_ranges", "192.0.2.7/24").unwrap(), network("ip_ranges", "2001:db8::1").unwrap()];
        assert_eq!(ip_ranges.first().unwrap().to_string(), "192.0.2.0/24");
        let policy = LoginPolicy { ip_ranges, ..LoginPolicy::default() };
        let allows = |text: &str| policy.require_address(Some(text.parse().unwrap())).is_ok();
        assert!(allows("192.0.2.200") && allows("::ffff:192.0.2.1") && allows("2001:db8::1"));
        assert!(!allows("192.0.3.1") && !allows("2001:db8::2"));
        assert!(policy.require_address(None).is_ok());
        assert!(LoginPolicy::default().require_address(Some("192.0.3.1".parse().unwrap())).is_ok());
        assert!(network("ip_ranges", "example.org").is_err());
        let damaged = stored_networks(Some(vec!["nonsense".to_owned()]));
        assert!(require_network(&damaged, Some(IpAddr::from([192, 0, 2, 1]))).is_err());
        assert!(require_network(&stored_networks(None), Some(IpAddr::from([192, 0, 2, 1]))).is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_field() {
        let field = |policy: LoginPolicy| policy.check().unwrap_err().field_name().unwrap().to_owned();
        let default = LoginPolicy::default;
        assert!(default().check().is_ok());
        assert_eq!(field(LoginPolicy { methods: of(&[Method::Totp]), ..default() }), "methods");
        assert_eq!(
            field(LoginPolicy { methods: of(&[Method::RecoveryCode, Method::Password]), ..default() }),
            "methods"
        );
        assert_eq!(field(LoginPolicy { methods: of(&[Method::Password]), mfa_required: true, ..default() }), "methods");
        assert_eq!(field(LoginPolicy { session_micros: MICROS, ..default() }), "session_seconds");
        assert_eq!(field(LoginPolicy { idle_micros: 31 * DAY_MICROS, ..default() }), "idle_seconds");
        assert_eq!(field(LoginPolicy { mfa_grace_micros: -1, ..default() }), "mfa_grace_seconds");
    }

    #[test]
    fn the_refusal_says_what_is_allowed() {
        let policy = LoginPolicy { methods: of(&[Method::Passkey, Method::SingleSignOn]), ..LoginPolicy::default() };
        let error = policy.require_methods(of(&[Method::Password])).unwrap_err();
        assert_eq!(error.reason(), "login_method_not_allowed");
        assert_eq!(error.remedy_text(), Some("sign in with a passkey or your organization's sign-in"));
        assert!(policy.require_methods(of(&[Method::Password, Method::Passkey])).is_ok());
    }
}
