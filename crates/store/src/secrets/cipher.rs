//! The bytes: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with random 192-bit nonces.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use plasma_kernel::{Error, Random, Result};
use zeroize::Zeroizing;

pub(super) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

pub(super) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// What sealed values begin with since data keys have versions. Older ones begin with their nonce.
const MARK: [u8; 4] = *b"PSE\x01";
/// The mark and the version. The statements on sealed columns compare so many bytes.
const HEADER_BYTES: usize = 8;

/// What a value begins with that was sealed under this version of a data key.
pub(super) fn header(version: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let (mark, number) = header.split_at_mut(MARK.len());
    mark.copy_from_slice(&MARK);
    number.copy_from_slice(&version.to_be_bytes());
    header
}

/// The version in a sealed value's header and what follows; `None` when it has none. A value without a header begins like one
/// with a probability of 2^-32: whoever cannot open it under the version tries it without.
pub(super) fn split_header(sealed: &[u8]) -> Option<(u32, &[u8])> {
    let (mark, rest) = sealed.split_first_chunk::<4>()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    (*mark == MARK).then(|| (u32::from_be_bytes(*version), rest))
}

/// `associated` must be given again to open it.
pub(super) fn seal(key: &Key, random: &Random, associated: &str, plaintext: &[u8]) -> Result<Vec<u8>> {
    let nonce: [u8; NONCE_BYTES] = random.bytes();
    let sealed = XChaCha20Poly1305::new((&**key).into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad: associated.as_bytes() })
        .map_err(|_| Error::internal("a secret could not be sealed"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// `None` when it was changed, or sealed under another key or for another purpose.
pub(super) fn open(key: &Key, associated: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    XChaCha20Poly1305::new((&**key).into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: associated.as_bytes() })
        .map(Zeroizing::new)
        .ok()
}

pub(super) fn key_from_bytes(bytes: &[u8]) -> Option<Key> {
    bytes.try_into().ok().map(Zeroizing::new)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_its_version_and_nothing_else_does() {
        assert_eq!(split_header(&[header(7).as_slice(), b"rest"].concat()), Some((7, b"rest".as_slice())));
        assert_eq!(split_header(&header(u32::MAX)), Some((u32::MAX, b"".as_slice())));
        for other in [b"".as_slice(), b"PSE", b"PSE\x01\0\0\0", b"PSE\x02\0\0\0\x01rest", &[0; 40]] {
            assert_eq!(split_header(other), None);
        }
    }

    #[test]
    fn the_same_text_is_sealed_differently_each_time() {
        let key = key_from_bytes(&[3; KEY_BYTES]).unwrap();
        let random = Random::system();
        let (one, other) = (seal(&key, &random, "a", b"text").unwrap(), seal(&key, &random, "a", b"text").unwrap());
        assert_ne!(one, other);
        assert_eq!(open(&key, "a", &one).unwrap().as_slice(), b"text");
        assert!(open(&key, "b", &one).is_none());
        assert!(key_from_bytes(&[3; KEY_BYTES - 1]).is_none());
    }
}
