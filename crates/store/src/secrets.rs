//! Envelope encryption: data keys, a version after the other for each tenant, seal its secrets; a master key wraps the data keys.
//!
//! The associated data binds a sealed text to its owner, purpose and version, so that one cannot be moved into another's place.
//! Owners are the tenants and, for what belongs to no tenant, the installation: whose it is says the context of the transaction.
//! Sealed values begin with the version of their key; those that were sealed before there were versions are of the first.

mod cache;
mod cipher;
mod columns;
mod data_keys;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod key_file;
mod master;
mod rewrap;
mod rotation;
mod vault;

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use plasma_kernel::{Clock, Ctx, Error, Random, Result};
use zeroize::Zeroizing;

use self::{
    cache::KeyCache,
    cipher::Key,
    data_keys::StoredKey,
    master::{MasterKeys, Wrapped},
};
use crate::{Store, StoreConfig, Tx, id_array, store::Inner};

pub use columns::{SealedColumn, SealedStatements};
pub use master::MasterKeyKind;
pub use rewrap::{MasterKeyUse, RewrapBatch};
pub use rotation::{DataKeyVersion, Destruction, KeyRotation, ResealBatch, ResealPlace, RotationState};
pub use vault::{VaultConfig, VaultToken};

/// The owner of what belongs to no tenant.
const INSTALLATION: &str = "installation";
/// How often keys whose rows are gone are looked for in memory.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// Within this time after a tenant was shredded no process holds a copy of its data keys any more. Using one is impossible at once:
/// it is found by its row only.
pub const SHREDDED_WITHIN: Duration = Duration::from_secs(15);

/// What sealing and opening need.
pub(crate) struct Keys {
    master: MasterKeys,
    cache: KeyCache,
    columns: Mutex<Vec<SealedColumn>>,
}

impl Keys {
    pub(crate) fn open(config: &StoreConfig, master_key_file: &Path) -> Result<Self> {
        let master = MasterKeys::open(config, master_key_file)?;
        Ok(Self { master, cache: KeyCache::new(), columns: Mutex::default() })
    }

    /// The key itself. What Vault wrapped stays in memory for a while; a key of the file is opened each time, in microseconds.
    async fn unwrap(&self, owner: &str, stored: &StoredKey) -> Result<Arc<Key>> {
        if stored.wrapped.by == MasterKeyKind::File {
            return self.master.unwrap_by_file(owner, stored.version, &stored.wrapped).map(Arc::new);
        }
        let wrapped = &stored.wrapped.bytes;
        if let Some(key) = self.cache.get(wrapped, Instant::now()) {
            return Ok(key);
        }
        // Boxed: a call to Vault is rare, and its future large.
        Box::pin(self.ask(owner, stored.version, &stored.wrapped)).await
    }

    async fn ask(&self, owner: &str, version: u32, wrapped: &Wrapped) -> Result<Arc<Key>> {
        // Never closed.
        let _permit = self.cache.asking.acquire().await;
        if let Some(key) = self.cache.get(&wrapped.bytes, Instant::now()) {
            return Ok(key);
        }
        let key = Arc::new(self.master.unwrap(owner, version, wrapped).await?);
        self.cache.put(owner, &wrapped.bytes, Arc::clone(&key), Instant::now());
        Ok(key)
    }
}

fn system(reason: &str) -> Ctx {
    Ctx::system(reason, Clock::system(), Random::system())
}

/// Whose data keys a transaction uses.
fn owner_of(tx: &Tx) -> String {
    tx.ctx().tenant_scope().map_or_else(|| INSTALLATION.to_owned(), |tenant| tenant.to_string())
}

fn associated(owner: &str, purpose: &str, version: u32) -> String {
    format!("{owner}/{purpose}#{version}")
}

/// Of values without a version.
fn associated_before(owner: &str, purpose: &str) -> String {
    format!("{owner}/{purpose}")
}

impl Store {
    /// Makes sure that the master key is the one that this database was made with, before anything is sealed with it.
    pub(crate) async fn check_master_key(&self) -> Result<()> {
        // Before anything is wrapped: Vault makes a key that is absent when something is encrypted with it.
        self.keys().master.check().await?;
        let mut tx = self.begin(&system("check the master key")).await?;
        self.sealing_key(&mut tx, INSTALLATION).await?;
        tx.commit().await.map(drop)
    }

    /// Seals a secret of the transaction's tenant, or of the installation in a system context. `purpose` must be given again to open
    /// it. A column that keeps the result is declared with [`Store::declare_sealed`].
    ///
    /// # Errors
    /// As [`Tx::execute`]; `unavailable` when the data key is wrapped by a Vault that does not answer.
    pub async fn seal_secret(&self, tx: &mut Tx, purpose: &str, secret: &str) -> Result<Vec<u8>> {
        self.seal_bytes(tx, purpose, secret.as_bytes()).await
    }

    async fn seal_bytes(&self, tx: &mut Tx, purpose: &str, plaintext: &[u8]) -> Result<Vec<u8>> {
        let owner = owner_of(tx);
        let (version, key) = self.sealing_key(tx, &owner).await?;
        let sealed = cipher::seal(&key, tx.ctx().random(), &associated(&owner, purpose, version), plaintext)?;
        Ok([cipher::header(version).as_slice(), &sealed].concat())
    }

    /// Opens what [`Store::seal_secret`] sealed for the same owner and purpose, under whichever version of its data key.
    ///
    /// # Errors
    /// `internal` when it was changed, or the key is gone; `unavailable` when the key is wrapped by a Vault that does not answer.
    pub async fn open_secret(&self, tx: &mut Tx, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<String>> {
        let plaintext = self.open_bytes(tx, purpose, sealed).await?.ok_or_else(|| {
            Error::internal("a sealed secret does not open: it was changed, or its key was destroyed or is another")
        })?;
        std::str::from_utf8(&plaintext)
            .map(|text| Zeroizing::new(text.to_owned()))
            .map_err(|_| Error::internal("a sealed secret is not UTF-8"))
    }

    /// `None` when it does not open.
    async fn open_bytes(&self, tx: &mut Tx, purpose: &str, sealed: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let owner = owner_of(tx);
        if let Some((version, body)) = cipher::split_header(sealed)
            && let Some(stored) = data_keys::get(tx, &owner, version).await?
        {
            let key = self.keys().unwrap(&owner, &stored).await?;
            if let Some(plaintext) = cipher::open(&key, &associated(&owner, purpose, version), body) {
                return Ok(Some(plaintext));
            }
        }
        let Some(stored) = data_keys::get(tx, &owner, 1).await? else { return Ok(None) };
        let key = self.keys().unwrap(&owner, &stored).await?;
        Ok(cipher::open(&key, &associated_before(&owner, purpose), sealed))
    }

    /// The newest data key of `owner` with its version, made on first use, and kept from being destroyed until the transaction ends.
    async fn sealing_key(&self, tx: &mut Tx, owner: &str) -> Result<(u32, Arc<Key>)> {
        let mut stored = data_keys::newest_for_sealing(tx, owner).await?;
        // A statement that waited for a version that was then destroyed finds nothing either: the next one sees what came after.
        if stored.is_none() && data_keys::newest(tx, owner).await?.is_none() {
            self.make_key(tx, owner, 1).await?;
        }
        if stored.is_none() {
            // Two processes may be first at once; both then read the row that won.
            stored = data_keys::newest_for_sealing(tx, owner).await?;
        }
        let stored = stored.ok_or_else(|| Error::internal("the data key of a tenant is missing"))?;
        Ok((stored.version, self.keys().unwrap(owner, &stored).await?))
    }

    /// Makes a data key of this version; `false` when there is one already.
    async fn make_key(&self, tx: &mut Tx, owner: &str, version: u32) -> Result<bool> {
        let random = tx.ctx().random().clone();
        let fresh: Key = Zeroizing::new(random.bytes());
        let wrapped = Box::pin(self.keys().master.wrap(&random, owner, version, &fresh)).await?;
        data_keys::insert(tx, owner, version, &wrapped).await
    }
}

/// Drops keys from memory whose time is over or whose rows are gone, for as long as the store lives.
pub(crate) async fn sweep(store: Weak<Inner>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let Some(inner) = store.upgrade() else { return };
        let store = Store::from_inner(inner);
        let cache = &store.keys().cache;
        cache.drop_old(Instant::now());
        let owners = cache.owners();
        if owners.is_empty() {
            continue;
        }
        // A database that does not answer says nothing; their time ends all the same.
        if let Ok(wrapped) = wrapped_of(&store, &owners).await {
            cache.keep_only(&owners, &wrapped);
        }
    }
}

async fn wrapped_of(store: &Store, owners: &std::collections::BTreeSet<String>) -> Result<HashSet<Vec<u8>>> {
    let mut tx = store.read(&system("forget destroyed keys")).await?;
    Ok(data_keys::wrapped_of(&mut tx, id_array(owners)).await?.into_iter().collect())
}
