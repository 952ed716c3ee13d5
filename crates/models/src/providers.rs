//! Providers: adding, changing, removing, trying.

use std::fmt::Display;

use plasma_kernel::{Ctx, Error, Page, PageRequest, Permission, ProviderId, Result};
use plasma_store::{NewEvent, Tx};
use serde_json::{Value, json};
use url::Url;

use crate::{
    Models, NewProvider, Provider, ProviderChange, ProviderKind, ProviderOptions, ProviderTest, events, store,
    store::providers::SealedProvider, upstream::Endpoint,
};

/// Providers of one tenant.
const PROVIDERS_MAX: usize = 100;
const NAME_CHARS_MAX: usize = 63;
const BASE_URL_CHARS_MAX: usize = 500;
/// A temporary AWS key's session token is long.
const API_KEY_CHARS_MAX: usize = 4_000;
const OPTION_CHARS_MAX: usize = 40;

/// Binds a sealed key to its provider's row.
pub(crate) fn secret_purpose(provider: impl Display) -> String {
    format!("provider-api-key/{provider}")
}

impl Models {
    /// Adds a provider. Nothing is sent to it: [`Models::test_provider`] does.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field (`outbound_address_refused` for an address in a private
    /// network, unless the caller manages the installation), `conflict` (`provider_exists`), `too_large` beyond 100 providers.
    pub async fn create_provider(&self, ctx: &Ctx, new: NewProvider) -> Result<Provider> {
        ctx.require(Permission::ModelsWrite)?;
        check_name(&new.name)?;
        if new.kind == ProviderKind::Local {
            return Err(Error::invalid("kind", "models in this process need no provider; choose another kind"));
        }
        let new = NewProvider { base_url: checked_base_url(&new.base_url)?, ..new };
        let unguarded = self.check_reach(ctx, &new.base_url)?;
        check_endpoint(&new.name, new.kind, &new.base_url, new.api_key.as_deref(), &new.options)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        if store::providers::count(&mut tx).await? >= PROVIDERS_MAX {
            return Err(Error::too_large("name", format!("a workspace has at most {PROVIDERS_MAX} providers")));
        }
        let (id, now) = (ProviderId::new(ctx), ctx.now());
        let sealed = self.seal_key(&mut tx, id, new.api_key.as_deref()).await?;
        let has_api_key = sealed.is_some();
        store::providers::insert(&mut tx, id, &new, sealed, unguarded, now).await.map_err(|error| {
            match error.reason() {
                "already_exists" => {
                    Error::conflict("provider_exists", format!("there is a provider `{}` already", new.name))
                        .field("name")
                }
                _ => error,
            }
        })?;
        let data = json!({ "name": new.name, "kind": new.kind, "base_url": new.base_url });
        let NewProvider { name, kind, base_url, options, .. } = new;
        let provider = Provider { id, name, kind, base_url, options, has_api_key, unguarded, created_at: now };
        let event = NewEvent::new(events::PROVIDER_CREATED, id, data);
        tx.emit(event.changed(Value::Null, audited(&provider))).await?;
        tx.commit().await?;
        Ok(provider)
    }

    /// A page of the tenant's providers, newest first.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn providers(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Provider>> {
        ctx.require(Permission::ModelsRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::providers::list(&mut tx, page).await
    }

    /// One provider.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found`.
    pub async fn provider(&self, ctx: &Ctx, id: ProviderId) -> Result<Provider> {
        ctx.require(Permission::ModelsRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        Ok(store::providers::get(&mut tx, id).await?.provider)
    }

    /// Changes a provider's address or key. Calls of this process use it at once, those of others within 10 s.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found`, `invalid` naming the field: also when the address moves to
    /// another host and the key is not given again, so that nobody can send a stored key to a place of their own.
    pub async fn change_provider(&self, ctx: &Ctx, id: ProviderId, change: ProviderChange) -> Result<Provider> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let SealedProvider { mut provider, mut api_key_sealed } = store::providers::get(&mut tx, id).await?;
        let before = audited(&provider);
        if let Some(base_url) = &change.base_url {
            let base_url = checked_base_url(base_url)?;
            if provider.has_api_key && change.api_key.is_none() && origin(&base_url) != origin(&provider.base_url) {
                return Err(Error::invalid("api_key", "the address moves to another host: give the key again"));
            }
            // The same address again may stay what it was; another one is its enterer's.
            if base_url != provider.base_url || ctx.permissions().contains(Permission::InstallationManage) {
                provider.unguarded = self.check_reach(ctx, &base_url)?;
            }
            provider.base_url = base_url;
        }
        if let Some(options) = change.options {
            provider.options = options;
        }
        let new_key = change.api_key.as_ref().and_then(Option::as_deref);
        check_endpoint(&provider.name, provider.kind, &provider.base_url, new_key, &provider.options)?;
        if let Some(api_key) = &change.api_key {
            api_key_sealed = self.seal_key(&mut tx, id, api_key.as_deref()).await?;
            provider.has_api_key = api_key_sealed.is_some();
        }
        store::providers::update(&mut tx, &provider, api_key_sealed, ctx.now()).await?;
        let data = json!({
            "name": provider.name, "base_url": provider.base_url, "api_key_changed": change.api_key.is_some(),
        });
        let event = NewEvent::new(events::PROVIDER_CHANGED, id, data);
        tx.emit(event.changed(before, audited(&provider))).await?;
        tx.commit().await?;
        self.forget_models();
        Ok(provider)
    }

    /// Removes a provider, its key and its models. The records of their calls stay.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found`.
    pub async fn delete_provider(&self, ctx: &Ctx, id: ProviderId) -> Result<()> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let provider = store::providers::get(&mut tx, id).await?.provider;
        let models = store::models::delete_of_provider(&mut tx, id).await?;
        store::providers::delete(&mut tx, id).await?;
        let data = json!({ "name": provider.name, "models": models });
        let event = NewEvent::new(events::PROVIDER_DELETED, id, data);
        tx.emit(event.changed(audited(&provider), Value::Null)).await?;
        tx.commit().await?;
        self.forget_models();
        Ok(())
    }

    /// Asks a provider for its list of models, to see whether address and key work. What goes wrong at the provider is in
    /// the answer.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found`.
    pub async fn test_provider(&self, ctx: &Ctx, id: ProviderId) -> Result<ProviderTest> {
        ctx.require(Permission::ModelsWrite)?;
        let endpoint = {
            let mut tx = self.inner.store.read(ctx).await?;
            let SealedProvider { provider, api_key_sealed } = store::providers::get(&mut tx, id).await?;
            let api_key = match &api_key_sealed {
                Some(sealed) => Some(self.inner.store.open_secret(&mut tx, &secret_purpose(id), sealed).await?),
                None => None,
            };
            let api_key = api_key.as_ref().map(|key| key.as_str());
            Endpoint::new(&provider.name, provider.kind, &provider.base_url, api_key, provider.options)?
                .with_unguarded(provider.unguarded)
        };
        let started = tokio::time::Instant::now();
        let answer = self.inner.client.list_models(&endpoint).await;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(match answer {
            Ok(models) => ProviderTest { models, error: None, duration_ms },
            Err(error) => ProviderTest { models: Vec::new(), error: Some(error.to_string()), duration_ms },
        })
    }

    /// Whether the address may lead anywhere: only that of somebody who manages the installation, and so can reach everything from it
    /// anyway. Others are told now what is known before a name is resolved.
    fn check_reach(&self, ctx: &Ctx, base_url: &str) -> Result<bool> {
        if ctx.permissions().contains(Permission::InstallationManage) {
            return Ok(true);
        }
        let url = Url::parse(base_url).map_err(|_| Error::invalid("base_url", "is not a URL"))?;
        self.inner.client.guard().check(&url).map_err(|refused| Error::from(refused).field("base_url"))?;
        Ok(false)
    }

    async fn seal_key(&self, tx: &mut Tx, id: ProviderId, api_key: Option<&str>) -> Result<Option<Vec<u8>>> {
        let Some(api_key) = api_key else { return Ok(None) };
        // What an HTTP header can carry.
        if api_key.is_empty()
            || api_key.len() > API_KEY_CHARS_MAX
            || !api_key.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(Error::invalid(
                "api_key",
                format!("must be 1 to {API_KEY_CHARS_MAX} visible ASCII characters without spaces"),
            ));
        }
        self.inner.store.seal_secret(tx, &secret_purpose(id), api_key).await.map(Some)
    }
}

/// What the audit log compares of a provider.
fn audited(provider: &Provider) -> Value {
    json!({
        "name": provider.name, "kind": provider.kind, "base_url": provider.base_url, "options": provider.options,
        "has_api_key": provider.has_api_key, "unguarded": provider.unguarded,
    })
}

/// Finds now what would make every call fail later.
fn check_endpoint(
    name: &str,
    kind: ProviderKind,
    base_url: &str,
    api_key: Option<&str>,
    options: &ProviderOptions,
) -> Result<()> {
    for (field, text) in [("api_version", &options.api_version), ("region", &options.region)] {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if let Some(text) = text
            && (text.is_empty() || text.len() > OPTION_CHARS_MAX || !text.bytes().all(allowed))
        {
            let message = format!("must be 1 to {OPTION_CHARS_MAX} letters, digits or hyphens");
            return Err(Error::invalid(format!("options.{field}"), message));
        }
    }
    Endpoint::new(name, kind, base_url, api_key, options.clone()).map(drop)
}

fn check_name(name: &str) -> Result<()> {
    if name == ProviderKind::Local.as_str() {
        return Err(Error::invalid("name", "`local` names the models in this process; choose another"));
    }
    let allowed = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    let edge = |letter: Option<u8>| letter.is_some_and(|letter| letter != b'-');
    if name.len() <= NAME_CHARS_MAX
        && name.bytes().all(allowed)
        && edge(name.bytes().next())
        && edge(name.bytes().next_back())
    {
        return Ok(());
    }
    Err(Error::invalid(
        "name",
        format!("must be 1 to {NAME_CHARS_MAX} lowercase letters, digits or hyphens, without a hyphen at the ends"),
    ))
}

/// The address in its normal form, without a slash at the end. Where it may lead is another question: [`Models::check_reach`].
fn checked_base_url(text: &str) -> Result<String> {
    let invalid = |message: &str| {
        Err(Error::invalid("base_url", message).remedy("use a form such as https://api.example.com/v1"))
    };
    if text.len() > BASE_URL_CHARS_MAX {
        return invalid("is longer than 500 characters");
    }
    let Ok(url) = Url::parse(text.trim()) else { return invalid("is not a URL") };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return invalid("must begin with http:// or https:// and name a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("must not contain credentials: give the key as `api_key`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return invalid("must not have a query or fragment");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn origin(base_url: &str) -> Option<String> {
    Url::parse(base_url).ok().map(|url| url.origin().ascii_serialization())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_normalized_or_refused() {
        assert_eq!(checked_base_url("https://API.Example.com/v1//").unwrap(), "https://api.example.com/v1");
        assert_eq!(checked_base_url(" http://127.0.0.1:11434/v1 ").unwrap(), "http://127.0.0.1:11434/v1");
        assert_eq!(checked_base_url("http://[::1]:8000").unwrap(), "http://[::1]:8000");
        for wrong in [
            "",
            "example.com/v1",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://user@example.com",
            "https://:secret@example.com",
            "https://example.com/v1?key=x",
            "https://example.com/#x",
            "http://",
        ] {
            let error = checked_base_url(wrong).unwrap_err();
            assert_eq!(error.field_name(), Some("base_url"), "{wrong}");
            assert!(!error.to_string().contains("secret"));
        }
        assert!(checked_base_url(&format!("https://example.com/{}", "a".repeat(500))).is_err());
    }

    #[test]
    fn names_are_slugs() {
        for right in ["a", "open-ai", "ollama2", &"x".repeat(63)] {
            check_name(right).unwrap();
        }
        for wrong in ["", "local", "-a", "a-", "A", "a b", "a/b", "ä", &"x".repeat(64)] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_or_port_makes_another_origin_and_a_path_does_not() {
        assert_eq!(origin("https://a.example/v1"), origin("https://a.example:443/v2"));
        assert_ne!(origin("https://a.example/v1"), origin("http://a.example/v1"));
        assert_ne!(origin("http://a.example:1/v1"), origin("http://a.example:2/v1"));
    }
}
