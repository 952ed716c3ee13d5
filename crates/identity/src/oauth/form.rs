//! The form-encoded parameters of OAuth's endpoints, read strictly.

use std::fmt;

use plasma_kernel::Result;
use url::form_urlencoded;

use super::invalid_request;

/// A body's greatest length.
pub const FORM_BYTES_MAX: usize = 16 << 10;
const PARAMETERS_MAX: usize = 50;
const VALUE_BYTES_MAX: usize = 4_096;

/// Parameters, each given once. One without a value counts as absent (RFC 6749, section 3.2).
#[derive(Clone, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a body of the type `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// `invalid` (`invalid_request`) for a body that is too long, has too many parameters, or gives one twice.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > FORM_BYTES_MAX {
            return Err(invalid_request("body", format!("the body has more than {FORM_BYTES_MAX} bytes")));
        }
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(bytes) {
            if form.0.len() >= PARAMETERS_MAX {
                return Err(invalid_request("body", format!("there are more than {PARAMETERS_MAX} parameters")));
            }
            if value.len() > VALUE_BYTES_MAX {
                return Err(invalid_request(&shown(&name), format!("a value has more than {VALUE_BYTES_MAX} bytes")));
            }
            if form.0.iter().any(|(known, _)| *known == name) {
                return Err(invalid_request(&shown(&name), "a parameter is given twice"));
            }
            form.0.push((name.into_owned(), value.into_owned()));
        }
        Ok(form)
    }

    /// The parameter's value, unless it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// `invalid` (`invalid_request`) when it is not.
    pub fn require(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| invalid_request(name, format!("`{name}` is missing")))
    }
}

/// Secrets travel in forms: only the names are shown.
impl fmt::Debug for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn shown(name: &str) -> String {
    name.chars().take(60).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_decoded_and_empty_ones_are_absent() {
        let form = Form::parse(b"grant_type=refresh_token&scope=a+b%20c&state=&x").unwrap();
        assert_eq!(form.get("grant_type"), Some("refresh_token"));
        assert_eq!(form.get("scope"), Some("a b c"));
        assert_eq!((form.get("state"), form.get("x"), form.get("y")), (None, None, None));
        assert_eq!(form.require("state").unwrap_err().field_name(), Some("state"));
    }

    #[test]
    fn what_is_given_twice_or_without_end_is_refused() {
        let many: String = (0..60).map(|number| format!("a{number}=1&")).collect();
        let long = format!("a={}", "b".repeat(5_000));
        let endless = format!("a={}", "b&".repeat(20_000));
        for body in ["a=1&a=2", "client_id=x&b=1&client%5Fid=y", "a=&a=1", &many, &long, &endless] {
            assert_eq!(Form::parse(body.as_bytes()).unwrap_err().reason(), "invalid_request", "{body:.30}");
        }
    }

    #[test]
    fn values_are_not_printed() {
        let form = Form::parse(b"client_secret=hush").unwrap();
        assert_eq!(format!("{form:?}"), "{\"client_secret\"}");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Form::parse(&bytes);
        }
    }
}
