//! The master keys, which wrap data keys: one kind wraps, both open what they wrapped.

use std::path::Path;

use plasma_kernel::{Error, Random, Result};

use super::{
    cipher::{self, Key},
    key_file::KeyFile,
    vault::Vault,
};
use crate::StoreConfig;

/// Where the master key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterKeyKind {
    /// In a local file.
    File,
    /// In Vault's transit engine, which it does not leave.
    Vault,
}

impl MasterKeyKind {
    /// `file` or `vault`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Vault => "vault",
        }
    }

    pub(super) fn from_text(text: &str) -> Result<Self> {
        match text {
            "file" => Ok(Self::File),
            "vault" => Ok(Self::Vault),
            _ => Err(Error::unavailable(
                "master_key_kind_unknown",
                format!("a data key is wrapped by `{text}`, which this program does not know"),
            )
            .remedy("start the version of Plasma that last used this database, or a newer one")),
        }
    }
}

/// A data key as it is stored.
#[derive(Clone)]
pub(super) struct Wrapped {
    pub(super) by: MasterKeyKind,
    /// Which of the master keys; `None` when it was not written down yet.
    pub(super) key: Option<String>,
    pub(super) bytes: Vec<u8>,
}

pub(crate) struct MasterKeys {
    /// The kind that wraps.
    current: MasterKeyKind,
    file: KeyFile,
    vault: Option<Vault>,
}

/// Binds a wrapped key to its place.
fn associated(owner: &str, version: u32) -> String {
    format!("data-key/{owner}/{version}")
}

impl MasterKeys {
    /// Opens the key file (made when it is needed and absent) and prepares the calls to Vault.
    pub(crate) fn open(config: &StoreConfig, file: &Path) -> Result<Self> {
        let vault = config.vault.clone().map(Vault::new).transpose()?;
        let default = if vault.is_some() { MasterKeyKind::Vault } else { MasterKeyKind::File };
        let current = config.master_key.unwrap_or(default);
        if current == MasterKeyKind::Vault && vault.is_none() {
            return Err(Error::invalid("master_key", "`vault` needs vault_url, vault_key and a token")
                .remedy("set PLASMA_VAULT_URL, PLASMA_VAULT_KEY and PLASMA_VAULT_TOKEN or PLASMA_VAULT_TOKEN_FILE"));
        }
        let file = KeyFile::open(file, current == MasterKeyKind::File)?;
        Ok(Self { current, file, vault })
    }

    /// Makes sure that what wraps can be used, before anything depends on it.
    pub(crate) async fn check(&self) -> Result<()> {
        match (self.current, &self.vault) {
            (MasterKeyKind::Vault, Some(vault)) => vault.check().await,
            _ => Ok(()),
        }
    }

    pub(super) fn current(&self) -> MasterKeyKind {
        self.current
    }

    pub(super) fn file(&self) -> &KeyFile {
        &self.file
    }

    pub(super) fn vault(&self) -> Result<&Vault> {
        self.vault.as_ref().ok_or_else(|| {
            Error::unavailable("vault_not_configured", "data keys of this database are wrapped by Vault")
                .remedy("set vault_url, vault_key and vault_token or vault_token_file as they were")
        })
    }

    pub(super) async fn wrap(&self, random: &Random, owner: &str, version: u32, key: &Key) -> Result<Wrapped> {
        let associated = associated(owner, version);
        match self.current {
            MasterKeyKind::File => {
                let (name, bytes) = self.file.wrap(random, &associated, key)?;
                Ok(Wrapped { by: self.current, key: Some(name), bytes })
            }
            MasterKeyKind::Vault => {
                let vault = self.vault()?;
                let ciphertext = vault.encrypt(&associated, key.as_slice()).await?;
                Ok(Wrapped { by: self.current, key: vault.name_of(&ciphertext), bytes: ciphertext.into_bytes() })
            }
        }
    }

    pub(super) async fn unwrap(&self, owner: &str, version: u32, wrapped: &Wrapped) -> Result<Key> {
        match wrapped.by {
            MasterKeyKind::File => self.unwrap_by_file(owner, version, wrapped),
            MasterKeyKind::Vault => {
                let ciphertext = std::str::from_utf8(&wrapped.bytes)
                    .map_err(|error| Error::from_source("a data key is not what Vault wraps", error))?;
                let plain = self.vault()?.decrypt(&associated(owner, version), ciphertext).await?;
                cipher::key_from_bytes(&plain)
                    .ok_or_else(|| Error::internal("a data key from Vault has the wrong length"))
            }
        }
    }

    /// Of a key that the file wrapped: without waiting.
    pub(super) fn unwrap_by_file(&self, owner: &str, version: u32, wrapped: &Wrapped) -> Result<Key> {
        self.file.unwrap(wrapped.key.as_deref(), &associated(owner, version), &wrapped.bytes)
    }

    /// The name of the key that wraps now. In Vault its version may change at any time, so that it is asked.
    pub(super) async fn current_name(&self) -> Result<Option<String>> {
        match self.current {
            MasterKeyKind::File => Ok(self.file.names().into_iter().next()),
            MasterKeyKind::Vault => {
                let vault = self.vault()?;
                Ok(vault.name_of(&vault.encrypt("name", b"name").await?))
            }
        }
    }

    /// Makes a new master key, with which data keys are wrapped from now on.
    pub(super) async fn rotate(&self, random: &Random) -> Result<()> {
        match self.current {
            MasterKeyKind::File => self.file.add(random).map(drop),
            MasterKeyKind::Vault => self.vault()?.rotate().await,
        }
    }
}
