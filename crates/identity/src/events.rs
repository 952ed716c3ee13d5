//! What identity tells the event log. Events hold no secrets and no e-mails: those who may read events need not see users.

use plasma_kernel::{ApiKeyId, Method, Methods, PasskeyId, Role, SessionId, TeamId, TenantId, UserId};
use plasma_store::NewEvent;
use serde_json::json;

use crate::{Factor, LoginPolicy, validation};

fn names(methods: Methods) -> Vec<&'static str> {
    methods.iter().map(Method::as_str).collect()
}

pub(crate) fn login_succeeded(user: UserId, session: SessionId, methods: Methods) -> NewEvent {
    NewEvent::new("identity.login.succeeded", user, json!({ "session": session, "methods": names(methods) }))
}

/// The person proved who they are, and may not come in all the same.
pub(crate) fn login_refused(user: UserId, methods: Methods, reason: &str) -> NewEvent {
    NewEvent::new("identity.login.refused", user, json!({ "reason": reason, "methods": names(methods) }))
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
        "methods": names(policy.methods),
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
