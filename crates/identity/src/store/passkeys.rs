//! Passkeys and their ceremonies. They belong to the person, in whichever tenant: no statement has a tenant.

use plasma_kernel::{Error, PasskeyId, Result, Timestamp, UserId};
use plasma_store::{Row, Tx};

use crate::{Passkey, tokens::Fingerprint};

/// A passkey with what verifies its answers.
pub(crate) struct StoredPasskey {
    pub(crate) id: PasskeyId,
    pub(crate) user: UserId,
    /// As JSON.
    pub(crate) credential: String,
}

/// A challenge that was given out.
pub(crate) struct StoredCeremony {
    pub(crate) user: Option<UserId>,
    /// As JSON.
    pub(crate) state: String,
}

fn from_row(row: &Row) -> Result<Passkey> {
    Ok(Passkey {
        id: row.get("id")?,
        name: row.get("name")?,
        created_at: row.get("created_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}

fn stored_from_row(row: &Row) -> Result<StoredPasskey> {
    Ok(StoredPasskey { id: row.get("id")?, user: row.get("user_id")?, credential: row.get("credential")? })
}

pub(crate) fn not_found(id: PasskeyId) -> Error {
    Error::not_found("passkey_not_found", format!("you have no passkey {id}"))
}

/// The oldest first.
pub(crate) async fn list(tx: &mut Tx, user: UserId) -> Result<Vec<Passkey>> {
    tx.fetch_all("SELECT * FROM passkeys WHERE user_id = $1 ORDER BY id", [user.into()])
        .await?
        .iter()
        .map(from_row)
        .collect()
}

pub(crate) async fn stored_of(tx: &mut Tx, user: UserId) -> Result<Vec<StoredPasskey>> {
    tx.fetch_all("SELECT id, user_id, credential FROM passkeys WHERE user_id = $1 ORDER BY id", [user.into()])
        .await?
        .iter()
        .map(stored_from_row)
        .collect()
}

pub(crate) async fn by_credential(tx: &mut Tx, credential_id: &[u8]) -> Result<Option<StoredPasskey>> {
    let row = tx
        .fetch_optional("SELECT id, user_id, credential FROM passkeys WHERE credential_id = $1", [credential_id.into()])
        .await?;
    row.as_ref().map(stored_from_row).transpose()
}

pub(crate) async fn insert(
    tx: &mut Tx,
    user: UserId,
    passkey: &Passkey,
    credential_id: &[u8],
    credential: &str,
) -> Result<()> {
    tx.execute(
        "INSERT INTO passkeys (id, user_id, name, credential_id, credential, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        [
            passkey.id.into(),
            user.into(),
            passkey.name.as_str().into(),
            credential_id.into(),
            credential.into(),
            passkey.created_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Notes a use, with the counter in `after`. False when the passkey was removed, or used at the same moment: then its counter
/// is another one.
pub(crate) async fn note_use(tx: &mut Tx, id: PasskeyId, before: &str, after: &str) -> Result<bool> {
    let now = tx.ctx().now();
    let changed = tx
        .execute(
            "UPDATE passkeys SET credential = $3, last_used_at = $4 WHERE id = $1 AND credential = $2",
            [id.into(), before.into(), after.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

pub(crate) async fn rename(tx: &mut Tx, user: UserId, id: PasskeyId, name: &str) -> Result<Passkey> {
    let row = tx
        .fetch_optional(
            "UPDATE passkeys SET name = $3 WHERE user_id = $1 AND id = $2 RETURNING *",
            [user.into(), id.into(), name.into()],
        )
        .await?;
    from_row(&row.ok_or_else(|| not_found(id))?)
}

/// False when the person has no such passkey.
pub(crate) async fn delete(tx: &mut Tx, user: UserId, id: PasskeyId) -> Result<bool> {
    let deleted = tx.execute("DELETE FROM passkeys WHERE user_id = $1 AND id = $2", [user.into(), id.into()]).await?;
    Ok(deleted > 0)
}

pub(crate) async fn delete_all(tx: &mut Tx, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM passkeys WHERE user_id = $1", [user.into()]).await?;
    Ok(())
}

/// Also removes the ceremonies that have ended.
pub(crate) async fn begin_ceremony(
    tx: &mut Tx,
    token: &Fingerprint,
    purpose: &str,
    ceremony: &StoredCeremony,
    expires_at: Timestamp,
) -> Result<()> {
    let now = tx.ctx().now();
    tx.execute("DELETE FROM passkey_ceremonies WHERE expires_at <= $1", [now.into()]).await?;
    tx.execute(
        "INSERT INTO passkey_ceremonies (token_hash, purpose, user_id, state, expires_at) VALUES ($1, $2, $3, $4, $5)",
        [
            token.as_bytes().into(),
            purpose.into(),
            ceremony.user.into(),
            ceremony.state.as_str().into(),
            expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Takes the ceremony, so that it is answered once at most, whether rightly or not.
pub(crate) async fn take_ceremony(tx: &mut Tx, token: &Fingerprint, purpose: &str) -> Result<Option<StoredCeremony>> {
    let now = tx.ctx().now();
    let row = tx
        .fetch_optional(
            "DELETE FROM passkey_ceremonies WHERE token_hash = $1 AND purpose = $2 RETURNING user_id, state, expires_at",
            [token.as_bytes().into(), purpose.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.get::<Timestamp>("expires_at")? <= now {
        return Ok(None);
    }
    Ok(Some(StoredCeremony { user: row.get("user_id")?, state: row.get("state")? }))
}
