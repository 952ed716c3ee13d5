//! Parsers of data from outside, for the program in `fuzz/`. It exists only when the crate is built for fuzzing.

mod policies;

use std::net::IpAddr;

use ipnet::IpNet;
use plasma_kernel::{Random, UserId};

use crate::{
    Secret, branding, ceremonies, networks, oauth, pictures, second_factor::recovery_fingerprint, sso, tokens, totp,
    validation,
};

/// Each under its name.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("token", token),
    ("api_key", api_key),
    ("login", login),
    ("codes", codes),
    ("passkey", ceremonies::fuzzing::passkey),
    ("networks", ranges),
    ("policy", policies::policy),
    ("branding", branding::fuzzing::looks),
    ("tenant_logo", logo),
    ("oauth", oauth::fuzz),
    ("oauth_authorization", oauth::fuzz_authorization),
    ("sso_discovery", sso::fuzzing::discovery),
    ("sso_keys", sso::fuzzing::key_set),
    ("sso_id_token", sso::fuzzing::id_token),
    ("sso_logout_token", sso::fuzzing::logout_token),
    ("sso_claims", sso::fuzzing::claim_rules),
    ("sso_addresses", sso::fuzzing::addresses),
];

fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if tokens::is_plausible(text) {
        assert!(text.is_ascii() && text.len() <= 200, "a token that no table can hold");
    }
    let _ = tokens::check_own_key(text);
    let _ = tokens::shown_prefix(text);
}

/// Eight bytes make a key of ours, the ninth says which of its letters is mistyped, and the last as which.
fn api_key(bytes: &[u8]) {
    let Some((seed, rest)) = bytes.split_first_chunk::<8>() else { return };
    let made = tokens::new_api_key(&Random::seeded(u64::from_be_bytes(*seed)));
    let key = made.expose();
    assert!(tokens::is_plausible(key) && tokens::check_own_key(key).is_ok(), "a key of ours is refused");
    let [place, other, ..] = rest else { return };
    // Behind the prefix: with another one it is no key.
    let place = 4 + usize::from(*place) % (key.len() - 4);
    let other = tokens::random_text(&Random::seeded(u64::from(*other)), 1);
    let letters = key.chars().enumerate();
    let mistyped: String =
        letters.filter_map(|(at, letter)| if at == place { other.chars().next() } else { Some(letter) }).collect();
    if mistyped != key {
        assert!(!tokens::is_plausible(&mistyped) && tokens::check_own_key(&mistyped).is_err(), "a mistake is not seen");
    }
}

/// An e-mail address, a line break, and a password.
fn login(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (email, password) = text.split_once('\n').unwrap_or((text, ""));
    let password = Secret::new(password);
    let _ = validation::login(email, &password);
    let _ = validation::password("password", &password, email);
    let _ = validation::name("name", email);
    if let Ok(normal) = validation::email("email", email) {
        assert_eq!(validation::email("email", &normal).ok().as_ref(), Some(&normal), "two forms of one address");
    }
}

/// The time, and what somebody types as a second factor: a code of an authenticator, or one for the day when it is lost.
fn codes(bytes: &[u8]) {
    let Some((now, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Ok(typed) = std::str::from_utf8(rest) else { return };
    totp::fuzz(i64::from_be_bytes(*now), typed);
    let (user, other) = (UserId::from_bits(1), UserId::from_bits(2));
    let code = recovery_fingerprint(user, typed);
    assert_eq!(recovery_fingerprint(user, &typed.to_ascii_uppercase()), code, "capitals matter");
    assert_eq!(recovery_fingerprint(user, &format!(" -{typed}- ")), code, "what stands between letters matters");
    assert_ne!(recovery_fingerprint(other, typed), code, "the code of one person is another's");
}

/// A network on each line, as in a policy for logins or of a key, and an address on the last one.
fn ranges(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (lines, address) = text.rsplit_once('\n').unwrap_or((text, ""));
    let address = address.parse::<IpAddr>().ok();
    let read: Vec<IpNet> = lines.lines().take(100).filter_map(networks::read).collect();
    for network in &read {
        let written = network.to_string();
        assert_eq!(networks::read(&written).as_ref(), Some(network), "two forms of one network");
        assert!(networks::stored([written.as_str()]).iter().eq([network]), "a stored network is another one");
    }
    assert!(networks::allow(&[], address), "without networks every address is fine");
    if read.is_empty() {
        return;
    }
    let is_inside = |address: IpAddr| read.iter().any(|network| network.contains(&address.to_canonical()));
    assert_eq!(networks::allow(&read, address), address.is_some_and(is_inside));
}

fn logo(bytes: &[u8]) {
    if let Ok(kind) = pictures::check("logo", bytes) {
        assert!(matches!(kind, "image/png" | "image/jpeg" | "image/webp"), "{kind}");
        assert!(bytes.len() <= pictures::PICTURE_BYTES_MAX);
    }
}
