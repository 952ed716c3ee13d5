//! Another master key: data keys are wrapped anew, and nothing that they sealed is touched. So one moves between the key file and
//! Vault, in both directions, and to a new key of either.

use plasma_kernel::{Ctx, Error, Result};

use super::{INSTALLATION, MasterKeyKind, data_keys};
use crate::{Store, Tx};

/// Data keys of one batch; with Vault each takes two calls.
const BATCH_KEYS: usize = 50;

/// How many data keys a master key wraps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKeyUse {
    /// Where it is.
    pub kind: MasterKeyKind,
    /// Which it is; `None` when that was not written down yet.
    pub key: Option<String>,
    /// Whether it is the one that wraps now.
    pub current: bool,
    /// How many.
    pub data_keys: u64,
}

/// What became of one piece of the work.
#[derive(Debug, Default)]
pub struct RewrapBatch {
    /// Data keys that are under the current master key now.
    pub rewrapped: u64,
    /// Data keys that could not be unwrapped.
    pub failed: u64,
    /// Why, of one of them.
    pub error: Option<Error>,
    /// The owner and version after which it goes on; `None` at the end.
    pub next: Option<(String, u32)>,
}

impl Store {
    /// Where the master key is that wraps new data keys.
    pub fn master_key_kind(&self) -> MasterKeyKind {
        self.keys().master.current()
    }

    /// The master keys of the key file, by name, the newest first.
    pub fn master_key_file_names(&self) -> Vec<String> {
        self.keys().master.file().names()
    }

    /// Which master keys wrap how many data keys, and why it is not known which of them is the current one, if so. `tx` is a system
    /// context's.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn master_key_uses(&self, tx: &mut Tx) -> Result<(Vec<MasterKeyUse>, Option<Error>)> {
        let (name, error) = match Box::pin(self.keys().master.current_name()).await {
            Ok(name) => (name, None),
            Err(error) => (None, Some(error)),
        };
        let kind = self.master_key_kind();
        let mut uses: Vec<MasterKeyUse> = data_keys::counts(tx)
            .await?
            .into_iter()
            .map(|(by, key, data_keys)| {
                let current = by == kind && key.is_some() && key == name;
                MasterKeyUse { kind: by, key, current, data_keys }
            })
            .collect();
        if name.is_some() && !uses.iter().any(|known| known.current) {
            uses.push(MasterKeyUse { kind, key: name, current: true, data_keys: 0 });
        }
        Ok((uses, error))
    }

    /// Makes a new master key, of the kind that wraps: a first line of the key file, or a version of the key in Vault. Data keys that
    /// are made from now on are wrapped with it; [`Store::rewrap_batch`] does the others. `tx` is a system context's and keeps others
    /// from doing the same at once.
    ///
    /// # Errors
    /// `unavailable` when the file cannot be written or Vault does not answer, `forbidden` when Vault does not allow it, `conflict`
    /// (`too_many_master_keys`).
    pub async fn rotate_master_key(&self, tx: &mut Tx) -> Result<()> {
        data_keys::lock_all(tx, INSTALLATION).await?;
        let random = tx.ctx().random().clone();
        Box::pin(self.keys().master.rotate(&random)).await
    }

    /// Wraps the next data keys with the current master key. `ctx` is a system context.
    ///
    /// # Errors
    /// `unavailable` when Vault does not answer, else as [`Tx::execute`].
    pub async fn rewrap_batch(&self, ctx: &Ctx, after: &(String, u32)) -> Result<RewrapBatch> {
        let master = &self.keys().master;
        let name = Box::pin(master.current_name()).await?;
        let name = name.ok_or_else(|| Error::internal("there is no master key to wrap with"))?;
        let mut tx = self.read(ctx).await?;
        let keys = data_keys::wrapped_otherwise(&mut tx, master.current(), &name, after, BATCH_KEYS).await?;
        drop(tx);
        let mut batch = RewrapBatch {
            next: keys.last().map(|(owner, stored)| (owner.clone(), stored.version)),
            ..RewrapBatch::default()
        };
        let mut wrapped = Vec::with_capacity(keys.len());
        for (owner, stored) in keys {
            let key = match Box::pin(master.unwrap(&owner, stored.version, &stored.wrapped)).await {
                Ok(key) => key,
                // Its master key is lost here: the others are done all the same.
                Err(error) if matches!(error.reason(), "master_key_wrong" | "vault_not_configured") => {
                    batch.failed += 1;
                    batch.error = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let anew = Box::pin(master.wrap(ctx.random(), &owner, stored.version, &key)).await?;
            wrapped.push((owner, stored, anew));
        }
        if wrapped.is_empty() {
            return Ok(batch);
        }
        let mut tx = self.begin(ctx).await?;
        for (owner, stored, anew) in &wrapped {
            let replaced = data_keys::replace(&mut tx, owner, stored.version, &stored.wrapped.bytes, anew).await?;
            batch.rewrapped += u64::from(replaced);
        }
        tx.commit().await?;
        Ok(batch)
    }

    /// Removes the older keys of the key file that wrap no data key any more, and returns their names. Backups that were made while
    /// they did cannot be used after that. `tx` is a system context's.
    ///
    /// # Errors
    /// `conflict` (`rewrap_first`) when it is not known of some data keys which key wraps them; `unavailable` when the file cannot be
    /// written.
    pub async fn forget_master_keys(&self, tx: &mut Tx) -> Result<Vec<String>> {
        data_keys::lock_all(tx, INSTALLATION).await?;
        let mut needed = Vec::new();
        for (kind, key, _) in data_keys::counts(tx).await? {
            match (kind, key) {
                (MasterKeyKind::File, Some(key)) => needed.push(key),
                (MasterKeyKind::File, None) => {
                    return Err(Error::conflict(
                        "rewrap_first",
                        "it is not known of some data keys which master key wraps them",
                    )
                    .remedy("run `plasma keys rewrap`, and repeat this when it is done"));
                }
                (MasterKeyKind::Vault, _) => {}
            }
        }
        self.keys().master.file().forget_others(&needed)
    }
}
