//! AWS Signature Version 4 ("AWS Identity and Access Management User Guide", "AWS Signature Version 4 for API
//! requests").

use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit as _, Mac as _};
use plasma_kernel::date_of_day;
use sha2::{Digest as _, Sha256};

/// The key of an AWS account's user or role.
#[derive(Clone)]
pub struct Credentials {
    /// Names the key; not secret.
    pub access_key_id: String,
    /// The key itself.
    pub secret_access_key: String,
    /// Goes with a temporary key.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// The headers that sign a request: `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` for a temporary key,
/// and `authorization`. They hold for about five minutes from `now_unix_seconds`.
///
/// - `host` as the header says it, with its port unless that is the scheme's own.
/// - `path` percent-encoded once, as it is sent, and without `.`, `..` and empty segments.
/// - `query` percent-encoded as it is sent, without `?`; empty when there is none.
#[allow(clippy::too_many_arguments)] // each is its own part of what is signed
pub fn sign(
    credentials: &Credentials,
    region: &str,
    service: &str,
    method: &str,
    host: &str,
    path: &str,
    query: &str,
    body: &[u8],
    now_unix_seconds: i64,
) -> Vec<(&'static str, String)> {
    let time = basic_time(now_unix_seconds);
    let body_hash = hexadecimal(&Sha256::digest(body));
    let mut headers = vec![("x-amz-date", time.clone()), ("x-amz-content-sha256", body_hash.clone())];
    headers.extend(credentials.session_token.clone().map(|token| ("x-amz-security-token", token)));
    let mut signed: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    signed.push(("host", host));
    let request = Canonical { method, path, query, headers: signed, body_hash: &body_hash };
    headers.push(("authorization", request.authorization(credentials, region, service, &time)));
    headers
}

/// What of a request is signed.
struct Canonical<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    /// Names in lower case.
    headers: Vec<(&'a str, &'a str)>,
    body_hash: &'a str,
}

impl Canonical<'_> {
    /// The header `authorization`. `time` as [`basic_time`] writes it.
    fn authorization(mut self, credentials: &Credentials, region: &str, service: &str, time: &str) -> String {
        const ALGORITHM: &str = "AWS4-HMAC-SHA256";
        let date = time.split('T').next().unwrap_or(time);
        let scope = format!("{date}/{region}/{service}/aws4_request");
        self.headers.sort_unstable();
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let request_hash = hexadecimal(&Sha256::digest(self.text(service, &names)));
        let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{request_hash}");
        let secret = format!("AWS4{}", credentials.secret_access_key);
        let key = hmac(&hmac(&hmac(&hmac(secret.as_bytes(), date), region), service), "aws4_request");
        let signature = hexadecimal(&hmac(&key, &to_sign));
        let key_id = &credentials.access_key_id;
        format!("{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}")
    }

    /// The canonical request.
    fn text(&self, service: &str, names: &str) -> String {
        let path = if self.path.is_empty() { "/" } else { self.path };
        // S3 alone signs the path as it is sent; everywhere else it is encoded once more.
        let path = if service == "s3" { path.to_owned() } else { percent_encode(path, true) };
        let mut parameters: Vec<(&str, &str)> =
            self.query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
        parameters.sort_unstable();
        let parameters: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut text = format!("{}\n{path}\n{}\n", self.method, parameters.join("&"));
        for (name, value) in &self.headers {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{name}:{}", value.trim());
        }
        let _ = write!(text, "\n{names}\n{}", self.body_hash);
        text
    }
}

fn pair(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, ""))
}

/// HMAC with SHA-256 (RFC 2104), whose key may have any length.
fn hmac(key: &[u8], message: &str) -> [u8; 32] {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    let hashed;
    let key = if key.len() > block.len() {
        hashed = Sha256::digest(key);
        hashed.as_slice()
    } else {
        key
    };
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha256>::new(&block);
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Percent-encodes all but RFC 3986's unreserved characters, and `/` on demand.
pub(super) fn percent_encode(text: &str, keep_slash: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            b'/' if keep_slash => encoded.push('/'),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Seconds since 1970 as `YYYYMMDDThhmmssZ` (ISO 8601, basic format).
fn basic_time(unix_seconds: i64) -> String {
    let (days, seconds) = (unix_seconds.div_euclid(86_400), unix_seconds.rem_euclid(86_400));
    let (year, month, day) = date_of_day(days);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests;
