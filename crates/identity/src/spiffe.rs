//! SPIFFE ids: names of services, as in `spiffe://example.org/billing/worker`.
//! <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md>

const SPIFFE_ID_BYTES_MAX: usize = 2_048;
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// Whether it is the SPIFFE id of a service. One without a path names a whole trust domain, and is none.
pub fn is_spiffe_id(text: &str) -> bool {
    let Some((domain, path)) = text.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let of_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let of_segment = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_segment =
        |segment: &str| !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(of_segment);
    text.len() <= SPIFFE_ID_BYTES_MAX
        && (1..=TRUST_DOMAIN_BYTES_MAX).contains(&domain.len())
        && domain.bytes().all(of_domain)
        && path.split('/').all(is_segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_services_are_spiffe_ids() {
        for right in ["spiffe://example.org/billing", "spiffe://a/b/c-d_e.f", "spiffe://td-1.example/ns/x/sa/Y"] {
            assert!(is_spiffe_id(right), "{right}");
        }
        let long = format!("spiffe://example.org/{}", "a".repeat(2_048));
        for wrong in [
            "",
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe:///billing",
            "https://example.org/billing",
            "spiffe://Example.org/billing",
            "spiffe://example.org//billing",
            "spiffe://example.org/billing/",
            "spiffe://example.org/../billing",
            "spiffe://example.org/bill%69ng",
            "spiffe://example.org/billing?x=1",
            "spiffe://user@example.org/billing",
            "spiffe://example.org:1/billing",
            "spiffe://example.org/b\0",
            long.as_str(),
        ] {
            assert!(!is_spiffe_id(wrong), "{wrong}");
        }
    }
}
