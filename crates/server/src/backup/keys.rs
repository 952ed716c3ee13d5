//! For whom a backup is encrypted: whoever holds a key, or knows a passphrase.
//!
//! A key is two: X25519, and ML-KEM-768 beside it, so that a backup that somebody keeps until there are quantum computers stays closed.
//! Both secrets together, with everything that was exchanged, make the key that wraps the backup's own.

use anyhow::{Context as _, Result, anyhow, bail};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{
    agreement::{self, PrivateKey, UnparsedPublicKey, X25519},
    hkdf::{HKDF_SHA256, Salt},
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::Random;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::format::{FileKey, KEY_BYTES, open_bytes, seal_bytes};

const RECIPIENT_MARK: &str = "plasma-backup-recipient1:";
const IDENTITY_MARK: &str = "plasma-backup-identity1:";
const X25519_BYTES: usize = 32;
const PASSPHRASE_CHARS_MIN: usize = 12;
/// argon2id: 64 MiB and 3 passes take about a fifth of a second.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
/// What a backup may ask of whoever opens it.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 10;
const CONTEXT: &[u8] = b"plasma backup 1";

/// For whom a backup is made.
pub(crate) enum Recipient {
    /// Whoever holds the identity that belongs to this key.
    Key(PublicKey),
    /// Whoever knows this.
    Passphrase(Zeroizing<String>),
}

/// The public half, as `plasma backup keygen` prints it.
pub(crate) struct PublicKey {
    x25519: [u8; X25519_BYTES],
    ml_kem: Vec<u8>,
}

/// What opens a backup.
pub(crate) enum Opener {
    /// The secret half of a key.
    Identity(Identity),
    /// A passphrase.
    Passphrase(Zeroizing<String>),
}

/// The secret half of a key.
pub(crate) struct Identity {
    x25519: Zeroizing<[u8; X25519_BYTES]>,
    ml_kem: Zeroizing<Vec<u8>>,
}

/// The backup's own key, wrapped for one recipient: a line of its header.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Wrapped {
    /// For a key.
    #[serde(rename = "x25519-ml-kem-768")]
    Key {
        /// X25519, made for this backup only.
        ephemeral: String,
        /// ML-KEM-768.
        ciphertext: String,
        key: String,
    },
    /// For a passphrase.
    #[serde(rename = "argon2id")]
    Passphrase { salt: String, memory_kib: u32, passes: u32, key: String },
}

/// A new key: the text of its identity and that of its recipient.
pub(crate) fn generate(random: &Random) -> Result<(Zeroizing<String>, String)> {
    let x25519: Zeroizing<[u8; X25519_BYTES]> = Zeroizing::new(random.bytes());
    let ml_kem = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| anyhow!("a key could not be made"))?;
    let public =
        ml_kem.encapsulation_key().and_then(|key| key.key_bytes()).map_err(|_| anyhow!("a key is unusable"))?;
    let secret = ml_kem.key_bytes().map_err(|_| anyhow!("a key is unusable"))?;
    let identity = Zeroizing::new([x25519.as_slice(), secret.as_ref()].concat());
    let recipient = [public_of(x25519.as_slice())?.as_slice(), public.as_ref()].concat();
    let identity = Zeroizing::new(format!("{IDENTITY_MARK}{}", STANDARD.encode(identity.as_slice())));
    Ok((identity, format!("{RECIPIENT_MARK}{}", STANDARD.encode(recipient))))
}

fn public_of(private: &[u8]) -> Result<[u8; X25519_BYTES]> {
    let key = PrivateKey::from_private_key(&X25519, private).map_err(|_| anyhow!("an X25519 key is unusable"))?;
    let public = key.compute_public_key().map_err(|_| anyhow!("an X25519 key is unusable"))?;
    public.as_ref().try_into().context("an X25519 key has the wrong length")
}

fn agreed(private: &[u8], public: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let unusable = || anyhow!("an X25519 key is unusable");
    let private = PrivateKey::from_private_key(&X25519, private).map_err(|_| unusable())?;
    agreement::agree(&private, UnparsedPublicKey::new(&X25519, public), unusable(), |secret| {
        Ok(Zeroizing::new(secret.to_vec()))
    })
}

/// The bytes behind `mark` in the only line of `text` that is no comment.
fn decode(text: &str, mark: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    STANDARD.decode(line.strip_prefix(mark)?).ok().map(Zeroizing::new)
}

impl PublicKey {
    /// Reads what `plasma backup keygen` printed.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong =
            || anyhow!("that is no recipient: it begins with {RECIPIENT_MARK} (`plasma backup keygen` makes one)");
        let bytes = decode(text, RECIPIENT_MARK).ok_or_else(wrong)?;
        let (x25519, ml_kem) = bytes.split_first_chunk::<X25519_BYTES>().ok_or_else(wrong)?;
        EncapsulationKey::new(&ML_KEM_768, ml_kem).map_err(|_| wrong())?;
        Ok(Self { x25519: *x25519, ml_kem: ml_kem.to_vec() })
    }
}

impl Identity {
    /// Reads what `plasma backup keygen` wrote.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong =
            || anyhow!("that is no identity: it begins with {IDENTITY_MARK} (`plasma backup keygen` makes one)");
        let bytes = decode(text, IDENTITY_MARK).ok_or_else(wrong)?;
        let (x25519, ml_kem) = bytes.split_first_chunk::<X25519_BYTES>().ok_or_else(wrong)?;
        DecapsulationKey::new(&ML_KEM_768, ml_kem).map_err(|_| wrong())?;
        Ok(Self { x25519: Zeroizing::new(*x25519), ml_kem: Zeroizing::new(ml_kem.to_vec()) })
    }
}

/// A passphrase from a file's first line.
pub(crate) fn passphrase(text: &str) -> Result<Zeroizing<String>> {
    let line = text.lines().next().unwrap_or_default().trim();
    if line.chars().count() < PASSPHRASE_CHARS_MIN {
        bail!(
            "a passphrase for backups has at least {PASSPHRASE_CHARS_MIN} characters: use some words that do not belong together"
        );
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Of both secrets, bound to all that was exchanged.
fn combine(agreed: &[u8], encapsulated: &[u8], ephemeral: &[u8], public: &[u8], ciphertext: &[u8]) -> Result<FileKey> {
    let secrets = Zeroizing::new([encapsulated, agreed].concat());
    let info = [CONTEXT, ephemeral, public, ciphertext];
    let mut key: FileKey = Zeroizing::new([0; KEY_BYTES]);
    Salt::new(HKDF_SHA256, CONTEXT)
        .extract(&secrets)
        .expand(&info, HKDF_SHA256)
        .and_then(|expanded| expanded.fill(key.as_mut_slice()))
        .map_err(|_| anyhow!("a key could not be derived"))?;
    Ok(key)
}

fn stretched(passphrase: &str, salt: &[u8], memory_kib: u32, passes: u32) -> Result<FileKey> {
    if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX {
        bail!("the backup asks for more work than any backup needs: it was tampered with");
    }
    let params = Params::new(memory_kib, passes, 1, Some(KEY_BYTES)).map_err(|error| anyhow!("argon2: {error}"))?;
    let mut key: FileKey = Zeroizing::new([0; KEY_BYTES]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .map_err(|error| anyhow!("argon2: {error}"))?;
    Ok(key)
}

impl Recipient {
    pub(super) fn wrap(&self, random: &Random, key: &FileKey) -> Result<Wrapped> {
        match self {
            Self::Key(public) => {
                let ephemeral: Zeroizing<[u8; X25519_BYTES]> = Zeroizing::new(random.bytes());
                let ephemeral_public = public_of(ephemeral.as_slice())?;
                let agreed = agreed(ephemeral.as_slice(), &public.x25519)?;
                let (ciphertext, encapsulated) = EncapsulationKey::new(&ML_KEM_768, &public.ml_kem)
                    .map_err(|_| anyhow!("a recipient's key is unusable"))?
                    .encapsulate()
                    .map_err(|_| anyhow!("a recipient's key is unusable"))?;
                let ciphertext = ciphertext.as_ref();
                let wrapping = combine(&agreed, encapsulated.as_ref(), &ephemeral_public, &public.x25519, ciphertext)?;
                Ok(Wrapped::Key {
                    ephemeral: STANDARD.encode(ephemeral_public),
                    ciphertext: STANDARD.encode(ciphertext),
                    key: STANDARD.encode(seal_bytes(&wrapping, random, key.as_slice())?),
                })
            }
            Self::Passphrase(passphrase) => {
                let salt: [u8; 16] = random.bytes();
                let wrapping = stretched(passphrase, &salt, MEMORY_KIB, PASSES)?;
                Ok(Wrapped::Passphrase {
                    salt: STANDARD.encode(salt),
                    memory_kib: MEMORY_KIB,
                    passes: PASSES,
                    key: STANDARD.encode(seal_bytes(&wrapping, random, key.as_slice())?),
                })
            }
        }
    }
}

impl Opener {
    /// The backup's own key, or `None` when it was not wrapped for this opener.
    pub(super) fn unwrap(&self, wrapped: &Wrapped) -> Result<Option<FileKey>> {
        let bytes = |text: &str| STANDARD.decode(text).context("the backup's header is damaged");
        let (wrapping, key) = match (self, wrapped) {
            (Self::Identity(identity), Wrapped::Key { ephemeral, ciphertext, key }) => {
                let (ephemeral, ciphertext) = (bytes(ephemeral)?, bytes(ciphertext)?);
                let public = public_of(identity.x25519.as_slice())?;
                let agreed = agreed(identity.x25519.as_slice(), &ephemeral)?;
                // A wrong ciphertext gives a wrong secret, with which nothing opens.
                let encapsulated = DecapsulationKey::new(&ML_KEM_768, &identity.ml_kem)
                    .map_err(|_| anyhow!("the identity is unusable"))?
                    .decapsulate(Ciphertext::from(ciphertext.as_slice()));
                let Ok(encapsulated) = encapsulated else { return Ok(None) };
                (combine(&agreed, encapsulated.as_ref(), &ephemeral, &public, &ciphertext)?, bytes(key)?)
            }
            (Self::Passphrase(passphrase), Wrapped::Passphrase { salt, memory_kib, passes, key }) => {
                (stretched(passphrase, &bytes(salt)?, *memory_kib, *passes)?, bytes(key)?)
            }
            _ => return Ok(None),
        };
        Ok(open_bytes(&wrapping, &key)
            .and_then(|key| <[u8; KEY_BYTES]>::try_from(key.as_slice()).ok())
            .map(Zeroizing::new))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn key() -> FileKey {
        Zeroizing::new([5; KEY_BYTES])
    }

    #[test]
    fn a_key_opens_what_was_wrapped_for_it_and_no_other_does() {
        let random = Random::system();
        let ((identity, recipient), (other, _)) = (generate(&random).unwrap(), generate(&random).unwrap());
        let with_comment = format!("# made today\n\n  {}\n", identity.as_str());
        let opener = |text: &str| Opener::Identity(Identity::parse(text).unwrap());
        let wrapped = Recipient::Key(PublicKey::parse(&recipient).unwrap()).wrap(&random, &key()).unwrap();
        assert_eq!(*opener(&with_comment).unwrap(&wrapped).unwrap().unwrap(), *key());
        assert!(opener(&other).unwrap(&wrapped).unwrap().is_none());
        assert!(Opener::Passphrase(Zeroizing::new("x".repeat(20))).unwrap(&wrapped).unwrap().is_none());
    }

    #[test]
    fn a_passphrase_opens_what_was_wrapped_with_it() {
        let random = Random::system();
        let opener = |text: &str| Opener::Passphrase(passphrase(text).unwrap());
        let wrapped =
            Recipient::Passphrase(passphrase("correct horse\nsecond line").unwrap()).wrap(&random, &key()).unwrap();
        assert_eq!(*opener("correct horse").unwrap(&wrapped).unwrap().unwrap(), *key());
        assert!(opener("incorrect horse").unwrap(&wrapped).unwrap().is_none());
        assert!(passphrase("too short").is_err());
        let costly =
            Wrapped::Passphrase { salt: "AAAA".to_owned(), memory_kib: u32::MAX, passes: 1, key: String::new() };
        assert!(opener("correct horse").unwrap(&costly).is_err());
    }

    #[test]
    fn each_part_of_a_wrapped_key_counts() {
        let random = Random::system();
        let (identity, recipient) = generate(&random).unwrap();
        let opener = Opener::Identity(Identity::parse(&identity).unwrap());
        let recipient = Recipient::Key(PublicKey::parse(&recipient).unwrap());
        for part in ["ephemeral", "ciphertext", "key"] {
            let wrapped = recipient.wrap(&random, &key()).unwrap();
            let mut json = serde_json::to_value(&wrapped).unwrap();
            let mut bytes = STANDARD.decode(json[part].as_str().unwrap()).unwrap();
            bytes[3] ^= 1;
            json[part] = STANDARD.encode(bytes).into();
            let changed: Wrapped = serde_json::from_value(json).unwrap();
            assert!(!matches!(opener.unwrap(&changed), Ok(Some(_))), "{part}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let (identity, recipient) = generate(&Random::system()).unwrap();
        for wrong in
            ["", "age1xyz", &identity[..100], &format!("{recipient}\n{recipient}"), &format!("{RECIPIENT_MARK}AAAA")]
        {
            assert!(PublicKey::parse(wrong).is_err(), "{wrong}");
            assert!(Identity::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Identity::parse(&recipient).is_err() && PublicKey::parse(&identity).is_err());
    }
}
