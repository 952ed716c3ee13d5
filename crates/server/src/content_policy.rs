//! Content security policies: what a page of ours may load, run and send to (CSP level 3). Nothing inline runs or styles a page but
//! what the export itself wrote, named by its hash; so markup that somebody smuggles into a page does nothing.

use axum::http::{HeaderMap, Uri, header};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest as _, Sha256};

/// Longer than any host's name with a port.
const HOST_BYTES_MAX: usize = 260;

/// The policy of a page of the dashboard but for `connect-src`, which depends on the address at which the page is asked for.
///
/// Style attributes of elements are set by scripts through the CSSOM, which no policy forbids; markup has none. Pictures may be
/// `data:` (in style sheets) and `blob:` (previews, and answers in the API reference), which hold no address of anybody else.
pub(crate) fn of_page(html: &str) -> String {
    let scripts = with_hashes(inline_elements(html, "script", "src="));
    let styles = with_hashes(inline_elements(html, "style", "src="));
    format!(
        "default-src 'none'; script-src {scripts}; style-src {styles}; img-src 'self' data: blob:; media-src 'self' blob:; \
         font-src 'self'; manifest-src 'self'; frame-src 'none'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'self'"
    )
}

/// Where a page may send to: its own server, also by WebSocket. Not every browser counts `ws:` to the same host as `'self'`, so the
/// host is named where it looks like one.
pub(crate) fn connect_src(headers: &HeaderMap, uri: &Uri) -> String {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = named.or_else(|| uri.authority().map(|authority| authority.as_str()));
    match host.filter(|host| is_host(host)) {
        Some(host) => format!("connect-src 'self' ws://{host} wss://{host}"),
        None => "connect-src 'self'".to_owned(),
    }
}

/// Nothing that could end the source or begin another one.
fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']' | b'_');
    !text.is_empty() && text.len() <= HOST_BYTES_MAX && text.bytes().all(allowed)
}

/// The source that allows exactly this inline text.
pub(crate) fn hash_of(text: &str) -> String {
    format!("'sha256-{}'", BASE64.encode(Sha256::digest(text.as_bytes())))
}

fn with_hashes<'a>(inline: impl Iterator<Item = &'a str>) -> String {
    let mut sources = String::from("'self'");
    for hash in inline.map(hash_of) {
        if !sources.contains(&hash) {
            sources.push(' ');
            sources.push_str(&hash);
        }
    }
    sources
}

/// The text of every element of the name whose start tag does not hold `external`. The export is our own, so its tags are well formed.
fn inline_elements<'a>(html: &'a str, name: &'a str, external: &'a str) -> impl Iterator<Item = &'a str> {
    let (start, end) = (format!("<{name}"), format!("</{name}>"));
    let mut rest = html;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once(start.as_str())?;
            let (attributes, text) = after.split_once('>')?;
            rest = text;
            // Not `<styled-thing>`, and not a script that is a file.
            let is_other = attributes.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '-');
            if is_other || attributes.contains(external) {
                continue;
            }
            let (text, after) = text.split_once(end.as_str())?;
            rest = after;
            return Some(text);
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_inline_elements_are_hashed() {
        let html = "<script src=\"/a.js\" async=\"\"></script><script>alert(1)</script><style>a{}</style><styled-x>c</styled-x>\
                    <script id=\"x\">b</script><script>alert(1)</script>";
        assert_eq!(inline_elements(html, "script", "src=").collect::<Vec<_>>(), ["alert(1)", "b", "alert(1)"]);
        assert_eq!(inline_elements(html, "style", "src=").collect::<Vec<_>>(), ["a{}"]);
        let policy = of_page(html);
        let directive = |name: &str| policy.split("; ").find(|part| part.starts_with(name)).unwrap().to_owned();
        assert_eq!(directive("script-src"), format!("script-src 'self' {} {}", hash_of("alert(1)"), hash_of("b")));
        assert_eq!(directive("style-src"), format!("style-src 'self' {}", hash_of("a{}")));
        assert!(!policy.contains("unsafe-"), "{policy}");
    }

    #[test]
    fn a_page_sends_to_its_own_server_only() {
        let connect = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            connect_src(&headers, &Uri::from_static("/"))
        };
        assert_eq!(
            connect("plasma.example:8443"),
            "connect-src 'self' ws://plasma.example:8443 wss://plasma.example:8443"
        );
        assert_eq!(connect("[::1]:8080"), "connect-src 'self' ws://[::1]:8080 wss://[::1]:8080");
        for hostile in ["a;script-src *", "a b", "*", "a/b", "a,b", "'none'", &"a".repeat(300), ""] {
            assert_eq!(connect(hostile), "connect-src 'self'", "{hostile}");
        }
        let by_http2 = connect_src(&HeaderMap::new(), &Uri::from_static("https://plasma.example/"));
        assert_eq!(by_http2, "connect-src 'self' ws://plasma.example wss://plasma.example");
    }
}
