//! From where a request comes, for the program in `fuzz/`.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;

use super::origin;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The peer's address and the values of `X-Forwarded-For`, `Forwarded` and `User-Agent`, each on a line.
pub(crate) fn origin(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let peer = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.parse::<IpAddr>().ok());
    let mut headers = HeaderMap::new();
    for name in [X_FORWARDED_FOR, header::FORWARDED, header::USER_AGENT] {
        let value = lines.next().filter(|value| !value.is_empty());
        if let Some(Ok(value)) = value.map(HeaderValue::from_bytes) {
            headers.insert(name, value);
        }
    }
    let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8::/32"].iter().filter_map(|text| text.parse().ok()).collect();
    let found = origin::of(peer, &headers, &trusted);
    if let Some(agent) = &found.user_agent {
        assert!(!agent.is_empty() && agent.chars().count() <= 200 && !agent.chars().any(char::is_control));
    }
    let Some(peer) = peer.map(|peer| peer.to_canonical()) else {
        assert_eq!(found.address, None);
        return;
    };
    if !trusted.iter().any(|network| network.contains(&peer)) {
        assert_eq!(found.address, Some(peer), "a stranger is believed");
        return;
    }
    // Whatever a client writes, what the proxy adds behind it counts.
    let client = IpAddr::from([203, 0, 113, 7]);
    let written = headers.get(X_FORWARDED_FOR).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Ok(value) = HeaderValue::try_from(format!("{written}, {client}")) {
        let told = HeaderMap::from_iter([(X_FORWARDED_FOR, value)]);
        assert_eq!(origin::of(Some(peer), &told, &trusted).address, Some(client), "an invention is believed");
    }
}
