use std::fmt;

use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A password, a token or a key: never printed by `Debug`, without `Display` and `Serialize`, compared in constant time, and wiped
/// from memory when it is dropped. Whatever holds a secret holds it in this type, so that no log line or error can show it by accident.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself: to verify it, to send it to whom it is for, or to show it once to the one whom it belongs to.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        equal_in_constant_time(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Whether two secrets, or two hashes of them, are the same. The time depends on their lengths only, never on where they differ: who may
/// try often must not learn a secret byte by byte. Use it, and never `==`, wherever one side comes from outside.
pub fn equal_in_constant_time(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    #[allow(dead_code)]
    struct Login {
        name: &'static str,
        password: Secret,
    }

    #[test]
    fn a_secret_is_not_printed_wherever_it_stands() {
        let login = Login { name: "ada", password: Secret::new("hunter2") };
        let printed = format!("{login:?} {login:#?} {:?}", Some(&login.password));
        assert!(printed.contains("ada") && printed.contains("[secret]") && !printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn secrets_are_equal_when_their_texts_are() {
        assert_eq!(Secret::new("a"), Secret::new("a"));
        for other in ["", "b", "ab", "A"] {
            assert_ne!(Secret::new("a"), Secret::new(other));
        }
        assert!(equal_in_constant_time(b"", b"") && !equal_in_constant_time(b"abc", b"abd"));
    }
}
