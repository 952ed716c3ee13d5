//! Parsers of data from outside, for the program in `fuzz/`. It exists only when the crate is built for fuzzing.

use crate::{Secret, oauth, tokens, validation};

/// Each under its name.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[("token", token), ("login", login), ("oauth", oauth::fuzz)];

fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if tokens::is_plausible(text) {
        assert!(text.is_ascii() && text.len() <= 200, "a token that no table can hold");
    }
    let _ = tokens::check_own_key(text);
    let _ = tokens::shown_prefix(text);
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
