//! Who somebody is whom a provider has named. The pair of issuer and subject decides; an e-mail only once, at the first login, and only
//! when nobody could have made it up.

use plasma_kernel::{Code, Ctx, Error, Result, TenantId, UserId};
use plasma_store::Tx;

use super::{
    claims::{self, Given},
    domains, events,
    roles::{self, Entitled},
    verify::Proof,
};
use crate::{
    Connection, DomainVerifier, Identity, User,
    store::{self, connections::StoredConnection, sso::Identified, users::NO_PASSWORD},
    tenants::first_owner,
    users::{admit_user, insert_user},
    validation,
};

/// What the provider tells of a person beyond who they are.
struct About {
    email: Option<String>,
    /// The provider says so. Silence is a no.
    email_verified: bool,
    name: Option<String>,
}

/// What becomes of somebody whose account at the provider is not linked yet.
enum Stranger {
    /// They are this member of the tenant.
    Link(UserId),
    /// They become a user.
    Create,
}

/// A decision about a stranger, made before the transaction that carries it out: it needed a look across tenants.
struct Decision {
    stranger: Stranger,
    email: String,
    /// The domain that this login verifies for the tenant.
    verifies: Option<String>,
}

impl About {
    fn of(connection: &Connection, proof: &Proof) -> Self {
        let claim = |name: &str| claims::text(&proof.claims, name);
        let email = claim("email").and_then(|email| validation::email("email", email).ok());
        let whole = claim("name").map(str::to_owned).or_else(|| {
            let parts: Vec<&str> = ["given_name", "family_name"].into_iter().filter_map(claim).collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        });
        let name = whole
            .or_else(|| claim("preferred_username").map(str::to_owned))
            .map(|name| name.chars().filter(|letter| !letter.is_control()).take(200).collect::<String>())
            .and_then(|name| validation::name("name", &name).ok());
        Self { email, email_verified: claims::is_true(&proof.claims, &connection.email_verified_claim), name }
    }
}

impl Identity {
    /// The member of the tenant whom the proof is about, with the role and the teams that the connection's rules give. `ctx` is a system
    /// context of the tenant.
    ///
    /// # Errors
    /// `forbidden`, with a reason for each thing that keeps somebody out.
    pub(super) async fn welcome(&self, ctx: &Ctx, stored: &StoredConnection, proof: &Proof) -> Result<User> {
        let connection = &stored.connection;
        let about = About::of(connection, proof);
        let who = Identified { issuer: &proof.issuer, subject: &proof.subject, email: about.email.as_deref() };
        let given = claims::given_by(&stored.rules, &proof.claims);
        let mut tx = self.inner.store.read(ctx).await?;
        let is_known = store::sso::person(&mut tx, who.issuer, who.subject).await?.is_some();
        drop(tx);
        let decision =
            if is_known { None } else { Some(self.admission(ctx, connection, stored.tenant, proof, &about).await?) };
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let entitled = roles::entitled(&mut tx, connection, &given).await?;
        let user = match (store::sso::person(&mut tx, who.issuer, who.subject).await?, decision) {
            (Some(user), _) => user,
            (None, Some(decision)) => admit(&mut tx, connection, &who, &about, decision, entitled).await?,
            (None, None) => {
                return Err(Error::new(Code::Forbidden, "sso_try_again", "your account was unlinked at this moment")
                    .remedy("log in again"));
            }
        };
        let user = store::users::get(&mut tx, user).await?;
        if user.disabled {
            return Err(Error::new(Code::Unauthenticated, "user_disabled", "this user is disabled")
                .remedy("ask an administrator of your workspace to let you in again"));
        }
        update(&mut tx, connection, &user, &given, entitled).await?;
        store::sso::note_use(&mut tx, &who).await?;
        let user = store::users::get(&mut tx, user.id).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(stored.tenant);
        Ok(user)
    }

    async fn admission(
        &self,
        ctx: &Ctx,
        connection: &Connection,
        tenant: TenantId,
        proof: &Proof,
        about: &About,
    ) -> Result<Decision> {
        let email = about.email.clone().ok_or_else(|| {
            Error::new(Code::Forbidden, "sso_email_missing", "the identity provider did not say what your e-mail is")
                .remedy("an administrator of the provider can release the claim `email` to this application")
        })?;
        if !about.email_verified {
            return Err(Error::new(
                Code::Forbidden,
                "sso_email_unverified",
                "the identity provider does not say that your e-mail is verified, so it proves nothing here",
            )
            .remedy("log in in another way and link the account under Settings, Security"));
        }
        let domain = domains::of_email(&email).unwrap_or_default();
        let is_ours = domains::is_verified(connection, &domain);
        let verifies = !is_ours && self.may_verify(ctx, connection, tenant, proof, &domain).await?;
        if !is_ours && !verifies {
            return Err(Error::new(
                Code::Forbidden,
                "sso_domain_foreign",
                format!("e-mails of {domain} are not (yet) this connection's, so yours proves nothing here"),
            )
            .remedy("log in in another way and link the account under Settings, Security; or let an operator of the installation verify the domain"));
        }
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let known = store::sso::known(&mut tx, tenant, &email).await?;
        drop(tx);
        let stranger = match known {
            Some(known) if !known.is_member && !known.is_elsewhere => {
                // Whoever was removed from their last tenant is nobody any more.
                self.forget_deleted(ctx, &email).await?;
                Stranger::Create
            }
            // What this tenant's provider says must not open other tenants, nor the installation.
            Some(known) if known.operator || known.is_elsewhere => return Err(link_first()),
            Some(known) => Stranger::Link(known.user),
            None => Stranger::Create,
        };
        if matches!(stranger, Stranger::Create) && !connection.creates_users {
            return Err(Error::new(Code::Forbidden, "sso_no_account", "you have no account in this workspace")
                .remedy("ask an administrator of the workspace to invite you"));
        }
        Ok(Decision { stranger, email, verifies: verifies.then_some(domain) })
    }
}

/// Links or makes the person, as it was decided.
async fn admit(
    tx: &mut Tx,
    connection: &Connection,
    who: &Identified<'_>,
    about: &About,
    decision: Decision,
    entitled: Option<Entitled>,
) -> Result<UserId> {
    let Decision { stranger, email, verifies } = decision;
    if let Some(domain) = verifies
        && store::sso_domains::verify(tx, &domain, DomainVerifier::Provider).await?
    {
        tx.emit(events::domain_verified(connection.id, &domain, DomainVerifier::Provider)).await?;
    }
    let (user, how) = match stranger {
        Stranger::Link(user) => {
            // Somebody new has the e-mail now, or the same person a new account: only they themselves, or an administrator, can tell.
            if store::sso::accounts(tx, user).await?.iter().any(|account| account.connection == connection.id) {
                return Err(other_account_linked());
            }
            (user, "email")
        }
        Stranger::Create => (create(tx, email, about, entitled.ok_or_else(no_role)?).await?, "created"),
    };
    store::sso::link(tx, who, user, connection.id).await?;
    tx.emit(events::account_linked(user, connection.id, how)).await?;
    Ok(user)
}

async fn create(tx: &mut Tx, email: String, about: &About, entitled: Entitled) -> Result<UserId> {
    admit_user(tx).await?;
    let name = about.name.clone().unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
    let ctx = tx.ctx().clone();
    let user = User { role: entitled.role, ..first_owner(&ctx, email, name, false) };
    insert_user(tx, &user, NO_PASSWORD).await?;
    if entitled.custom_role.is_some() {
        store::sso::give_role(tx, user.id, entitled.role, entitled.custom_role).await?;
    }
    Ok(user.id)
}

/// Applies the rules to a member, at every login.
async fn update(
    tx: &mut Tx,
    connection: &Connection,
    user: &User,
    given: &Given,
    entitled: Option<Entitled>,
) -> Result<()> {
    match entitled {
        Some(entitled) => roles::give(tx, connection, user, entitled).await?,
        None if roles::decides_roles(connection) => return Err(no_role()),
        None => {}
    }
    roles::give_teams(tx, connection.id, user.id, &given.teams).await
}

fn no_role() -> Error {
    Error::new(Code::Forbidden, "sso_no_role", "no rule of this connection gives you a role")
        .remedy("an administrator of the identity provider can put you into a group that has one")
}

fn link_first() -> Error {
    Error::new(
        Code::Forbidden,
        "sso_link_first",
        "there is an account with your e-mail, which this identity provider must not open by itself",
    )
    .remedy("log in in another way, then link the two under Settings, Security")
}

pub(super) fn other_account_linked() -> Error {
    Error::new(
        Code::Forbidden,
        "sso_other_account_linked",
        "your user is linked to another account at this identity provider",
    )
    .remedy("unlink it under Settings, Security, or ask an owner of your workspace to unlink it")
}
