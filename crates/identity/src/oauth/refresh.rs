//! Refresh tokens: each is used once and replaced. One that comes again within the grace gets the same successor, because honest
//! clients race with themselves and answers are lost; one that comes later is taken for stolen, and its family ends.

use std::sync::Arc;

use plasma_kernel::{Ctx, Error, Result, TenantId, Timestamp};
use plasma_store::Tx;
use serde::{Deserialize, Serialize};

use super::{
    Form, GRACE_MICROS, Scopes, TokenAnswer, acting_as,
    clients::Client,
    invalid_grant,
    issue::{Signer, Turn, active_person, next_tokens},
    scopes::invalid_scope,
};
use crate::{
    Identity, Secret, events,
    store::{
        self,
        oauth_tokens::{Family, RefreshToken},
    },
    tokens::Fingerprint,
};

/// The pair that takes a token's place, as it is sealed.
#[derive(Serialize, Deserialize)]
struct Successor {
    access_token: String,
    expires_at: Timestamp,
    refresh_token: Option<String>,
    scope: String,
    id_token: Option<String>,
}

impl Identity {
    /// The next tokens of a family.
    ///
    /// # Errors
    /// `invalid` (`invalid_grant`, `invalid_request`, `invalid_scope`).
    pub(super) async fn refresh_tokens(
        &self,
        ctx: &Ctx,
        issuer: &str,
        client: &Client,
        form: &Form,
    ) -> Result<TokenAnswer> {
        let hash = Fingerprint::of(form.require("refresh_token")?);
        if let Some(answer) = self.successor_in_grace(ctx, client, &hash).await? {
            return Ok(answer);
        }
        // Of many at once in this process one does the work; the others find what it made.
        let turn = self.inner.oauth.turns.get_with(hash, Arc::default);
        let _turn = turn.lock().await;
        if let Some(answer) = self.successor_in_grace(ctx, client, &hash).await? {
            return Ok(answer);
        }
        Box::pin(self.rotate(ctx, issuer, client, form, hash)).await
    }

    /// The token as it stands, if it is this client's and has not expired.
    async fn known_token(&self, ctx: &Ctx, client: &Client, hash: &Fingerprint) -> Result<RefreshToken> {
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let token = store::oauth_tokens::refresh(&mut tx, hash).await?.ok_or_else(invalid_grant)?;
        let is_its_own = client.serves(token.tenant) && token.family.application == client.id();
        let is_good = ctx.now() < token.expires_at && ctx.now() < token.family.expires_at;
        if is_its_own && is_good { Ok(token) } else { Err(invalid_grant()) }
    }

    /// The pair that took the token's place a moment ago. `None`: the token has not been used, or its grace has ended.
    async fn successor_in_grace(&self, ctx: &Ctx, client: &Client, hash: &Fingerprint) -> Result<Option<TokenAnswer>> {
        let token = self.known_token(ctx, client, hash).await?;
        let Some(sealed) = token.successor.as_deref().filter(|_| is_in_grace(&token, ctx.now())) else {
            return Ok(None);
        };
        let ctx = acting_as(ctx, token.tenant, client.id(), Some(token.family.user));
        let mut tx = self.inner.store.read(&ctx).await?;
        active_person(&mut tx, token.family.user).await?;
        self.opened(&mut tx, hash, sealed).await.map(Some)
    }

    async fn rotate(
        &self,
        ctx: &Ctx,
        issuer: &str,
        client: &Client,
        form: &Form,
        hash: Fingerprint,
    ) -> Result<TokenAnswer> {
        let RefreshToken { tenant, family, .. } = self.known_token(ctx, client, &hash).await?;
        let scopes = narrowed(&family, form.get("scope"))?;
        let key = self.signing_key(ctx).await?;
        let signer = Signer { issuer, key: &key };
        let ctx = acting_as(ctx, tenant, client.id(), Some(family.user));
        let mut tx = self.inner.store.begin(&ctx).await?;
        if !store::oauth_tokens::lock_family(&mut tx, family.id).await? {
            return Err(invalid_grant());
        }
        // Once more: another process may have been here before the lock.
        let token = store::oauth_tokens::refresh(&mut tx, &hash).await?.ok_or_else(invalid_grant)?;
        let person = active_person(&mut tx, family.user).await?;
        if token.used_at.is_some() {
            return match token.successor.as_deref().filter(|_| is_in_grace(&token, ctx.now())) {
                Some(sealed) => self.opened(&mut tx, &hash, sealed).await,
                None => self.end_reused(tx, tenant, &family).await,
            };
        }
        let turn = Turn { family: &family, person: &person, scopes, nonce: None };
        let answer = next_tokens(&mut tx, &ctx, &signer, &turn).await?;
        let sealed = self.sealed_successor(&mut tx, &hash, &answer).await?;
        if !store::oauth_tokens::use_refresh(&mut tx, &hash, sealed).await? {
            return Err(Error::internal("a refresh token was used under the lock of its family"));
        }
        store::oauth_tokens::tidy_family(&mut tx, family.id, ctx.now() - GRACE_MICROS).await?;
        store::oauth_tokens::note_use(&mut tx, tenant, family.id, ctx.now()).await?;
        tx.commit().await?;
        Ok(answer)
    }

    /// A used token has come again after its grace: whoever holds the family's tokens may be a thief.
    async fn end_reused(&self, mut tx: Tx, tenant: TenantId, family: &Family) -> Result<TokenAnswer> {
        store::oauth_tokens::delete_family(&mut tx, family.id).await?;
        tx.emit(events::token_reused(family.application, family.id, family.user, "refresh_token")).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(tenant);
        Err(invalid_grant())
    }

    async fn sealed_successor(&self, tx: &mut Tx, hash: &Fingerprint, answer: &TokenAnswer) -> Result<Vec<u8>> {
        let successor = Successor {
            access_token: answer.access_token.expose().to_owned(),
            expires_at: answer.expires_at,
            refresh_token: answer.refresh_token.as_ref().map(|token| token.expose().to_owned()),
            scope: answer.scopes.to_text(),
            id_token: answer.id_token.clone(),
        };
        let text = serde_json::to_string(&successor)
            .map_err(|error| Error::from_source("the next tokens are no JSON", error))?;
        self.inner.store.seal_secret(tx, &purpose(hash), &text).await
    }

    async fn opened(&self, tx: &mut Tx, hash: &Fingerprint, sealed: &[u8]) -> Result<TokenAnswer> {
        let text = self.inner.store.open_secret(tx, &purpose(hash), sealed).await?;
        let successor: Successor =
            serde_json::from_str(&text).map_err(|error| Error::from_source("sealed tokens cannot be read", error))?;
        Ok(TokenAnswer {
            access_token: Secret::new(successor.access_token),
            expires_at: successor.expires_at,
            refresh_token: successor.refresh_token.map(Secret::new),
            scopes: Scopes::from_stored(&successor.scope),
            id_token: successor.id_token,
        })
    }
}

/// A sealed pair belongs to the token that it took the place of, the row `id`.
pub(crate) fn successor_purpose(id: &str) -> String {
    format!("oauth-successor/{id}")
}

fn purpose(hash: &Fingerprint) -> String {
    successor_purpose(&store::oauth_tokens::refresh_id(hash))
}

fn is_in_grace(token: &RefreshToken, now: Timestamp) -> bool {
    token.used_at.is_some_and(|used_at| now - used_at < GRACE_MICROS)
}

/// The access token may be for less than the family; the next refresh token stays for all of it.
fn narrowed(family: &Family, scope: Option<&str>) -> Result<Scopes> {
    let Some(scope) = scope else { return Ok(family.scopes) };
    let scopes = Scopes::parse(scope)?;
    if scopes.is_empty() || !family.scopes.contains_all(scopes) {
        return Err(invalid_scope("the scope is wider than what was allowed"));
    }
    Ok(scopes)
}
