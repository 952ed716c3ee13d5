//! Records by syslog: RFC 5424, over UDP (RFC 5426), TCP (RFC 6587, octet counting) and TLS (RFC 5425).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use plasma_http::outbound::Outbound;
use plasma_kernel::{Code, Error, Result, TenantId};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
};
use tokio_rustls::TlsConnector;

use super::{guard::CONNECT_TIMEOUT, otlp::is_warning};
use crate::{
    SyslogTransport,
    record::{Record, actor_names},
    store::records::RecordRow,
    time,
};

/// Log audit (RFC 5424, section 6.2.1).
const FACILITY: u32 = 13;
const SEVERITY_INFORMATIONAL: u32 = 6;
const SEVERITY_WARNING: u32 = 4;
/// The number of an enterprise that RFC 5612 keeps for those who have none.
const STRUCTURED_DATA_ID: &str = "plasma@32473";
/// What fits into a datagram.
const DATAGRAM_BYTES_MAX: usize = 60_000;
/// How long a batch may take to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the collector may take to close its side, which shows that it has read everything.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Where messages go.
pub(super) struct Collector<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) transport: SyslogTransport,
    pub(super) ca_pem: Option<&'a str>,
    /// Which addresses of the host may be reached.
    pub(super) guard: &'a Outbound,
}

/// A message for each record.
pub(super) fn messages(origin: &str, log: TenantId, rows: &[RecordRow]) -> Result<Vec<String>> {
    rows.iter().map(|row| Ok(message(origin, log, row, &Record::read(&row.text)?))).collect()
}

fn message(origin: &str, log: TenantId, row: &RecordRow, record: &Record) -> String {
    let severity = if is_warning(&record.kind) { SEVERITY_WARNING } else { SEVERITY_INFORMATIONAL };
    let priority = FACILITY * 8 + severity;
    let host = printable(origin.split('/').next().unwrap_or("-"), 255);
    let mut data = format!("[{STRUCTURED_DATA_ID}");
    let actor = actor_names(&record.actor).into_iter().next().unwrap_or_default();
    let leaf = row.leaf.to_string();
    for (name, value) in [
        ("log", log.to_string()),
        ("leaf", leaf),
        ("id", record.id.to_string()),
        ("subject", record.subject.clone()),
        ("actor", actor),
        ("address", record.address().unwrap_or_default()),
    ] {
        if !value.is_empty() {
            data.push_str(&format!(" {name}=\"{}\"", escaped(&value)));
        }
    }
    data.push(']');
    let at = time::extended(record.at);
    let kind = printable(&record.kind, 32);
    // The mark says that the text is UTF-8.
    format!("<{priority}>1 {at} {host} plasma - {kind} {data} \u{feff}{}", row.text)
}

/// Visible ASCII, at most so much of it; `-` when nothing is left.
fn printable(text: &str, chars_max: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(chars_max).collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn failed(message: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::new(Code::Upstream, "sink_refused", format!("{message}: {error}")).source(error)
}

fn too_slow(message: &'static str) -> Error {
    Error::new(Code::Upstream, "sink_refused", message)
}

/// Sends all of them, in order.
///
/// # Errors
/// `upstream` with what went wrong.
pub(super) async fn send(collector: &Collector<'_>, messages: &[String]) -> Result<()> {
    let addresses = collector.guard.resolve(collector.host, collector.port).await?;
    match collector.transport {
        SyslogTransport::Udp => by_datagrams(&addresses, messages).await,
        SyslogTransport::Tcp => {
            let stream = connect(&addresses).await?;
            within(Box::pin(by_stream(stream, messages))).await
        }
        SyslogTransport::Tls => {
            let config = tls_config(collector.ca_pem)?;
            let name = ServerName::try_from(collector.host.to_owned())
                .map_err(|error| Error::invalid("target.host", "is no name of a server").source(error))?;
            let stream = connect(&addresses).await?;
            let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, handshake)
                .await
                .map_err(|_| too_slow("the collector did not answer in time"))?
                .map_err(failed("TLS could not be agreed on"))?;
            within(Box::pin(by_stream(stream, messages))).await
        }
    }
}

async fn by_datagrams(addresses: &[SocketAddr], messages: &[String]) -> Result<()> {
    let address = addresses.first().ok_or_else(|| too_slow("the collector has no address"))?;
    let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).await.map_err(failed("no socket could be opened"))?;
    for message in messages {
        let end = message.floor_char_boundary(DATAGRAM_BYTES_MAX);
        let datagram = message.get(..end).unwrap_or(message);
        socket.send_to(datagram.as_bytes(), address).await.map_err(failed("a datagram could not be sent"))?;
    }
    Ok(())
}

/// The first address that answers.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream> {
    match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addresses)).await {
        Ok(connected) => connected.map_err(failed("no connection could be made")),
        Err(_) => Err(too_slow("the collector did not answer in time")),
    }
}

async fn within(writing: impl Future<Output = std::io::Result<()>>) -> Result<()> {
    match tokio::time::timeout(WRITE_TIMEOUT, writing).await {
        Ok(written) => written.map_err(failed("the collector broke the connection off")),
        Err(_) => Err(too_slow("the collector did not take the records in time")),
    }
}

/// Each message after its length. Syslog has no answer: that the collector closes its side in order is all that it says.
async fn by_stream<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, messages: &[String]) -> std::io::Result<()> {
    for message in messages {
        stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
    }
    stream.flush().await?;
    stream.shutdown().await?;
    let mut rest = [0; 64];
    match tokio::time::timeout(CLOSE_TIMEOUT, stream.read(&mut rest)).await {
        // A peer that leaves without TLS's goodbye has still read what came before.
        Ok(Err(error)) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(()),
    }
}

/// Trusts what the system trusts, and the authority that was given.
fn tls_config(ca_pem: Option<&str>) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let extra = certificates(ca_pem.unwrap_or_default())?;
    let unusable = |error| Error::from_source("TLS cannot be set up for a collector", error);
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(unusable)?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        // What comes from the system's own store is verified as everywhere else; nothing is taken unseen.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// The certificates of a PEM text.
///
/// # Errors
/// `invalid` (`target.ca_pem`).
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|_| Error::invalid("target.ca_pem", "is no certificate in PEM"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(kind: &str, subject: &str) -> RecordRow {
        let text = json!({
            "v": 1, "log": "ten_1", "leaf": 7, "id": "evt_00000000000000000000000001", "at": 1_369_353_600_000_007_i64,
            "type": kind, "subject": subject, "actor": {"kind": "user", "id": "usr_00000000000000000000000002"},
            "request_id": "req_1", "data": {}, "origin": {"address": "203.0.113.7"},
        });
        RecordRow { leaf: 7, text: text.to_string(), erased_by: None }
    }

    #[test]
    fn a_message_has_the_form_of_the_standard() {
        let rows = [row("identity.login.failed", "a\"b]c\\d")];
        let messages = messages("plasma-1/audit/ten_1", TenantId::from_bits(3), &rows).unwrap();
        let (head, text) = messages[0].split_once('\u{feff}').unwrap();
        assert_eq!(
            head,
            "<108>1 2013-05-24T00:00:00.000007Z plasma-1 plasma - identity.login.failed \
             [plasma@32473 log=\"ten_00000000000000000000000003\" leaf=\"7\" id=\"evt_00000000000000000000000001\" \
             subject=\"a\\\"b\\]c\\\\d\" actor=\"usr_00000000000000000000000002\" address=\"203.0.113.7\"] "
        );
        assert_eq!(text, rows[0].text);
    }

    #[test]
    fn certificates_are_read_or_refused() {
        assert!(certificates("").unwrap().is_empty());
        let wrong = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert_eq!(certificates(wrong).unwrap_err().field_name(), Some("target.ca_pem"));
    }
}
