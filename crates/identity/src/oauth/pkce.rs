//! Proof Key for Code Exchange (RFC 7636), with S256 only: `plain` protects nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use plasma_kernel::{Code, Error, Result, equal_in_constant_time};
use sha2::{Digest as _, Sha256};

/// A SHA-256 in base64url.
const CHALLENGE_CHARS: usize = 43;
const VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

/// Checks what an authorization request says of its proof.
///
/// # Errors
/// `invalid` (`invalid_request`) without a challenge, for another method than S256, and for what is no SHA-256.
pub(crate) fn check_challenge(challenge: Option<&str>, method: Option<&str>) -> Result<String> {
    let wrong = |field: &str, what: &str| {
        Err(Error::new(Code::Invalid, "invalid_request", what.to_owned())
            .field(field)
            .remedy("send `code_challenge` and `code_challenge_method=S256` (RFC 7636)"))
    };
    let Some(challenge) = challenge else {
        return wrong("code_challenge", "`code_challenge` is missing: PKCE is required");
    };
    // An absent method would mean `plain`.
    if method != Some("S256") {
        return wrong("code_challenge_method", "`code_challenge_method` must be S256");
    }
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if challenge.len() != CHALLENGE_CHARS || !challenge.bytes().all(is_base64url) {
        return wrong("code_challenge", "`code_challenge` must be a SHA-256 in base64url without padding");
    }
    Ok(challenge.to_owned())
}

/// Whether `verifier` is what `challenge` was made of.
pub(crate) fn is_proven(verifier: &str, challenge: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    VERIFIER_CHARS.contains(&verifier.len())
        && verifier.bytes().all(is_unreserved)
        && equal_in_constant_time(
            BASE64URL.encode(Sha256::digest(verifier.as_bytes())).as_bytes(),
            challenge.as_bytes(),
        )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_verifier_of_the_specification_proves_its_challenge() {
        assert_eq!(check_challenge(Some(CHALLENGE), Some("S256")).unwrap(), CHALLENGE);
        assert!(is_proven(VERIFIER, CHALLENGE));
        assert!(!is_proven(CHALLENGE, CHALLENGE), "a challenge is not its own proof");
        assert!(!is_proven("", CHALLENGE));
        assert!(!is_proven(&VERIFIER[..42], CHALLENGE));
        assert!(!is_proven(&format!("{VERIFIER} "), CHALLENGE));
        assert!(!is_proven(VERIFIER, ""));
    }

    #[test]
    fn a_weaker_proof_is_refused() {
        for (challenge, method) in [
            (None, Some("S256")),
            (None, None),
            (Some(CHALLENGE), None),
            (Some(CHALLENGE), Some("plain")),
            (Some(CHALLENGE), Some("s256")),
            (Some(CHALLENGE), Some("")),
            (Some(""), Some("S256")),
            (Some(&CHALLENGE[1..]), Some("S256")),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"), Some("S256")),
        ] {
            assert_eq!(
                check_challenge(challenge, method).unwrap_err().reason(),
                "invalid_request",
                "{challenge:?} {method:?}"
            );
        }
    }
}
