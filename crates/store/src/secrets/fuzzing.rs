//! Sealed values and the keys that seal them, for the program in `fuzz/`.

use plasma_kernel::Random;
use zeroize::Zeroizing;

use super::{
    associated,
    cipher::{self, KEY_BYTES, Key},
    key_file, vault,
};

/// A version, a place and a bit in the sealed value, and what is sealed; the same bytes also as a sealed value themselves.
pub(crate) fn sealed(bytes: &[u8]) {
    if let Some((version, body)) = cipher::split_header(bytes) {
        assert_eq!([cipher::header(version).as_slice(), body].concat(), bytes, "two headers of one version");
    }
    let Some((version, rest)) = bytes.split_first_chunk::<4>() else { return };
    let [place, bit, plaintext @ ..] = rest else { return };
    let version = u32::from_be_bytes(*version);
    let key: Key = Zeroizing::new([3; KEY_BYTES]);
    let purpose = associated("ten_1", "a purpose", version);
    let Ok(sealed) = cipher::seal(&key, &Random::seeded(1), &purpose, plaintext) else { return };
    let stored = [cipher::header(version).as_slice(), &sealed].concat();
    assert_eq!(cipher::split_header(&stored), Some((version, sealed.as_slice())));
    let opens = |key: &Key, purpose: &str, sealed: &[u8]| {
        cipher::open(key, purpose, sealed).is_some_and(|opened| opened.as_slice() == plaintext)
    };
    assert!(opens(&key, &purpose, &sealed), "what was sealed does not open");
    for other in [
        associated("ten_2", "a purpose", version),
        associated("ten_1", "another purpose", version),
        associated("ten_1", "a purpose", version.wrapping_add(1)),
    ] {
        assert!(cipher::open(&key, &other, &sealed).is_none(), "a value opens in another's place");
    }
    assert!(cipher::open(&Zeroizing::new([4; KEY_BYTES]), &purpose, &sealed).is_none(), "another key opens it");
    let mut changed = sealed;
    let place = usize::from(*place) % changed.len();
    if let Some(byte) = changed.get_mut(place) {
        *byte ^= 1 << (bit % 8);
    }
    assert!(cipher::open(&key, &purpose, &changed).is_none(), "a changed value opens");
}

pub(crate) fn key_file(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        key_file::fuzz(text);
    }
}

/// A status and a body.
pub(crate) fn answer(bytes: &[u8]) {
    if let Some((status, body)) = bytes.split_first_chunk::<2>() {
        vault::fuzz(u16::from_be_bytes(*status) % 600, body);
    }
}
