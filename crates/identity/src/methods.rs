//! What the login page offers. Decided by the domain of the e-mail and by the policy alone, so that it tells nobody whether
//! an e-mail is known.

use std::net::IpAddr;

use plasma_kernel::{Ctx, Method, Methods, Result};

use crate::{Identity, LoginMethods, LoginPolicy, pace::Limit, store, validation};

const ASKED: Limit = Limit::new(120, 5);

impl Identity {
    /// With what somebody with this e-mail can log in. Where the installation has one tenant its policy decides; where it has
    /// several, whatever any may allow is offered, and the policy is applied after the proof.
    ///
    /// # Errors
    /// `invalid` for what is no e-mail, `rate_limited`.
    pub async fn login_methods(&self, ctx: &Ctx, email: &str, address: Option<IpAddr>) -> Result<LoginMethods> {
        self.inner.pace.take_from(ctx.clock(), "login methods", address, ASKED)?;
        validation::email("email", email)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let policy = match store::tenants::only(&mut tx).await? {
            Some(tenant) => store::login_policies::of(&mut tx, tenant).await?,
            None => LoginPolicy::default(),
        };
        let mail_works = self.mail_works();
        let offered = [(Method::Password, true), (Method::Passkey, true), (Method::MagicLink, mail_works)];
        let methods: Methods = offered
            .into_iter()
            .filter_map(|(method, possible)| (possible && policy.methods.contains(method)).then_some(method))
            .collect();
        drop(tx);
        let offer = self.single_sign_on_offer(ctx, email).await?;
        let password_reset = mail_works && methods.contains(Method::Password) && !offer.enforced;
        Ok(LoginMethods { methods, connections: offer.connections, enforced: offer.enforced, password_reset })
    }
}
