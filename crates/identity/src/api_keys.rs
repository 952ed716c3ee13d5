//! Credentials of programs.

use plasma_kernel::{Actor, ApiKeyId, Ctx, Error, Page, PageRequest, Permission, Permissions, Result, Role, UserId};
use plasma_store::Tx;
use serde_json::Value;

use crate::{
    ApiKey, CreatedApiKey, Identity, NewApiKey, events, store,
    tokens::{self, Fingerprint},
    types::{INSTALLATION, permissions_of},
    users::require_all,
    validation,
};

/// Keys of one tenant that are not revoked, at most.
const USABLE_KEYS_MAX: i64 = 1_000;

impl Identity {
    /// The tenant's API keys, revoked ones too, newest first.
    ///
    /// # Errors
    /// `forbidden` without `api_keys:read`.
    pub async fn api_keys(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<ApiKey>> {
        ctx.require(Permission::ApiKeysRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::api_keys::page(&mut tx, page).await
    }

    /// Makes a key. It may use installation permissions when its role is owner, its scopes do not leave them out, and the
    /// caller holds them.
    ///
    /// # Errors
    /// `forbidden` without `api_keys:write` or when the key would allow more than the caller may do; `invalid` for wrong
    /// input or a scope that its role does not have; `not_found` for its team; `conflict` (`too_many_api_keys`).
    pub async fn create_api_key(&self, ctx: &Ctx, new: NewApiKey) -> Result<CreatedApiKey> {
        ctx.require(Permission::ApiKeysWrite)?;
        let name = validation::name("name", &new.name)?;
        if new.expires_at.is_some_and(|expires_at| expires_at <= ctx.now()) {
            return Err(Error::invalid("expires_at", "must be in the future")
                .remedy("give microseconds since 1970 UTC, or leave it out for a key that does not expire"));
        }
        let scopes = new.scopes.as_deref().map(|scopes| checked_scopes(new.role, scopes)).transpose()?;
        let installation = wants_installation(ctx, new.role, scopes);
        let mut tx = self.inner.store.begin(ctx).await?;
        let api_key = ApiKey {
            id: ApiKeyId::new(ctx),
            name,
            prefix: String::new(),
            role: new.role,
            scopes,
            installation,
            created_by: person_behind(&mut tx, ctx).await?,
            team: new.team,
            created_at: ctx.now(),
            expires_at: new.expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        require_all(ctx, api_key.permissions(), "make a key")?;
        // Under the lock, so that its team is not deleted at the same moment.
        store::tenants::lock(&mut tx).await?;
        if let Some(team) = new.team {
            store::teams::get(&mut tx, team).await.map_err(|error| error.field("team"))?;
        }
        if store::api_keys::count_usable(&mut tx).await? >= USABLE_KEYS_MAX {
            return Err(Error::conflict(
                "too_many_api_keys",
                format!("a workspace has at most {USABLE_KEYS_MAX} keys"),
            )
            .remedy("revoke keys that are no longer used"));
        }
        let key = tokens::new_api_key(ctx.random());
        let api_key = insert_key(&mut tx, api_key, key.expose(), false).await?;
        tx.commit().await?;
        Ok(CreatedApiKey { api_key, key })
    }

    /// Ends a key: refused at once in this process, within 5 seconds in others. A key that is revoked already stays so.
    ///
    /// # Errors
    /// `forbidden` without `api_keys:write`, `not_found`.
    pub async fn revoke_api_key(&self, ctx: &Ctx, id: ApiKeyId) -> Result<()> {
        ctx.require(Permission::ApiKeysWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let key = store::api_keys::get(&mut tx, id).await?;
        if key.revoked_at.is_none() && store::api_keys::revoke(&mut tx, id).await? {
            tx.emit(events::api_key_revoked(id)).await?;
        }
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }
}

/// Writes the hash and the shown part of `key`; `bootstrap` marks the one that the configuration names.
pub(crate) async fn insert_key(tx: &mut Tx, mut api_key: ApiKey, key: &str, bootstrap: bool) -> Result<ApiKey> {
    api_key.prefix = tokens::shown_prefix(key);
    store::api_keys::insert(tx, &api_key, &Fingerprint::of(key), bootstrap).await?;
    let event = events::api_key_created(api_key.id, &api_key.prefix, api_key.role);
    tx.emit(event.changed(Value::Null, events::state_of_api_key(&api_key))).await?;
    Ok(api_key)
}

fn checked_scopes(role: Role, scopes: &[Permission]) -> Result<Permissions> {
    if scopes.is_empty() {
        return Err(Error::invalid("scopes", "a key without any permission is of no use")
            .remedy("name at least one permission, or leave `scopes` out for all of the role"));
    }
    let possible = permissions_of(role, role == Role::Owner);
    match scopes.iter().find(|scope| !possible.contains(**scope)) {
        Some(scope) => Err(Error::invalid("scopes", format!("the role {role} does not have `{scope}`"))
            .remedy("leave it out, or choose a role that has it")),
        None => Ok(scopes.iter().copied().collect()),
    }
}

fn wants_installation(ctx: &Ctx, role: Role, scopes: Option<Permissions>) -> bool {
    match scopes {
        Some(scopes) => INSTALLATION.iter().any(|permission| scopes.contains(*permission)),
        None => role == Role::Owner && INSTALLATION.iter().all(|permission| ctx.permissions().contains(*permission)),
    }
}

/// A key made by a key belongs to the same person, so that it ends with them too.
async fn person_behind(tx: &mut Tx, ctx: &Ctx) -> Result<UserId> {
    match ctx.actor() {
        Actor::User { id } => Ok(*id),
        Actor::ApiKey { id } => Ok(store::api_keys::get(tx, *id).await?.created_by),
        Actor::Application { user: Some(id), .. } => Ok(*id),
        Actor::Application { user: None, .. } => {
            Err(Error::forbidden("an API key belongs to a person; an application that acts for itself cannot make one"))
        }
        Actor::System { .. } => Err(Error::internal("an API key belongs to a person; the system cannot make one")),
    }
}
