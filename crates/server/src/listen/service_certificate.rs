//! Who a client is by its own certificate. That somebody trusted signed it was verified in the handshake.

use std::sync::Arc;

use plasma_identity::is_spiffe_id;
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

/// The SPIFFE id in a verified client certificate; among the extensions of every request of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceCertificate(pub(crate) Arc<str>);

impl ServiceCertificate {
    /// Reads it from a certificate (DER). `None` when the certificate is none of a service: a service's has exactly one URI among its
    /// alternative names, which is its SPIFFE id, and signs no others.
    /// <https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md>
    pub(super) fn read(certificate: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(certificate).ok()?;
        if certificate.is_ca() {
            return None;
        }
        let names = certificate.subject_alternative_name().ok()??;
        let mut uris = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        let uri = uris.next().filter(|uri| is_spiffe_id(uri))?;
        uris.next().is_none().then(|| Self(Arc::from(uri)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SanType};

    use super::*;

    fn read(names: &[SanType], is_ca: bool) -> Option<String> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        ServiceCertificate::read(certificate.der()).map(|service| service.0.to_string())
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    #[test]
    fn a_service_is_named_by_its_only_uri() {
        let billing = uri("spiffe://example.org/billing");
        let host = SanType::DnsName("billing.example.org".try_into().unwrap());
        assert_eq!(read(&[host.clone(), billing.clone()], false).as_deref(), Some("spiffe://example.org/billing"));
        assert_eq!(read(std::slice::from_ref(&host), false), None);
        assert_eq!(read(&[], false), None);
        assert_eq!(read(std::slice::from_ref(&billing), true), None);
        assert_eq!(read(&[billing.clone(), uri("spiffe://example.org/other")], false), None);
        assert_eq!(read(&[billing, uri("https://example.org")], false), None);
        assert_eq!(read(&[uri("https://example.org/billing")], false), None);
    }

    #[test]
    fn what_is_no_certificate_is_nobody() {
        for bytes in [b"".as_slice(), b"0", &[0x30, 0x80], &[0xff; 300]] {
            assert_eq!(ServiceCertificate::read(bytes), None);
        }
    }
}
