//! The routes of identity, and what the server's middleware needs to authenticate requests.

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Identity;

mod access;
mod api_keys;
mod auth;
mod branding;
mod exports;
mod headers;
mod invitations;
mod me;
mod my_tenants;
mod policies;
mod quotas;
mod roles;
mod service_identities;
mod team_members;
mod teams;
mod tenant_life;
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
