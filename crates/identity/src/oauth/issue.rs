//! Tokens are made here, whichever way led to them.

use plasma_kernel::{ApplicationId, Ctx, GrantId, Methods, Result, Timestamp, TokenFamilyId, UserId};
use plasma_store::Tx;

use super::{
    ACCESS_TOKEN_MICROS, FAMILY_MICROS, REFRESH_TOKEN_MICROS, Scopes, TokenAnswer,
    id_tokens::{self, Claims},
    invalid_grant,
    signing_keys::SigningKey,
};
use crate::{
    Secret, events,
    store::{self, oauth_grants::Standing, oauth_tokens::Family},
    tokens::{self, Fingerprint},
};

/// What a person allowed, on the way to its first tokens.
pub(super) struct Authorization {
    pub(super) grant: GrantId,
    pub(super) application: ApplicationId,
    pub(super) user: UserId,
    pub(super) scopes: Scopes,
    pub(super) authenticated_at: Option<Timestamp>,
    pub(super) methods: Methods,
    pub(super) nonce: Option<String>,
}

/// Who signs ID tokens, and as whom.
pub(super) struct Signer<'a> {
    pub(super) issuer: &'a str,
    pub(super) key: &'a SigningKey,
}

/// The person, if they may use anything now.
///
/// # Errors
/// `invalid` (`invalid_grant`) when they left, are disabled, or their workspace is suspended.
pub(super) async fn active_person(tx: &mut Tx, user: UserId) -> Result<Standing> {
    let standing = store::oauth_grants::standing(tx, user).await?;
    standing.filter(|standing| standing.active).ok_or_else(invalid_grant)
}

/// Begins a family and makes its first tokens.
pub(super) async fn first_tokens(
    tx: &mut Tx,
    ctx: &Ctx,
    signer: &Signer<'_>,
    authorization: &Authorization,
) -> Result<(TokenFamilyId, TokenAnswer)> {
    let person = active_person(tx, authorization.user).await?;
    let now = ctx.now();
    let family = Family {
        id: TokenFamilyId::new(ctx),
        grant: authorization.grant,
        application: authorization.application,
        user: authorization.user,
        scopes: authorization.scopes,
        authenticated_at: authorization.authenticated_at,
        methods: authorization.methods,
        created_at: now,
        expires_at: now + FAMILY_MICROS,
    };
    store::oauth_tokens::insert_family(tx, &family).await?;
    let turn = Turn { family: &family, person: &person, scopes: family.scopes, nonce: authorization.nonce.as_deref() };
    let answer = next_tokens(tx, ctx, signer, &turn).await?;
    tx.emit(events::tokens_issued(family.application, family.id, family.scopes)).await?;
    Ok((family.id, answer))
}

/// What the next tokens of a family are for.
pub(super) struct Turn<'a> {
    pub(super) family: &'a Family,
    pub(super) person: &'a Standing,
    /// The access token's, not more than the family's.
    pub(super) scopes: Scopes,
    /// Only the first ID token has one.
    pub(super) nonce: Option<&'a str>,
}

/// An access token, and with `offline_access` the refresh token for the one after it.
pub(super) async fn next_tokens(tx: &mut Tx, ctx: &Ctx, signer: &Signer<'_>, turn: &Turn<'_>) -> Result<TokenAnswer> {
    let (now, family, scopes) = (ctx.now(), turn.family, turn.scopes);
    let access_token = tokens::new_access_token(ctx.random());
    let expires_at = (now + ACCESS_TOKEN_MICROS).min(family.expires_at);
    let hash = Fingerprint::of(access_token.expose());
    store::oauth_tokens::insert_access(tx, &hash, family.application, Some(family.id), scopes, expires_at).await?;
    let refresh_token = if family.scopes.offline_access {
        let token = tokens::new_refresh_token(ctx.random());
        let expires_at = (now + REFRESH_TOKEN_MICROS).min(family.expires_at);
        store::oauth_tokens::insert_refresh(tx, &Fingerprint::of(token.expose()), family.id, expires_at).await?;
        Some(token)
    } else {
        None
    };
    let id_token = if scopes.openid { Some(id_token(ctx, signer, turn, &access_token)?) } else { None };
    Ok(TokenAnswer { access_token, expires_at, refresh_token, scopes, id_token })
}

fn id_token(ctx: &Ctx, signer: &Signer<'_>, turn: &Turn<'_>, access_token: &Secret) -> Result<String> {
    let Turn { family, person, scopes, nonce } = *turn;
    let claims = Claims {
        issuer: signer.issuer,
        user: family.user,
        tenant: ctx.tenant()?,
        application: family.application,
        now: ctx.now(),
        authenticated_at: family.authenticated_at,
        methods: family.methods,
        nonce,
        access_token,
        name: scopes.profile.then_some(person.name.as_str()),
        email: scopes.email.then_some(person.email.as_str()),
    };
    id_tokens::sign(signer.key, &claims)
}
