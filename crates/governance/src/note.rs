//! Checkpoints as signed notes: C2SP `tlog-checkpoint` and `signed-note`, with Ed25519 (signature type 0x01).

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{Error, Result};
use sha2::{Digest as _, Sha256};

use crate::merkle::Hash;

/// Bytes of a public key.
pub const PUBLIC_KEY_BYTES: usize = 32;
/// Bytes of a seed, from which the private key is made.
pub(crate) const SEED_BYTES: usize = 32;
/// The type of the signature, as it stands in front of the key.
const ED25519_TYPE: u8 = 1;
/// Larger texts are no checkpoint.
const NOTE_BYTES_MAX: usize = 64 << 10;
/// What stands in front of a public key in the standard form for keys (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What a checkpoint says: this log had this root when it had this size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Names the log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let has_leading_zero = size.len() > 1 && size.starts_with('0');
        if origin.is_empty() || has_leading_zero || !size.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let root = STANDARD.decode(root).ok()?.try_into().ok()?;
        Some(Self { origin: origin.to_owned(), size: size.parse().ok()?, root })
    }
}

/// The public half of the key that signs checkpoints.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; PUBLIC_KEY_BYTES]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&STANDARD.encode(self.0))
    }
}

impl PublicKey {
    /// Reads a key in any of the forms in which it is given out: base64, a verifier's key of a signed note
    /// (`name+id+base64`), or PEM.
    ///
    /// # Errors
    /// `invalid` (field `key`) when it is none of these.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let lines = || text.lines().filter(|line| !line.starts_with("-----")).collect::<String>();
        // Base64 may itself have a plus: a verifier's name and id end at the first two.
        let key = [Some(lines()), text.splitn(3, '+').nth(2).map(str::to_owned)]
            .into_iter()
            .flatten()
            .filter_map(|encoded| STANDARD.decode(encoded).ok())
            .find_map(|bytes| {
                let bytes = bytes.strip_prefix(&SPKI_PREFIX[..]).unwrap_or(&bytes);
                let bytes = match bytes {
                    [ED25519_TYPE, key @ ..] if key.len() == PUBLIC_KEY_BYTES => key,
                    other => other,
                };
                <[u8; PUBLIC_KEY_BYTES]>::try_from(bytes).ok()
            });
        key.map(Self).ok_or_else(|| {
            Error::invalid("key", "is not a public key of Ed25519")
                .remedy("give the file or the text that GET /api/v1/audit/key shows")
        })
    }

    /// The key in base64.
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The key in the standard form for keys, which `openssl` reads.
    pub fn pem(&self) -> String {
        let encoded = STANDARD.encode([SPKI_PREFIX.as_slice(), &self.0].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{encoded}\n-----END PUBLIC KEY-----\n")
    }

    /// The key as verifiers of signed notes want it: with the name of the log.
    pub fn verifier_key(&self, name: &str) -> String {
        let id: String = self.id(name).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name}+{id}+{}", STANDARD.encode([&[ED25519_TYPE], self.0.as_slice()].concat()))
    }

    /// The first bytes of the hash of a name and the key: tells which key made a signature.
    fn id(&self, name: &str) -> [u8; 4] {
        let mut hasher = Sha256::new();
        hasher.update(name);
        hasher.update([b'\n', ED25519_TYPE]);
        hasher.update(self.0);
        let hash: Hash = hasher.finalize().into();
        let [first, second, third, fourth, ..] = hash;
        [first, second, third, fourth]
    }
}

/// Signs checkpoints.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl Signer {
    pub(crate) fn from_seed(seed: &[u8; SEED_BYTES]) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|error| Error::from_source("the key of the audit log cannot be used", error))?;
        let public = <[u8; PUBLIC_KEY_BYTES]>::try_from(pair.public_key().as_ref())
            .map_err(|error| Error::from_source("a public key has the wrong length", error))?;
        Ok(Self { pair, public: PublicKey(public) })
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.public
    }

    /// The note that says and signs what `checkpoint` says. The key's name is the log's.
    pub(crate) fn sign(&self, checkpoint: &Checkpoint) -> Result<String> {
        let text = checkpoint.text();
        let signature = self
            .pair
            .try_sign(text.as_bytes())
            .map_err(|error| Error::from_source("a checkpoint could not be signed", error))?;
        let id = self.public.id(&checkpoint.origin);
        let signature = STANDARD.encode([id.as_slice(), signature.as_ref()].concat());
        Ok(format!("{text}\n\u{2014} {} {signature}\n", checkpoint.origin))
    }
}

/// Why a note is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteError {
    /// It is no checkpoint at all.
    Malformed,
    /// No signature in it is of this key, or the one that says so is wrong.
    Signature,
}

impl fmt::Display for NoteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "it is not a checkpoint",
            Self::Signature => "it is not signed by the log's key",
        })
    }
}

/// What a note says, if `key` signed it under the log's own name.
///
/// # Errors
/// [`NoteError`].
pub fn open(note: &str, key: &PublicKey) -> Result<Checkpoint, NoteError> {
    if note.len() > NOTE_BYTES_MAX || note.chars().any(|letter| letter.is_ascii_control() && letter != '\n') {
        return Err(NoteError::Malformed);
    }
    let split = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
    let (text, signatures) = note.split_at_checked(split + 1).ok_or(NoteError::Malformed)?;
    let checkpoint = Checkpoint::from_text(text).ok_or(NoteError::Malformed)?;
    let id = key.id(&checkpoint.origin);
    let signature = signatures.lines().find_map(|line| {
        let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let decoded = STANDARD.decode(encoded).ok()?;
        let signature = decoded.strip_prefix(&id[..])?.to_vec();
        (name == checkpoint.origin).then_some(signature)
    });
    let signature = signature.ok_or(NoteError::Signature)?;
    UnparsedPublicKey::new(&ED25519, key.0).verify(text.as_bytes(), &signature).map_err(|_| NoteError::Signature)?;
    Ok(checkpoint)
}

/// What a note says, whoever signed it. Only to show it, never to trust it.
pub(crate) fn unverified(note: &str) -> Option<Checkpoint> {
    let split = note.rfind("\n\n")?;
    Checkpoint::from_text(note.get(..=split)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signer() -> Signer {
        Signer::from_seed(&[7; SEED_BYTES]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "plasma-1/audit/ten_1".to_owned(), size: 20_852_163, root: [9; 32] }
    }

    #[test]
    fn a_note_of_another_log_is_read_and_not_taken() {
        // The example of C2SP tlog-checkpoint; its key is not published with it.
        let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
                    \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        let read = unverified(note).unwrap();
        assert_eq!((read.origin.as_str(), read.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(open(note, &signer().public()), Err(NoteError::Signature));
    }

    #[test]
    fn the_key_has_the_form_of_the_go_implementation() {
        // golang.org/x/mod/sumdb/note: the key of PeterNeumann.
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key = PublicKey::parse(text).unwrap();
        assert_eq!(key.verifier_key("PeterNeumann"), text);
        // And a note that it signed.
        let note = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
                    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let split = note.rfind("\n\n").unwrap();
        let signature = STANDARD.decode(note.trim().rsplit(' ').next().unwrap()).unwrap();
        assert_eq!(signature[..4], key.id("PeterNeumann"));
        UnparsedPublicKey::new(&ED25519, key.0).verify(&note.as_bytes()[..=split], &signature[4..]).unwrap();
    }

    #[test]
    fn what_is_signed_opens_and_nothing_else() {
        let (signer, checkpoint) = (signer(), checkpoint());
        let note = signer.sign(&checkpoint).unwrap();
        assert_eq!(open(&note, &signer.public()), Ok(checkpoint.clone()));
        let other = Signer::from_seed(&[8; SEED_BYTES]).unwrap();
        assert_eq!(open(&note, &other.public()), Err(NoteError::Signature));
        // Another's signature beside ours is ignored.
        let both = format!("{note}{}", other.sign(&checkpoint).unwrap().lines().last().unwrap()) + "\n";
        assert_eq!(open(&both, &signer.public()), Ok(checkpoint.clone()));
        for (from, to) in [("20852163", "20852164"), ("ten_1", "ten_2"), ("\u{2014} plasma", "\u{2014} plasmb")] {
            let forged = note.replacen(from, to, 1);
            assert_eq!(open(&forged, &signer.public()), Err(NoteError::Signature), "{from}");
        }
        for malformed in ["", "\n\n", "a\n1\n\n", &note.replace("20852163", "020852163"), &note.replace('\n', "\r\n")] {
            assert_eq!(open(malformed, &signer.public()), Err(NoteError::Malformed), "{malformed:?}");
        }
    }

    #[test]
    fn a_key_survives_every_form() {
        for seed in 0..40 {
            let key = Signer::from_seed(&[seed; SEED_BYTES]).unwrap().public();
            for text in
                [key.base64(), key.pem(), key.verifier_key("plasma-1/audit/ten_1"), format!(" {}\n", key.base64())]
            {
                assert_eq!(PublicKey::parse(&text).unwrap(), key, "{text}");
            }
        }
        assert_eq!(PublicKey::parse("nonsense").unwrap_err().field_name(), Some("key"));
    }

    proptest! {
        #[test]
        fn hostile_notes_never_panic(note in "(?s).{0,200}", key: [u8; 32]) {
            let _ = open(&note, &PublicKey(key));
            let _ = unverified(&note);
            let _ = PublicKey::parse(&note);
        }
    }
}
