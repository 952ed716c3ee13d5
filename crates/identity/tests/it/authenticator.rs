//! What people have in their hands: an application for one-time codes, and an authenticator for passkeys.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use plasma_identity::{Ceremony, PasskeyAnswer};
use plasma_kernel::Timestamp;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// Where the browser believes to be.
pub const ORIGIN: &str = "http://localhost:8080";

const STEP_MICROS: i64 = 30_000_000;
const PRESENT: u8 = 1;
const VERIFIED: u8 = 4;
const HAS_CREDENTIAL: u8 = 64;

/// The code that an application with this secret shows `steps` time steps after `now`.
pub fn code(secret: &str, now: Timestamp, steps: i64) -> String {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = secret.chars().map(|letter| format!("{:05b}", alphabet.find(letter).unwrap())).collect();
    let key: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect();
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(&(now / STEP_MICROS + steps).to_be_bytes());
    let hash: [u8; 20] = mac.finalize().into_bytes().into();
    let start = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes(hash[start..start + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// An authenticator with one passkey.
pub struct Authenticator {
    key: EcdsaKeyPair,
    credential_id: Vec<u8>,
    /// How it names the person.
    pub user_handle: Vec<u8>,
    pub counter: u32,
    /// Whether it asks for a PIN or a finger.
    pub verifies: bool,
    /// What the browser says about the page.
    pub origin: String,
    pub cross_origin: bool,
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decoded(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

impl Authenticator {
    pub fn new() -> Self {
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            credential_id: (0..32).map(|_| plasma_kernel::Random::system().bytes::<1>()[0]).collect(),
            user_handle: Vec::new(),
            counter: 0,
            verifies: true,
            origin: ORIGIN.to_owned(),
            cross_origin: false,
        }
    }

    /// Makes its passkey, as `navigator.credentials.create` does.
    pub fn create(&mut self, ceremony: &Ceremony) -> PasskeyAnswer {
        let options = &ceremony.options;
        self.user_handle = decoded(&options["user"]["id"]);
        let client_data = self.client_data("webauthn.create", options);
        let public_key = self.key.public_key().as_ref().to_vec();
        let mut data = self.data(options["rp"]["id"].as_str().unwrap(), HAS_CREDENTIAL);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.credential_id.len()).unwrap().to_be_bytes());
        data.extend(&self.credential_id);
        // A COSE key: EC2, ES256, P-256, x and y.
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&public_key[1..33]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&public_key[33..65]);
        // A CBOR map: fmt "none", attStmt {}, authData.
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        attestation.push(u8::try_from(data.len()).unwrap());
        attestation.extend(&data);
        let response = json!({ "attestationObject": encoded(&attestation), "clientDataJSON": encoded(&client_data) });
        self.answer_with(ceremony, response)
    }

    /// Proves that it is there, as `navigator.credentials.get` does.
    pub fn get(&mut self, ceremony: &Ceremony) -> PasskeyAnswer {
        self.counter += 1;
        let options = &ceremony.options;
        let client_data = self.client_data("webauthn.get", options);
        let data = self.data(options["rpId"].as_str().unwrap(), 0);
        let signed = [data.as_slice(), &sha256(&client_data)].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        let response = json!({
            "authenticatorData": encoded(&data),
            "clientDataJSON": encoded(&client_data),
            "signature": encoded(signature.as_ref()),
            "userHandle": encoded(&self.user_handle),
        });
        self.answer_with(ceremony, response)
    }

    fn answer_with(&self, ceremony: &Ceremony, response: Value) -> PasskeyAnswer {
        let id = encoded(&self.credential_id);
        let credential = json!({
            "id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {},
        });
        PasskeyAnswer { ceremony: ceremony.token.expose().to_owned(), credential }
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let data = json!({
            "type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": self.cross_origin,
        });
        data.to_string().into_bytes()
    }

    fn data(&self, relying_party: &str, more_flags: u8) -> Vec<u8> {
        let mut data = sha256(relying_party.as_bytes()).to_vec();
        data.push(PRESENT | if self.verifies { VERIFIED } else { 0 } | more_flags);
        data.extend(self.counter.to_be_bytes());
        data
    }
}
