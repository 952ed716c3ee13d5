//! The certificate that is shown to clients, which may change while the program runs.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

/// The protocol with which an authority asks for the proof that a name is ours (RFC 8737).
pub(super) const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// What is shown to whom.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    /// To everybody; `None` until there is one.
    shown: RwLock<Option<Arc<CertifiedKey>>>,
    /// To an authority, by name.
    proofs: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    pub(super) fn show(&self, key: CertifiedKey) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(key));
    }

    pub(super) fn put_proof(&self, name: &str, key: CertifiedKey) {
        self.proofs.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Arc::new(key));
    }

    pub(super) fn remove_proofs(&self) {
        self.proofs.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // An authority offers this protocol and no other.
        let asks_for_proof = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.next() == Some(ACME_PROTOCOL) && protocols.next().is_none());
        if asks_for_proof {
            let proofs = self.proofs.read().unwrap_or_else(PoisonError::into_inner);
            return proofs.get(hello.server_name()?).cloned();
        }
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads a chain and the key of its first certificate from PEM texts, which may be one and the same.
///
/// # Errors
/// What is wrong with them, for the operator.
pub(super) fn certified_key(chain: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "holds no private key in PEM".to_owned())?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| format!("certificate and key do not belong together or are of an unknown kind: {error}"))
}

/// All certificates of a PEM text; at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err("holds no certificate in PEM".to_owned()),
    }
}

/// What matters of a certificate for knowing when to replace it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Validity {
    /// In seconds since 1970 UTC.
    pub(super) from: i64,
    pub(super) until: i64,
    /// The hosts, in the certificate's order.
    pub(super) names: Vec<String>,
}

/// Of the first certificate of a chain; `None` when it cannot be read.
pub(super) fn validity(key: &CertifiedKey) -> Option<Validity> {
    let (_, certificate) = parse_x509_certificate(key.cert.first()?).ok()?;
    let names = match certificate.subject_alternative_name() {
        Ok(Some(names)) => names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        }),
        _ => return None,
    };
    let names = names.collect();
    let validity = certificate.validity();
    Some(Validity { from: validity.not_before.timestamp(), until: validity.not_after.timestamp(), names })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls::crypto::aws_lc_rs::default_provider;

    use super::*;

    fn made(names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 3, 1));
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_chain_and_its_key_are_read_also_from_one_file() {
        let (chain, key) = made(&["a.example", "b.example"]);
        let both = format!("{key}{chain}{}", made(&["issuer.example"]).0);
        let read = certified_key(both.as_bytes(), both.as_bytes(), &default_provider()).unwrap();
        assert_eq!(read.cert.len(), 2);
        let found = validity(&read).unwrap();
        assert_eq!(found.names, ["a.example", "b.example"]);
        assert_eq!((found.from, found.until - found.from), (1_767_225_600, 59 * 86_400));
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let ((chain, key), (other, other_key)) = (made(&["a.example"]), made(&["b.example"]));
        let read = |chain: &str, key: &str| certified_key(chain.as_bytes(), key.as_bytes(), &default_provider());
        assert!(read(&chain, &key).is_ok() && read(&other, &other_key).is_ok());
        assert!(read(&chain, &other_key).is_err_and(|error| error.contains("belong together")));
        assert!(read("", &key).is_err_and(|error| error.contains("certificate")));
        assert!(read(&chain, "-----BEGIN NOTHING-----").is_err_and(|error| error.contains("private key")));
        assert!(read(&chain, &chain).is_err());
    }
}
