//! The routes of identity, and what the server's middleware needs to authenticate requests.

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Identity;

mod api_keys;
mod auth;
mod enroll;
mod headers;
mod login;
mod login_policy;
mod me;
mod passkeys;
mod security;
mod sessions;
mod step_up;
mod team_members;
mod teams;
mod tenants;
mod users;
mod visitor;

pub use headers::{SESSION_COOKIE, csrf_ok, same_origin};

/// Every route of this crate.
pub fn routes() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
        .routes(routes!(auth::login_methods))
        .routes(routes!(auth::login))
        .routes(routes!(auth::logout))
        .merge(login_routes())
        .merge(security_routes())
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
}

/// The steps of a login after the first one, and the ways to begin one without a password.
fn login_routes() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
        .routes(routes!(login::login_with_totp))
        .routes(routes!(login::login_with_recovery_code))
        .routes(routes!(login::begin_passkey_login))
        .routes(routes!(login::login_with_passkey))
        .routes(routes!(login::request_login_link))
        .routes(routes!(login::login_with_link))
        .routes(routes!(login::request_password_reset))
        .routes(routes!(login::reset_password))
        .routes(routes!(enroll::enroll_totp))
        .routes(routes!(enroll::finish_enrolling_totp))
        .routes(routes!(enroll::enroll_passkey))
        .routes(routes!(enroll::finish_enrolling_passkey))
        .routes(routes!(step_up::get_step_up, step_up::step_up))
        .routes(routes!(step_up::begin_step_up))
}

/// What people have to log in with, their sessions, and how they must log in.
fn security_routes() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
        .routes(routes!(security::get_my_security))
        .routes(routes!(security::begin_totp, security::remove_totp))
        .routes(routes!(security::confirm_totp))
        .routes(routes!(security::renew_recovery_codes))
        .routes(routes!(security::reset_factors))
        .routes(routes!(passkeys::list_my_passkeys, passkeys::add_my_passkey))
        .routes(routes!(passkeys::begin_my_passkey))
        .routes(routes!(passkeys::rename_my_passkey, passkeys::remove_my_passkey))
        .routes(routes!(sessions::list_my_sessions, sessions::end_my_other_sessions))
        .routes(routes!(sessions::end_my_session))
        .routes(routes!(sessions::list_sessions))
        .routes(routes!(sessions::end_session))
        .routes(routes!(sessions::end_sessions_of_user))
        .routes(routes!(login_policy::get_login_policy, login_policy::put_login_policy))
}
