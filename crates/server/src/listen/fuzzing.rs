//! What comes before a request is one, for the program in `fuzz/`.

use axum::http::Uri;
use plasma_identity::is_spiffe_id;
use url::Url;

use super::{ServiceCertificate, certificates::certificates, redirect::target};

/// A client's certificate (DER), or a file of certificates (PEM).
pub(crate) fn certificate(bytes: &[u8]) {
    read(bytes);
    if let Ok(chain) = certificates(bytes) {
        assert!(!chain.is_empty());
        chain.iter().for_each(|certificate| read(certificate));
    }
}

fn read(certificate: &[u8]) {
    if let Some(ServiceCertificate(id)) = ServiceCertificate::read(certificate) {
        assert!(is_spiffe_id(&id), "a service that is none: {id}");
        assert!(id.starts_with("spiffe://") && id.is_ascii() && id.len() <= 2_048, "{id}");
    }
}

/// The host that was called by http, a line break, and the place that was asked for.
pub(crate) fn redirect(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (host, place) = text.split_once('\n').unwrap_or((text, "/"));
    let Ok(uri) = place.parse::<Uri>() else { return };
    let place = uri.path_and_query().map_or("/", |all| all.as_str());
    let Some(target) = target(host, 8443, place) else { return };
    assert!(target.starts_with("https://"), "{target}");
    let Ok(url) = Url::parse(&target) else { return };
    // The same host: neither a login nor another host has crept in.
    assert!(url.username().is_empty() && url.password().is_none() && url.port() == Some(8443), "{target}");
}
