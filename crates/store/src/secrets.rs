//! Envelope encryption: a data key for each tenant seals its secrets; the master key wraps the data keys.
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with random 192-bit nonces; the associated data binds a sealed text to its
//! tenant and purpose, so that one cannot be moved into another's place.

use std::{fs, io::Write as _, path::Path};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use plasma_kernel::{Clock, Ctx, Error, Random, Result};
use zeroize::Zeroizing;

use crate::{Store, Tx};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

type Key = Zeroizing<[u8; KEY_BYTES]>;

pub(crate) struct MasterKey(Key);

fn seal(key: &Key, random: &Random, associated: &str, plaintext: &[u8]) -> Result<Vec<u8>> {
    let nonce: [u8; NONCE_BYTES] = random.bytes();
    let sealed = XChaCha20Poly1305::new((&**key).into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad: associated.as_bytes() })
        .map_err(|_| Error::internal("a secret could not be sealed"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn open(key: &Key, associated: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let damaged = || Error::internal("a sealed secret does not open: it was changed, or belongs to another key");
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
    XChaCha20Poly1305::new((&**key).into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: associated.as_bytes() })
        .map(Zeroizing::new)
        .map_err(|_| damaged())
}

impl MasterKey {
    /// Reads the key file (64 hexadecimal digits), or makes one that only this user can read.
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let unusable = |what: String| {
            Error::unavailable("master_key_unusable", format!("the master key {}: {what}", file.display()))
                .remedy("restore the file from your backup; without it the stored provider keys cannot be read")
        };
        match fs::read_to_string(file) {
            Ok(text) => {
                let key =
                    parse_hexadecimal(text.trim()).ok_or_else(|| unusable("is not 64 hexadecimal digits".into()))?;
                Ok(Self(key))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key: Key = Zeroizing::new(Random::system().bytes());
                let text = Zeroizing::new(key.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
                write_private(file, text.as_bytes()).map_err(|error| unusable(error.to_string()))?;
                Ok(Self(key))
            }
            Err(error) => Err(unusable(error.to_string())),
        }
    }
}

fn parse_hexadecimal(text: &str) -> Option<Key> {
    let mut key: Key = Zeroizing::new([0; KEY_BYTES]);
    if text.len() != KEY_BYTES * 2 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

/// Whole or not at all: the temporary file is synced and then linked, which fails when another process was first.
fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let temporary = file.with_extension(format!("new-{}", std::process::id()));
    let mut handle = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    handle.write_all(bytes)?;
    handle.sync_all()?;
    let linked = fs::hard_link(&temporary, file);
    fs::remove_file(&temporary)?;
    linked
}

const KEY_CHECK: &str = "installation";

impl Store {
    /// Makes sure that the master key is the one that this database was made with, before anything is sealed with it.
    pub(crate) async fn check_master_key(&self, file: &Path) -> Result<()> {
        let ctx = Ctx::system("check the master key", Clock::system(), Random::system());
        let mut tx = self.begin(&ctx).await?;
        match tx.data_key(KEY_CHECK, self.master_key()).await {
            Ok(_) => tx.commit().await.map(drop),
            Err(error) => Err(Error::unavailable(
                "master_key_wrong",
                format!("the master key {} is not the one that this database was made with", file.display()),
            )
            .remedy("put the right file there, or name it with PLASMA_MASTER_KEY_FILE")
            .source(error)),
        }
    }

    /// Seals a secret of the transaction's tenant. `purpose` must be given again to open it.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn seal_secret(&self, tx: &mut Tx, purpose: &str, secret: &str) -> Result<Vec<u8>> {
        let tenant = tx.tenant()?.to_string();
        let key = tx.data_key(&tenant, self.master_key()).await?;
        seal(&key, &tx.ctx().random().clone(), &format!("{tenant}/{purpose}"), secret.as_bytes())
    }

    /// Opens what [`Store::seal_secret`] sealed for the same tenant and purpose.
    ///
    /// # Errors
    /// `internal` when it was changed, or the tenant's key is gone.
    pub async fn open_secret(&self, tx: &mut Tx, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<String>> {
        let tenant = tx.tenant()?.to_string();
        let key = tx.data_key(&tenant, self.master_key()).await?;
        let plaintext = open(&key, &format!("{tenant}/{purpose}"), sealed)?;
        String::from_utf8(plaintext.to_vec())
            .map(Zeroizing::new)
            .map_err(|_| Error::internal("a sealed secret is not UTF-8"))
    }
}

impl Tx {
    /// The newest data key of `owner`, made on first use.
    async fn data_key(&mut self, owner: &str, master: &MasterKey) -> Result<Key> {
        let associated = format!("data-key/{owner}/1");
        let select = "SELECT wrapped FROM tenant_keys WHERE tenant_id = $1 AND version = 1";
        let mut row = self.fetch_optional(select, [owner.into()]).await?;
        if row.is_none() {
            let random = self.ctx().random().clone();
            let fresh: Key = Zeroizing::new(random.bytes());
            let wrapped = seal(&master.0, &random, &associated, fresh.as_slice())?;
            let now = self.ctx().now();
            // Two processes may be first at once; both then read the row that won.
            self.execute(
                "INSERT INTO tenant_keys (tenant_id, version, wrapped, created_at) VALUES ($1, 1, $2, $3)
                 ON CONFLICT (tenant_id, version) DO NOTHING",
                [owner.into(), wrapped.into(), now.into()],
            )
            .await?;
            row = self.fetch_optional(select, [owner.into()]).await?;
        }
        let row = row.ok_or_else(|| Error::internal("the data key of a tenant is missing"))?;
        let wrapped: Vec<u8> = row.get("wrapped")?;
        let plain = open(&master.0, &associated, &wrapped)?;
        let key: [u8; KEY_BYTES] =
            plain.as_slice().try_into().map_err(|_| Error::internal("a data key has the wrong length"))?;
        Ok(Zeroizing::new(key))
    }
}
