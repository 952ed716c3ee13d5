//! The routes of identity, and what the server's middleware needs to authenticate requests.

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Identity;

mod api_keys;
mod applications;
mod auth;
mod grants;
mod headers;
mod me;
mod oauth;
mod team_members;
mod teams;
mod tenants;
mod users;

pub use headers::{SESSION_COOKIE, csrf_ok, same_origin};

/// Every route of this crate.
pub fn routes() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
        .routes(routes!(auth::login))
        .routes(routes!(auth::logout))
        .routes(routes!(me::get_me, me::update_me))
        .routes(routes!(me::change_my_password))
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::get_user, users::update_user, users::delete_user))
        .routes(routes!(teams::list_teams, teams::create_team))
        .routes(routes!(teams::get_team, teams::update_team, teams::delete_team))
        .routes(routes!(team_members::list_team_members))
        .routes(routes!(team_members::put_team_member, team_members::remove_team_member))
        .routes(routes!(api_keys::list_api_keys, api_keys::create_api_key))
        .routes(routes!(api_keys::revoke_api_key))
        .routes(routes!(tenants::list_tenants, tenants::create_tenant))
        .routes(routes!(tenants::get_tenant, tenants::update_tenant))
        .merge(oauth_routes())
}

/// The authorization server, and the applications that use it.
fn oauth_routes() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
        .routes(routes!(oauth::discovery::get_openid_configuration))
        .routes(routes!(oauth::discovery::get_authorization_server))
        .routes(routes!(oauth::discovery::get_jwks))
        .routes(routes!(oauth::discovery::rotate_signing_keys))
        .routes(routes!(oauth::authorize::get_authorization_request, oauth::authorize::decide_authorization_request))
        .routes(routes!(oauth::token::issue_token))
        .routes(routes!(oauth::token_state::introspect_token))
        .routes(routes!(oauth::token_state::revoke_token))
        .routes(routes!(oauth::device::authorize_device))
        .routes(routes!(oauth::device::find_device_request))
        .routes(routes!(oauth::device::decide_device_request))
        .routes(routes!(oauth::userinfo::get_userinfo, oauth::userinfo::post_userinfo))
        .routes(routes!(applications::list_applications, applications::create_application))
        .routes(routes!(
            applications::get_application,
            applications::update_application,
            applications::delete_application
        ))
        .routes(routes!(applications::rotate_application_secret))
        .routes(routes!(grants::list_my_grants))
        .routes(routes!(grants::revoke_my_grant))
}
