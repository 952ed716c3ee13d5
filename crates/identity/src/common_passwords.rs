//! Whether a new password is one of those that are tried first: leaked ones, single words and names, also with a few digits
//! around. Looked up in a file that is compiled in; `scripts/common_passwords.py` makes it and says of what.

use plasma_kernel::{Code, Error, Result};
use sha2::{Digest as _, Sha256};

use crate::{Secret, validation};

/// The first bytes of SHA-256 hashes, sorted.
const ENTRIES: &[u8] = include_bytes!("../data/common-passwords.bin");
const ENTRY_BYTES: usize = 4;
/// The file has no shorter entries.
const CORE_CHARS_MIN: usize = 4;
/// Digits and signs around a common word that do not make it a good password.
const AROUND_CHARS_MAX: usize = 6;

/// Checks a new password of the user with this (stored) e-mail: its length, that it is not the e-mail, and that it is not
/// common.
///
/// # Errors
/// `invalid`, and `invalid` (`common_password`).
pub(crate) fn check_new(field: &str, password: &Secret, email: &str) -> Result<()> {
    validation::password(field, password, email)?;
    if is_common(password.expose()) {
        return Err(Error::new(
            Code::Invalid,
            "common_password",
            "this password is among those that are tried first: it leaked somewhere, or is a single word or name",
        )
        .field(field)
        .remedy("use a few words that belong together only for you"));
    }
    Ok(())
}

fn is_common(password: &str) -> bool {
    let password = password.to_lowercase();
    if is_listed(&password) {
        return true;
    }
    let core = password.trim_matches(|letter: char| !letter.is_alphabetic());
    let core_chars = core.chars().count();
    core_chars >= CORE_CHARS_MIN && password.chars().count() - core_chars <= AROUND_CHARS_MAX && is_listed(core)
}

fn is_listed(text: &str) -> bool {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let (entries, _) = ENTRIES.as_chunks::<ENTRY_BYTES>();
    hash.first_chunk::<ENTRY_BYTES>().is_some_and(|prefix| entries.binary_search(prefix).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaked_and_single_words_are_common() {
        for password in
            ["1234567890", "qwertyuiop", "1q2w3e4r5t", "Password123", "understanding", "MichaelJackson", "aaaaaaaaaa"]
        {
            assert!(is_common(password), "{password}");
        }
    }

    #[test]
    fn digits_and_signs_around_a_common_word_do_not_help() {
        for password in ["Password2024!", "football1234", "!!dragon!!77", "1monkey12345"] {
            assert!(is_common(password), "{password}");
        }
    }

    #[test]
    fn several_words_and_random_ones_are_not() {
        for password in
            ["correct horse battery", "a-password-for-tests", "k7Qz-93mv-tt2a-zzp1", "dragon 4711 under the stairs"]
        {
            assert!(!is_common(password), "{password}");
        }
    }

    #[test]
    fn the_entries_are_sorted_and_enough() {
        let (entries, rest) = ENTRIES.as_chunks::<ENTRY_BYTES>();
        assert!(rest.is_empty() && entries.len() > 100_000);
        assert!(entries.is_sorted());
    }

    #[test]
    fn the_refusal_names_the_field() {
        let check = |text: &str| check_new("new_password", &Secret::new(text), "ada@example.org");
        assert_eq!(
            check("football1234").map_err(|error| (error.reason(), error.field_name().map(str::to_owned))),
            Err(("common_password", Some("new_password".to_owned())))
        );
        assert!(check("a few words of mine").is_ok());
        assert!(check("short").is_err());
    }
}
