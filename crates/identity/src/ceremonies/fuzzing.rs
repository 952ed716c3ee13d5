//! The answers of passkeys, for the program in `fuzz/`.

use std::sync::OnceLock;

use plasma_kernel::{PasskeyId, UserId};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use url::Url;

use super::{
    Credential, DiscoverableAuthentication, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential,
    Webauthn, check_client_data, check_holder, handle_of, parsed, read, webauthn, write,
};
use crate::store::passkeys::StoredPasskey;

/// Where the passkey belongs, and the challenge that it answered.
const BASE: &str = "https://plasma.example/";
const CHALLENGE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
/// The answer that made a passkey, and one that was made with it. Nobody has its private key any more.
const MADE: &str = r#"{"id":"ZGVmZ2hpamtsbW5vcHFycw","rawId":"ZGVmZ2hpamtsbW5vcHFycw","type":"public-key","response":{"attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YViUXJq4ZyO9WS3FlweuVC82Ko-GM-4gkro6y8gvxyEswfhFAAAAAQAAAAAAAAAAAAAAAAAAAAAAEGRlZmdoaWprbG1ub3BxcnOlAQIDJiABIVggHiH2nD1kcmv0PJdC3qfG17uHmVc7ljvQvpoBnwGf0P0iWCA0wA0mSCxFfTp__aPnJ7jbQQYu5jlhmh7RIe4j8CZAtw","clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIiwiY2hhbGxlbmdlIjoiQUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSRWhNVUZSWVhHQmthR3h3ZEhoOCIsIm9yaWdpbiI6Imh0dHBzOi8vcGxhc21hLmV4YW1wbGUiLCJjcm9zc09yaWdpbiI6ZmFsc2V9","transports":["internal"]},"clientExtensionResults":{}}"#;
const USED: &str = r#"{"id":"ZGVmZ2hpamtsbW5vcHFycw","rawId":"ZGVmZ2hpamtsbW5vcHFycw","type":"public-key","response":{"authenticatorData":"XJq4ZyO9WS3FlweuVC82Ko-GM-4gkro6y8gvxyEswfgFAAAAAg","clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiQUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSRWhNVUZSWVhHQmthR3h3ZEhoOCIsIm9yaWdpbiI6Imh0dHBzOi8vcGxhc21hLmV4YW1wbGUiLCJjcm9zc09yaWdpbiI6ZmFsc2V9","signature":"MEYCIQCERuHOB5CJbH5bji3HzAfOOMXtU422XqLZqMmgbxy4jQIhAJGRUeWkEWwU3gV_Zg6mk7XRllg8LQ3sufT7wOqIMxGc","userHandle":"AAAAAAAAAAAAAAAAAAAAAQ"},"clientExtensionResults":{}}"#;
const OWNER: UserId = UserId::from_bits(1);

/// The site with its two questions, and the passkey that answered both.
struct Known {
    webauthn: Webauthn,
    registration: PasskeyRegistration,
    authentication: DiscoverableAuthentication,
    credential: Credential,
    used: PublicKeyCredential,
}

impl Known {
    fn new() -> Option<Self> {
        let base = Url::parse(BASE).ok()?;
        let webauthn = webauthn(&base).ok()?;
        let (_, registration) =
            webauthn.start_passkey_registration(handle_of(OWNER), "ada@plasma.example", "Ada", None).ok()?;
        let (_, authentication) = webauthn.start_discoverable_authentication().ok()?;
        let registration = asked(&registration, "/rs/challenge")?;
        let authentication: DiscoverableAuthentication = asked(&authentication, "/ast/challenge")?;
        let made: RegisterPublicKeyCredential = serde_json::from_str(MADE).ok()?;
        let used: PublicKeyCredential = serde_json::from_str(USED).ok()?;
        let credential = webauthn.finish_passkey_registration(&made, &registration).ok()?;
        webauthn.finish_discoverable_authentication_v2(&used, authentication.clone(), &credential).ok()?;
        Some(Self { webauthn, registration, authentication, credential, used })
    }
}

/// The same question with the challenge that was answered.
fn asked<T: Serialize + DeserializeOwned>(question: &T, place: &str) -> Option<T> {
    let mut question = serde_json::to_value(question).ok()?;
    *question.pointer_mut(place)? = Value::from(CHALLENGE);
    serde_json::from_value(question).ok()
}

#[allow(clippy::expect_used)] // constants
fn known() -> &'static Known {
    static KNOWN: OnceLock<Option<Known>> = OnceLock::new();
    KNOWN.get_or_init(Known::new).as_ref().expect("the passkey that is known answers rightly")
}

/// The first byte says what comes: an answer that makes a passkey, one that uses it, or changes of the one that is known.
pub(crate) fn passkey(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    match which % 3 {
        0 => register(rest),
        1 => {
            let Ok(value) = serde_json::from_slice::<Value>(rest) else { return };
            if let Ok(answer) = parsed::<PublicKeyCredential>(&value) {
                log_in(&answer);
            }
        }
        _ => change(rest),
    }
}

/// A passkey that is taken answered our question at our place, and what is kept of it can be read.
fn register(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let Ok(answer) = parsed::<RegisterPublicKeyCredential>(&value) else { return };
    let client_data = &answer.response.client_data_json;
    if check_client_data(client_data).is_err() {
        return;
    }
    let known = known();
    let Ok(made) = known.webauthn.finish_passkey_registration(&answer, &known.registration) else { return };
    let said: Value = serde_json::from_slice(client_data).unwrap_or_default();
    let said = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
    assert_eq!(said("type"), "webauthn.create");
    assert_eq!(said("challenge").trim_end_matches('='), CHALLENGE, "another question was answered");
    let host = Url::parse(said("origin")).ok().and_then(|origin| origin.host_str().map(str::to_owned));
    assert_eq!(host.as_deref(), Some("plasma.example"), "it was answered elsewhere");
    let kept = write(&made).and_then(|text| read::<Credential>(&text));
    assert!(kept.is_ok_and(|kept| kept.cred_id() == made.cred_id()), "what is kept of a passkey cannot be read");
}

/// Only what the passkey signed is taken, and only for its owner.
fn log_in(answer: &PublicKeyCredential) {
    let known = known();
    let stored = StoredPasskey { id: PasskeyId::from_bits(1), user: OWNER, credential: String::new() };
    let names_owner = answer.get_user_unique_id().is_some_and(|handle| handle == handle_of(OWNER).as_bytes());
    assert_eq!(check_holder(answer, &stored, None).is_ok(), names_owner);
    assert!(check_holder(answer, &stored, Some(UserId::from_bits(2))).is_err(), "it is somebody else's");
    if check_client_data(&answer.response.client_data_json).is_err() {
        return;
    }
    let state = known.authentication.clone();
    if known.webauthn.finish_discoverable_authentication_v2(answer, state, &known.credential).is_ok() {
        let (given, signed) = (&answer.response, &known.used.response);
        assert_eq!(answer.raw_id, known.used.raw_id);
        assert!(
            given.authenticator_data == signed.authenticator_data && given.client_data_json == signed.client_data_json,
            "an answer that the passkey did not sign is taken"
        );
    }
}

/// A part of the known answer, a place in it, and what stands there instead.
fn change(bytes: &[u8]) {
    let [part, high, low, rest @ ..] = bytes else { return };
    let mut answer = known().used.clone();
    let changed = match part % 4 {
        0 => &mut answer.response.authenticator_data,
        1 => &mut answer.response.client_data_json,
        2 => &mut answer.response.signature,
        _ => &mut answer.raw_id,
    };
    let place = usize::from(u16::from_be_bytes([*high, *low])) % (changed.len() + 1);
    let end = (place + rest.len()).min(changed.len());
    changed.splice(place..end, rest.iter().copied());
    log_in(&answer);
}
