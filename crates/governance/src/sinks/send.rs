//! How each kind of sink is spoken to.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_http::outbound;
use plasma_kernel::{Code, Error, Result, Timestamp};
use reqwest::{Method, RequestBuilder, header};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{
    Reach, otlp,
    sigv4::{Credentials, encode_path, hexadecimal, hmac_sha256, sign_put},
    syslog,
};
use crate::{AuditCheckpoint, Bucket, ObjectLock, SinkTarget, store::records::RecordRow, store::sinks::SinkRow, time};

/// Bytes of an answer that are looked at, to say why it was refused.
const ANSWER_BYTES_MAX: usize = 4_096;
/// Whose address is called, for errors.
const OWNER: &str = "the other side";
const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// What is sent.
pub(super) enum Load<'a> {
    Checkpoint(&'a AuditCheckpoint),
    /// Some, oldest first.
    Records(&'a [RecordRow]),
}

/// What sending needs beside the sink itself.
pub(super) struct Sender<'a> {
    pub(super) reach: &'a Reach,
    pub(super) anchor_dir: &'a Path,
    /// Names the log.
    pub(super) origin: &'a str,
    pub(super) secret: Option<&'a str>,
    pub(super) now: Timestamp,
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(Code::Upstream, "sink_refused", message)
}

impl Sender<'_> {
    /// Sends it; what was taken is safe there.
    ///
    /// # Errors
    /// `upstream` with what the other side said, `invalid` for a load that the kind does not take.
    pub(super) async fn send(&self, row: &SinkRow, load: Load<'_>) -> Result<()> {
        match (&row.sink.target, load) {
            (SinkTarget::AnchorFile {}, Load::Checkpoint(checkpoint)) => self.to_file(row, checkpoint).await,
            (SinkTarget::AnchorS3 { bucket, lock, retain_days }, Load::Checkpoint(checkpoint)) => {
                let key = format!("{}/{:020}.checkpoint", row.log, checkpoint.size);
                let until = self.now + i64::from(*retain_days) * DAY_MICROS;
                let body = checkpoint.note.as_bytes();
                self.put(row, bucket, &key, body, lock_headers(*lock, until, body)).await
            }
            (SinkTarget::AnchorWebhook { url }, Load::Checkpoint(checkpoint)) => {
                self.to_webhook(row, url, checkpoint).await
            }
            (SinkTarget::S3 { bucket }, Load::Records(records)) => {
                let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
                let key = format!("{}/{:020}-{:020}.jsonl", row.log, first.leaf, last.leaf);
                let body = lines(records);
                self.put(row, bucket, &key, body.as_bytes(), Vec::new()).await
            }
            (SinkTarget::Syslog { host, port, transport, ca_pem }, Load::Records(records)) => {
                let messages = syslog::messages(self.origin, row.log, records)?;
                let collector = syslog::Collector {
                    host,
                    port: *port,
                    transport: *transport,
                    ca_pem: ca_pem.as_deref(),
                    guard: self.reach.client(row.private_network).guard(),
                };
                Box::pin(syslog::send(&collector, &messages)).await
            }
            (SinkTarget::Otlp { endpoint }, Load::Records(records)) => {
                let url = format!("{}/v1/logs", endpoint.trim_end_matches('/'));
                let body = otlp::logs(self.origin, row.log, records)?.to_string();
                let mut request =
                    self.request(row, Method::POST, &url)?.header(header::CONTENT_TYPE, "application/json");
                if let Some(secret) = self.secret {
                    request = request.header(header::AUTHORIZATION, secret);
                }
                answered(request.body(body)).await
            }
            _ => Err(Error::internal("a sink was given what it does not take")),
        }
    }

    fn request(&self, row: &SinkRow, method: Method, url: &str) -> Result<RequestBuilder> {
        let url = Url::parse(url).map_err(|error| Error::from_source("the address of a sink is no URL", error))?;
        let client = self.reach.client(row.private_network);
        client.request(method, url).map_err(|refused| refused.into_upstream_error(OWNER))
    }

    /// Adds a line to the sink's file and syncs it to the disk. The file is opened to be added to only.
    async fn to_file(&self, row: &SinkRow, checkpoint: &AuditCheckpoint) -> Result<()> {
        let file = self.anchor_dir.join(format!("audit-{}-{}.jsonl", row.log, row.sink.id));
        let line = format!("{}\n", json!({ "at": checkpoint.created_at, "note": checkpoint.note }));
        let failed = |error: std::io::Error| {
            Error::unavailable("anchor_file_unavailable", format!("the file of the anchor cannot be written: {error}"))
                .remedy("check audit_anchor_dir, its permissions and its free space")
        };
        let written = tokio::task::spawn_blocking(move || {
            use std::io::Write as _;
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file)?;
            file.write_all(line.as_bytes())?;
            file.sync_all()
        });
        written.await.map_err(|error| Error::from_source("writing an anchor panicked", error))?.map_err(failed)
    }

    /// The signature covers the time, so that an old message cannot be sent again as a new one.
    async fn to_webhook(&self, row: &SinkRow, url: &str, checkpoint: &AuditCheckpoint) -> Result<()> {
        let body = json!({
            "type": "audit.checkpoint",
            "log": row.log,
            "origin": self.origin,
            "size": checkpoint.size,
            "root": checkpoint.root,
            "note": checkpoint.note,
            "created_at": checkpoint.created_at,
        })
        .to_string();
        let mut request = self.request(row, Method::POST, url)?.header(header::CONTENT_TYPE, "application/json");
        if let Some(secret) = self.secret {
            request = request.header("plasma-signature", signature(secret, self.now, &body));
        }
        answered(request.body(body)).await
    }

    async fn put(
        &self,
        row: &SinkRow,
        bucket: &Bucket,
        key: &str,
        body: &[u8],
        headers: Vec<(&'static str, String)>,
    ) -> Result<()> {
        let unusable = || Error::invalid("target.bucket.endpoint", "is not a URL");
        let endpoint = Url::parse(&bucket.endpoint).map_err(|_| unusable())?;
        let host = match (endpoint.host_str(), endpoint.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(unusable()),
        };
        let base = endpoint.path().trim_end_matches('/');
        let prefix = bucket.prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        let path = format!("{base}{}", encode_path(&format!("/{}/{prefix}{slash}{key}", bucket.name)));
        let credentials = Credentials {
            access_key_id: &bucket.access_key_id,
            secret_access_key: self.secret.unwrap_or_default(),
            region: &bucket.region,
        };
        let signed = sign_put(&credentials, &host, &path, &headers, body, self.now);
        let url = format!("{}://{host}{path}", endpoint.scheme());
        let mut request = self.request(row, Method::PUT, &url)?.body(body.to_vec());
        for (name, value) in signed {
            request = request.header(name, value);
        }
        answered(request).await
    }
}

/// `t=seconds,v1=hexadecimal`: HMAC-SHA256 by the secret over the seconds, a dot and the body.
pub(super) fn signature(secret: &str, now: Timestamp, body: &str) -> String {
    let seconds = now.div_euclid(1_000_000);
    let mac = hmac_sha256(secret.as_bytes(), format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hexadecimal(&mac))
}

/// What makes S3 refuse every change of the object until then. It wants a checksum of such objects.
fn lock_headers(lock: ObjectLock, until: Timestamp, body: &[u8]) -> Vec<(&'static str, String)> {
    let mode = match lock {
        ObjectLock::Governance => "GOVERNANCE",
        ObjectLock::Compliance => "COMPLIANCE",
    };
    vec![
        ("x-amz-object-lock-mode", mode.to_owned()),
        ("x-amz-object-lock-retain-until-date", time::whole_seconds(until)),
        ("x-amz-sdk-checksum-algorithm", "SHA256".to_owned()),
        ("x-amz-checksum-sha256", STANDARD.encode(Sha256::digest(body))),
    ]
}

/// A JSON object for each record, the record in it exactly as it was hashed.
pub(super) fn lines(records: &[RecordRow]) -> String {
    let line = |row: &RecordRow| format!("{{\"leaf\":{},\"record\":{}}}\n", row.leaf, row.text);
    records.iter().map(line).collect()
}

/// Any answer of the kind 2xx will do.
async fn answered(request: RequestBuilder) -> Result<()> {
    let mut response = request.send().await.map_err(|error| outbound::failure(OWNER, error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let mut answer = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        answer.extend_from_slice(&piece);
        if answer.len() >= ANSWER_BYTES_MAX {
            break;
        }
    }
    let said: String =
        String::from_utf8_lossy(&answer).chars().filter(|letter| !letter.is_control()).take(300).collect();
    Err(refused(format!("the other side answered {status}: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhooks_signature_can_be_computed_by_anybody_with_the_secret() {
        // printf '1800000000.{}' | openssl dgst -sha256 -hmac secret
        assert_eq!(
            signature("secret", 1_800_000_000_999_999, "{}"),
            "t=1800000000,v1=bb7079132825ac793cea8c013c1dd24d926b9b02132245b10588d9e5c0df70d7"
        );
    }

    #[test]
    fn a_locked_object_says_until_when() {
        let headers = lock_headers(ObjectLock::Compliance, 1_369_353_600_000_000, b"note");
        assert!(headers.contains(&("x-amz-object-lock-mode", "COMPLIANCE".to_owned())));
        assert!(headers.contains(&("x-amz-object-lock-retain-until-date", "2013-05-24T00:00:00Z".to_owned())));
    }
}
