//! The token endpoint and what else is asked about tokens: introspection (RFC 7662), revocation (RFC 7009), and who the person
//! behind one is.

use std::net::IpAddr;

use plasma_kernel::{Actor, Code, Ctx, Error, Result};

use super::{
    ACCESS_TOKEN_MICROS, ClientCredentials, Form, Introspection, Scopes, TokenAnswer, UserInfo, acting_as,
    clients::Client, issue::active_person, scopes::invalid_scope, unauthorized_client,
};
use crate::{
    Identity, events, store,
    tokens::{self, ACCESS_TOKEN_PREFIX, Fingerprint, REFRESH_TOKEN_PREFIX},
};

/// `grant_type` of the device flow.
pub(crate) const DEVICE_CODE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

impl Identity {
    /// What the token endpoint does: tokens for a code, a refresh token, a device's code, or the application itself. `ctx` is a
    /// system context: the caller is known by `credentials`.
    ///
    /// # Errors
    /// With OAuth's own reasons: `invalid_request`, `invalid_client`, `invalid_grant`, `invalid_scope`, `unauthorized_client`,
    /// `unsupported_grant_type`, `authorization_pending`, `slow_down`, `access_denied`, `expired_token`; `rate_limited`
    /// (`temporarily_unavailable`).
    pub async fn issue_tokens(
        &self,
        ctx: &Ctx,
        issuer: &str,
        credentials: &ClientCredentials,
        form: &Form,
        address: Option<IpAddr>,
    ) -> Result<TokenAnswer> {
        self.inner.oauth.limits.request(ctx.clock(), address)?;
        let issued = Box::pin(self.issued(ctx, issuer, credentials, form)).await;
        self.count_failure(ctx, address, issued)
    }

    async fn issued(
        &self,
        ctx: &Ctx,
        issuer: &str,
        credentials: &ClientCredentials,
        form: &Form,
    ) -> Result<TokenAnswer> {
        let grant_type = form.require("grant_type")?;
        let client = self.proven_client(ctx, credentials).await?;
        match grant_type {
            "authorization_code" => Box::pin(self.exchange_code(ctx, issuer, &client, form)).await,
            "refresh_token" => Box::pin(self.refresh_tokens(ctx, issuer, &client, form)).await,
            "client_credentials" => self.own_tokens(ctx, &client, form).await,
            DEVICE_CODE_GRANT => Box::pin(self.device_tokens(ctx, issuer, &client, form)).await,
            _ => Err(Error::new(
                Code::Invalid,
                "unsupported_grant_type",
                "`grant_type` must be authorization_code, refresh_token, client_credentials or the device code's",
            )
            .field("grant_type")),
        }
    }

    /// Failures count against the address; a device that asks before its person has decided does not fail.
    fn count_failure<T>(&self, ctx: &Ctx, address: Option<IpAddr>, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome
            && matches!(error.code(), Code::Invalid | Code::Unauthenticated)
            && error.reason() != "authorization_pending"
        {
            self.inner.oauth.limits.failed(ctx.clock(), address);
        }
        outcome
    }

    /// An application acts for itself (RFC 6749, section 4.4).
    async fn own_tokens(&self, ctx: &Ctx, client: &Client, form: &Form) -> Result<TokenAnswer> {
        let own = Scopes::of(client.application.own_permissions);
        let Some(tenant) = client.tenant.filter(|_| !own.is_empty()) else {
            return Err(unauthorized_client("the application may do nothing for itself")
                .remedy("give it own permissions under Settings, Applications"));
        };
        let scopes = form.get("scope").map_or(Ok(own), Scopes::parse)?;
        if scopes.is_empty() || !own.contains_all(scopes) {
            return Err(invalid_scope("the application may not do all of this for itself"));
        }
        let ctx = acting_as(ctx, tenant, client.id(), None);
        let mut tx = self.inner.store.begin(&ctx).await?;
        if !store::oauth_grants::is_tenant_active(&mut tx).await? {
            return Err(unauthorized_client("the application's workspace is suspended"));
        }
        let access_token = tokens::new_access_token(ctx.random());
        let expires_at = ctx.now() + ACCESS_TOKEN_MICROS;
        let hash = Fingerprint::of(access_token.expose());
        store::oauth_tokens::insert_access(&mut tx, &hash, client.id(), None, scopes, expires_at).await?;
        tx.commit().await?;
        Ok(TokenAnswer { access_token, expires_at, refresh_token: None, scopes, id_token: None })
    }

    /// What a token is good for, as far as the application asks about its own; `None`: for nothing.
    ///
    /// # Errors
    /// `unauthenticated` (`invalid_client`), also for public applications: whoever finds a token must not learn from it.
    pub async fn introspect_token(
        &self,
        ctx: &Ctx,
        credentials: &ClientCredentials,
        form: &Form,
        address: Option<IpAddr>,
    ) -> Result<Option<Introspection>> {
        self.inner.oauth.limits.request(ctx.clock(), address)?;
        let introspected = self.introspected(ctx, credentials, form).await;
        self.count_failure(ctx, address, introspected)
    }

    async fn introspected(
        &self,
        ctx: &Ctx,
        credentials: &ClientCredentials,
        form: &Form,
    ) -> Result<Option<Introspection>> {
        let client = self.proven_client(ctx, credentials).await?;
        if credentials.secret.is_none() {
            return Err(super::clients::invalid_client());
        }
        let token = form.require("token")?;
        let hash = Fingerprint::of(token);
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let found = if token.starts_with(REFRESH_TOKEN_PREFIX) {
            store::oauth_tokens::refresh(&mut tx, &hash).await?.filter(|token| token.used_at.is_none()).map(|token| {
                Introspection {
                    tenant: token.tenant,
                    application: token.family.application,
                    user: Some(token.family.user),
                    scopes: token.family.scopes,
                    is_access_token: false,
                    issued_at: token.created_at,
                    expires_at: token.expires_at,
                }
            })
        } else {
            store::oauth_tokens::access(&mut tx, &hash).await?.map(|token| Introspection {
                tenant: token.tenant,
                application: token.application,
                user: token.user,
                scopes: token.scopes,
                is_access_token: true,
                issued_at: token.created_at,
                expires_at: token.expires_at,
            })
        };
        drop(tx);
        let now = ctx.now();
        let own = found.filter(|token| client.serves(token.tenant) && token.application == client.id());
        let Some(token) = own.filter(|token| now < token.expires_at) else { return Ok(None) };
        let usable = self.is_usable(ctx, &token).await?;
        Ok(usable.then_some(token))
    }

    /// Whether the person and the workspace behind a token are active.
    async fn is_usable(&self, ctx: &Ctx, token: &Introspection) -> Result<bool> {
        let mut tx = self.inner.store.read(&ctx.for_tenant(token.tenant, "introspect a token")).await?;
        match token.user {
            Some(user) => {
                Ok(store::oauth_grants::standing(&mut tx, user).await?.is_some_and(|standing| standing.active))
            }
            None => store::oauth_grants::is_tenant_active(&mut tx).await,
        }
    }

    /// Ends a token: with a refresh token all that came from the same authorization, with an access token only itself. A token
    /// that is unknown is as good as ended.
    ///
    /// # Errors
    /// `unauthenticated` (`invalid_client`), `invalid` (`invalid_request`; `unauthorized_client` for another application's
    /// token).
    pub async fn revoke_tokens(
        &self,
        ctx: &Ctx,
        credentials: &ClientCredentials,
        form: &Form,
        address: Option<IpAddr>,
    ) -> Result<()> {
        self.inner.oauth.limits.request(ctx.clock(), address)?;
        let revoked = self.revoked(ctx, credentials, form).await;
        self.count_failure(ctx, address, revoked)
    }

    async fn revoked(&self, ctx: &Ctx, credentials: &ClientCredentials, form: &Form) -> Result<()> {
        let client = self.proven_client(ctx, credentials).await?;
        let token = form.require("token")?;
        let hash = Fingerprint::of(token);
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let is_refresh_token = token.starts_with(REFRESH_TOKEN_PREFIX);
        let found = if is_refresh_token {
            let token = store::oauth_tokens::refresh(&mut tx, &hash).await?;
            token.map(|token| (token.tenant, token.family.application, Some(token.family.user), Some(token.family.id)))
        } else {
            let token = store::oauth_tokens::access(&mut tx, &hash).await?;
            token.map(|token| (token.tenant, token.application, token.user, token.family))
        };
        drop(tx);
        let Some((tenant, application, user, family)) = found else { return Ok(()) };
        if application != client.id() || !client.serves(tenant) {
            return Err(unauthorized_client("the token was issued to another application"));
        }
        let ctx = acting_as(ctx, tenant, application, user);
        let mut tx = self.inner.store.begin(&ctx).await?;
        match family.filter(|_| is_refresh_token) {
            Some(family) => {
                if store::oauth_tokens::delete_family(&mut tx, family).await? {
                    tx.emit(events::tokens_revoked(application, family)).await?;
                }
            }
            None => store::oauth_tokens::delete_access(&mut tx, &hash).await?,
        }
        tx.commit().await?;
        self.inner.credentials.forget_tenant(tenant);
        Ok(())
    }

    /// Who the person of an access token is, as far as its scopes tell (OpenID Connect Core, section 5.3).
    ///
    /// # Errors
    /// `forbidden` (`insufficient_scope`) without the scope `openid`, and for everything that is no application's token for a
    /// person.
    pub async fn userinfo(&self, ctx: &Ctx, token: &str) -> Result<UserInfo> {
        let Actor::Application { user: Some(user), .. } = ctx.actor() else { return Err(insufficient_scope()) };
        if !token.starts_with(ACCESS_TOKEN_PREFIX) {
            return Err(insufficient_scope());
        }
        let mut tx = self.inner.store.read(ctx).await?;
        let scopes = store::oauth_tokens::scopes_of(&mut tx, &Fingerprint::of(token)).await?.unwrap_or_default();
        if !scopes.openid {
            return Err(insufficient_scope());
        }
        let person = active_person(&mut tx, *user).await?;
        Ok(UserInfo {
            user: *user,
            tenant: ctx.tenant()?,
            name: scopes.profile.then_some(person.name),
            email: scopes.email.then_some(person.email),
        })
    }
}

fn insufficient_scope() -> Error {
    Error::new(Code::Forbidden, "insufficient_scope", "this needs an application's token with the scope `openid`")
        .remedy("ask for the scope openid when the person authorizes the application")
}
