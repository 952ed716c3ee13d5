//! Credentials of programs.

use std::collections::BTreeSet;

use ipnet::IpNet;
use plasma_kernel::{
    Actor, ApiKeyId, Ctx, Error, Page, PageRequest, Permission, Permissions, Result, Role, Timestamp, UserId,
};
use plasma_store::Tx;
use serde_json::Value;

use crate::{
    ApiKey, ApiKeyChange, ApiKeyRotation, CreatedApiKey, CustomRole, Identity, NewApiKey, RoleName, events, networks,
    quotas, store,
    tokens::{self, Fingerprint},
    types::{INSTALLATION, held},
    users::require_all,
    validation,
};

/// Keys of one tenant that are not revoked, at most.
const USABLE_KEYS_MAX: i64 = 1_000;
/// Networks from which a key may be used.
const ADDRESSES_MAX: usize = 50;
/// For how long two keys may do the work of one.
const OVERLAP_SECONDS_MAX: u32 = 30 * 24 * 3_600;

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
    /// `forbidden` without `api_keys:write` or a recent proof, or when the key would allow more than the caller may do;
    /// `invalid` for wrong input or a scope that its role does not have; `not_found` for its team or its role; `conflict`
    /// (`too_many_api_keys`, `quota_exceeded`).
    pub async fn create_api_key(&self, ctx: &Ctx, new: NewApiKey) -> Result<CreatedApiKey> {
        ctx.require(Permission::ApiKeysWrite)?;
        ctx.require_recent_authentication()?;
        let name = validation::name("name", &new.name)?;
        check_expiry(ctx, new.expires_at)?;
        let addresses = checked_addresses(&new.addresses)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        // Under the lock, so that its team or its role is not deleted at the same moment.
        store::tenants::lock(&mut tx).await?;
        let (role, custom_role) = resolved_role(&mut tx, new.role).await?;
        let scopes = match &new.scopes {
            Some(scopes) => Some(checked_scopes(role, custom_role.as_ref(), scopes)?),
            None => None,
        };
        let installation = wants_installation(ctx, role, custom_role.as_ref(), scopes);
        let api_key = ApiKey {
            id: ApiKeyId::new(ctx),
            name,
            prefix: String::new(),
            role,
            custom_role,
            scopes,
            addresses,
            installation,
            created_by: person_behind(&mut tx, ctx).await?,
            team: new.team,
            created_at: ctx.now(),
            expires_at: new.expires_at,
            last_used_at: None,
            last_used_address: None,
            revoked_at: None,
            replaces: None,
            replaced_by: None,
        };
        require_all(ctx, api_key.permissions(), "make a key")?;
        if let Some(team) = new.team {
            store::teams::get(&mut tx, team).await.map_err(|error| error.field("team"))?;
        }
        let usable_keys = require_room(&mut tx).await?;
        quotas::admit_api_key(&mut tx, usable_keys).await?;
        let key = tokens::new_api_key(ctx.random());
        let api_key = insert_key(&mut tx, api_key, key.expose(), false).await?;
        tx.commit().await?;
        Ok(CreatedApiKey { api_key, key })
    }

    /// Changes what a key is for, or from where it may be used.
    ///
    /// # Errors
    /// `forbidden` without `api_keys:write` or for a key that allows more than the caller may do, `invalid` for wrong input,
    /// `not_found`, `conflict` (`api_key_revoked`).
    pub async fn update_api_key(&self, ctx: &Ctx, id: ApiKeyId, change: ApiKeyChange) -> Result<ApiKey> {
        ctx.require(Permission::ApiKeysWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let before = usable_key(&mut tx, id).await?;
        require_all(ctx, before.permissions(), "change a key")?;
        let name = change.name.map(|name| validation::name("name", &name)).transpose()?;
        let addresses = change.addresses.map(|addresses| checked_addresses(&addresses)).transpose()?;
        let key = ApiKey {
            name: name.unwrap_or_else(|| before.name.clone()),
            addresses: addresses.unwrap_or_else(|| before.addresses.clone()),
            ..before.clone()
        };
        let changed: Vec<&str> = [("name", before.name != key.name), ("addresses", before.addresses != key.addresses)]
            .into_iter()
            .filter_map(|(field, changed)| changed.then_some(field))
            .collect();
        if changed.is_empty() {
            return Ok(before);
        }
        store::api_keys::update(&mut tx, &key).await?;
        let event = events::api_key_updated(id, &changed);
        tx.emit(event.changed(events::state_of_api_key(&before), events::state_of_api_key(&key))).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(key)
    }

    /// Gives a key a successor that may do the same. Both work until the overlap ends; then the old one is refused. The successor
    /// belongs to whoever asks for it: a key acts with the access of its person, and nobody may borrow that of another.
    ///
    /// # Errors
    /// `forbidden` without `api_keys:write` or a recent proof, or for a key that allows more than the caller may do; `invalid` for wrong
    /// input, `not_found`, `conflict` (`api_key_revoked`, `api_key_rotated`, `too_many_api_keys`).
    pub async fn rotate_api_key(&self, ctx: &Ctx, id: ApiKeyId, rotation: ApiKeyRotation) -> Result<CreatedApiKey> {
        ctx.require(Permission::ApiKeysWrite)?;
        ctx.require_recent_authentication()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let old = usable_key(&mut tx, id).await?;
        if rotation.overlap_seconds > OVERLAP_SECONDS_MAX {
            return Err(Error::invalid("overlap_seconds", format!("must be at most {OVERLAP_SECONDS_MAX} (30 days)")));
        }
        check_expiry(ctx, rotation.expires_at)?;
        if let Some(successor) = old.replaced_by {
            return Err(Error::conflict("api_key_rotated", format!("the key has a successor already: {successor}"))
                .remedy("rotate the successor"));
        }
        require_all(ctx, old.permissions(), "rotate a key")?;
        // The plan's number is left alone: of the two keys one ends by itself.
        require_room(&mut tx).await?;
        let now = ctx.now();
        let lifetime = old.expires_at.map(|expires_at| now.saturating_add(expires_at.saturating_sub(old.created_at)));
        let successor = ApiKey {
            id: ApiKeyId::new(ctx),
            created_by: person_behind(&mut tx, ctx).await?,
            created_at: now,
            expires_at: rotation.expires_at.or(lifetime),
            last_used_at: None,
            last_used_address: None,
            replaces: Some(id),
            ..old.clone()
        };
        let ends_at = now.saturating_add(i64::from(rotation.overlap_seconds) * 1_000_000);
        let ends_at = old.expires_at.map_or(ends_at, |expires_at| expires_at.min(ends_at));
        if !store::api_keys::give_way(&mut tx, id, successor.id, ends_at).await? {
            return Err(Error::conflict("api_key_rotated", "the key was rotated or revoked at the same moment"));
        }
        let key = tokens::new_api_key(ctx.random());
        let api_key = insert_key(&mut tx, successor, key.expose(), false).await?;
        tx.emit(events::api_key_rotated(id, api_key.id, ends_at)).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
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

fn check_expiry(ctx: &Ctx, expires_at: Option<Timestamp>) -> Result<()> {
    if expires_at.is_some_and(|expires_at| expires_at <= ctx.now()) {
        return Err(Error::invalid("expires_at", "must be in the future")
            .remedy("give microseconds since 1970 UTC, or leave it out for a key that does not expire"));
    }
    Ok(())
}

/// A key that can still be changed.
async fn usable_key(tx: &mut Tx, id: ApiKeyId) -> Result<ApiKey> {
    let key = store::api_keys::get(tx, id).await?;
    let ended = key.expires_at.is_some_and(|expires_at| expires_at <= tx.ctx().now());
    if key.revoked_at.is_some() || ended {
        return Err(Error::conflict("api_key_revoked", "the key is revoked or has expired").remedy("make a new one"));
    }
    Ok(key)
}

/// How many keys the tenant has, if there may be one more.
async fn require_room(tx: &mut Tx) -> Result<i64> {
    let usable_keys = store::api_keys::count_usable(tx).await?;
    if usable_keys < USABLE_KEYS_MAX {
        return Ok(usable_keys);
    }
    Err(Error::conflict("too_many_api_keys", format!("a workspace has at most {USABLE_KEYS_MAX} keys"))
        .remedy("revoke keys that are no longer used"))
}

/// The built-in role for labels, and the tenant's own if it is one.
async fn resolved_role(tx: &mut Tx, name: RoleName) -> Result<(Role, Option<CustomRole>)> {
    store::roles::resolve(tx, name).await.map_err(|error| error.field("custom_role"))
}

/// Addresses and networks, each once, without bits behind the network's length.
fn checked_addresses(addresses: &[String]) -> Result<Vec<IpNet>> {
    if addresses.len() > ADDRESSES_MAX {
        return Err(Error::too_large("addresses", format!("names more than {ADDRESSES_MAX} networks"))
            .remedy("name larger networks"));
    }
    let mut networks = BTreeSet::new();
    for (index, text) in addresses.iter().enumerate() {
        let network = networks::read(text).ok_or_else(|| {
            Error::invalid(format!("addresses[{index}]"), "is neither an address nor a network")
                .remedy("write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32")
        })?;
        networks.insert(network);
    }
    Ok(networks.into_iter().collect())
}

/// Writes the hash and the shown part of `key`; `bootstrap` marks the one that the configuration names.
pub(crate) async fn insert_key(tx: &mut Tx, mut api_key: ApiKey, key: &str, bootstrap: bool) -> Result<ApiKey> {
    api_key.prefix = tokens::shown_prefix(key);
    store::api_keys::insert(tx, &api_key, &Fingerprint::of(key), bootstrap).await?;
    let event = events::api_key_created(api_key.id, &api_key.prefix, api_key.role);
    tx.emit(event.changed(Value::Null, events::state_of_api_key(&api_key))).await?;
    Ok(api_key)
}

fn checked_scopes(role: Role, custom: Option<&CustomRole>, scopes: &[Permission]) -> Result<Permissions> {
    if scopes.is_empty() {
        return Err(Error::invalid("scopes", "a key without any permission is of no use")
            .remedy("name at least one permission, or leave `scopes` out for all of the role"));
    }
    let possible = held(role, custom, role == Role::Owner && custom.is_none());
    match scopes.iter().find(|scope| !possible.contains(**scope)) {
        Some(scope) => {
            let name = custom.map_or_else(|| role.to_string(), |custom| format!("`{}`", custom.name));
            Err(Error::invalid("scopes", format!("the role {name} does not have `{scope}`"))
                .remedy("leave it out, or choose a role that has it"))
        }
        None => Ok(scopes.iter().copied().collect()),
    }
}

fn wants_installation(ctx: &Ctx, role: Role, custom: Option<&CustomRole>, scopes: Option<Permissions>) -> bool {
    if custom.is_some() {
        return false;
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_put_in_order_and_wrong_ones_named() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let networks =
            checked_addresses(&texts(&["192.0.2.77/24", " 192.0.2.0/24", "2001:db8::1", "::ffff:10.0.0.1"])).unwrap();
        let shown: Vec<String> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.1/32", "192.0.2.0/24", "2001:db8::1/128"]);
        for wrong in ["", "localhost", "192.0.2.0/33", "192.0.2", "::/129", "1".repeat(60).as_str()] {
            let error = checked_addresses(&texts(&["10.0.0.1", wrong])).unwrap_err();
            assert_eq!(error.field_name(), Some("addresses[1]"), "{wrong}");
        }
        assert!(checked_addresses(&vec!["10.0.0.1".to_owned(); ADDRESSES_MAX + 1]).is_err());
    }
}
