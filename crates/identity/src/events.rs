//! What identity tells the event log. Events hold no secrets and no e-mails: those who may read events need not see users.

use plasma_kernel::{
    ApiKeyId, ApplicationId, GrantId, Role, SessionId, TeamId, TenantId, Timestamp, TokenFamilyId, UserId,
};
use plasma_store::NewEvent;
use serde_json::json;

use crate::{
    oauth::{Application, Scopes, permissions_to_text},
    validation,
};

pub(crate) fn login_succeeded(user: UserId, session: SessionId) -> NewEvent {
    NewEvent::new("identity.login.succeeded", user, json!({ "session": session }))
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

pub(crate) fn tenant_created(tenant: TenantId, name: &str) -> NewEvent {
    NewEvent::new("identity.tenant.created", tenant, json!({ "name": name }))
}

pub(crate) fn tenant_updated(tenant: TenantId, name: &str) -> NewEvent {
    NewEvent::new("identity.tenant.updated", tenant, json!({ "name": name }))
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
