//! One-time codes of authenticator applications: RFC 6238 with SHA-1, six digits and thirty seconds, which is what every
//! application knows. Only computation; the secrets are kept in `factors.rs`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use plasma_kernel::{Error, Random, Result, Timestamp, equal_in_constant_time};
use qrcode::{QrCode, render::svg};
use sha1::Sha1;

use crate::Secret;

const STEP_MICROS: i64 = 30 * 1_000_000;
/// A clock that is off by less than a step is forgiven.
const DRIFT_STEPS: i64 = 1;
const DIGITS: usize = 6;
/// As long as the hash, as RFC 4226 recommends; 32 characters in base32.
const SECRET_BYTES: usize = 20;
/// Whose codes these are, for the list in the application.
const ISSUER: &str = "Plasma";
const QR_PIXELS_MIN: u32 = 240;

/// RFC 4648.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new secret, in base32.
pub(crate) fn new_secret(random: &Random) -> Secret {
    Secret::new(base32(&random.bytes::<SECRET_BYTES>()))
}

/// The code as its digits alone: applications show it in two groups. `None` when it is none.
pub(crate) fn normalized(code: &str) -> Option<String> {
    let digits: String = code.chars().filter(|letter| !matches!(letter, ' ' | '-')).take(DIGITS + 1).collect();
    (digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(digits)
}

/// The time step to which `code` belongs, if it is right now, or was a step ago, or will be in the next one. As many codes
/// are computed for a wrong one.
///
/// # Errors
/// `internal` when the secret is damaged.
pub(crate) fn matching_step(secret: &Secret, code: &str, now: Timestamp) -> Result<Option<i64>> {
    let key = unbase32(secret.expose()).ok_or_else(|| Error::internal("the secret of an authenticator is damaged"))?;
    let current = now.div_euclid(STEP_MICROS);
    let mut found = None;
    for step in current - DRIFT_STEPS..=current + DRIFT_STEPS {
        if equal_in_constant_time(code_at(&key, step)?.as_bytes(), code.as_bytes()) {
            found = Some(step);
        }
    }
    Ok(found)
}

/// The address that an authenticator application reads from a QR code.
pub(crate) fn address(secret: &Secret, email: &str) -> String {
    format!(
        "otpauth://totp/{ISSUER}:{}?secret={}&issuer={ISSUER}&algorithm=SHA1&digits={DIGITS}&period=30",
        percent_encoded(email),
        secret.expose()
    )
}

/// The address as a QR code.
///
/// # Errors
/// `internal` for an address that is longer than any that we make.
pub(crate) fn qr_svg(address: &str) -> Result<String> {
    let code = QrCode::new(address).map_err(|error| Error::from_source("a QR code could not be made", error))?;
    Ok(code.render::<svg::Color<'_>>().min_dimensions(QR_PIXELS_MIN, QR_PIXELS_MIN).build())
}

fn code_at(key: &[u8], step: i64) -> Result<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key)
        .map_err(|_| Error::internal("the secret of an authenticator has an impossible length"))?;
    mac.update(&step.to_be_bytes());
    let hash: [u8; 20] = mac.finalize().into_bytes().into();
    // RFC 4226, section 5.3: the last four bits say where the number begins.
    let start = usize::from(hash.last().copied().unwrap_or(0) & 15);
    let number = hash.get(start..start + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    Ok(format!("{:0DIGITS$}", (number & 0x7fff_ffff) % 1_000_000))
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let digit = usize::try_from((held >> bits) & 31).unwrap_or(0);
            text.push(char::from(BASE32.get(digit).copied().unwrap_or(b'A')));
        }
        held &= (1 << bits) - 1;
    }
    // A secret of ours has a multiple of 40 bits, so that nothing is left over.
    text
}

fn unbase32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in text.bytes() {
        let digit = BASE32.iter().position(|known| *known == letter)?;
        held = (held << 5) | u32::try_from(digit).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 255).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

/// RFC 3986: everything but letters, digits and `-._~`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// For fuzzing only: what somebody typed as a code, at this time.
#[cfg(fuzzing)]
pub(crate) fn fuzz(now: Timestamp, typed: &str) {
    let secret = new_secret(&Random::seeded(now.unsigned_abs()));
    let key = unbase32(secret.expose()).unwrap_or_default();
    assert_eq!(base32(&key), secret.expose(), "a secret is read otherwise than it was written");
    let current = now.div_euclid(STEP_MICROS);
    for step in current - DRIFT_STEPS..=current + DRIFT_STEPS {
        let right = code_at(&key, step).unwrap_or_default();
        assert!(matches!(matching_step(&secret, &right, now), Ok(Some(_))), "the right code is refused");
    }
    let Some(code) = normalized(typed) else { return };
    assert_eq!(normalized(&code).as_ref(), Some(&code), "two forms of one code");
    if let Ok(Some(step)) = matching_step(&secret, &code, now) {
        assert!((step - current).abs() <= DRIFT_STEPS && code_at(&key, step).is_ok_and(|right| right == code));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B.
    const RFC_SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        // The last six of the eight digits in the RFC's table.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_at(RFC_SECRET, seconds / 30).unwrap(), code, "{seconds}");
            let secret = Secret::new(base32(RFC_SECRET));
            assert_eq!(matching_step(&secret, code, seconds * 1_000_000).unwrap(), Some(seconds / 30));
        }
    }

    #[test]
    fn a_clock_may_be_off_by_one_step_and_no_more() {
        let secret = Secret::new(base32(RFC_SECRET));
        let now = 1_111_111_111 * 1_000_000;
        let step = now / STEP_MICROS;
        let accepted = |at: i64| matching_step(&secret, &code_at(RFC_SECRET, at).unwrap(), now).unwrap();
        assert_eq!([step - 1, step, step + 1].map(accepted), [Some(step - 1), Some(step), Some(step + 1)]);
        assert_eq!([step - 2, step + 2].map(accepted), [None, None]);
    }

    #[test]
    fn base32_is_that_of_the_rfc() {
        assert_eq!(base32(b"fooba"), "MZXW6YTB");
        assert_eq!(unbase32("MZXW6YTB").unwrap(), b"fooba");
        assert_eq!(unbase32("mzxw"), None);
        let secret = new_secret(&Random::system());
        assert_eq!((secret.expose().len(), unbase32(secret.expose()).unwrap().len()), (32, SECRET_BYTES));
    }

    #[test]
    fn a_code_is_six_digits_however_it_is_grouped() {
        assert_eq!(normalized("123 456").as_deref(), Some("123456"));
        assert_eq!(normalized("123-456").as_deref(), Some("123456"));
        for wrong in ["", "12345", "1234567", "12345a", "١٢٣٤٥٦"] {
            assert_eq!(normalized(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_qr_code_is_an_image_of_the_address() {
        let secret = Secret::new(base32(RFC_SECRET));
        let address = address(&secret, "käthe+x@example.org");
        assert!(address.starts_with("otpauth://totp/Plasma:k%C3%A4the%2Bx%40example.org?secret=GEZDGNBVGY3TQOJQ"));
        let svg = qr_svg(&address).unwrap();
        assert!(svg.contains("<svg") && svg.ends_with("</svg>") && !svg.contains("<script"));
        let longest = format!("{}@example.org", "ä".repeat(120));
        qr_svg(&super::address(&secret, &longest)).unwrap();
    }
}
