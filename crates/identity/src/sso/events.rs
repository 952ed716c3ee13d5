//! What single sign-on tells the event log: no secrets, no tokens, no e-mails.

use plasma_kernel::{ConnectionId, UserId};
use plasma_store::NewEvent;
use serde_json::{Value, json};

use crate::{Connection, DomainVerifier, SingleSignOn};

pub(super) fn connection_created(connection: &Connection) -> NewEvent {
    NewEvent::new(
        "identity.connection.created",
        connection.id,
        json!({
            "name": connection.name,
            "preset": connection.preset,
            "issuer": connection.issuer,
            "enabled": connection.enabled,
            "rules": connection.rules,
        }),
    )
}

/// What the audit log compares of a connection.
pub(super) fn state_of_connection(connection: &Connection) -> Value {
    json!({
        "name": connection.name,
        "account": connection.account,
        "issuer": connection.issuer,
        "client_id": connection.client_id,
        "has_client_secret": connection.has_client_secret,
        "scopes": connection.scopes,
        "rules": connection.rules,
        "default_role": connection.default_role,
        "creates_users": connection.creates_users,
        "enabled": connection.enabled,
    })
}

/// `changed` names the fields.
pub(super) fn connection_updated(connection: &Connection, changed: &[&str]) -> NewEvent {
    let rules = changed.contains(&"rules").then_some(&connection.rules);
    NewEvent::new(
        "identity.connection.updated",
        connection.id,
        json!({ "changed": changed, "issuer": connection.issuer, "enabled": connection.enabled, "rules": rules }),
    )
}

pub(super) fn connection_deleted(id: ConnectionId, name: &str) -> NewEvent {
    NewEvent::new("identity.connection.deleted", id, json!({ "name": name }))
}

pub(super) fn connection_tested(id: ConnectionId, ok: bool) -> NewEvent {
    NewEvent::new("identity.connection.tested", id, json!({ "ok": ok }))
}

pub(super) fn domain_claimed(id: ConnectionId, domain: &str) -> NewEvent {
    NewEvent::new("identity.domain.claimed", id, json!({ "domain": domain }))
}

pub(super) fn domain_given_up(id: ConnectionId, domain: &str) -> NewEvent {
    NewEvent::new("identity.domain.given_up", id, json!({ "domain": domain }))
}

pub(super) fn domain_verified(id: ConnectionId, domain: &str, by: DomainVerifier) -> NewEvent {
    NewEvent::new("identity.domain.verified", id, json!({ "domain": domain, "by": by }))
}

pub(super) fn domain_released(id: ConnectionId, domain: &str) -> NewEvent {
    NewEvent::new("identity.domain.released", id, json!({ "domain": domain }))
}

pub(super) fn settings_changed(before: &SingleSignOn, after: &SingleSignOn) -> NewEvent {
    NewEvent::new(
        "identity.single_sign_on.changed",
        "single_sign_on",
        json!({
            "enforced": after.enforced,
            "was_enforced": before.enforced,
            "break_glass": after.break_glass,
            "break_glass_before": before.break_glass,
        }),
    )
}

/// Somebody came back from the provider and was not let in. `reason` is the error's.
pub(super) fn refused(id: ConnectionId, reason: &str, detail: &str) -> NewEvent {
    NewEvent::new("identity.single_sign_on.refused", id, json!({ "reason": reason, "detail": detail }))
}

/// `how` is `email` or `security_page`, or `created` for a person who was made by this login.
pub(super) fn account_linked(user: UserId, connection: ConnectionId, how: &str) -> NewEvent {
    NewEvent::new("identity.account.linked", user, json!({ "connection": connection, "how": how }))
}

pub(super) fn account_unlinked(user: UserId, connection: ConnectionId) -> NewEvent {
    NewEvent::new("identity.account.unlinked", user, json!({ "connection": connection }))
}

/// The provider said that somebody has logged out there.
pub(super) fn logged_out_by_provider(id: ConnectionId, sessions: usize) -> NewEvent {
    NewEvent::new("identity.connection.logged_out", id, json!({ "sessions": sessions }))
}
