//! What is entered of a sink and what is sent to one, for the program in `fuzz/`.

use std::sync::OnceLock;

use plasma_http::outbound::Outbound;
use plasma_kernel::{Actor, EventId};
use plasma_store::{Event, EventPosition};
use serde_json::{Value, json};
use url::Url;

use super::{Reach, check_place, check_secret, otlp, send, sigv4::encode_path, syslog};
use crate::{
    Bucket, INSTALLATION, SinkTarget,
    canonical::canonical,
    export,
    record::{self, Record},
    store::records::RecordRow,
};

const ORIGIN: &str = "plasma-1/audit/ten_1";

fn reach() -> Option<&'static Reach> {
    static REACH: OnceLock<Option<Reach>> = OnceLock::new();
    REACH.get_or_init(|| Reach::new(&Outbound::guarded(Vec::new())).ok()).as_ref()
}

/// Whether private networks are allowed, a sink as JSON, a line break, and its secret.
pub(crate) fn sink(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    let is_private = which % 2 == 1;
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let Ok(target) = serde_json::from_slice::<SinkTarget>(parts.next().unwrap_or_default()) else { return };
    let secret = parts.next().and_then(|secret| std::str::from_utf8(secret).ok());
    if check_secret(&target, secret).is_ok() {
        let fits = |secret: &str| reqwest::header::HeaderValue::from_str(secret).is_ok();
        assert!(secret.is_none_or(fits), "a secret that no header holds");
    }
    let Some(reach) = reach() else { unreachable!("nothing can be sent") };
    if check_place(reach, &target, is_private).is_err() {
        return;
    }
    let stored = serde_json::to_value(&target).and_then(serde_json::from_value::<SinkTarget>);
    assert!(stored.is_ok_and(|stored| stored == target), "a sink is read otherwise than it was stored");
    match &target {
        SinkTarget::AnchorWebhook { url } => check_address(url, is_private),
        SinkTarget::Otlp { endpoint } => check_address(endpoint, is_private),
        SinkTarget::AnchorS3 { bucket, .. } | SinkTarget::S3 { bucket } => {
            check_address(&bucket.endpoint, is_private);
            check_path(bucket);
        }
        SinkTarget::Syslog { port, .. } => assert!(*port > 0),
        SinkTarget::AnchorFile {} => {}
    }
}

/// What a secret goes to cannot be listened to, but in a private network.
fn check_address(address: &str, is_private: bool) {
    let Ok(url) = Url::parse(address) else { unreachable!("an address that was checked is none") };
    assert!(url.scheme() == "https" || (is_private && url.scheme() == "http"), "{address}");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{address}");
}

/// The path that is signed is the one that is sent.
fn check_path(bucket: &Bucket) {
    let Ok(endpoint) = Url::parse(&bucket.endpoint) else { unreachable!("an address that was checked is none") };
    let base = endpoint.path().trim_end_matches('/');
    let prefix = bucket.prefix.trim_matches('/');
    let path = format!("{base}{}", encode_path(&format!("/{}/{prefix}/1.jsonl", bucket.name)));
    let sent = Url::parse(&format!("https://bucket.example{path}"));
    assert!(sent.is_ok_and(|url| url.path() == path), "{path} is sent otherwise than it is signed");
}

/// A record, or the details of an event, from which one is made.
pub(crate) fn record(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    show(&canonical(&value));
    let event = Event {
        id: EventId::from_bits(1),
        tenant: None,
        kind: value.get("type").and_then(Value::as_str).unwrap_or("identity.user.updated").to_owned(),
        subject: value.get("subject").and_then(Value::as_str).unwrap_or("usr_1").to_owned(),
        actor: Actor::System { reason: "fuzzing".to_owned() },
        origin: None,
        request_id: "req_1".to_owned(),
        at: value.get("at").and_then(Value::as_i64).unwrap_or_default(),
        data: value,
        position: EventPosition::START,
    };
    let text = record::write(&event, INSTALLATION, 7);
    show(&text);
    let read = Record::read(&text);
    assert!(read.is_ok_and(|read| (read.leaf, read.at) == (7, event.at) && read.kind == event.kind));
    let redacted = record::redacted(&text, EventId::from_bits(2)).and_then(|text| Record::read(&text));
    let Ok(redacted) = redacted else { unreachable!("an erased record cannot be read") };
    assert!(redacted.data == json!({}) && redacted.origin.is_none() && redacted.erased_by.is_some());
}

/// Every form in which a record is sent holds it as it was hashed, and nothing of it gets out of its place.
fn show(text: &str) {
    let Ok(record) = Record::read(text) else { return };
    let rows = [RecordRow { leaf: record.leaf, text: text.to_owned(), erased_by: record.erased_by }];
    let messages = syslog::messages(ORIGIN, INSTALLATION, &rows).unwrap_or_default();
    let [message] = messages.as_slice() else { unreachable!("one record became {} messages", messages.len()) };
    check_message(message, text);
    let logs = otlp::logs(ORIGIN, INSTALLATION, &rows).unwrap_or_default();
    let body = logs.pointer("/resourceLogs/0/scopeLogs/0/logRecords/0/body/stringValue");
    assert_eq!(body.and_then(Value::as_str), Some(text));
    let lines = send::lines(&rows);
    assert!(lines.contains(text) && lines.matches('\n').count() == 1, "one record became several lines");
    export::fuzz(&record.into());
}

/// RFC 5424: six words, the structured data, and the text.
fn check_message(message: &str, text: &str) {
    let head = message.strip_suffix(text).and_then(|head| head.strip_suffix(" \u{feff}"));
    let parts = head.and_then(|head| head.split_once(" [plasma@32473"));
    let Some((header, data)) = parts else { unreachable!("{message} does not end with its record") };
    assert!(header.starts_with("<1") && header.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
    assert_eq!(header.split(' ').filter(|word| !word.is_empty()).count(), 6, "{header}");
    let (mut is_quoted, mut is_escaped, mut end) = (false, false, None);
    for (at, letter) in data.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ']' => {
                assert!(!is_quoted, "a bracket in a value is not escaped");
                end = Some(at);
                break;
            }
            _ => {}
        }
    }
    assert_eq!(end, data.len().checked_sub(1), "the structured data ends too early");
}
