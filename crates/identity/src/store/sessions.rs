use std::sync::{Arc, atomic::AtomicI64};

use plasma_kernel::{Actor, Permissions, Result, Role, SessionId, Subject, TenantId, Timestamp, UserId};
use plasma_store::{Row, Tx};

use crate::{
    authentication::{Credential, CredentialId, SESSION_IDLE_MICROS},
    last_used::WRITTEN_EVERY_MICROS,
    tokens::Fingerprint,
    types::{CustomRole, held},
};

/// Sessions of one user that are kept; the oldest end when there are more.
const SESSIONS_MAX: i64 = 50;

/// Across tenants: what the session with this token is good for. `None` when there is none or its person left.
pub(crate) async fn credential(tx: &mut Tx, token: &Fingerprint) -> Result<Option<Credential>> {
    let row = tx
        .fetch_optional(
            "SELECT s.tenant_id, s.id, s.user_id, s.expires_at, s.last_used_at, m.role, u.operator, m.disabled_at,
                    u.email, t.team_id, m.custom_role_id, r.name AS custom_role_name,
                    r.permissions AS custom_role_permissions, p.revision AS policies
             FROM sessions s JOIN memberships m ON m.tenant_id = s.tenant_id AND m.user_id = s.user_id
             JOIN users u ON u.id = s.user_id
             LEFT JOIN custom_roles r ON r.tenant_id = m.tenant_id AND r.id = m.custom_role_id
             LEFT JOIN access_policy_sets p ON p.tenant_id = s.tenant_id AND p.enabled > 0
             LEFT JOIN team_members t ON t.tenant_id = s.tenant_id AND t.user_id = s.user_id AND t.is_default = 1
             WHERE s.token_hash = $1",
            [token.as_bytes().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let role: Role = row.get::<String>("role")?.parse()?;
    let custom = super::roles::custom_of(&row)?;
    let permissions = held(role, custom.as_ref(), row.get("operator")?);
    let (tenant, person): (TenantId, UserId) = (row.get("tenant_id")?, row.get("user_id")?);
    let subject = subject(&row, role, custom.as_ref(), permissions)?;
    Ok(Some(Credential {
        id: CredentialId::Session(row.get("id")?),
        tenant,
        actor: Actor::User { id: person },
        role,
        permissions,
        subject,
        policies: row.get::<Option<u64>>("policies")?.unwrap_or(0),
        addresses: Vec::new(),
        team: row.get("team_id")?,
        person,
        teams: super::teams::of_person(tx, tenant, person).await?,
        usable: row.get::<Option<i64>>("disabled_at")?.is_none(),
        expires_at: Some(row.get("expires_at")?),
        last_used_at: AtomicI64::new(row.get("last_used_at")?),
    }))
}

/// What policies may ask about who acts, of a row with the column `email`.
pub(crate) fn subject(
    row: &Row,
    role: Role,
    custom: Option<&CustomRole>,
    granted: Permissions,
) -> Result<Arc<Subject>> {
    let email = row.get::<String>("email")?;
    Ok(Arc::new(Subject {
        role: custom.map_or_else(|| role.to_string(), |custom| custom.id.to_string()),
        email_domain: email.rsplit_once('@').map_or_else(String::new, |(_, domain)| domain.to_owned()),
        granted,
    }))
}

pub(crate) async fn insert(
    tx: &mut Tx,
    id: SessionId,
    user: UserId,
    token: &Fingerprint,
    expires_at: Timestamp,
) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO sessions (tenant_id, id, user_id, token_hash, created_at, expires_at, last_used_at)
         VALUES ($1, $2, $3, $4, $5, $6, $5)",
        [tenant.into(), id.into(), user.into(), token.as_bytes().into(), now.into(), expires_at.into()],
    )
    .await?;
    Ok(())
}

/// Across tenants. The condition also keeps several processes to one write a minute.
pub(crate) async fn note_use(tx: &mut Tx, tenant: TenantId, id: SessionId, used_at: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE sessions SET last_used_at = $3 WHERE tenant_id = $1 AND id = $2 AND last_used_at <= $4",
        [tenant.into(), id.into(), used_at.into(), (used_at - WRITTEN_EVERY_MICROS).into()],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete_by_token(tx: &mut Tx, user: UserId, token: &Fingerprint) -> Result<Option<SessionId>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND token_hash = $3 RETURNING id",
            [tenant.into(), user.into(), token.as_bytes().into()],
        )
        .await?;
    row.map(|row| row.get("id")).transpose()
}

/// Deletes the user's sessions but the one with the token `keep`.
pub(crate) async fn delete_others(tx: &mut Tx, user: UserId, keep: Option<Fingerprint>) -> Result<()> {
    let tenant = tx.tenant()?;
    match keep {
        Some(keep) => {
            tx.execute(
                "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND token_hash <> $3",
                [tenant.into(), user.into(), keep.as_bytes().into()],
            )
            .await?
        }
        None => {
            tx.execute("DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2", [tenant.into(), user.into()])
                .await?
        }
    };
    Ok(())
}

/// Notes when the session's person proved last who they are: longer ago than when it began.
pub(crate) async fn set_authenticated_at(tx: &mut Tx, id: SessionId, at: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE sessions SET authenticated_at = $3 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into(), at.into()],
    )
    .await?;
    Ok(())
}

/// Deletes the user's sessions that ended, and the oldest ones, to make room for a new one.
pub(crate) async fn delete_ended(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND (expires_at <= $3 OR last_used_at <= $4
           OR id NOT IN (SELECT id FROM sessions WHERE tenant_id = $1 AND user_id = $2 ORDER BY id DESC LIMIT $5))",
        [tenant.into(), user.into(), now.into(), (now - SESSION_IDLE_MICROS).into(), (SESSIONS_MAX - 1).into()],
    )
    .await?;
    Ok(())
}
