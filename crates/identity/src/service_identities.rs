//! Services that show a certificate of their own (mTLS) instead of an API key. Each acts as one API key: what the key may do, the
//! service may do, and it ends with the key.

use std::{net::IpAddr, sync::Arc, time::Duration};

use moka::future::Cache;
use plasma_kernel::{ApiKeyId, Code, Ctx, Error, Page, PageRequest, Permission, Result, ServiceIdentityId, Timestamp};

use crate::{
    Authenticated, Identity,
    authentication::shared_error,
    events, is_spiffe_id, store,
    tokens::{API_KEY_PREFIX, Fingerprint},
    users::require_all,
};

/// Of one tenant.
const SERVICES_MAX: i64 = 1_000;
/// Names kept in memory, known and unknown ones.
const CACHED_MAX: u64 = 10_000;
/// How long a change by another process may stay unseen.
const CACHED_FOR: Duration = Duration::from_secs(5);

/// A service and the API key as which it acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceIdentity {
    /// Its id.
    pub id: ServiceIdentityId,
    /// The name in its certificate.
    pub spiffe_id: String,
    /// The key.
    pub api_key: ApiKeyId,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
}

/// What a new one needs.
#[derive(Clone, Debug)]
pub struct NewServiceIdentity {
    /// As in `spiffe://example.org/billing`.
    pub spiffe_id: String,
    /// A key of the same tenant that is not revoked.
    pub api_key: ApiKeyId,
}

/// The keys of services that were seen lately; `None` for names that no service has.
pub(crate) struct Services {
    cache: Cache<String, Option<Fingerprint>>,
}

impl Services {
    pub(crate) fn new() -> Self {
        Self { cache: Cache::builder().max_capacity(CACHED_MAX).time_to_live(CACHED_FOR).build() }
    }
}

impl Identity {
    /// The tenant's services, newest first.
    ///
    /// # Errors
    /// `forbidden` without `installation:read`.
    pub async fn service_identities(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<ServiceIdentity>> {
        ctx.require(Permission::InstallationRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::service_identities::page(&mut tx, page).await
    }

    /// Lets the service with this name act as a key of the tenant. Only operators may: whose certificates are trusted is decided for
    /// the whole installation, and a name belongs to one tenant.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`, when the key may do more than the caller, and (`step_up_required`) when the caller
    /// has not proved lately who they are; `invalid` for what is no SPIFFE id; `not_found` for the key; `conflict`
    /// (`spiffe_id_taken`, `api_key_revoked`, `too_many_service_identities`).
    pub async fn create_service_identity(&self, ctx: &Ctx, new: NewServiceIdentity) -> Result<ServiceIdentity> {
        ctx.require(Permission::InstallationManage)?;
        ctx.require_recent_authentication()?;
        if !is_spiffe_id(&new.spiffe_id) {
            return Err(Error::invalid("spiffe_id", "is not the SPIFFE id of a service")
                .remedy("use the form spiffe://trust-domain/path, with letters, digits and .-_ in its parts"));
        }
        let mut tx = self.inner.store.begin(ctx).await?;
        let key = store::api_keys::get(&mut tx, new.api_key).await.map_err(|error| error.field("api_key"))?;
        require_all(ctx, key.permissions(), "let a service use a key")?;
        if key.revoked_at.is_some() {
            return Err(Error::conflict("api_key_revoked", "the key is revoked").field("api_key"));
        }
        if store::service_identities::count(&mut tx).await? >= SERVICES_MAX {
            return Err(Error::conflict(
                "too_many_service_identities",
                format!("a workspace has at most {SERVICES_MAX} services"),
            )
            .remedy("remove those that are no longer used"));
        }
        let service = ServiceIdentity {
            id: ServiceIdentityId::new(ctx),
            spiffe_id: new.spiffe_id,
            api_key: new.api_key,
            created_at: ctx.now(),
        };
        store::service_identities::insert(&mut tx, &service).await.map_err(|error| match error.reason() {
            "already_exists" => {
                Error::conflict("spiffe_id_taken", format!("the service {} is known already", service.spiffe_id))
                    .field("spiffe_id")
                    .remedy("remove it first, in whichever workspace it is")
            }
            _ => error,
        })?;
        tx.emit(events::service_identity_created(service.id, &service.spiffe_id, service.api_key)).await?;
        tx.commit().await?;
        self.inner.services.cache.invalidate(&service.spiffe_id).await;
        Ok(service)
    }

    /// Takes a service's access away: at once in this process, within 5 seconds in others. Its key stays.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`, `not_found`.
    pub async fn delete_service_identity(&self, ctx: &Ctx, id: ServiceIdentityId) -> Result<()> {
        ctx.require(Permission::InstallationManage)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let spiffe_id = store::service_identities::delete(&mut tx, id).await?.ok_or_else(|| {
            Error::not_found("service_identity_not_found", format!("there is no service {id} in this workspace"))
        })?;
        tx.emit(events::service_identity_deleted(id, &spiffe_id)).await?;
        tx.commit().await?;
        self.inner.services.cache.invalidate(&spiffe_id).await;
        Ok(())
    }

    /// As whom the service with this name acts. Its certificate was verified already. The tenant may be in any state: whoever calls asks
    /// [`Authenticated::require_open`] with what the request is for.
    ///
    /// # Errors
    /// `unauthenticated` when no service has this name, or its key is revoked or expired; `forbidden` (`api_key_address_refused`) when
    /// the key may not be used from there; `unavailable` when the database does not answer.
    pub async fn authenticate_service(&self, spiffe_id: &str, address: Option<IpAddr>) -> Result<Authenticated> {
        let known = match self.inner.services.cache.get(spiffe_id).await {
            Some(known) => known,
            // Boxed: the query's large future must not weigh on the requests that need none.
            None => Box::pin(self.load_service(spiffe_id)).await?,
        };
        match known {
            Some(fingerprint) => self.authenticated(API_KEY_PREFIX, fingerprint, address).await,
            None => Err(Error::new(
                Code::Unauthenticated,
                "service_unknown",
                format!("the certificate is good, but no service is known as {spiffe_id}"),
            )
            .remedy("let an operator add it with POST /api/v1/service-identities, or send an API key")),
        }
    }

    async fn load_service(&self, spiffe_id: &str) -> Result<Option<Fingerprint>> {
        let load = async {
            let mut tx = self.inner.store.read(&self.system("authenticate a service")).await?;
            store::service_identities::key_of(&mut tx, spiffe_id).await
        };
        let loaded = self.inner.services.cache.try_get_with(spiffe_id.to_owned(), Box::pin(load)).await;
        loaded.map_err(|error: Arc<Error>| shared_error(&error))
    }
}
