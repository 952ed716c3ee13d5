//! Codes become tokens, once.

use plasma_kernel::{Ctx, Result};
use plasma_store::Tx;

use super::{
    Form, TokenAnswer, acting_as,
    clients::Client,
    invalid_grant,
    issue::{Authorization, Signer, first_tokens},
    pkce, unauthorized_client,
};
use crate::{
    Identity, events,
    store::{self, oauth_codes::AuthorizationCode},
    tokens::Fingerprint,
};

/// How an exchange ends.
enum Exchange {
    Tokens(Box<TokenAnswer>),
    /// The code is worth nothing (any more): written down, and refused.
    Refused,
}

impl Identity {
    /// The tokens for a code. A code that comes a second time ends what the first time gave; one that comes with a wrong proof or
    /// from another application is worth nothing from then on.
    ///
    /// # Errors
    /// `invalid` (`invalid_grant`, `invalid_request`, `unauthorized_client`).
    pub(super) async fn exchange_code(
        &self,
        ctx: &Ctx,
        issuer: &str,
        client: &Client,
        form: &Form,
    ) -> Result<TokenAnswer> {
        if client.application.redirect_uris.is_empty() {
            return Err(unauthorized_client("the application is registered for no address, so that it gets no codes"));
        }
        let hash = Fingerprint::of(form.require("code")?);
        let verifier = form.require("code_verifier")?;
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let owner = store::oauth_codes::owner(&mut tx, &hash).await?;
        drop(tx);
        let (tenant, user) = owner.ok_or_else(invalid_grant)?;
        let key = self.signing_key(ctx).await?;
        let signer = Signer { issuer, key: &key };
        let ctx = acting_as(ctx, tenant, client.id(), Some(user));
        let mut tx = self.inner.store.begin(&ctx).await?;
        let code = store::oauth_codes::lock(&mut tx, &hash).await?.ok_or_else(invalid_grant)?;
        let is_right = client.serves(tenant)
            && code.application == client.id()
            && form.get("redirect_uri").is_none_or(|uri| uri == code.redirect_uri)
            && pkce::is_proven(verifier, &code.code_challenge);
        let exchange = exchanged(&mut tx, &ctx, &signer, &hash, &code, is_right).await?;
        tx.commit().await?;
        match exchange {
            Exchange::Tokens(answer) => Ok(*answer),
            Exchange::Refused => {
                // Tokens may have ended.
                self.inner.credentials.forget_tenant(tenant);
                Err(invalid_grant())
            }
        }
    }
}

async fn exchanged(
    tx: &mut Tx,
    ctx: &Ctx,
    signer: &Signer<'_>,
    hash: &Fingerprint,
    code: &AuthorizationCode,
    is_right: bool,
) -> Result<Exchange> {
    if code.used_at.is_some() {
        if let Some(family) = code.family
            && store::oauth_tokens::delete_family(tx, family).await?
        {
            tx.emit(events::token_reused(code.application, family, code.user, "code")).await?;
        }
        return Ok(Exchange::Refused);
    }
    if !is_right {
        store::oauth_codes::note_use(tx, hash, None).await?;
        return Ok(Exchange::Refused);
    }
    if ctx.now() >= code.expires_at {
        return Ok(Exchange::Refused);
    }
    let authorization = Authorization {
        grant: code.grant,
        application: code.application,
        user: code.user,
        scopes: code.scopes,
        authenticated_at: code.authenticated_at,
        methods: code.methods,
        nonce: code.nonce.clone(),
    };
    let (family, answer) = first_tokens(tx, ctx, signer, &authorization).await?;
    store::oauth_codes::note_use(tx, hash, Some(family)).await?;
    Ok(Exchange::Tokens(Box::new(answer)))
}
