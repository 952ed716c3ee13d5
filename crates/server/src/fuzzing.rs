//! Parsers of data from outside, for the program in `fuzz/`. It exists only when the crate is built for fuzzing.

use axum::http::{HeaderMap, HeaderValue, Uri, header};

use crate::{backup, client, content_policy, edge, http, listen};

/// Each under its name.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("request_origin", edge::fuzzing::origin),
    ("client_certificate", listen::fuzzing::certificate),
    ("https_redirect", listen::fuzzing::redirect),
    ("content_policy", policy),
    ("backup_container", backup::fuzzing::container),
    ("backup_archive", backup::fuzzing::archive),
    ("backup_keys", backup::fuzzing::keys),
    ("live_message", http::fuzz_live),
    ("login_answer", client::fuzz_browser),
];

/// A page, and a host as a client names it. Whatever they hold, the policy has the same parts and lets nobody else in.
fn policy(bytes: &[u8]) {
    const PARTS: [&str; 12] = [
        "default-src",
        "script-src",
        "style-src",
        "img-src",
        "media-src",
        "font-src",
        "manifest-src",
        "frame-src",
        "object-src",
        "frame-ancestors",
        "base-uri",
        "form-action",
    ];
    let policy = content_policy::of_page(&String::from_utf8_lossy(bytes));
    let parts: Vec<&str> = policy.split("; ").filter_map(|part| part.split(' ').next()).collect();
    assert_eq!(parts, PARTS);
    assert!(!policy.contains("unsafe-") && !policy.contains('*'), "{policy}");
    let mut headers = HeaderMap::new();
    if let Ok(host) = HeaderValue::from_bytes(bytes) {
        headers.insert(header::HOST, host);
    }
    let sources = content_policy::connect_src(&headers, &Uri::from_static("/"));
    assert!(sources.starts_with("connect-src 'self'") && !sources.contains([';', ',', '*']), "{sources}");
    assert!(matches!(sources.split(' ').count(), 2 | 4), "{sources}");
    assert!(HeaderValue::try_from(format!("{policy}; {sources}")).is_ok(), "no header holds the policy");
}
