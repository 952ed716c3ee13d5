//! A new data key for an owner while everything runs: from one moment on the new version seals, then what older versions sealed is
//! sealed again piece by piece, and when nothing is left of them they are destroyed. And shredding: all versions at once, for good.

use plasma_kernel::{Ctx, Error, Result, Timestamp};

use super::{MasterKeyKind, cipher, data_keys, owner_of};
use crate::{Row, Store, Tx};

/// Values of one batch: they are in memory, and locked, together.
const BATCH_VALUES: usize = 32;
/// Rotations that are told of.
const SHOWN_MAX: usize = 20;

/// How far the change to a new data key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationState {
    /// Values are being sealed again.
    Resealing,
    /// Nothing is under the old version any more; it is about to be destroyed.
    Destroying,
    /// The old version is destroyed.
    Done,
    /// It does not go on by itself; the old version is still there.
    Stuck,
}

impl RotationState {
    /// As in `resealing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resealing => "resealing",
            Self::Destroying => "destroying",
            Self::Done => "done",
            Self::Stuck => "stuck",
        }
    }

    fn from_text(text: &str) -> Result<Self> {
        [Self::Resealing, Self::Destroying, Self::Done, Self::Stuck]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Error::internal(format!("a rotation is in the unknown state `{text}`")))
    }
}

/// The change to a new data key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRotation {
    /// The version that took over.
    pub version: u32,
    /// How far it is.
    pub state: RotationState,
    /// When it took over.
    pub started_at: Timestamp,
    /// Values that are under the new version.
    pub done: u64,
    /// Of how many.
    pub total: u64,
    /// Values that do not open under any version.
    pub unreadable: u64,
    /// When the old version was destroyed.
    pub finished_at: Option<Timestamp>,
    /// Why it is stuck.
    pub error: Option<String>,
}

/// A data key that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeyVersion {
    /// Its number, from 1.
    pub version: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a newer one took over; `None` for the one that seals.
    pub retired_at: Option<Timestamp>,
    /// What wraps it.
    pub wrapped_by: MasterKeyKind,
}

/// A place in the work of sealing everything again. The default is its beginning.
#[derive(Clone, Debug, Default)]
pub struct ResealPlace {
    column: usize,
    after: Vec<String>,
}

/// What became of one piece of the work.
#[derive(Debug, Default)]
pub struct ResealBatch {
    /// Values that were sealed again.
    pub resealed: u64,
    /// Values that do not open.
    pub unreadable: u64,
    /// Of which column, as `table.column`.
    pub column: String,
    /// Where it goes on; `None` at the end.
    pub next: Option<ResealPlace>,
}

/// What became of the old versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destruction {
    /// So many were destroyed.
    Destroyed(u64),
    /// So many values are still under them: a transaction that began before the new version ended late. They are sealed again first.
    Remaining(u64),
}

fn from_row(row: &Row) -> Result<KeyRotation> {
    Ok(KeyRotation {
        version: row.get("version")?,
        state: RotationState::from_text(&row.get::<String>("state")?)?,
        started_at: row.get("started_at")?,
        done: row.get("done")?,
        total: row.get("total")?,
        unreadable: row.get("unreadable")?,
        finished_at: row.get("finished_at")?,
        error: row.get("error")?,
    })
}

async fn newest_rotation(tx: &mut Tx, owner: &str) -> Result<Option<KeyRotation>> {
    let newest = "SELECT * FROM key_rotations WHERE tenant_id = $1 ORDER BY version DESC LIMIT 1";
    tx.fetch_optional(newest, [owner.into()]).await?.as_ref().map(from_row).transpose()
}

async fn set_state(tx: &mut Tx, owner: &str, state: RotationState, error: Option<&str>) -> Result<()> {
    let finished_at = (state == RotationState::Done).then(|| tx.ctx().now());
    tx.execute(
        "UPDATE key_rotations SET state = $2, error = $3, finished_at = $4
         WHERE tenant_id = $1 AND version = (SELECT MAX(version) FROM key_rotations WHERE tenant_id = $1)",
        [owner.into(), state.as_str().into(), error.into(), finished_at.into()],
    )
    .await
    .map(drop)
}

impl Store {
    /// Gives the transaction's tenant (or, in a system context, the installation) a new data key, which seals from the commit on.
    /// Whoever calls this also enqueues the work of sealing the rest again. A rotation that is stuck is taken up once more, without
    /// another key.
    ///
    /// # Errors
    /// `conflict` (`key_rotation_running`); `internal` when a column of sealed values was not declared; `unavailable` when the master
    /// key cannot be used.
    pub async fn rotate_data_key(&self, tx: &mut Tx) -> Result<KeyRotation> {
        self.check_sealed_columns(tx).await?;
        let owner = owner_of(tx);
        if data_keys::newest(tx, &owner).await?.is_none() {
            self.make_key(tx, &owner, 1).await?;
        }
        match newest_rotation(tx, &owner).await? {
            Some(KeyRotation { state: RotationState::Resealing | RotationState::Destroying, .. }) => {
                return Err(Error::conflict("key_rotation_running", "the data key is being rotated already")
                    .remedy("wait until GET /api/v1/encryption shows that it is done"));
            }
            Some(stuck) if stuck.state == RotationState::Stuck => {
                set_state(tx, &owner, RotationState::Resealing, None).await?;
                return Ok(KeyRotation { state: RotationState::Resealing, error: None, ..stuck });
            }
            _ => {}
        }
        let newest = data_keys::newest(tx, &owner).await?.map_or(0, |key| key.version);
        let (version, started_at) = (newest.saturating_add(1), tx.ctx().now());
        // Of two at once the second waits here for the first, and then finds its key.
        if !self.make_key(tx, &owner, version).await? {
            return Err(Error::conflict("key_rotation_running", "the data key is being rotated already")
                .remedy("wait until GET /api/v1/encryption shows that it is done"));
        }
        data_keys::retire_below(tx, &owner, version).await?;
        tx.execute(
            "INSERT INTO key_rotations (tenant_id, version, state, started_at, done, total, unreadable)
             VALUES ($1, $2, $3, $4, 0, 0, 0)",
            [owner.into(), version.into(), RotationState::Resealing.as_str().into(), started_at.into()],
        )
        .await?;
        let state = RotationState::Resealing;
        Ok(KeyRotation { version, state, started_at, done: 0, total: 0, unreadable: 0, finished_at: None, error: None })
    }

    /// The data keys of the transaction's tenant, the newest first.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn data_key_versions(&self, tx: &mut Tx) -> Result<Vec<DataKeyVersion>> {
        let owner = owner_of(tx);
        let keys = data_keys::all(tx, &owner).await?.into_iter().map(|key| DataKeyVersion {
            version: key.version,
            created_at: key.created_at,
            retired_at: key.retired_at,
            wrapped_by: key.wrapped.by,
        });
        Ok(keys.collect())
    }

    /// Its last 20 rotations, the newest first.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn key_rotations(&self, tx: &mut Tx) -> Result<Vec<KeyRotation>> {
        let owner = owner_of(tx);
        let newest = "SELECT * FROM key_rotations WHERE tenant_id = $1 ORDER BY version DESC LIMIT $2";
        tx.fetch_all(newest, [owner.into(), SHOWN_MAX.into()]).await?.iter().map(from_row).collect()
    }

    /// Counts what there is to do, before the first batch and again after an interruption.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn begin_resealing(&self, tx: &mut Tx) -> Result<u64> {
        let owner = owner_of(tx);
        let remaining = self.remaining(tx, &owner).await?;
        tx.execute(
            "UPDATE key_rotations SET total = done + $2
             WHERE tenant_id = $1 AND version = (SELECT MAX(version) FROM key_rotations WHERE tenant_id = $1)",
            [owner.into(), remaining.into()],
        )
        .await?;
        Ok(remaining)
    }

    /// Values that are not under the newest version.
    async fn remaining(&self, tx: &mut Tx, owner: &str) -> Result<u64> {
        let Some(newest) = data_keys::newest(tx, owner).await? else { return Ok(0) };
        let header = cipher::header(newest.version);
        let mut remaining = 0;
        for column in self.sealed_columns(tx.ctx().tenant_scope().is_none()) {
            remaining += column.count(tx, owner, &header).await?;
        }
        Ok(remaining)
    }

    /// Seals the next values of the context's tenant again. What is killed in between is done again from the last batch that was
    /// committed; a value that somebody changes meanwhile keeps the change.
    ///
    /// # Errors
    /// As [`Tx::execute`]; `unavailable` when the master key cannot be used.
    pub async fn reseal_batch(&self, ctx: &Ctx, place: &ResealPlace) -> Result<ResealBatch> {
        let columns = self.sealed_columns(ctx.tenant_scope().is_none());
        let Some(column) = columns.get(place.column) else { return Ok(ResealBatch::default()) };
        let mut tx = self.read(ctx).await?;
        let owner = owner_of(&tx);
        // A tenant that was shredded meanwhile has nothing to seal again.
        let Some(newest) = data_keys::newest(&mut tx, &owner).await? else { return Ok(ResealBatch::default()) };
        let header = cipher::header(newest.version);
        let rows = column.next(&mut tx, &owner, &header, &place.after, BATCH_VALUES).await?;
        let next = match rows.last() {
            Some(last) => ResealPlace { column: place.column, after: last.keys.clone() },
            None => ResealPlace { column: place.column + 1, after: Vec::new() },
        };
        let mut batch = ResealBatch {
            column: format!("{}.{}", column.table, column.column),
            next: Some(next),
            ..ResealBatch::default()
        };
        let mut opened = Vec::with_capacity(rows.len());
        for row in rows {
            let purpose = (column.purpose)(&row.keys);
            match self.open_bytes(&mut tx, &purpose, &row.sealed).await? {
                Some(plaintext) => opened.push((row, purpose, plaintext)),
                None => batch.unreadable += 1,
            }
        }
        drop(tx);
        if opened.is_empty() {
            return Ok(batch);
        }
        let mut tx = self.begin(ctx).await?;
        for (row, purpose, plaintext) in &opened {
            let sealed = self.seal_bytes(&mut tx, purpose, plaintext).await?;
            batch.resealed += u64::from(column.replace(&mut tx, &owner, row, sealed).await?);
        }
        tx.execute(
            "UPDATE key_rotations SET done = done + $2
             WHERE tenant_id = $1 AND version = (SELECT MAX(version) FROM key_rotations WHERE tenant_id = $1)",
            [owner.into(), batch.resealed.into()],
        )
        .await?;
        tx.commit().await?;
        Ok(batch)
    }

    /// Everything was looked at once. With values that do not open the rotation is stuck, for their old key must not be destroyed.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn end_resealing(&self, tx: &mut Tx, unreadable: u64, where_they_are: &str) -> Result<RotationState> {
        let owner = owner_of(tx);
        tx.execute(
            "UPDATE key_rotations SET unreadable = $2
             WHERE tenant_id = $1 AND version = (SELECT MAX(version) FROM key_rotations WHERE tenant_id = $1)",
            [owner.as_str().into(), unreadable.into()],
        )
        .await?;
        if unreadable == 0 {
            set_state(tx, &owner, RotationState::Destroying, None).await?;
            return Ok(RotationState::Destroying);
        }
        let error =
            format!("{unreadable} sealed values do not open, in {where_they_are}: set them anew, then rotate again");
        set_state(tx, &owner, RotationState::Stuck, Some(&error)).await?;
        Ok(RotationState::Stuck)
    }

    /// The work was given up.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn fail_rotation(&self, tx: &mut Tx, error: &str) -> Result<()> {
        let owner = owner_of(tx);
        set_state(tx, &owner, RotationState::Stuck, Some(error)).await
    }

    /// Destroys every version but the newest, unless a value is still under one of them. Transactions that sealed under an older one
    /// are waited for; there are no new ones, for they seal under the newest.
    ///
    /// # Errors
    /// As [`Tx::execute`]; `internal` when a column of sealed values was not declared.
    pub async fn destroy_retired_keys(&self, tx: &mut Tx) -> Result<Destruction> {
        self.check_sealed_columns(tx).await?;
        let owner = owner_of(tx);
        let Some(newest) = data_keys::newest(tx, &owner).await? else { return Ok(Destruction::Destroyed(0)) };
        data_keys::lock_below(tx, &owner, newest.version).await?;
        let remaining = self.remaining(tx, &owner).await?;
        if remaining > 0 {
            set_state(tx, &owner, RotationState::Resealing, None).await?;
            return Ok(Destruction::Remaining(remaining));
        }
        let destroyed = data_keys::delete_below(tx, &owner, newest.version).await?;
        set_state(tx, &owner, RotationState::Done, None).await?;
        self.keys().cache.forget(&owner);
        Ok(Destruction::Destroyed(destroyed))
    }

    /// Destroys every data key of the transaction's tenant: from the commit on nothing that was sealed for it opens again, in no
    /// process. Copies of the keys leave the memory of this process now and of others within [`crate::SHREDDED_WITHIN`]. Returns how
    /// many there were.
    ///
    /// # Errors
    /// `internal` in a system context, else as [`Tx::execute`].
    pub async fn shred_tenant(&self, tx: &mut Tx) -> Result<u64> {
        let owner = tx.tenant()?.to_string();
        let destroyed = data_keys::delete_all(tx, &owner).await?;
        tx.execute("DELETE FROM key_rotations WHERE tenant_id = $1", [owner.as_str().into()]).await?;
        self.keys().cache.forget(&owner);
        Ok(destroyed)
    }
}
