//! The routes of identity, and what the server's middleware needs to authenticate requests.

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Identity;

mod access;
mod api_keys;
mod applications;
mod auth;
mod branding;
mod connections;
mod enroll;
mod exports;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod grants;
mod headers;
mod invitations;
mod linked_accounts;
mod login;
mod login_policy;
mod me;
mod my_tenants;
mod oauth;
mod passkeys;
mod policies;
mod quotas;
mod roles;
mod security;
mod service_identities;
mod sessions;
mod single_sign_on;
mod sso;
mod step_up;
mod team_members;
mod teams;
mod tenant_life;
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
        .routes(routes!(my_tenants::list_my_tenants))
        .routes(routes!(my_tenants::enter_tenant))
        .routes(routes!(invitations::join_by_invitation))
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::get_user, users::update_user, users::delete_user))
        .routes(routes!(roles::assign_role))
        .routes(routes!(roles::list_roles, roles::create_role))
        .routes(routes!(roles::get_role, roles::update_role, roles::delete_role))
        .routes(routes!(policies::list_policies, policies::create_policy))
        .routes(routes!(policies::get_policy_schema))
        .routes(routes!(access::test_policy))
        .routes(routes!(policies::get_policy, policies::update_policy, policies::delete_policy))
        .routes(routes!(policies::list_policy_versions))
        .routes(routes!(access::explain_access))
        .routes(routes!(teams::list_teams, teams::create_team))
        .routes(routes!(teams::get_team, teams::update_team, teams::delete_team))
        .routes(routes!(team_members::list_team_members))
        .routes(routes!(team_members::put_team_member, team_members::remove_team_member))
        .routes(routes!(api_keys::list_api_keys, api_keys::create_api_key))
        .routes(routes!(api_keys::update_api_key, api_keys::revoke_api_key))
        .routes(routes!(api_keys::rotate_api_key))
        .routes(routes!(service_identities::list_service_identities, service_identities::create_service_identity))
        .routes(routes!(service_identities::delete_service_identity))
        .routes(routes!(tenants::list_tenants, tenants::create_tenant))
        .routes(routes!(tenants::get_tenant, tenants::update_tenant))
        .merge(tenant_routes())
        .merge(invitation_routes())
        .merge(single_sign_on_routes())
        .merge(oauth_routes())
}

/// Of whole workspaces.
fn tenant_routes() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
        .routes(routes!(tenant_life::suspend_tenant))
        .routes(routes!(tenant_life::resume_tenant))
        .routes(routes!(tenant_life::request_tenant_deletion, tenant_life::cancel_tenant_deletion))
        .routes(routes!(quotas::get_quotas))
        .routes(routes!(quotas::get_tenant_quotas, quotas::put_tenant_quotas))
        .routes(routes!(branding::get_branding, branding::put_branding))
        .routes(routes!(branding::get_logo, branding::put_logo, branding::delete_logo))
        .routes(routes!(branding::put_domain, branding::delete_domain))
        .routes(routes!(branding::get_tenant_branding))
        .routes(routes!(branding::confirm_tenant_domain))
        .routes(routes!(branding::get_public_branding))
        .routes(routes!(branding::get_public_logo))
        .routes(routes!(exports::list_exports, exports::request_export))
        .routes(routes!(exports::get_export, exports::delete_export))
        .routes(routes!(exports::get_export_content))
}

/// Of people who are asked to join.
fn invitation_routes() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
        .routes(routes!(invitations::list_invitations, invitations::create_invitation))
        .routes(routes!(invitations::preview_invitation))
        .routes(routes!(invitations::accept_invitation))
        .routes(routes!(invitations::revoke_invitation))
        .routes(routes!(invitations::resend_invitation))
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

/// Connections to identity providers, and logins by them.
fn single_sign_on_routes() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
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
