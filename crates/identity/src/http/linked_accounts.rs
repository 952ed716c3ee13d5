use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::{ConnectionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::sso::after_linking;
use crate::{Identity, Preset, sso::login::SsoStart};

/// A connection of your workspace, and your account there.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LinkedAccount {
    /// The connection.
    connection: ConnectionId,
    /// Its name.
    name: String,
    /// Which kind of provider.
    preset: Preset,
    /// Whether you have linked an account there.
    linked: bool,
    /// The account's e-mail, as the provider said last.
    #[schema(required)]
    email: Option<String>,
    /// When it was linked, in microseconds since 1970 UTC.
    #[schema(required)]
    linked_at: Option<Timestamp>,
    /// When you logged in with it last.
    #[schema(required)]
    last_login_at: Option<Timestamp>,
}

/// Your accounts at identity providers.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LinkedAccounts {
    /// One for each connection of the workspace, at most 50.
    data: Vec<LinkedAccount>,
}

/// Which account to link.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkAccount {
    /// The connection at whose provider the account is.
    connection: ConnectionId,
}

/// How linking goes on.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LinkingAccount {
    /// Where the browser logs in to the account; it comes back to the security page.
    url: String,
}

/// Lists the workspace's connections, with your account at each.
#[utoipa::path(
    get, path = "/api/v1/me/linked-accounts", tag = "Identity",
    responses(
        (status = 200, description = "Your accounts", body = LinkedAccounts),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn list_linked_accounts(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<Json<LinkedAccounts>, Problem> {
    let data = identity.linked_accounts(&ctx).await?.into_iter().map(|account| {
        let crate::LinkedAccount { connection, name, preset, linked, email, linked_at, last_login_at } = account;
        LinkedAccount { connection, name, preset, linked, email, linked_at, last_login_at }
    });
    Ok(Json(LinkedAccounts { data: data.collect() }))
}

/// Begins to link an account at an identity provider to your user.
///
/// The browser then opens the address in the answer and logs in there. You must have proved lately who you are.
#[utoipa::path(
    post, path = "/api/v1/me/linked-accounts", tag = "Identity",
    request_body = LinkAccount,
    responses(
        (status = 200, description = "Where it goes on", body = LinkingAccount),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn link_account(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Json(request): Json<LinkAccount>,
) -> Result<Response, Problem> {
    let start = SsoStart {
        connection: request.connection,
        next: Some(after_linking(request.connection)),
        login_hint: None,
        browser: identity.sso_cookie(&headers),
        link: None,
        public_url: identity.trusted_url(&headers)?,
        address: ctx.origin().and_then(|origin| origin.address),
    };
    let started = Box::pin(identity.start_link(&ctx, start)).await?;
    let cookie = identity.set_sso_cookie(&headers, &started.browser)?;
    Ok(([(header::SET_COOKIE, cookie)], Json(LinkingAccount { url: started.url.into() })).into_response())
}

/// Unlinks your account at a connection, and ends the sessions that began with it.
///
/// You must have proved lately who you are.
#[utoipa::path(
    delete, path = "/api/v1/me/linked-accounts/{connection}", tag = "Identity",
    params(("connection" = ConnectionId, Path, description = "The connection's id")),
    responses(
        (status = 204, description = "The account is unlinked"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn unlink_account(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(connection): Path<ConnectionId>,
) -> Result<StatusCode, Problem> {
    identity.unlink_account(&ctx, connection).await?;
    Ok(StatusCode::NO_CONTENT)
}
