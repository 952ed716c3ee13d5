//! Where codes may go: what an application may register, and whether a request names exactly that.

use plasma_kernel::{Error, Result};
use url::{Host, Url, form_urlencoded};

use super::ApplicationKind;

/// An address's greatest length.
pub(crate) const URI_BYTES_MAX: usize = 2_000;

/// The addresses of this machine whose port a request may choose (RFC 8252, section 7.3).
const LOOPBACKS: [&str; 2] = ["127.0.0.1", "[::1]"];

/// Checks an address that an application wants to register.
///
/// # Errors
/// `invalid` for anything but `https://…`, `http://` on this machine, and an application's own scheme (public
/// applications only).
pub(crate) fn check_registered(field: &str, uri: &str, kind: ApplicationKind) -> Result<()> {
    let wrong = |what: &str| {
        Err(Error::invalid(field, what.to_owned()).remedy(
            "use https://your.example/callback, http://127.0.0.1/callback for programs on a person's machine, or \
             com.example.app:/callback for an application's own scheme",
        ))
    };
    if uri.is_empty() || uri.len() > URI_BYTES_MAX {
        return wrong("an address has 1 to 2,000 bytes");
    }
    // What parsers read in different ways stays out.
    if !uri.bytes().all(|byte| byte.is_ascii_graphic()) || uri.contains(['\\', '#', '*', '"', '<', '>', '`']) {
        return wrong("an address has no spaces, fragments, wildcards, backslashes or letters outside of ASCII");
    }
    let Ok(url) = Url::parse(uri) else { return wrong("this is no address") };
    if !url.username().is_empty() || url.password().is_some() || authority(uri).is_some_and(|text| text.contains('@')) {
        return wrong("an address has no user name or password in it");
    }
    match url.scheme() {
        "https" if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(()),
        "http" if is_this_machine(&url) => Ok(()),
        "http" => wrong("http:// is only for programs on the same machine; use https://"),
        // A domain that its owner reversed (RFC 8252, section 7.1). It also keeps out javascript:, data: and their like.
        scheme if scheme.contains('.') && kind == ApplicationKind::Public => Ok(()),
        scheme if scheme.contains('.') => wrong("an application with a secret does not run on people's devices"),
        _ => wrong("an own scheme is a reversed domain name, such as com.example.app"),
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// What stands between `//` and the next `/` or `?`.
fn authority(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("//")?;
    rest.split(['/', '?']).next()
}

/// Whether `requested` is exactly `registered`, but for the port of a loopback address.
pub(crate) fn matches(registered: &str, requested: &str) -> bool {
    if registered == requested {
        return true;
    }
    match (without_port(registered), without_port(requested)) {
        (Some(registered), Some(requested)) => registered == requested,
        _ => false,
    }
}

/// The host and what follows the port, of a loopback address. No parser of URLs: two of them never agree on everything.
fn without_port(uri: &str) -> Option<(&'static str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let host = LOOPBACKS.into_iter().find(|host| rest.starts_with(host))?;
    let rest = rest.get(host.len()..)?;
    let rest = match rest.strip_prefix(':') {
        Some(port) => {
            let digits = port.bytes().take_while(u8::is_ascii_digit).count();
            port.get(..digits)?.parse::<u16>().ok()?;
            port.get(digits..)?
        }
        None => rest,
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

/// Whether other programs of the same device could receive what goes to this address: then a person is asked each time
/// (RFC 8252, section 8.6).
pub(crate) fn is_shared_with_the_device(uri: &str) -> bool {
    !uri.starts_with("https://")
}

/// The address with an answer in its query.
pub(crate) fn with_answer(uri: &str, answer: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(answer).finish();
    let separator = match uri.split_once('?') {
        None => "?",
        Some((_, before)) if before.is_empty() || before.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{separator}{query}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn may(uri: &str, kind: ApplicationKind) -> bool {
        check_registered("redirect_uris[0]", uri, kind).is_ok()
    }

    #[test]
    fn addresses_of_sites_machines_and_applications_may_be_registered() {
        for uri in [
            "https://app.example/callback",
            "https://app.example:8443/callback?from=plasma",
            "http://127.0.0.1/callback",
            "http://127.0.0.1:7777/callback",
            "http://[::1]/callback",
            "http://localhost:3000/callback",
            "com.example.app:/callback",
            "com.example.app://callback",
        ] {
            assert!(may(uri, ApplicationKind::Public), "{uri}");
        }
        assert!(may("https://app.example/callback", ApplicationKind::Confidential));
        assert!(!may("com.example.app:/callback", ApplicationKind::Confidential));
    }

    #[test]
    fn dangerous_addresses_may_not() {
        let long = format!("https://app.example/{}", "a".repeat(2_000));
        for uri in [
            "",
            "callback",
            "/callback",
            "http://app.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "https://",
            "https://app.example/callback#fragment",
            "https://*.app.example/callback",
            "https://app.example\\@evil.example/callback",
            "https://user@app.example/callback",
            "https://user:password@app.example/callback",
            "https://@app.example/callback",
            "https://app.example/call back",
            "https://app.example/callback\r\nset-cookie:a",
            "https://äpp.example/callback",
            "javascript:alert(1)",
            "data:text/html,hello",
            "file:///etc/passwd",
            "myapp:/callback",
            "vbscript:x",
            "ftp://app.example/",
            long.as_str(),
        ] {
            assert!(!may(uri, ApplicationKind::Public), "{uri}");
        }
    }

    #[test]
    fn only_the_exact_address_matches() {
        let registered = "https://app.example/callback";
        assert!(matches(registered, registered));
        for other in [
            "https://app.example/callback/",
            "https://app.example/callback?x=1",
            "https://app.example:443/callback",
            "https://APP.example/callback",
            "https://app.example/callback/../callback",
            "https://app.example/%63allback",
            "https://app.example.evil.example/callback",
            "http://app.example/callback",
            "https://evil.example/https://app.example/callback",
            "",
        ] {
            assert!(!matches(registered, other), "{other}");
        }
    }

    #[test]
    fn a_loopback_address_may_choose_its_port_and_nothing_else() {
        for (registered, requested) in [
            ("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback"),
            ("http://127.0.0.1:1234/callback", "http://127.0.0.1:51004/callback"),
            ("http://[::1]/callback", "http://[::1]:51004/callback"),
            ("http://127.0.0.1", "http://127.0.0.1:1"),
        ] {
            assert!(matches(registered, requested), "{requested}");
        }
        for requested in [
            "http://127.0.0.1:51004/other",
            "http://127.0.0.1:51004/callback?x=1",
            "http://127.0.0.1:51004/callback/",
            "http://127.0.0.1:99999/callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:80@evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.2:51004/callback",
            "http://localhost:51004/callback",
            "http://[::1]:51004/callback",
            "https://127.0.0.1:51004/callback",
        ] {
            assert!(!matches("http://127.0.0.1/callback", requested), "{requested}");
        }
        assert!(!matches("http://localhost/callback", "http://localhost:3000/callback"));
        assert!(!matches("https://127.0.0.1/callback", "https://127.0.0.1:4443/callback"));
    }

    #[test]
    fn an_answer_is_added_to_the_query() {
        let answer = [("code", "a b"), ("state", "x&y=ä")];
        let expected = "code=a+b&state=x%26y%3D%C3%A4";
        for (uri, begin) in [
            ("https://a.example/cb", "https://a.example/cb?"),
            ("https://a.example/cb?", "https://a.example/cb?"),
            ("https://a.example/cb?x=1", "https://a.example/cb?x=1&"),
            ("https://a.example/cb?x=1&", "https://a.example/cb?x=1&"),
            ("com.example.app:/cb", "com.example.app:/cb?"),
        ] {
            assert_eq!(with_answer(uri, &answer), format!("{begin}{expected}"));
        }
    }

    proptest! {
        #[test]
        fn what_may_be_registered_never_leads_to_scripts_or_plain_http(uri in "[a-z:/@.?#\\\\*0-9\\[\\] ]{0,60}") {
            if may(&uri, ApplicationKind::Public) {
                let url = Url::parse(&uri).map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert!(url.scheme() == "https" || url.scheme().contains('.') || is_this_machine(&url));
            }
        }

        #[test]
        fn hostile_addresses_never_panic(registered in "\\PC{0,60}", requested in "\\PC{0,60}") {
            let _ = matches(&registered, &requested);
            let _ = check_registered("x", &requested, ApplicationKind::Public);
        }
    }
}
