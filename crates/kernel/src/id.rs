//! Typed, prefixed, time-ordered ids such as `doc_01jd8x…`.
//!
//! An id is 128 bits: 48 bits of milliseconds since 1970 UTC and 80 random bits, written as 26 characters of Crockford's
//! base32 in lower case (the layout of a ULID, <https://github.com/ulid/spec>). Text order is creation order, to the millisecond.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Ctx;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ENCODED_CHARS: usize = 26;

/// Why a text is not an id of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id that starts with `{prefix}_` followed by 26 characters of lower-case base32")]
pub struct ParseIdError {
    prefix: &'static str,
}

fn encode(prefix: &str, value: u128) -> String {
    let mut text = String::with_capacity(prefix.len() + 1 + ENCODED_CHARS);
    text.push_str(prefix);
    text.push('_');
    for position in (0..ENCODED_CHARS).rev() {
        let digit = usize::try_from((value >> (position * 5)) & 31).unwrap_or(0);
        text.push(char::from(ALPHABET.get(digit).copied().unwrap_or(b'0')));
    }
    text
}

fn decode(prefix: &'static str, text: &str) -> Result<u128, ParseIdError> {
    let error = ParseIdError { prefix };
    let Some(digits) = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')) else {
        return Err(error);
    };
    if digits.len() != ENCODED_CHARS {
        return Err(error);
    }
    let mut value: u128 = 0;
    for (index, byte) in digits.bytes().enumerate() {
        let Some(digit) = ALPHABET.iter().position(|letter| *letter == byte) else {
            return Err(error);
        };
        // 26 digits carry 130 bits; the first may only use its lower three.
        if index == 0 && digit > 7 {
            return Err(error);
        }
        value = (value << 5) | digit as u128;
    }
    Ok(value)
}

macro_rules! define_ids {
    ($($(#[$documentation:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$documentation])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What stands before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id from the context's clock and randomness.
            pub fn new(ctx: &Ctx) -> Self {
                Self(ctx.next_id_bits())
            }

            /// The id with exactly these 128 bits.
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The id's 128 bits.
            pub const fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&encode(Self::PREFIX, self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                decode(Self::PREFIX, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some(concat!("^", $prefix, "_[0-9a-hjkmnp-tv-z]{26}$")))
                    .build()
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )*};
}

define_ids! {
    /// A tenant: the wall between organizations.
    TenantId = "ten";
    /// A person with a login.
    UserId = "usr";
    /// A team: people of a tenant whose model calls are counted together.
    TeamId = "team";
    /// A login session.
    SessionId = "ses";
    /// An API key.
    ApiKeyId = "key";
    /// A service that shows a certificate of its own.
    ServiceIdentityId = "svc";
    /// A role that a tenant made itself.
    RoleId = "role";
    /// An access policy.
    PolicyId = "pol";
    /// An invitation into a tenant.
    InvitationId = "inv";
    /// A passkey of a person.
    PasskeyId = "pk";
    /// An application that acts for people or for itself (OAuth).
    ApplicationId = "app";
    /// What a person allowed an application.
    GrantId = "grant";
    /// The tokens that came from one authorization: they live and end together.
    TokenFamilyId = "fam";
    /// A connection to an identity provider.
    ConnectionId = "conn";
    /// A place to which the audit log is anchored or exported.
    AuditSinkId = "sink";
    /// A copy of all that a tenant has.
    ExportId = "export";
    /// One request or background run; links logs, events and answers.
    RequestId = "req";
    /// A record of the event log.
    EventId = "evt";
    /// A durable job.
    JobId = "job";
    /// A model provider.
    ProviderId = "prv";
    /// A route: a virtual model that chooses among others.
    RouteId = "rte";
    /// One call of a model.
    CallId = "call";
    /// A prompt: a template of messages for models.
    PromptId = "pmt";
    /// A budget for model calls.
    BudgetId = "bud";
    /// A limit on the rate of model calls.
    LimitId = "lim";
    /// A file of the models' API.
    FileId = "file";
    /// A batch of model calls.
    BatchId = "batch";
    /// A run of a benchmark of models.
    BenchmarkId = "bench";
    /// Weights that are fetched onto this machine.
    PullId = "pull";
    /// A collection of knowledge.
    CollectionId = "col";
    /// A source document in a collection.
    KnowledgeDocumentId = "kdoc";
    /// A passage of a source document.
    ChunkId = "chk";
    /// A content document.
    DocumentId = "doc";
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_id_survives_its_text_form(bits: u128) {
            let id = DocumentId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<DocumentId>().unwrap(), id);
        }

        #[test]
        fn text_order_is_numeric_order(a: u128, b: u128) {
            prop_assert_eq!(
                DocumentId::from_bits(a).to_string().cmp(&DocumentId::from_bits(b).to_string()),
                a.cmp(&b)
            );
        }

        #[test]
        fn hostile_text_never_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<TenantId>();
        }
    }

    #[test]
    fn other_prefixes_and_overflowing_digits_are_refused() {
        let tenant = TenantId::from_bits(7).to_string();
        assert!(tenant.parse::<DocumentId>().is_err());
        assert!("ten_80000000000000000000000000".parse::<TenantId>().is_err());
        assert!("ten_7zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<TenantId>().is_ok());
        assert!("ten_7ZZZZZZZZZZZZZZZZZZZZZZZZZ".parse::<TenantId>().is_err());
    }
}
