//! Authenticator applications and recovery codes. They belong to the person, in whichever tenant: no statement has a tenant.

use plasma_kernel::{Result, Timestamp, UserId};
use plasma_store::Tx;

use crate::{login_policy::OwnFactors, tokens::Fingerprint};

/// A person's authenticator application.
#[derive(Default)]
pub(crate) struct Totp {
    /// Sealed.
    pub(crate) secret: Option<Vec<u8>>,
    pub(crate) confirmed_at: Option<Timestamp>,
    pub(crate) last_step: i64,
    /// Sealed; one that was shown and not confirmed yet.
    pub(crate) pending_secret: Option<Vec<u8>>,
    pub(crate) pending_until: Option<Timestamp>,
}

pub(crate) async fn of(tx: &mut Tx, user: UserId) -> Result<OwnFactors> {
    let row = tx
        .fetch_one(
            "SELECT (SELECT COUNT(*) FROM user_totp WHERE user_id = $1 AND secret_sealed IS NOT NULL) AS totp,
                    (SELECT COUNT(*) FROM passkeys WHERE user_id = $1) AS passkeys,
                    (SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL) AS codes",
            [user.into()],
        )
        .await?;
    Ok(OwnFactors { totp: row.get("totp")?, passkeys: row.get("passkeys")?, recovery_codes: row.get("codes")? })
}

pub(crate) async fn totp(tx: &mut Tx, user: UserId) -> Result<Totp> {
    let row = tx.fetch_optional("SELECT * FROM user_totp WHERE user_id = $1", [user.into()]).await?;
    let Some(row) = row else { return Ok(Totp::default()) };
    Ok(Totp {
        secret: row.get("secret_sealed")?,
        confirmed_at: row.get("confirmed_at")?,
        last_step: row.get("last_step")?,
        pending_secret: row.get("pending_secret_sealed")?,
        pending_until: row.get("pending_until")?,
    })
}

/// Keeps a secret that was shown, beside the one in use.
pub(crate) async fn set_pending_totp(tx: &mut Tx, user: UserId, sealed: Vec<u8>, until: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO user_totp (user_id, last_step, pending_secret_sealed, pending_until) VALUES ($1, 0, $2, $3)
         ON CONFLICT (user_id) DO UPDATE
           SET pending_secret_sealed = excluded.pending_secret_sealed, pending_until = excluded.pending_until",
        [user.into(), sealed.into(), until.into()],
    )
    .await?;
    Ok(())
}

/// Takes the pending secret into use, with the step of the code that confirmed it. False when it is no longer `sealed`.
pub(crate) async fn confirm_totp(tx: &mut Tx, user: UserId, sealed: &[u8], step: i64, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE user_totp SET secret_sealed = pending_secret_sealed, confirmed_at = $4, last_step = $3,
                                  pending_secret_sealed = NULL, pending_until = NULL
             WHERE user_id = $1 AND pending_secret_sealed = $2",
            [user.into(), sealed.into(), step.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// False when the code of this step, or of a later one, was used already.
pub(crate) async fn use_step(tx: &mut Tx, user: UserId, step: i64) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE user_totp SET last_step = $2 WHERE user_id = $1 AND secret_sealed IS NOT NULL AND last_step < $2",
            [user.into(), step.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// False when there was none.
pub(crate) async fn delete_totp(tx: &mut Tx, user: UserId) -> Result<bool> {
    let row =
        tx.fetch_optional("DELETE FROM user_totp WHERE user_id = $1 RETURNING confirmed_at", [user.into()]).await?;
    Ok(row.map(|row| row.get::<Option<Timestamp>>("confirmed_at")).transpose()?.flatten().is_some())
}

pub(crate) async fn replace_recovery_codes(
    tx: &mut Tx,
    user: UserId,
    codes: impl IntoIterator<Item = Fingerprint>,
) -> Result<()> {
    let now = tx.ctx().now();
    delete_recovery_codes(tx, user).await?;
    for code in codes {
        tx.execute(
            "INSERT INTO recovery_codes (user_id, code_hash, created_at) VALUES ($1, $2, $3)",
            [user.into(), code.as_bytes().into(), now.into()],
        )
        .await?;
    }
    Ok(())
}

pub(crate) async fn delete_recovery_codes(tx: &mut Tx, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM recovery_codes WHERE user_id = $1", [user.into()]).await?;
    Ok(())
}

/// Codes that were not used yet.
pub(crate) async fn count_recovery_codes(tx: &mut Tx, user: UserId) -> Result<u64> {
    tx.fetch_one("SELECT COUNT(*) AS codes FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL", [user.into()])
        .await?
        .get("codes")
}

/// False when the person has no such code, or used it already.
pub(crate) async fn use_recovery_code(tx: &mut Tx, user: UserId, code: &Fingerprint) -> Result<bool> {
    let now = tx.ctx().now();
    let changed = tx
        .execute(
            "UPDATE recovery_codes SET used_at = $3 WHERE user_id = $1 AND code_hash = $2 AND used_at IS NULL",
            [user.into(), code.as_bytes().into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}
