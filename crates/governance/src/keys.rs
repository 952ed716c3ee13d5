//! The key that signs checkpoints: one for the installation, made at its first start, its private half sealed.

use plasma_kernel::{Ctx, Error, Result, Timestamp};
use plasma_store::{Store, Tx};
use zeroize::Zeroizing;

use crate::{
    AuditKey, Governance, Log,
    note::{PublicKey, SEED_BYTES, Signer},
    store::{self, keys::KeyRow},
};

/// What the private key is sealed for.
pub(crate) const PURPOSE: &str = "audit-key/1";

/// The key, ready to sign.
pub(crate) struct Key {
    name: String,
    signer: Signer,
    created_at: Timestamp,
}

impl Key {
    /// `ctx` is a system context: the key is sealed under the installation's data key.
    pub(crate) async fn open(store: &Store, ctx: &Ctx) -> Result<Self> {
        let mut tx = store.begin(ctx).await?;
        let row = match store::keys::get(&mut tx).await? {
            Some(row) => row,
            None => make(store, &mut tx).await?,
        };
        let seed = store.open_secret(&mut tx, PURPOSE, &row.private_key_sealed).await?;
        tx.commit().await?;
        let seed = seed_of(&seed).ok_or_else(|| Error::internal("the key of the audit log is damaged"))?;
        let signer = Signer::from_seed(&seed)?;
        if signer.public().0.as_slice() != row.public_key {
            return Err(Error::internal("the public key of the audit log is not that of its private key"));
        }
        Ok(Self { name: row.name, signer, created_at: row.created_at })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.signer.public()
    }
}

/// Makes a key, unless another process was first.
async fn make(store: &Store, tx: &mut Tx) -> Result<KeyRow> {
    let random = tx.ctx().random().clone();
    let seed: Zeroizing<[u8; SEED_BYTES]> = Zeroizing::new(random.bytes());
    let public_key = Signer::from_seed(&seed)?.public().0.to_vec();
    let text = Zeroizing::new(hexadecimal(seed.as_slice()));
    let private_key_sealed = store.seal_secret(tx, PURPOSE, &text).await?;
    let name = format!("plasma-{}", hexadecimal(&random.bytes::<5>()));
    let row = KeyRow { name, public_key, private_key_sealed, created_at: tx.ctx().now() };
    store::keys::insert(tx, &row).await?;
    store::keys::get(tx).await?.ok_or_else(|| Error::internal("the key of the audit log was not kept"))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn seed_of(text: &str) -> Option<Zeroizing<[u8; SEED_BYTES]>> {
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    if text.len() != SEED_BYTES * 2 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in seed.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(seed)
}

impl Governance {
    /// The key with which the log's checkpoints are signed.
    ///
    /// # Errors
    /// `forbidden` without `audit:read`.
    pub fn key(&self, ctx: &Ctx, log: Log) -> Result<AuditKey> {
        use plasma_kernel::Permission::{AuditRead, InstallationRead};
        let ctx = log.bind(ctx, AuditRead, InstallationRead)?;
        let key = &self.inner.key;
        let public = key.public();
        Ok(AuditKey {
            algorithm: "ed25519",
            public_key: public.base64(),
            pem: public.pem(),
            verifier_key: public.verifier_key(&self.inner.origin(ctx.tenant()?)),
            created_at: key.created_at,
        })
    }
}
