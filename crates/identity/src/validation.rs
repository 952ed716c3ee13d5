//! What a person may enter.

use plasma_kernel::{Error, Result};

use crate::Secret;

/// The longest address that mail can be sent to (RFC 5321, with its erratum).
const EMAIL_BYTES_MAX: usize = 254;
const EMAIL_LOCAL_BYTES_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 1_000;
const PASSWORD_CHARS_MIN: usize = 10;
/// Enough for any passphrase; bounds what is hashed.
const PASSWORD_CHARS_MAX: usize = 200;

/// The form in which e-mails are stored and compared.
pub(crate) fn normalized_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Checks an e-mail and returns its stored form. Whether mail arrives there only a mail would show.
pub(crate) fn email(field: &str, text: &str) -> Result<String> {
    let email = normalized_email(text);
    let wrong = |what: &str| Err(Error::invalid(field, what).remedy("use the form name@example.com"));
    if email.len() > EMAIL_BYTES_MAX {
        return wrong("an e-mail has at most 254 bytes");
    }
    let Some((local, domain)) = email.split_once('@') else {
        return wrong("an e-mail has an `@`");
    };
    if local.is_empty() || local.len() > EMAIL_LOCAL_BYTES_MAX {
        return wrong("an e-mail has 1 to 64 bytes before its `@`");
    }
    let label_is_fine = |label: &str| {
        !label.is_empty() && label.chars().all(|character| character.is_alphanumeric() || character == '-')
    };
    if !domain.split('.').all(label_is_fine) {
        return wrong("what stands behind the `@` is not a domain");
    }
    if local
        .chars()
        .any(|character| character.is_whitespace() || character.is_control() || "<>()[],;:\\\"".contains(character))
    {
        return wrong("an e-mail has no spaces, brackets, quotes or control characters");
    }
    Ok(email)
}

/// Checks a name and returns it without space around it.
pub(crate) fn name(field: &str, text: &str) -> Result<String> {
    let name = text.trim();
    let chars = name.chars().count();
    if chars == 0 || chars > NAME_CHARS_MAX {
        return Err(Error::invalid(field, format!("must be 1 to {NAME_CHARS_MAX} characters, got {chars}")));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters such as line breaks"));
    }
    Ok(name.to_owned())
}

/// Checks a description, which may be empty and have several lines, and returns it without space around it.
pub(crate) fn description(field: &str, text: &str) -> Result<String> {
    let description = text.trim();
    let chars = description.chars().count();
    if chars > DESCRIPTION_CHARS_MAX {
        return Err(Error::invalid(field, format!("must be at most {DESCRIPTION_CHARS_MAX} characters, got {chars}")));
    }
    if description.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t')) {
        return Err(Error::invalid(field, "must not contain control characters other than line breaks and tabs"));
    }
    Ok(description.to_owned())
}

/// Checks a new password of the user with this (stored) e-mail.
pub(crate) fn password(field: &str, password: &Secret, email: &str) -> Result<()> {
    let chars = password.expose().chars().count();
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        return Err(Error::invalid(
            field,
            format!("a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters, got {chars}"),
        )
        .remedy("use a few words that belong together only for you"));
    }
    if normalized_email(password.expose()) == email {
        return Err(Error::invalid(field, "the password must not be the e-mail"));
    }
    Ok(())
}

/// Refuses what no account can match, before anything is spent on it.
pub(crate) fn login(email: &str, password: &Secret) -> Result<()> {
    if email.trim().is_empty() || email.len() > EMAIL_BYTES_MAX {
        return Err(Error::invalid("email", format!("must be 1 to {EMAIL_BYTES_MAX} bytes")));
    }
    submitted_password("password", password)
}

/// Refuses a password to verify that cannot be right, before it is hashed.
pub(crate) fn submitted_password(field: &str, password: &Secret) -> Result<()> {
    let chars = password.expose().chars().count();
    if chars == 0 || chars > PASSWORD_CHARS_MAX {
        return Err(Error::invalid(field, format!("must be 1 to {PASSWORD_CHARS_MAX} characters, got {chars}")));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_addresses_pass_in_lower_case() {
        assert_eq!(email("email", " Ada.Lovelace+x@Example.ORG ").unwrap(), "ada.lovelace+x@example.org");
        assert_eq!(email("email", "owner@localhost").unwrap(), "owner@localhost");
        assert_eq!(email("email", "käthe@münchen.example").unwrap(), "käthe@münchen.example");
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_field() {
        let long = format!("{}@example.org", "a".repeat(65));
        let longer = format!("a@{}.org", "a".repeat(260));
        for text in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "a da@example.org",
            "ada@example..org",
            "a@b@c",
            "ada@exa mple",
            "a\n@b",
            "<a>@b",
            &long,
            &longer,
        ] {
            assert_eq!(email("owner.email", text).unwrap_err().field_name(), Some("owner.email"), "{text:?}");
        }
    }

    #[test]
    fn passwords_have_bounds_in_characters() {
        let check = |text: &str| password("password", &Secret::new(text), "ada.long@example.org").is_ok();
        assert!(!check("123456789"));
        assert!(check("1234567890"));
        assert!(check(&"ä".repeat(200)));
        assert!(!check(&"a".repeat(201)));
        assert!(!check("Ada.Long@Example.org"));
    }

    #[test]
    fn names_are_trimmed_and_plain() {
        assert_eq!(name("name", "  Ada  ").unwrap(), "Ada");
        assert!(name("name", "   ").is_err());
        assert!(name("name", &"a".repeat(201)).is_err());
        assert!(name("name", "a\nb").is_err());
    }

    #[test]
    fn descriptions_may_be_empty_and_have_lines() {
        assert_eq!(description("description", " Writes\nand edits. ").unwrap(), "Writes\nand edits.");
        assert_eq!(description("description", "").unwrap(), "");
        assert!(description("description", &"a".repeat(1_001)).is_err());
        assert!(description("description", "a\0b").is_err());
    }
}
