//! The first start: an installation gets its first tenant and the owner who manages everything.

use plasma_kernel::{ApiKeyId, Ctx, Result, Role, TenantId, UserId};

use crate::{
    ApiKey, Identity, Secret, Tenant,
    api_keys::insert_key,
    common_passwords, events, store,
    store::bootstrap::Owner,
    tenants::{first_owner, insert_tenant},
    tokens::{self, Fingerprint},
    validation,
};

/// The owner's login when the configuration names none.
pub const DEFAULT_OWNER_EMAIL: &str = "owner@localhost";
const TENANT_NAME: &str = "Default workspace";
const OWNER_NAME: &str = "Owner";
const KEY_NAME: &str = "bootstrap";

/// What the configuration says about the first owner.
#[derive(Clone, Debug, Default)]
pub struct Bootstrap {
    /// `PLASMA_OWNER_EMAIL`; only the first start looks at it. `None` means [`DEFAULT_OWNER_EMAIL`].
    pub owner_email: Option<String>,
    /// `PLASMA_OWNER_PASSWORD`; only the first start looks at it. `None` means a generated one.
    pub owner_password: Option<Secret>,
    /// `PLASMA_BOOTSTRAP_API_KEY`: a full `plk_…` key that becomes the owner's; another value at a later start replaces it.
    pub api_key: Option<Secret>,
}

/// What [`Identity::bootstrap`] did.
#[derive(Clone, Debug)]
pub struct BootstrapOutcome {
    /// The owner that this start made; `None` when there was one already.
    pub owner: Option<BootstrapOwner>,
    /// What became of the configured key; `None` when none is configured.
    pub api_key: Option<BootstrapKey>,
}

/// The owner of a new installation.
#[derive(Clone, Debug)]
pub struct BootstrapOwner {
    /// The first tenant.
    pub tenant: TenantId,
    /// The owner.
    pub user: UserId,
    /// The owner's login.
    pub email: String,
    /// The password if it was generated (100 bits): print it now, it cannot be shown again.
    pub generated_password: Option<Secret>,
}

/// What became of the configured API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootstrapKey {
    /// It is new and works now; an earlier bootstrap key was removed.
    Created,
    /// It was there and works.
    Unchanged,
    /// Somebody revoked it, or deleted its owner: it stays refused. Configure another one.
    Revoked,
}

impl Identity {
    /// Makes the first tenant and its owner, an operator, when there is no tenant yet, and puts the configured API key in
    /// place. Starting again, or in several processes at once, changes nothing more.
    ///
    /// # Errors
    /// `invalid` when a configured value breaks the rules; `unavailable` (`no_operator`) when a key is configured but
    /// nobody can own it.
    pub async fn bootstrap(&self, bootstrap: Bootstrap) -> Result<BootstrapOutcome> {
        let ctx = self.system("first start");
        if let Some(key) = &bootstrap.api_key {
            tokens::check_own_key(key.expose())?;
        }
        let mut tx = self.inner.store.read(&ctx).await?;
        let first = !store::tenants::any(&mut tx).await?;
        drop(tx);
        let owner = if first { self.make_owner(&ctx, &bootstrap).await? } else { None };
        let api_key = match &bootstrap.api_key {
            Some(key) => Some(self.put_bootstrap_key(&ctx, key).await?),
            None => None,
        };
        Ok(BootstrapOutcome { owner, api_key })
    }

    async fn make_owner(&self, ctx: &Ctx, bootstrap: &Bootstrap) -> Result<Option<BootstrapOwner>> {
        let email = bootstrap.owner_email.as_deref().unwrap_or(DEFAULT_OWNER_EMAIL);
        let email = validation::email("owner_email", email)?;
        let (password, generated_password) = match &bootstrap.owner_password {
            Some(password) => (password.clone(), None),
            None => {
                let password = tokens::new_password(ctx.random());
                (password.clone(), Some(password))
            }
        };
        common_passwords::check_new("owner_password", &password, &email)?;
        let password_hash = self.inner.passwords.hash(ctx.random(), &password).await?;
        let tenant = Tenant::new(TenantId::new(ctx), TENANT_NAME.to_owned(), ctx.now());
        let owner = first_owner(ctx, email, OWNER_NAME.to_owned(), true);
        let mut tx = self.inner.store.begin(&ctx.for_tenant(tenant.id, "first start")).await?;
        store::bootstrap::lock(&mut tx).await?;
        if store::tenants::any(&mut tx).await? {
            // Another process was first.
            return Ok(None);
        }
        insert_tenant(&mut tx, &tenant, &owner, &password_hash).await?;
        tx.commit().await?;
        Ok(Some(BootstrapOwner { tenant: tenant.id, user: owner.id, email: owner.email, generated_password }))
    }

    async fn put_bootstrap_key(&self, ctx: &Ctx, key: &Secret) -> Result<BootstrapKey> {
        let fingerprint = Fingerprint::of(key.expose());
        let mut tx = self.inner.store.read(ctx).await?;
        if let Some(known) = store::bootstrap::key(&mut tx, &fingerprint).await? {
            return Ok(known);
        }
        let Owner { tenant, user } = store::bootstrap::operator(&mut tx).await?;
        drop(tx);
        let ctx = ctx.for_tenant(tenant, "put the configured API key in place");
        let mut tx = self.inner.store.begin(&ctx).await?;
        store::bootstrap::lock(&mut tx).await?;
        // Another process may have been first.
        if let Some(known) = store::bootstrap::key(&mut tx, &fingerprint).await? {
            return Ok(known);
        }
        // Removed, not revoked: going back to the earlier key in the configuration must work.
        for replaced in store::bootstrap::delete_replaced(&mut tx).await? {
            tx.emit(events::api_key_revoked(replaced)).await?;
        }
        let api_key = ApiKey {
            id: ApiKeyId::new(&ctx),
            name: KEY_NAME.to_owned(),
            prefix: String::new(),
            role: Role::Owner,
            custom_role: None,
            scopes: None,
            addresses: Vec::new(),
            installation: true,
            created_by: user,
            team: None,
            created_at: ctx.now(),
            expires_at: None,
            last_used_at: None,
            last_used_address: None,
            revoked_at: None,
            replaces: None,
            replaced_by: None,
        };
        insert_key(&mut tx, api_key, key.expose(), true).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(tenant);
        self.inner.credentials.forget(&fingerprint).await;
        Ok(BootstrapKey::Created)
    }
}
