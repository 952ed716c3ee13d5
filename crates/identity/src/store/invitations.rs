use plasma_kernel::{Error, InvitationId, Page, PageRequest, Result, TenantId, Timestamp, UserId};
use plasma_store::{Row, Sql, Tx, page_key};

use crate::{Invitation, InvitationState, tokens::Fingerprint};

fn from_row(row: &Row, now: Timestamp) -> Result<Invitation> {
    let (accepted_at, expires_at): (Option<Timestamp>, Timestamp) = (row.get("accepted_at")?, row.get("expires_at")?);
    let revoked = row.get::<Option<Timestamp>>("revoked_at")?.is_some();
    let state = match accepted_at {
        Some(_) => InvitationState::Accepted,
        None if revoked => InvitationState::Revoked,
        None if expires_at <= now => InvitationState::Expired,
        None => InvitationState::Open,
    };
    Ok(Invitation {
        id: row.get("id")?,
        email: row.get("email")?,
        role: row.get::<String>("role")?.parse()?,
        invited_by: row.get("invited_by")?,
        state,
        sent_count: row.get("sent_count")?,
        sent_at: row.get("sent_at")?,
        created_at: row.get("created_at")?,
        expires_at,
        accepted_at,
    })
}

pub(crate) async fn insert(tx: &mut Tx, invitation: &Invitation, token: &Fingerprint) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO invitations
           (tenant_id, id, email, role, token_hash, invited_by, sent_count, sent_at, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        [
            tenant.into(),
            invitation.id.into(),
            invitation.email.as_str().into(),
            invitation.role.as_str().into(),
            token.as_bytes().into(),
            invitation.invited_by.into(),
            invitation.sent_count.into(),
            invitation.sent_at.into(),
            invitation.created_at.into(),
            invitation.expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// The invitation, held until the transaction ends.
pub(crate) async fn lock(tx: &mut Tx, id: InvitationId) -> Result<Invitation> {
    const LOCK: Sql = Sql::each(
        "SELECT * FROM invitations WHERE tenant_id = $1 AND id = $2",
        "SELECT * FROM invitations WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
    );
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let row = tx.fetch_optional(LOCK, [tenant.into(), id.into()]).await?.ok_or_else(|| {
        Error::not_found("invitation_not_found", format!("there is no invitation {id} in this workspace"))
    })?;
    from_row(&row, now)
}

/// The one that waits for an answer of this person, also when it is too old by now.
pub(crate) async fn open_of(tx: &mut Tx, email: &str) -> Result<Option<Invitation>> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let row = tx
        .fetch_optional(
            "SELECT * FROM invitations
             WHERE tenant_id = $1 AND email = $2 AND accepted_at IS NULL AND revoked_at IS NULL",
            [tenant.into(), email.into()],
        )
        .await?;
    row.map(|row| from_row(&row, now)).transpose()
}

/// Across tenants: which invitation a link is for.
pub(crate) async fn by_token(tx: &mut Tx, token: &Fingerprint) -> Result<Option<(TenantId, Invitation)>> {
    let now = tx.ctx().now();
    let row = tx
        .fetch_optional(
            "SELECT i.* FROM invitations i JOIN tenants t ON t.id = i.tenant_id
             WHERE i.token_hash = $1 AND t.state = 'active'",
            [token.as_bytes().into()],
        )
        .await?;
    row.map(|row| Ok((row.get("tenant_id")?, from_row(&row, now)?))).transpose()
}

pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<Invitation>> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let rows = tx
        .fetch_all(
            "SELECT * FROM invitations WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let invitations = rows.iter().map(|row| from_row(row, now)).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(invitations, page.limit, |invitation| invitation.id.to_string()))
}

/// Those that wait for an answer, and those that were sent since `since`.
pub(crate) async fn count(tx: &mut Tx, since: Timestamp) -> Result<(i64, i64)> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_one(
            "SELECT COUNT(CASE WHEN accepted_at IS NULL AND revoked_at IS NULL THEN 1 END) AS open_count,
                    COUNT(CASE WHEN sent_at >= $2 THEN 1 END) AS recent_count
             FROM invitations WHERE tenant_id = $1",
            [tenant.into(), since.into()],
        )
        .await?;
    Ok((row.get("open_count")?, row.get("recent_count")?))
}

/// Gives a locked invitation another token, role and time.
pub(crate) async fn renew(tx: &mut Tx, invitation: &Invitation, token: &Fingerprint) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE invitations SET token_hash = $3, role = $4, invited_by = $5, sent_count = $6, sent_at = $7, expires_at = $8
         WHERE tenant_id = $1 AND id = $2",
        [
            tenant.into(),
            invitation.id.into(),
            token.as_bytes().into(),
            invitation.role.as_str().into(),
            invitation.invited_by.into(),
            invitation.sent_count.into(),
            invitation.sent_at.into(),
            invitation.expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn revoke(tx: &mut Tx, id: InvitationId) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "UPDATE invitations SET revoked_at = $3 WHERE tenant_id = $1 AND id = $2 AND accepted_at IS NULL",
        [tenant.into(), id.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Takes an open invitation up; `false` when it is not open any more, or its link was replaced.
pub(crate) async fn accept(tx: &mut Tx, id: InvitationId, token: &Fingerprint, user: UserId) -> Result<bool> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let changed = tx
        .execute(
            "UPDATE invitations SET accepted_at = $5, accepted_by = $4
             WHERE tenant_id = $1 AND id = $2 AND token_hash = $3 AND accepted_at IS NULL AND revoked_at IS NULL
               AND expires_at > $5",
            [tenant.into(), id.into(), token.as_bytes().into(), user.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Across tenants: removes what ended before `before`.
pub(crate) async fn delete_old(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM invitations WHERE expires_at < $1", [before.into()]).await
}
