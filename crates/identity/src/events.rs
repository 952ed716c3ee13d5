//! What identity tells the event log. Events hold no secrets and no e-mails: those who may read events need not see users. Names stand
//! only in what was before and after, which is for the audit log.

use plasma_kernel::{
    ApiKeyId, ApplicationId, ExportId, GrantId, InvitationId, Method, Methods, PasskeyId, Permissions, QuotaResource,
    Role, RoleId, ServiceIdentityId, SessionId, TeamId, TenantId, Timestamp, TokenFamilyId, UserId,
};
use plasma_store::NewEvent;
use serde_json::{Map, Value, json};

use crate::{
    ApiKey, Factor, LoginPolicy, NewBranding, Policy, RoleDetails, Team, User,
    oauth::{Application, Scopes},
    store::roles::permissions_to_text,
    validation,
};

/// What the audit log compares of a person.
pub(crate) fn state_of_user(user: &User) -> Value {
    let custom_role = user.custom_role.as_ref().map(|custom| &custom.name);
    json!({ "name": user.name, "role": user.role, "custom_role": custom_role, "disabled": user.disabled })
}

pub(crate) fn state_of_team(team: &Team) -> Value {
    json!({ "name": team.name, "description": team.description })
}

pub(crate) fn state_of_api_key(key: &ApiKey) -> Value {
    let scopes = key.scopes.map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect::<Vec<_>>());
    let custom_role = key.custom_role.as_ref().map(|custom| &custom.name);
    let addresses: Vec<String> = key.addresses.iter().map(ToString::to_string).collect();
    json!({
        "name": key.name, "role": key.role, "custom_role": custom_role, "scopes": scopes, "addresses": addresses,
        "installation": key.installation, "team": key.team, "created_by": key.created_by, "expires_at": key.expires_at,
    })
}

pub(crate) fn state_of_role(role: &RoleDetails) -> Value {
    let permissions: Vec<_> = role.permissions.iter().map(|permission| permission.as_str()).collect();
    json!({ "name": role.name, "description": role.description, "permissions": permissions })
}

pub(crate) fn state_of_policy(policy: &Policy) -> Value {
    let Policy { name, description, text, enabled, .. } = policy;
    json!({ "name": name, "description": description, "text": text, "enabled": enabled })
}

pub(crate) fn state_of_login_policy(policy: &LoginPolicy) -> Value {
    let methods: Vec<_> = policy.methods.iter().map(|method| method.as_str()).collect();
    let ip_ranges: Vec<String> = policy.ip_ranges.iter().map(ToString::to_string).collect();
    json!({
        "methods": methods, "mfa_required": policy.mfa_required, "mfa_grace_micros": policy.mfa_grace_micros,
        "session_micros": policy.session_micros, "idle_micros": policy.idle_micros, "ip_ranges": ip_ranges,
    })
}

pub(crate) fn state_of_application(application: &Application) -> Value {
    let mut state = application_data(application);
    if let Some(members) = state.as_object_mut() {
        members.insert("description".to_owned(), json!(application.description));
        members.insert("homepage".to_owned(), json!(application.homepage));
    }
    state
}

pub(crate) fn state_of_branding(branding: &NewBranding) -> Value {
    let NewBranding { accent_color, accent_color_dark, support_contact, mail_footer } = branding;
    json!({
        "accent_color": accent_color, "accent_color_dark": accent_color_dark, "support_contact": support_contact,
        "mail_footer": mail_footer,
    })
}

pub(crate) fn state_of_plan(plan: &str, limits: &[(QuotaResource, u64)]) -> Value {
    json!({ "plan": plan, "limits": limits_by_name(limits) })
}

fn limits_by_name(limits: &[(QuotaResource, u64)]) -> Map<String, Value> {
    limits.iter().map(|(resource, limit)| (resource.as_str().to_owned(), json!(limit))).collect()
}

fn method_names(methods: Methods) -> Vec<&'static str> {
    methods.iter().map(Method::as_str).collect()
}

pub(crate) fn login_succeeded(user: UserId, session: SessionId, methods: Methods) -> NewEvent {
    NewEvent::new("identity.login.succeeded", user, json!({ "session": session, "methods": method_names(methods) }))
}

/// The person proved who they are, and may not come in all the same.
pub(crate) fn login_refused(user: UserId, methods: Methods, reason: &str) -> NewEvent {
    NewEvent::new("identity.login.refused", user, json!({ "reason": reason, "methods": method_names(methods) }))
}

/// A second proof was wrong: in a login, or for a dangerous action.
pub(crate) fn proof_failed(user: UserId, method: Method) -> NewEvent {
    NewEvent::new("identity.proof.failed", user, json!({ "method": method.as_str() }))
}

pub(crate) fn stepped_up(session: SessionId, method: Method) -> NewEvent {
    NewEvent::new("identity.session.stepped_up", session, json!({ "method": method.as_str() }))
}

/// Somebody asked for a link by mail. Whether the e-mail is somebody's is not known here.
pub(crate) fn link_requested(link: &str, purpose: &str, email: &str) -> NewEvent {
    NewEvent::new("identity.link.requested", link, json!({ "purpose": purpose, "email": masked_email(email) }))
}

pub(crate) fn password_reset(user: UserId) -> NewEvent {
    NewEvent::new("identity.user.password_reset", user, json!({}))
}

pub(crate) fn factor_added(user: UserId, factor: Factor) -> NewEvent {
    NewEvent::new("identity.factor.added", user, json!({ "factor": factor }))
}

pub(crate) fn factor_removed(user: UserId, factor: Factor) -> NewEvent {
    NewEvent::new("identity.factor.removed", user, json!({ "factor": factor }))
}

/// An administrator took all factors from somebody who lost them.
pub(crate) fn factors_reset(user: UserId) -> NewEvent {
    NewEvent::new("identity.factor.reset", user, json!({}))
}

pub(crate) fn passkey_renamed(passkey: PasskeyId) -> NewEvent {
    NewEvent::new("identity.passkey.renamed", passkey, json!({}))
}

/// The passkey's counter went back: there may be a copy of it.
pub(crate) fn passkey_cloned(passkey: PasskeyId, user: UserId) -> NewEvent {
    NewEvent::new("identity.passkey.cloned", passkey, json!({ "user": user }))
}

pub(crate) fn recovery_codes_made(user: UserId) -> NewEvent {
    NewEvent::new("identity.recovery_codes.created", user, json!({}))
}

pub(crate) fn recovery_code_used(user: UserId) -> NewEvent {
    NewEvent::new("identity.recovery_codes.used", user, json!({}))
}

pub(crate) fn login_policy_updated(tenant: TenantId, policy: &LoginPolicy) -> NewEvent {
    let data = json!({
        "methods": method_names(policy.methods),
        "mfa_required": policy.mfa_required,
        "session_seconds": policy.session_micros / 1_000_000,
        "idle_seconds": policy.idle_micros / 1_000_000,
        "ip_ranges": policy.ip_ranges.len(),
    });
    NewEvent::new("identity.login_policy.updated", tenant, data)
}

pub(crate) fn mail_sent(mail: &str, to: &str) -> NewEvent {
    NewEvent::new("identity.mail.sent", mail, json!({ "to": masked_email(to) }))
}

pub(crate) fn mail_failed(mail: &str, reason: &str) -> NewEvent {
    NewEvent::new("identity.mail.failed", mail, json!({ "reason": reason }))
}

/// Wakes whoever sends it.
pub(crate) fn mail_queued(mail: &str) -> NewEvent {
    NewEvent::new("identity.mail.queued", mail, json!({}))
}

/// `user` is `None` when the e-mail is unknown.
pub(crate) fn login_failed(user: Option<UserId>, email: &str) -> NewEvent {
    let subject = user.map_or_else(|| "unknown".to_owned(), |user| user.to_string());
    NewEvent::new("identity.login.failed", subject, json!({ "email": masked_email(email) }))
}

pub(crate) fn session_revoked(session: SessionId) -> NewEvent {
    NewEvent::new("identity.session.revoked", session, json!({}))
}

pub(crate) fn user_created(user: UserId, role: Role) -> NewEvent {
    NewEvent::new("identity.user.created", user, json!({ "role": role }))
}

/// `changed` names the fields.
pub(crate) fn user_updated(user: UserId, changed: &[&str], role: Role, disabled: bool) -> NewEvent {
    NewEvent::new("identity.user.updated", user, json!({ "changed": changed, "role": role, "disabled": disabled }))
}

pub(crate) fn user_deleted(user: UserId) -> NewEvent {
    NewEvent::new("identity.user.deleted", user, json!({}))
}

pub(crate) fn team_created(team: TeamId, name: &str) -> NewEvent {
    NewEvent::new("identity.team.created", team, json!({ "name": name }))
}

/// `changed` names the fields.
pub(crate) fn team_updated(team: TeamId, changed: &[&str], name: &str) -> NewEvent {
    NewEvent::new("identity.team.updated", team, json!({ "changed": changed, "name": name }))
}

/// How many members it had, and how many API keys named it.
pub(crate) fn team_deleted(team: TeamId, members: u64, api_keys: u64) -> NewEvent {
    NewEvent::new("identity.team.deleted", team, json!({ "members": members, "api_keys": api_keys }))
}

pub(crate) fn team_member_added(team: TeamId, user: UserId, is_default: bool) -> NewEvent {
    NewEvent::new("identity.team.member_added", team, json!({ "user": user, "is_default": is_default }))
}

pub(crate) fn team_member_removed(team: TeamId, user: UserId) -> NewEvent {
    NewEvent::new("identity.team.member_removed", team, json!({ "user": user }))
}

/// `team` has taken the place of the person's default team before.
pub(crate) fn team_default_changed(team: TeamId, user: UserId) -> NewEvent {
    NewEvent::new("identity.team.default_changed", team, json!({ "user": user }))
}

pub(crate) fn api_key_created(key: ApiKeyId, prefix: &str, role: Role) -> NewEvent {
    NewEvent::new("identity.api_key.created", key, json!({ "prefix": prefix, "role": role }))
}

pub(crate) fn api_key_revoked(key: ApiKeyId) -> NewEvent {
    NewEvent::new("identity.api_key.revoked", key, json!({}))
}

/// `changed` names the fields.
pub(crate) fn api_key_updated(key: ApiKeyId, changed: &[&str]) -> NewEvent {
    NewEvent::new("identity.api_key.updated", key, json!({ "changed": changed }))
}

/// `successor` has taken the key's place, which ends at `ends_at`.
pub(crate) fn api_key_rotated(key: ApiKeyId, successor: ApiKeyId, ends_at: Timestamp) -> NewEvent {
    NewEvent::new("identity.api_key.rotated", key, json!({ "successor": successor, "ends_at": ends_at }))
}

/// `custom` is the tenant's own role, with `role` as the nearest built-in one.
pub(crate) fn user_role_changed(user: UserId, role: Role, custom: Option<RoleId>) -> NewEvent {
    let data = json!({ "changed": ["role"], "role": role, "custom_role": custom });
    NewEvent::new("identity.user.updated", user, data)
}

fn permission_names(permissions: Permissions) -> Vec<&'static str> {
    permissions.iter().map(|permission| permission.as_str()).collect()
}

pub(crate) fn role_created(role: RoleId, name: &str, permissions: Permissions) -> NewEvent {
    NewEvent::new("identity.role.created", role, json!({ "name": name, "permissions": permission_names(permissions) }))
}

/// `changed` names the fields.
pub(crate) fn role_updated(
    role: RoleId,
    changed: &[&str],
    name: &str,
    before: Permissions,
    after: Permissions,
) -> NewEvent {
    let (added, removed) = (permission_names(after.without(before)), permission_names(before.without(after)));
    let data = json!({ "changed": changed, "name": name, "added": added, "removed": removed });
    NewEvent::new("identity.role.updated", role, data)
}

/// How many people and API keys had it; they have another role now.
pub(crate) fn role_deleted(
    role: RoleId,
    name: &str,
    permissions: Permissions,
    users: usize,
    api_keys: usize,
) -> NewEvent {
    let data =
        json!({ "name": name, "permissions": permission_names(permissions), "users": users, "api_keys": api_keys });
    NewEvent::new("identity.role.deleted", role, data)
}

/// The text is told too: the log must say what was in force.
pub(crate) fn policy_created(policy: &Policy) -> NewEvent {
    let Policy { id, name, text, enabled, .. } = policy;
    NewEvent::new("identity.policy.created", id, json!({ "name": name, "text": text, "enabled": enabled }))
}

/// `changed` names the fields.
pub(crate) fn policy_updated(policy: &Policy, changed: &[&str]) -> NewEvent {
    let Policy { id, name, text, enabled, version, .. } = policy;
    let data = json!({ "changed": changed, "name": name, "text": text, "enabled": enabled, "version": version });
    NewEvent::new("identity.policy.updated", id, data)
}

pub(crate) fn policy_deleted(policy: &Policy) -> NewEvent {
    let Policy { id, name, text, enabled, .. } = policy;
    NewEvent::new("identity.policy.deleted", id, json!({ "name": name, "text": text, "enabled": enabled }))
}

pub(crate) fn service_identity_created(service: ServiceIdentityId, spiffe_id: &str, key: ApiKeyId) -> NewEvent {
    let data = json!({ "spiffe_id": spiffe_id, "api_key": key });
    NewEvent::new("identity.service_identity.created", service, data)
}

pub(crate) fn service_identity_deleted(service: ServiceIdentityId, spiffe_id: &str) -> NewEvent {
    NewEvent::new("identity.service_identity.deleted", service, json!({ "spiffe_id": spiffe_id }))
}

pub(crate) fn tenant_created(tenant: TenantId, name: &str) -> NewEvent {
    NewEvent::new("identity.tenant.created", tenant, json!({ "name": name }))
}

pub(crate) fn tenant_updated(tenant: TenantId, name: &str) -> NewEvent {
    NewEvent::new("identity.tenant.updated", tenant, json!({ "name": name }))
}

pub(crate) fn tenant_suspended(tenant: TenantId, reason: Option<&str>) -> NewEvent {
    NewEvent::new("identity.tenant.suspended", tenant, json!({ "reason": reason }))
}

pub(crate) fn tenant_resumed(tenant: TenantId) -> NewEvent {
    NewEvent::new("identity.tenant.resumed", tenant, json!({}))
}

pub(crate) fn tenant_deletion_requested(tenant: TenantId, delete_at: Timestamp) -> NewEvent {
    NewEvent::new("identity.tenant.deletion_requested", tenant, json!({ "delete_at": delete_at }))
}

pub(crate) fn tenant_deletion_cancelled(tenant: TenantId) -> NewEvent {
    NewEvent::new("identity.tenant.deletion_cancelled", tenant, json!({}))
}

/// In the installation's log, for the tenant's is erased too. It names nothing of what the tenant had.
pub(crate) fn tenant_erased(tenant: TenantId, rows: u64, files: u64) -> NewEvent {
    NewEvent::new("identity.tenant.erased", tenant, json!({ "rows": rows, "files": files }))
}

/// `changed` names the fields.
pub(crate) fn branding_updated(tenant: TenantId, changed: &[&str]) -> NewEvent {
    NewEvent::new("identity.branding.updated", tenant, json!({ "changed": changed }))
}

pub(crate) fn domain_confirmed(tenant: TenantId, domain: &str) -> NewEvent {
    NewEvent::new("identity.domain.confirmed", tenant, json!({ "domain": domain }))
}

pub(crate) fn quotas_updated(tenant: TenantId, plan: &str, limits: &[(QuotaResource, u64)]) -> NewEvent {
    let data = json!({ "plan": plan, "limits": limits_by_name(limits) });
    NewEvent::new("identity.quotas.updated", tenant, data)
}

/// The person entered another of their tenants.
pub(crate) fn tenant_entered(user: UserId, session: SessionId) -> NewEvent {
    NewEvent::new("identity.tenant.entered", user, json!({ "session": session }))
}

pub(crate) fn invitation_created(invitation: InvitationId, email: &str, role: Role) -> NewEvent {
    let data = json!({ "email": masked_email(email), "role": role });
    NewEvent::new("identity.invitation.created", invitation, data)
}

pub(crate) fn invitation_sent_again(invitation: InvitationId, sent_count: u32) -> NewEvent {
    NewEvent::new("identity.invitation.sent_again", invitation, json!({ "sent_count": sent_count }))
}

pub(crate) fn invitation_revoked(invitation: InvitationId) -> NewEvent {
    NewEvent::new("identity.invitation.revoked", invitation, json!({}))
}

pub(crate) fn invitation_accepted(invitation: InvitationId, user: UserId, role: Role) -> NewEvent {
    NewEvent::new("identity.invitation.accepted", invitation, json!({ "user": user, "role": role }))
}

pub(crate) fn export_requested(export: ExportId) -> NewEvent {
    NewEvent::new("identity.export.requested", export, json!({}))
}

pub(crate) fn export_ready(export: ExportId, size_bytes: u64) -> NewEvent {
    NewEvent::new("identity.export.ready", export, json!({ "size_bytes": size_bytes }))
}

pub(crate) fn export_failed(export: ExportId, reason: &str) -> NewEvent {
    NewEvent::new("identity.export.failed", export, json!({ "reason": reason }))
}

pub(crate) fn export_fetched(export: ExportId) -> NewEvent {
    NewEvent::new("identity.export.fetched", export, json!({}))
}

pub(crate) fn export_deleted(export: ExportId) -> NewEvent {
    NewEvent::new("identity.export.deleted", export, json!({}))
}

pub(crate) fn application_created(application: &Application) -> NewEvent {
    NewEvent::new("identity.application.created", application.id, application_data(application))
}

/// `changed` names the fields.
pub(crate) fn application_updated(application: &Application, changed: &[&str]) -> NewEvent {
    let mut data = application_data(application);
    if let Some(members) = data.as_object_mut() {
        members.insert("changed".to_owned(), json!(changed));
    }
    NewEvent::new("identity.application.updated", application.id, data)
}

/// How many people had allowed it something.
pub(crate) fn application_deleted(application: &Application, people: u64) -> NewEvent {
    let data = json!({ "name": application.name, "people": people });
    NewEvent::new("identity.application.deleted", application.id, data)
}

pub(crate) fn application_secret_rotated(application: ApplicationId, overlap_seconds: u32) -> NewEvent {
    let data = json!({ "overlap_seconds": overlap_seconds });
    NewEvent::new("identity.application.secret_rotated", application, data)
}

fn application_data(application: &Application) -> serde_json::Value {
    json!({
        "name": application.name,
        "kind": application.kind,
        "redirect_uris": application.redirect_uris,
        "scopes": permissions_to_text(application.scopes),
        "own_permissions": permissions_to_text(application.own_permissions),
        "device": application.device,
        "disabled": application.disabled_at.is_some(),
    })
}

/// A person allowed an application something; `how` is `code` or `device`.
pub(crate) fn application_allowed(application: &Application, grant: GrantId, scopes: Scopes, how: &str) -> NewEvent {
    let data = json!({ "name": application.name, "grant": grant, "scopes": scopes.to_text(), "how": how });
    NewEvent::new("identity.application.allowed", application.id, data)
}

/// A person refused an application.
pub(crate) fn application_denied(application: &Application, how: &str) -> NewEvent {
    let data = json!({ "name": application.name, "how": how });
    NewEvent::new("identity.application.denied", application.id, data)
}

/// An application got the first tokens of an authorization.
pub(crate) fn tokens_issued(application: ApplicationId, family: TokenFamilyId, scopes: Scopes) -> NewEvent {
    let data = json!({ "family": family, "scopes": scopes.to_text() });
    NewEvent::new("identity.application.tokens_issued", application, data)
}

/// A code or refresh token came a second time, as a stolen one does: the authorization was ended.
pub(crate) fn token_reused(application: ApplicationId, family: TokenFamilyId, user: UserId, what: &str) -> NewEvent {
    let data = json!({ "family": family, "user": user, "what": what });
    NewEvent::new("identity.application.token_reused", application, data)
}

/// An application gave an authorization back.
pub(crate) fn tokens_revoked(application: ApplicationId, family: TokenFamilyId) -> NewEvent {
    NewEvent::new("identity.application.tokens_revoked", application, json!({ "family": family }))
}

/// A person took back what they had allowed.
pub(crate) fn grant_revoked(grant: GrantId, application: ApplicationId) -> NewEvent {
    NewEvent::new("identity.grant.revoked", grant, json!({ "application": application }))
}

pub(crate) fn signing_key_created(id: &str, signs_from: Timestamp) -> NewEvent {
    NewEvent::new("identity.signing_key.created", id, json!({ "signs_from": signs_from }))
}

/// Enough to recognize one's own address by: `a***@example.org`.
fn masked_email(email: &str) -> String {
    let email = validation::normalized_email(email);
    match email.split_once('@') {
        Some((local, domain)) => format!("{}***@{domain}", local.chars().take(1).collect::<String>()),
        // Not an e-mail at all, perhaps a password in the wrong field: nothing of it is kept.
        None => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_addresses_keep_one_letter() {
        assert_eq!(masked_email("Ada@Example.org"), "a***@example.org");
        assert_eq!(masked_email("@x"), "***@x");
        assert_eq!(masked_email("hunter2 hunter2"), "***");
    }
}
