//! What a tenant enters of its looks, for the program in `fuzz/`. It is shown in pages and mails of others.

use super::{checked_contact, checked_domain, without_port};
use crate::colors::{self, Theme};

pub(crate) fn looks(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for theme in [Theme::Light, Theme::Dark] {
        let Ok(color) = colors::accent("accent_color", text, theme) else { continue };
        // It stands in style sheets: nothing but a colour may.
        let digits = color.strip_prefix('#').unwrap_or_default();
        assert!(digits.len() == 6 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{color}");
        assert_eq!(colors::accent("accent_color", &color, theme).ok().as_ref(), Some(&color), "two forms of a colour");
    }
    if let Some(dark) = colors::dark_of(text) {
        assert!(colors::accent("accent_color_dark", &dark, Theme::Dark).is_ok(), "{dark} cannot be read");
    }
    if let Ok(domain) = checked_domain("domain", text) {
        assert!(domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')), "{domain}");
        assert_eq!(checked_domain("domain", &domain).ok().as_ref(), Some(&domain), "two forms of one host");
        assert_eq!(without_port(&format!("{domain}:8443")), domain);
    }
    if let Ok(contact) = checked_contact(text) {
        assert!(contact.starts_with("https://") || contact.contains('@'), "a link that runs scripts");
        assert!(!contact.contains(['"', '<', '>', ' ', '\\']), "a link that ends its attribute");
    }
    assert!(text.starts_with(without_port(text)));
}
