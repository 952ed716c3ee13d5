//! What browsers send before anybody is logged in, for the program in `fuzz/`.

use axum::http::{HeaderMap, header};

use super::{headers::browser_of, visitor::from_host};
use crate::device::{device_label, kept_user_agent};

/// The cookie of a browser that asked for a link, the address under which the dashboard is asked for, and what the client says
/// that it is.
pub fn visitor(headers: &HeaderMap) {
    if let Some(value) = browser_of(headers) {
        assert!(headers.contains_key(header::COOKIE) && !value.is_empty() && !value.contains(';'));
    }
    if let Some(url) = from_host(headers, false) {
        assert!(url.has_host() && url.path() == "/" && url.query().is_none() && url.fragment().is_none(), "{url}");
        assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    }
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    if let Some(kept) = user_agent.and_then(kept_user_agent) {
        assert!(kept.chars().count() <= 200 && !kept.chars().any(char::is_control));
        assert!(device_label(Some(&kept)).chars().count() <= 60, "a session has an endless name");
    }
}
