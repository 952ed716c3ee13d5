//! When sessions and keys were last used: written in the background, batched, at most once a minute for each.

use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use plasma_kernel::{Result, TenantId, Timestamp};

use crate::{
    Identity,
    authentication::{Credential, CredentialId},
    store,
};

/// A use is written when the one before it is at least this long ago.
pub(crate) const WRITTEN_EVERY_MICROS: i64 = 60 * 1_000_000;
/// Uses are collected for this long and then written together.
const COLLECTED_FOR: Duration = Duration::from_secs(1);
/// Uses that wait at most; beyond, a token's next use in another minute is written instead.
const PENDING_MAX: usize = 10_000;
/// Rows of one transaction, so that other writers get their turn.
const BATCH_ROWS: usize = 500;

/// When a token was used, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) at: Timestamp,
    pub(crate) address: Option<IpAddr>,
}

#[derive(Default)]
pub(crate) struct LastUsed {
    pending: Mutex<HashMap<(TenantId, CredentialId), Use>>,
    scheduled: AtomicBool,
}

impl LastUsed {
    fn note(&self, credential: &Credential, used: Use) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.len() < PENDING_MAX {
            pending.insert((credential.tenant, credential.id), used);
        }
    }

    fn take(&self) -> Vec<((TenantId, CredentialId), Use)> {
        mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

impl Identity {
    pub(crate) fn note_use(&self, credential: &Credential, now: Timestamp, address: Option<IpAddr>) {
        let last_used_at = credential.last_used_at.load(Ordering::Relaxed);
        if now - last_used_at < WRITTEN_EVERY_MICROS {
            return;
        }
        // Of many requests at once, one notes the use.
        if credential.last_used_at.compare_exchange(last_used_at, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        self.inner.last_used.note(credential, Use { at: now, address });
        if !self.inner.last_used.scheduled.swap(true, Ordering::SeqCst) {
            let identity = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(COLLECTED_FOR).await;
                identity.inner.last_used.scheduled.store(false, Ordering::SeqCst);
                if let Err(error) = identity.flush().await {
                    tracing::warn!(?error, "the last use of sessions and API keys could not be written");
                }
            });
        }
    }

    /// Writes the uses of sessions and keys that still wait. Call it before the store is closed.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database; the uses are then forgotten.
    pub async fn flush(&self) -> Result<()> {
        let uses = self.inner.last_used.take();
        for batch in uses.chunks(BATCH_ROWS) {
            let mut tx = self.inner.store.begin(&self.system("note the last use of sessions and API keys")).await?;
            for ((tenant, id), used) in batch {
                match id {
                    CredentialId::Session(id) => store::sessions::note_use(&mut tx, *tenant, *id, used.at).await?,
                    CredentialId::ApiKey(id) => store::api_keys::note_use(&mut tx, *tenant, *id, *used).await?,
                    CredentialId::TokenFamily(id) => {
                        store::oauth_tokens::note_use(&mut tx, *tenant, *id, used.at).await?;
                    }
                    CredentialId::Application(id) => {
                        store::applications::note_use(&mut tx, *tenant, *id, used.at).await?;
                    }
                }
            }
            tx.commit().await?;
        }
        Ok(())
    }
}
