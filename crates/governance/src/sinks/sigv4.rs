//! AWS Signature Version 4 for single requests to S3 ("Authenticating Requests: Using the Authorization Header").

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use plasma_kernel::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::time;

/// The key with which a bucket is reached.
pub(super) struct Credentials<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) secret_access_key: &'a str,
    pub(super) region: &'a str,
}

/// The headers of a signed PUT, `headers` among them: names in lower case. `path` is percent-encoded once, as it is sent.
pub(super) fn sign_put(
    credentials: &Credentials<'_>,
    host: &str,
    path: &str,
    headers: &[(&'static str, String)],
    body: &[u8],
    at: Timestamp,
) -> Vec<(&'static str, String)> {
    const ALGORITHM: &str = "AWS4-HMAC-SHA256";
    let now = time::basic(at);
    let date = now.split('T').next().unwrap_or_default();
    let body_hash = hexadecimal(&Sha256::digest(body));
    let mut sent = headers.to_vec();
    sent.push(("x-amz-date", now.clone()));
    sent.push(("x-amz-content-sha256", body_hash.clone()));
    let mut signed: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (*name, value.trim())).collect();
    signed.push(("host", host));
    signed.sort_unstable();
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let mut request = format!("PUT\n{path}\n\n");
    for (name, value) in &signed {
        // Writing to a text cannot fail.
        let _ = writeln!(request, "{name}:{value}");
    }
    let _ = write!(request, "\n{names}\n{body_hash}");
    let Credentials { access_key_id, secret_access_key, region } = *credentials;
    let scope = format!("{date}/{region}/s3/aws4_request");
    let to_sign = format!("{ALGORITHM}\n{now}\n{scope}\n{}", hexadecimal(&Sha256::digest(request.as_bytes())));
    let mut key = format!("AWS4{secret_access_key}").into_bytes();
    for part in [date, region, "s3", "aws4_request"] {
        key = hmac_sha256(&key, part.as_bytes());
    }
    let signature = hexadecimal(&hmac_sha256(&key, to_sign.as_bytes()));
    sent.push((
        "authorization",
        format!("{ALGORITHM} Credential={access_key_id}/{scope},SignedHeaders={names},Signature={signature}"),
    ));
    sent
}

/// HMAC with SHA-256 (RFC 2104).
pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

/// Percent-encodes all but RFC 3986's unreserved characters and `/`.
pub(super) fn encode_path(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_documentation() {
        // Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header", example PUT Object.
        let credentials = Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE",
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
        };
        let headers = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT".to_owned()),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY".to_owned()),
        ];
        let at = 1_369_353_600_000_000;
        let host = "examplebucket.s3.amazonaws.com";
        let path = encode_path("/test$file.text");
        let sent = sign_put(&credentials, host, &path, &headers, b"Welcome to Amazon S3.", at);
        let authorization = &sent.iter().find(|(name, _)| *name == "authorization").unwrap().1;
        assert_eq!(
            authorization,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,\
             Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
    }
}
