//! Seals over thoughts in `thoughtSignature`, on the side of clients.
//!
//! The field is of the type `bytes`: client libraries decode and encode it, so only base64 survives, and its alphabet may
//! change on the way. Gemini's own signatures go as they are. Those of other makers, encrypted thoughts and ids go as base64
//! of `{"plasma": {"signature": …, "encrypted": …, "id": …}}`.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use serde_json::{Map, Value, json};

use crate::{
    Protocol,
    chat::{Reasoning, Signature},
};

/// What stands for the signature of a function call that no Gemini model made (documented under "Thought signatures").
pub(super) const PLACEHOLDER: &str = "skip_thought_signature_validator";
/// The other documented word for the same.
const PLACEHOLDER_ALTERNATIVE: &str = "context_engineering_is_the_way_to_go";

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The signature of a Gemini model that the thoughts carry.
pub(super) fn own(reasoning: &Reasoning) -> Option<&str> {
    reasoning.signature.as_ref().filter(|signature| signature.maker == Protocol::Gemini).map(|own| own.text.as_str())
}

/// The seal of thoughts as a client gets it.
pub(super) fn write(reasoning: &Reasoning) -> Option<String> {
    if let (Some(own), None) = (own(reasoning), &reasoning.encrypted) {
        return Some(own.to_owned());
    }
    let mut parts = Map::new();
    if let Some(signature) = &reasoning.signature {
        parts.insert("signature".to_owned(), signature.write(Protocol::Gemini).into());
    }
    if let Some(encrypted) = &reasoning.encrypted {
        parts.insert("encrypted".to_owned(), encrypted.write(Protocol::Gemini).into());
    }
    if let Some(id) = &reasoning.id {
        parts.insert("id".to_owned(), id.as_str().into());
    }
    (!parts.is_empty()).then(|| general_purpose::STANDARD.encode(json!({"plasma": parts}).to_string()))
}

/// A seal as a client sent it back, as reasoning without text; `None` for a placeholder and for nothing.
pub(super) fn read(seal: &str) -> Option<Reasoning> {
    if seal.is_empty() || is_placeholder(seal) {
        return None;
    }
    let bytes = LENIENT.decode(standard_alphabet(seal)).unwrap_or_default();
    if is_placeholder(std::str::from_utf8(&bytes).unwrap_or_default()) {
        return None;
    }
    let marked = serde_json::from_slice::<Value>(&bytes).ok();
    let Some(Value::Object(parts)) = marked.as_ref().and_then(|marked| marked.get("plasma")) else {
        let signature = Some(Signature::read(Protocol::Gemini, seal));
        return Some(Reasoning { signature, ..Reasoning::default() });
    };
    let text = |name| parts.get(name).and_then(Value::as_str);
    Some(Reasoning {
        signature: text("signature").map(|text| Signature::read(Protocol::Gemini, text)),
        encrypted: text("encrypted").map(|text| Signature::read(Protocol::Gemini, text)),
        id: text("id").map(str::to_owned),
        ..Reasoning::default()
    })
}

fn is_placeholder(seal: &str) -> bool {
    seal == PLACEHOLDER || seal == PLACEHOLDER_ALTERNATIVE
}

/// Base64 in the alphabet of URLs, which `ProtoJSON` allows as well, in the standard one.
pub(super) fn standard_alphabet(data: &str) -> String {
    data.chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect()
}
