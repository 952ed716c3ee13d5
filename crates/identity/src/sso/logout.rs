//! Logging out in both places. Who logs out here is sent to the provider with a hint of who they are (OpenID Connect RP-Initiated Logout
//! 1.0); when somebody logs out there, the provider says so from server to server (Back-Channel Logout 1.0), and their sessions end here.

use openidconnect::{ClientId, EndSessionUrl, LogoutRequest, PostLogoutRedirectUrl, core::CoreIdToken};
use plasma_kernel::{ConnectionId, Ctx, Error, Result};
use url::Url;

use super::{
    events,
    login::hint_purpose,
    logout_token::{self, LOGOUT_TOKEN_AGE_SECONDS, logout_refused},
    verify::SKEW_SECONDS,
};
use crate::{Identity, events as identity_events, store, tokens::Fingerprint};

impl Identity {
    /// Ends the session of `token`, and says where the browser goes to end the provider's as well; `None` when the session did not
    /// begin at a provider, or that offers no such thing.
    ///
    /// # Errors
    /// `invalid` when the token is not a session's.
    pub(crate) async fn logout_everywhere(&self, ctx: &Ctx, token: &str, public_url: &Url) -> Result<Option<Url>> {
        // Looked up before the session is gone; what fails about the provider must not keep anybody logged in here.
        let url = Box::pin(self.end_session_url(ctx, public_url)).await.unwrap_or_else(|error| {
            tracing::warn!(?error, "the address for logging out at the identity provider could not be made");
            None
        });
        self.logout(ctx, token).await?;
        Ok(url)
    }

    async fn end_session_url(&self, ctx: &Ctx, public_url: &Url) -> Result<Option<Url>> {
        let Some(session) = ctx.authentication().map(|authentication| authentication.session) else { return Ok(None) };
        let mut tx = self.inner.store.read(ctx).await?;
        let Some((connection, sealed)) = store::sso::origin_of_session(&mut tx, session).await? else {
            return Ok(None);
        };
        let stored = store::connections::get(&mut tx, connection).await?;
        let hint = match sealed {
            Some(sealed) => Some(self.inner.store.open_secret(&mut tx, &hint_purpose(session), &sealed).await?),
            None => None,
        };
        drop(tx);
        let provider = self.providers().provider(&stored.connection.issuer).await?;
        let Some(endpoint) = provider.end_session_endpoint.clone() else { return Ok(None) };
        let back = format!("{}/login/", public_url.as_str().trim_end_matches('/'));
        let back =
            PostLogoutRedirectUrl::new(back).map_err(|error| Error::from_source("our address is no URL", error))?;
        let mut request = LogoutRequest::from(EndSessionUrl::from_url(endpoint))
            .set_client_id(ClientId::new(stored.connection.client_id))
            .set_post_logout_redirect_uri(back);
        if let Some(hint) = hint {
            let token = hint
                .parse::<CoreIdToken>()
                .map_err(|error| Error::from_source("a kept ID token cannot be read", error))?;
            request = request.set_id_token_hint(&token);
        }
        Ok(Some(request.http_get_url()))
    }

    /// Obeys a provider's logout token: the sessions that began at its session end, or all of the person's that began there.
    ///
    /// # Errors
    /// `invalid` (`logout_token_refused`) for a token that does not hold or was used before; `upstream` or `timeout` when the
    /// provider's keys cannot be had.
    pub(crate) async fn backchannel_logout(&self, ctx: &Ctx, id: ConnectionId, token: &str) -> Result<()> {
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let stored = store::connections::find(&mut tx, id)
            .await?
            .ok_or_else(|| logout_refused("there is no such connection"))?;
        drop(tx);
        let connection = &stored.connection;
        let provider = self.providers().provider(&connection.issuer).await?;
        let token =
            logout_token::logout_token(self.providers(), &provider, &connection.client_id, token, ctx.now()).await?;
        let ctx = ctx.for_tenant(stored.tenant, "the identity provider says that somebody logged out");
        let mut tx = self.inner.store.begin(&ctx).await?;
        // Longer than it could be obeyed.
        let forgotten_at = ctx.now() + 2 * (LOGOUT_TOKEN_AGE_SECONDS + SKEW_SECONDS) * 1_000_000;
        if !store::sso::note_logout_token(&mut tx, id, &Fingerprint::of(&token.token_id), forgotten_at).await? {
            return Err(logout_refused("it was used before"));
        }
        let ended = store::sso::end_sessions_at_provider(
            &mut tx,
            id,
            token.provider_session.as_deref(),
            token.subject.as_deref(),
        )
        .await?;
        for session in &ended {
            tx.emit(identity_events::session_revoked(*session)).await?;
        }
        tx.emit(events::logged_out_by_provider(id, ended.len())).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(stored.tenant);
        Ok(())
    }
}
