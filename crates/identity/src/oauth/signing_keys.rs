//! The keys that sign ID tokens: ES256, of the installation, sealed in the store. A new one is shown before it signs, and an old one
//! after it has signed last, so that nobody meets a signature whose key they cannot find.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL},
};
use moka::future::Cache;
use plasma_kernel::{Ctx, Error, Permission, Result, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    Identity,
    authentication::shared_error,
    events,
    store::{self, signing_keys::StoredKey},
};

/// The algorithm, as tokens name it.
pub(crate) const ALGORITHM: &str = "ES256";
/// A key is replaced after this time.
const REPLACED_AFTER_MICROS: i64 = 90 * 24 * 3_600 * 1_000_000;
/// A new key is shown for this long before it signs: longer than anybody keeps the list.
const SHOWN_BEFORE_MICROS: i64 = 3_600 * 1_000_000;
/// An old key is shown for this long after the next one began to sign: longer than any ID token lives.
const SHOWN_AFTER_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;
/// How long a change by another process may stay unseen.
const CACHED_FOR: Duration = Duration::from_secs(60);
/// P-256: a byte that says "uncompressed", and two coordinates.
const COORDINATE_BYTES: usize = 32;

/// A public key (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Jwk {
    /// `EC`.
    pub kty: &'static str,
    /// `P-256`.
    pub crv: &'static str,
    /// The first coordinate, in base64url.
    pub x: String,
    /// The second coordinate, in base64url.
    pub y: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// `ES256`.
    pub alg: &'static str,
    /// Its RFC 7638 thumbprint, which signatures name.
    pub kid: String,
}

/// A key that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyInfo {
    /// Its RFC 7638 thumbprint.
    pub id: String,
    /// From when on it signs, in microseconds since 1970 UTC.
    pub signs_from: Timestamp,
}

pub(crate) struct SigningKey {
    pub(crate) id: String,
    public: Vec<u8>,
    pair: EcdsaKeyPair,
    created_at: Timestamp,
    signs_from: Timestamp,
}

/// All keys, in the order in which they begin to sign.
pub(crate) struct KeySet(Vec<Arc<SigningKey>>);

pub(crate) struct KeyCache(Cache<(), Arc<KeySet>>);

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(1).time_to_live(CACHED_FOR).build())
    }
}

impl KeySet {
    fn signing(&self, now: Timestamp) -> Option<&Arc<SigningKey>> {
        self.0.iter().rev().find(|key| key.signs_from <= now)
    }

    /// The keys that others should know now: what signed lately, what signs, and what will sign.
    fn shown(&self, now: Timestamp) -> impl Iterator<Item = &Arc<SigningKey>> {
        let nexts = self.0.iter().skip(1).map(|next| Some(next.signs_from)).chain([None]);
        let with_next = self.0.iter().zip(nexts);
        with_next
            .filter(move |(_, next)| next.is_none_or(|next_signs_from| now < next_signs_from + SHOWN_AFTER_MICROS))
            .map(|(key, _)| key)
    }

    fn newest(&self) -> Option<&Arc<SigningKey>> {
        self.0.last()
    }
}

impl SigningKey {
    fn open(stored: &StoredKey, private_key: &str) -> Result<Self> {
        let pkcs8 =
            BASE64.decode(private_key).map_err(|error| Error::from_source("a signing key is not base64", error))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
            .map_err(|error| Error::internal(format!("a signing key is damaged: {error}")))?;
        Ok(Self {
            id: stored.id.clone(),
            public: stored.public_key.clone(),
            pair,
            created_at: stored.created_at,
            signs_from: stored.signs_from,
        })
    }

    /// The signature of `message`: both numbers, 32 bytes each.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| Error::internal("an ID token could not be signed"))?;
        Ok(signature.as_ref().to_vec())
    }

    fn jwk(&self) -> Result<Jwk> {
        let (x, y) = coordinates(&self.public)?;
        Ok(Jwk { kty: "EC", crv: "P-256", x, y, usage: "sig", alg: ALGORITHM, kid: self.id.clone() })
    }
}

fn coordinates(public: &[u8]) -> Result<(String, String)> {
    match public {
        [4, coordinates @ ..] if coordinates.len() == 2 * COORDINATE_BYTES => {
            let (x, y) = coordinates.split_at(COORDINATE_BYTES);
            Ok((BASE64URL.encode(x), BASE64URL.encode(y)))
        }
        _ => Err(Error::internal("a public key is not an uncompressed point of P-256")),
    }
}

/// RFC 7638: the SHA-256 of the required members in the order of their names.
fn thumbprint(public: &[u8]) -> Result<String> {
    let (x, y) = coordinates(public)?;
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Ok(BASE64URL.encode(Sha256::digest(members.as_bytes())))
}

impl Identity {
    /// The public keys with which ID tokens can be checked.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn jwks(&self, ctx: &Ctx) -> Result<Vec<Jwk>> {
        // Makes the first key, so that the list is never empty.
        self.signing_key(ctx).await?;
        let keys = self.signing_keys(ctx).await?;
        keys.shown(ctx.now()).map(|key| key.jwk()).collect()
    }

    /// Makes a new key. It signs in an hour, when everybody has had the time to see it; with `at_once` it signs now and the
    /// others are taken away, for when one of them was stolen: ID tokens that they signed are refused from then on.
    ///
    /// # Errors
    /// `forbidden` without `installation:manage`, or when the person has not proved lately who they are.
    pub async fn rotate_signing_keys(&self, ctx: &Ctx, at_once: bool) -> Result<SigningKeyInfo> {
        ctx.require(Permission::InstallationManage)?;
        ctx.require_recent_authentication()?;
        self.signing_key(ctx).await?;
        self.add_signing_key(ctx, if at_once { Rotation::AtOnce } else { Rotation::WithOverlap }).await
    }

    /// Makes a new key when the newest is 90 days old, and forgets those that nobody needs any more.
    pub(crate) async fn maintain_signing_keys(&self, ctx: &Ctx) -> Result<()> {
        self.inner.oauth.keys.0.invalidate(&()).await;
        let keys = self.signing_keys(ctx).await?;
        let now = ctx.now();
        // Without any key yet, the first ID token makes one.
        let Some(newest) = keys.newest() else { return Ok(()) };
        if now - newest.created_at >= REPLACED_AFTER_MICROS {
            self.add_signing_key(ctx, Rotation::WithOverlap).await?;
        }
        let shown: Vec<&str> = keys.shown(now).map(|key| key.id.as_str()).collect();
        let gone: Vec<&str> = keys.0.iter().map(|key| key.id.as_str()).filter(|id| !shown.contains(id)).collect();
        if !gone.is_empty() {
            let mut tx = self.inner.store.begin(&self.across_tenants(ctx)).await?;
            for id in gone {
                store::signing_keys::delete(&mut tx, id).await?;
            }
            tx.commit().await?;
            self.inner.oauth.keys.0.invalidate(&()).await;
        }
        Ok(())
    }

    /// The key that signs now; the first one is made when it is needed. Call it outside of transactions.
    pub(crate) async fn signing_key(&self, ctx: &Ctx) -> Result<Arc<SigningKey>> {
        if let Some(key) = self.signing_keys(ctx).await?.signing(ctx.now()) {
            return Ok(Arc::clone(key));
        }
        let system = self.system("make the first key that signs ID tokens");
        Box::pin(self.add_signing_key(&system, Rotation::First)).await?;
        let keys = self.signing_keys(ctx).await?;
        keys.signing(ctx.now()).cloned().ok_or_else(|| Error::internal("the first signing key does not sign"))
    }

    async fn signing_keys(&self, ctx: &Ctx) -> Result<Arc<KeySet>> {
        let load = Box::pin(self.load_signing_keys(ctx));
        let loaded = self.inner.oauth.keys.0.try_get_with((), load).await;
        loaded.map_err(|error| shared_error(&error))
    }

    async fn load_signing_keys(&self, ctx: &Ctx) -> Result<Arc<KeySet>> {
        let mut tx = self.inner.store.read(&self.across_tenants(ctx)).await?;
        let mut keys = Vec::new();
        for stored in store::signing_keys::all(&mut tx).await? {
            let private_key =
                self.inner.store.open_secret(&mut tx, &key_purpose(&stored.id), &stored.private_key).await?;
            keys.push(Arc::new(SigningKey::open(&stored, &private_key)?));
        }
        Ok(Arc::new(KeySet(keys)))
    }

    async fn add_signing_key(&self, ctx: &Ctx, rotation: Rotation) -> Result<SigningKeyInfo> {
        let failed = |_| Error::internal("a signing key could not be made");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(failed)?;
        let public_key = pair.public_key().as_ref().to_vec();
        let id = thumbprint(&public_key)?;
        let now = ctx.now();
        let signs_from = match rotation {
            Rotation::WithOverlap => now + SHOWN_BEFORE_MICROS,
            Rotation::First | Rotation::AtOnce => now,
        };
        let mut tx = self.inner.store.begin(&self.across_tenants(ctx)).await?;
        store::signing_keys::lock(&mut tx).await?;
        if rotation == Rotation::First
            && let Some(first) = store::signing_keys::all(&mut tx).await?.into_iter().next()
        {
            // Another process was first.
            drop(tx);
            self.inner.oauth.keys.0.invalidate(&()).await;
            return Ok(SigningKeyInfo { id: first.id, signs_from: first.signs_from });
        }
        if rotation == Rotation::AtOnce {
            store::signing_keys::delete_all(&mut tx).await?;
        }
        let private_key = BASE64.encode(pkcs8.as_ref());
        let private_key = self.inner.store.seal_secret(&mut tx, &key_purpose(&id), &private_key).await?;
        let stored = StoredKey { id, public_key, private_key, created_at: now, signs_from };
        store::signing_keys::insert(&mut tx, ALGORITHM, &stored).await?;
        tx.commit().await?;
        self.inner.oauth.keys.0.invalidate(&()).await;
        self.tell_rotation(ctx, &stored).await?;
        Ok(SigningKeyInfo { id: stored.id, signs_from })
    }

    /// In the log of whoever asked for it, or in the installation's.
    async fn tell_rotation(&self, ctx: &Ctx, key: &StoredKey) -> Result<()> {
        let mut tx = self.inner.store.begin(ctx).await?;
        tx.emit(events::signing_key_created(&key.id, key.signs_from)).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rotation {
    First,
    WithOverlap,
    AtOnce,
}

/// A sealed private key belongs to the key `id`.
pub(crate) fn key_purpose(id: &str) -> String {
    format!("oauth-signing-key/{id}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    const DAY: i64 = 24 * 3_600 * 1_000_000;

    fn key(created_at: Timestamp, signs_from: Timestamp) -> Arc<SigningKey> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = pair.public_key().as_ref().to_vec();
        Arc::new(SigningKey { id: thumbprint(&public).unwrap(), public, pair, created_at, signs_from })
    }

    #[test]
    fn keys_overlap() {
        let keys = KeySet(vec![key(0, 0), key(90 * DAY, 90 * DAY + SHOWN_BEFORE_MICROS)]);
        let (old, new) = (keys.0[0].id.clone(), keys.0[1].id.clone());
        let signing = |now| keys.signing(now).unwrap().id.clone();
        let shown = |now| keys.shown(now).map(|key| key.id.clone()).collect::<Vec<_>>();
        assert_eq!(signing(90 * DAY), old);
        assert_eq!(shown(90 * DAY), [old.clone(), new.clone()]);
        assert_eq!(signing(90 * DAY + SHOWN_BEFORE_MICROS), new);
        assert_eq!(shown(96 * DAY), [old, new.clone()]);
        assert_eq!(shown(98 * DAY), [new]);
        assert!(keys.signing(-1).is_none());
        assert_eq!(KeySet(Vec::new()).shown(0).count(), 0);
    }

    #[test]
    fn a_signature_is_checked_with_the_coordinates_that_are_shown() {
        let key = key(0, 0);
        let jwk = key.jwk().unwrap();
        let point = [vec![4], BASE64URL.decode(&jwk.x).unwrap(), BASE64URL.decode(&jwk.y).unwrap()].concat();
        let signature = key.sign(b"message").unwrap();
        assert_eq!(signature.len(), 64);
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        public.verify(b"message", &signature).unwrap();
        assert!(public.verify(b"another message", &signature).is_err());
        assert_eq!(jwk.kid.len(), 43);
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        // The P-256 key of RFC 7517, appendix A.1.
        let x = BASE64URL.decode("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4").unwrap();
        let y = BASE64URL.decode("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM").unwrap();
        let public = [vec![4], x, y].concat();
        assert_eq!(thumbprint(&public).unwrap(), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
        assert!(thumbprint(&public[1..]).is_err());
    }
}
