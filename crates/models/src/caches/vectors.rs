//! Vectors of texts, in memory.
//!
//! A text is known by a hash of the model and of all that decides the vector: two requests that have some texts in common share
//! those.

use std::{fmt, sync::Arc};

use plasma_kernel::{CallId, Money, TenantId, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{
    AnswerKey,
    key::{Hash, digest},
};
use crate::{catalog::RemoteModel, manifest::ModelEntry};

/// What an entry takes beyond its numbers, about.
const ENTRY_BYTES: usize = 256;
/// Shares of whole numbers are reckoned in millionths.
const SCALE: u128 = 1_000_000;

/// A vector that may be given again.
#[derive(Debug)]
pub(crate) struct KeptVector {
    pub(crate) vector: Vec<f32>,
    text_bytes: usize,
    pub(crate) origin: Arc<VectorOrigin>,
}

/// The call that brought some vectors.
#[derive(Debug)]
pub(crate) struct VectorOrigin {
    pub(crate) call_id: CallId,
    pub(crate) begun_at: Timestamp,
    /// `None` when unknown.
    pub(crate) cost: Option<Money>,
    /// 0 when unknown.
    pub(crate) input_tokens: u64,
    /// Bytes of all texts that it asked for.
    pub(crate) text_bytes: usize,
}

impl KeptVector {
    pub(crate) fn new(vector: Vec<f32>, text_bytes: usize, origin: Arc<VectorOrigin>) -> Self {
        Self { vector, text_bytes, origin }
    }

    /// What it takes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        ENTRY_BYTES + size_of_val(self.vector.as_slice())
    }

    /// The text's share of a number of its call, by its length, in millionths.
    fn share(&self, whole: u64) -> u128 {
        let all = self.origin.text_bytes.max(1) as u128;
        // Only absurd numbers reach 2^128.
        (u128::from(whole) * SCALE).saturating_mul(self.text_bytes as u128) / all
    }
}

/// What the calls that brought these vectors read for them, reckoned by the texts' lengths.
pub(crate) fn tokens_of(known: &[&KeptVector]) -> u64 {
    rounded(known.iter().map(|kept| kept.share(kept.origin.input_tokens)))
}

/// What these vectors have cost, reckoned by the texts' lengths: in the currency of the first one whose cost is known, the others
/// of that currency with it. `None` when none is known.
pub(crate) fn cost_of(known: &[&KeptVector]) -> Option<Money> {
    let currency = &known.iter().find_map(|kept| kept.origin.cost.as_ref())?.currency;
    let shares = known.iter().filter_map(|kept| {
        let cost = kept.origin.cost.as_ref().filter(|cost| cost.currency == *currency)?;
        Some(kept.share(cost.amount_micros.max(0).unsigned_abs()))
    });
    let amount_micros = i64::try_from(rounded(shares)).unwrap_or(i64::MAX);
    Some(Money { amount_micros, currency: currency.clone() })
}

/// The sum, rounded: all parts of a whole together are the whole again.
fn rounded(shares: impl Iterator<Item = u128>) -> u64 {
    let sum = shares.fold(0_u128, u128::saturating_add);
    u64::try_from(sum.saturating_add(SCALE / 2) / SCALE).unwrap_or(u64::MAX)
}

/// A model, and what of a request decides the vectors besides the texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VectorMaker(Hash);

impl VectorMaker {
    /// A model of this process: its weights. Two workspaces, or two days, may have other weights under the same name.
    pub(crate) fn local(entry: &ModelEntry) -> Self {
        let files: Vec<&str> = entry.files.iter().map(|file| file.sha256.as_str()).collect();
        Self::of(&("local", entry.key(), files, entry.pooling, entry.normalize, entry.precision))
    }

    /// A provider's model with the fields of the request that decide the vectors. Removed and added again, under another address or
    /// under another name of the provider's it is another one.
    pub(crate) fn remote(remote: &RemoteModel, fields: &[(&str, &str)]) -> Self {
        // The endpoint's debug form hides its credential.
        Self::of(&("remote", &remote.id, &remote.upstream_name, remote.added_at, &remote.endpoint, fields))
    }

    fn of(identity: &impl fmt::Debug) -> Self {
        Self(digest(identity))
    }

    /// What tells it from others.
    pub(crate) fn identity(self) -> Hash {
        self.0
    }

    /// By what a tenant's text is known.
    pub(crate) fn key(self, tenant: TenantId, text: &str) -> AnswerKey {
        let hash = Sha256::new().chain_update(self.0).chain_update(text).finalize().into();
        AnswerKey { tenant, hash }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use plasma_testkit::system;

    use super::*;
    use crate::{
        Manifest,
        manifest::{ModelKind, Precision},
    };

    fn origin(cost: Option<i64>, input_tokens: u64, text_bytes: usize) -> Arc<VectorOrigin> {
        let cost = cost.map(|amount_micros| Money { amount_micros, currency: "USD".to_owned() });
        Arc::new(VectorOrigin { call_id: CallId::new(&system()), begun_at: 0, cost, input_tokens, text_bytes })
    }

    fn kept(text_bytes: usize, origin: &Arc<VectorOrigin>) -> KeptVector {
        KeptVector::new(vec![1.0; 10], text_bytes, origin.clone())
    }

    #[test]
    fn what_texts_cost_is_shared_by_their_lengths() {
        let three = origin(Some(10), 100, 30);
        let parts: Vec<KeptVector> = (0..3).map(|_| kept(10, &three)).collect();
        let of = |count: usize| {
            let known: Vec<&KeptVector> = parts.iter().take(count).collect();
            (cost_of(&known).map(|cost| cost.amount_micros), tokens_of(&known))
        };
        assert_eq!([of(0), of(1), of(2), of(3)], [(None, 0), (Some(3), 33), (Some(7), 67), (Some(10), 100)]);
        // Of one call it is not known, and another was free.
        let (unknown, free) = (kept(5, &origin(None, 0, 5)), kept(5, &origin(Some(0), 7, 5)));
        assert_eq!((cost_of(&[&unknown]), tokens_of(&[&unknown])), (None, 0));
        assert_eq!(cost_of(&[&unknown, &free]).map(|cost| cost.amount_micros), Some(0));
        // Absurd numbers do not overflow.
        let most = kept(usize::MAX, &origin(Some(i64::MAX), u64::MAX, 1));
        assert_eq!((cost_of(&[&most, &most]).unwrap().amount_micros, tokens_of(&[&most])), (i64::MAX, u64::MAX));
    }

    #[test]
    fn weights_texts_and_tenants_are_told_apart() {
        let (ours, theirs) = (TenantId::new(&system()), TenantId::new(&system()));
        let models = Manifest::builtin().unwrap().models;
        let entry = models.into_iter().find(|entry| entry.kind == ModelKind::Embedding).unwrap();
        let mut other = entry.clone();
        other.files.last_mut().unwrap().sha256 = "0".repeat(64);
        let rounded = ModelEntry { precision: Precision::Int8, ..entry.clone() };
        let (maker, another) = (VectorMaker::local(&entry), VectorMaker::local(&other));
        let key = maker.key(ours, "a text");
        assert_eq!(key, VectorMaker::local(&entry.clone()).key(ours, "a text"));
        let rounding = VectorMaker::local(&rounded);
        for different in [
            maker.key(ours, "a text "),
            maker.key(theirs, "a text"),
            another.key(ours, "a text"),
            rounding.key(ours, "a text"),
        ] {
            assert_ne!(key, different);
        }
    }
}
