//! What identity tells the event log. Events hold no secrets and no e-mails: those who may read events need not see users. Names stand
//! only in what was before and after, which is for the audit log.

use plasma_kernel::{ApiKeyId, Role, SessionId, TeamId, TenantId, UserId};
use plasma_store::NewEvent;
use serde_json::{Value, json};

use crate::{ApiKey, Team, User, validation};

/// What the audit log compares of a person.
pub(crate) fn state_of_user(user: &User) -> Value {
    json!({ "name": user.name, "role": user.role, "disabled": user.disabled })
}

pub(crate) fn state_of_team(team: &Team) -> Value {
    json!({ "name": team.name, "description": team.description })
}

pub(crate) fn state_of_api_key(key: &ApiKey) -> Value {
    let scopes = key.scopes.map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect::<Vec<_>>());
    json!({
        "name": key.name, "role": key.role, "scopes": scopes, "installation": key.installation, "team": key.team,
        "created_by": key.created_by, "expires_at": key.expires_at,
    })
}

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
