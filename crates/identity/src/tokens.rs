//! Tokens: how they are made, recognized and looked up.

use plasma_kernel::{Error, Random, Result};
use sha2::{Digest as _, Sha256};

use crate::Secret;

/// What every session token begins with.
pub(crate) const SESSION_PREFIX: &str = "pls_";
/// What every API key begins with.
pub(crate) const API_KEY_PREFIX: &str = "plk_";
/// What the token of a login that needs another proof begins with.
pub(crate) const PENDING_PREFIX: &str = "plp_";
/// What the token in a mailed link begins with.
pub(crate) const LINK_PREFIX: &str = "pll_";
/// What the token of a passkey's ceremony begins with.
pub(crate) const CEREMONY_PREFIX: &str = "plw_";
/// What the value of the cookie begins with that binds a mailed link to the browser that asked for it.
pub(crate) const BROWSER_PREFIX: &str = "plb_";
/// What every access token of an application begins with.
pub(crate) const ACCESS_TOKEN_PREFIX: &str = "pla_";
/// What every refresh token begins with.
pub(crate) const REFRESH_TOKEN_PREFIX: &str = "plr_";

/// 5 bits a character: 260 bits, of which the shown prefix of a key gives away 40.
const TOKEN_CHARS: usize = 52;
/// A key ends in a checksum of 30 bits, so that scanners of leaked secrets recognize it, and a mistyped one is refused early.
const CHECKSUM_CHARS: usize = 6;
/// The length of a key that we make. Older ones have no checksum and are shorter; those of the configuration have any length.
const API_KEY_BYTES: usize = API_KEY_PREFIX.len() + TOKEN_CHARS + CHECKSUM_CHARS;
/// Longer than any token that we make or accept.
const TOKEN_BYTES_MAX: usize = 200;
/// A key from the configuration must be at least this long after its prefix.
const OWN_KEY_CHARS_MIN: usize = 32;
/// How much of a key is shown.
const SHOWN_CHARS: usize = 12;

/// Digits and letters without those that are mistaken for others (i, l, o, u).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The SHA-256 of a token or another text: what is stored and looked up in its place.
///
/// A plain hash is enough for tokens of 256 random bits; passwords get argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What a table holds; `None` when it has another length.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// `chars` random characters of 5 bits each.
pub(crate) fn random_text(random: &Random, chars: usize) -> String {
    let mut bytes = vec![0; chars];
    random.fill(&mut bytes);
    bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31))).copied().map(char::from).collect()
}

pub(crate) fn new_session_token(random: &Random) -> Secret {
    Secret::new(format!("{SESSION_PREFIX}{}", random_text(random, TOKEN_CHARS)))
}

/// A token of 260 random bits for some moment of a login.
pub(crate) fn new_token(random: &Random, prefix: &str) -> Secret {
    Secret::new(format!("{prefix}{}", random_text(random, TOKEN_CHARS)))
}

/// Whether `token` can be one that [`new_token`] made; what cannot is refused without a look into the database.
pub(crate) fn has_form(token: &str, prefix: &str) -> bool {
    token.starts_with(prefix) && has_token_form(token)
}

/// A recovery code: four groups of four characters, 80 bits.
pub(crate) fn new_recovery_code(random: &Random) -> Secret {
    let groups: Vec<String> = (0..4).map(|_| random_text(random, 4)).collect();
    Secret::new(groups.join("-"))
}

pub(crate) fn new_api_key(random: &Random) -> Secret {
    let key = format!("{API_KEY_PREFIX}{}", random_text(random, TOKEN_CHARS));
    Secret::new(format!("{key}{}", checksum(&key)))
}

/// The low 30 bits of the CRC-32 of `text`, five bits a character.
fn checksum(text: &str) -> String {
    let sum = crc32fast::hash(text.as_bytes());
    (0..CHECKSUM_CHARS)
        .rev()
        .filter_map(|position| ALPHABET.get(((sum >> (position * 5)) & 31) as usize))
        .copied()
        .map(char::from)
        .collect()
}

/// False when it has the form of a key that we make, but another checksum: then it is none.
fn checksum_fits(token: &str) -> bool {
    let is_ours = token.len() == API_KEY_BYTES
        && token.strip_prefix(API_KEY_PREFIX).is_some_and(|rest| rest.bytes().all(|byte| ALPHABET.contains(&byte)));
    // Only ASCII so far, so that the cut is between characters.
    !is_ours || token.split_at_checked(API_KEY_BYTES - CHECKSUM_CHARS).is_some_and(|(key, sum)| checksum(key) == sum)
}

pub(crate) fn new_access_token(random: &Random) -> Secret {
    Secret::new(format!("{ACCESS_TOKEN_PREFIX}{}", random_text(random, TOKEN_CHARS)))
}

pub(crate) fn new_refresh_token(random: &Random) -> Secret {
    Secret::new(format!("{REFRESH_TOKEN_PREFIX}{}", random_text(random, TOKEN_CHARS)))
}

pub(crate) fn new_authorization_code(random: &Random) -> Secret {
    Secret::new(format!("plo_{}", random_text(random, TOKEN_CHARS)))
}

pub(crate) fn new_device_code(random: &Random) -> Secret {
    Secret::new(format!("pld_{}", random_text(random, TOKEN_CHARS)))
}

pub(crate) fn new_client_secret(random: &Random) -> Secret {
    Secret::new(format!("plc_{}", random_text(random, TOKEN_CHARS)))
}

/// A password that a person can copy from a terminal: five groups of four characters, 100 bits.
pub(crate) fn new_password(random: &Random) -> Secret {
    let groups: Vec<String> = (0..5).map(|_| random_text(random, 4)).collect();
    Secret::new(groups.join("-"))
}

/// Whether it can be a token at all; what cannot is refused without a look into the database.
pub(crate) fn is_plausible(token: &str) -> bool {
    [SESSION_PREFIX, API_KEY_PREFIX, ACCESS_TOKEN_PREFIX].iter().any(|prefix| token.starts_with(prefix))
        && has_token_form(token)
        && checksum_fits(token)
}

fn has_token_form(token: &str) -> bool {
    token.len() <= TOKEN_BYTES_MAX
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// What of a key is stored in the clear and shown.
pub(crate) fn shown_prefix(key: &str) -> String {
    key.chars().take(SHOWN_CHARS).collect()
}

/// Checks a key that somebody chose themselves.
pub(crate) fn check_own_key(key: &str) -> Result<()> {
    let long_enough = key.strip_prefix(API_KEY_PREFIX).is_some_and(|rest| rest.len() >= OWN_KEY_CHARS_MIN);
    if long_enough && has_token_form(key) {
        if checksum_fits(key) {
            return Ok(());
        }
        return Err(Error::invalid(
            "bootstrap_api_key",
            format!("a key of {API_KEY_BYTES} characters ends in a checksum, and this one's is wrong"),
        )
        .remedy("copy the key again, or choose one of another length"));
    }
    Err(Error::invalid(
        "bootstrap_api_key",
        format!(
            "a key is `{API_KEY_PREFIX}` and then at least {OWN_KEY_CHARS_MIN} letters, digits, `-` or `_`, \
             {TOKEN_BYTES_MAX} characters in all at most"
        ),
    )
    .remedy("make one with: echo \"plk_$(openssl rand -hex 32)\""))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_are_plausible_and_differ() {
        let random = Random::system();
        let tokens: HashSet<String> = (0..100).map(|_| new_api_key(&random).expose().to_owned()).collect();
        assert_eq!(tokens.len(), 100);
        assert!(tokens.iter().all(|token| is_plausible(token) && token.len() == 62 && check_own_key(token).is_ok()));
        assert!(is_plausible(new_session_token(&random).expose()));
        assert!(is_plausible(new_access_token(&random).expose()));
        // What belongs to the token endpoint opens nothing else.
        for token in [new_refresh_token, new_authorization_code, new_device_code, new_client_secret] {
            assert!(!is_plausible(token(&random).expose()));
        }
    }

    #[test]
    fn a_checksum_is_the_same_for_ever() {
        // Scanners of other people look for it: it cannot be changed.
        let key = format!("plk_{}", "0".repeat(52));
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum("123456789"), "5z8e96");
        assert!(is_plausible(&format!("{key}{}", checksum(&key))));
    }

    #[test]
    fn a_mistyped_key_is_refused_early_and_older_ones_are_not() {
        let key = new_api_key(&Random::system()).expose().to_owned();
        for place in 4..key.len() {
            let other = if key.as_bytes()[place] == b'0' { '1' } else { '0' };
            let mistyped: String =
                key.chars().enumerate().map(|(index, letter)| if index == place { other } else { letter }).collect();
            assert!(!is_plausible(&mistyped), "{place}");
            assert!(check_own_key(&mistyped).is_err());
        }
        // Without a checksum, as they were made before; and one that somebody chose.
        assert!(is_plausible(&key[..56]));
        assert!(is_plausible(&format!("plk_{}", "A".repeat(58))));
        assert!(is_plausible(&format!("plk_{}", "f".repeat(64))));
    }

    #[test]
    fn what_is_no_token_is_refused_early() {
        let endless = format!("plk_{}", "a".repeat(1_000));
        for text in ["", "plk", "sk-abc", "plk_ä", "plk_a b", "plk_a\0", endless.as_str()] {
            assert!(!is_plausible(text), "{text:?}");
        }
    }

    #[test]
    fn an_own_key_must_be_long_and_plain() {
        let key = |rest: &str| check_own_key(&format!("plk_{rest}")).is_ok();
        assert!(key(&"a".repeat(32)));
        assert!(!key(&"a".repeat(31)));
        assert!(!key(&format!("{} ", "a".repeat(40))));
        assert!(!key(&"a".repeat(300)));
        assert!(check_own_key(&"a".repeat(60)).is_err());
    }

    #[test]
    fn a_generated_password_has_a_hundred_bits() {
        let password = new_password(&Random::system());
        assert_eq!(password.expose().len(), 24);
        assert_eq!(password.expose().matches('-').count(), 4);
    }

    #[test]
    fn tokens_of_one_kind_do_not_pass_as_another() {
        let token = new_token(&Random::system(), PENDING_PREFIX);
        assert!(has_form(token.expose(), PENDING_PREFIX));
        assert!(!has_form(token.expose(), LINK_PREFIX));
        assert!(!is_plausible(token.expose()), "it opens nothing by itself");
        assert!(!has_form("plp_ä", PENDING_PREFIX));
        assert_eq!(new_recovery_code(&Random::system()).expose().len(), 19);
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("plk_abc")), "[secret]");
    }
}
