//! The routes of identity, and what the server's middleware needs to authenticate requests.

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Identity;

mod api_keys;
mod auth;
mod headers;
mod me;
mod service_identities;
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
        .routes(routes!(service_identities::list_service_identities, service_identities::create_service_identity))
        .routes(routes!(service_identities::delete_service_identity))
        .routes(routes!(tenants::list_tenants, tenants::create_tenant))
        .routes(routes!(tenants::get_tenant, tenants::update_tenant))
}
