//! The routes of identity, and what the server's middleware needs to authenticate requests.

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Identity;

mod api_keys;
mod auth;
mod connections;
mod headers;
mod linked_accounts;
mod me;
mod single_sign_on;
mod sso;
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
        .routes(routes!(connections::list_connections, connections::create_connection))
        .routes(routes!(connections::get_connection, connections::update_connection, connections::delete_connection))
        .routes(routes!(connections::test_connection))
        .routes(routes!(connections::list_connection_accounts))
        .routes(routes!(connections::unlink_connection_account))
        .routes(routes!(single_sign_on::get_single_sign_on, single_sign_on::put_single_sign_on))
        .routes(routes!(single_sign_on::list_domains))
        .routes(routes!(single_sign_on::assign_domain, single_sign_on::release_domain))
        .routes(routes!(linked_accounts::list_linked_accounts, linked_accounts::link_account))
        .routes(routes!(linked_accounts::unlink_account))
        .routes(routes!(sso::start_single_sign_on))
        .routes(routes!(sso::finish_single_sign_on))
        .routes(routes!(sso::single_logout))
        .routes(routes!(sso::backchannel_logout))
}
