//! TLS: version 1.3 unless the operator allows 1.2, and a key exchange that a quantum computer does not break (X25519MLKEM768) with
//! every client that knows it. Certificates are read again when their files change.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use metrics::{counter, gauge};
use plasma_kernel::{Clock, Error, Result};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use sha2::{Digest as _, Sha256};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::Semaphore};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{
    ServiceCertificate,
    acme::{Acme, Tokens},
    certificates::{ACME_PROTOCOL, Certificates, certificates, certified_key, validity},
};
use crate::config::{ClientCertificates, Config, TlsVersion};

/// A client that has not proved to speak TLS after this time is let go.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes at the same time: they are the only costly thing that a stranger can ask for.
const HANDSHAKES_MAX: usize = 256;
/// How often the files are looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);
const FILE_BYTES_MAX: u64 = 1 << 20;
/// A certificate that ends sooner than this is warned of.
const SHORT_SECONDS: i64 = 14 * 86_400;

/// What a client that speaks plain HTTP to this port is told.
const NOT_PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 30\r\n\r\n\
                           this address speaks only https";
/// The first byte of every TLS connection: a record of the handshake.
const HANDSHAKE_RECORD: u8 = 0x16;

/// Offers TLS.
pub struct Tls {
    files: Files,
    min_version: TlsVersion,
    clients: ClientCertificates,
    certificates: Arc<Certificates>,
    config: RwLock<Arc<ServerConfig>>,
    handshakes: Semaphore,
    acme: Option<Acme>,
    /// Of the files when they were read first.
    opened: [u8; 32],
}

/// The files that may change.
struct Files {
    /// Certificate and key; `None` with ACME.
    own: Option<(PathBuf, PathBuf)>,
    client_ca: Option<PathBuf>,
}

/// What they held.
#[derive(Default)]
struct Contents {
    own: Option<(Vec<u8>, Vec<u8>)>,
    client_ca: Option<Vec<u8>>,
}

/// A connection after its handshake.
pub(super) struct Secured {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) is_http2: bool,
    pub(super) certificate: Option<ServiceCertificate>,
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

impl Tls {
    /// What the configuration asks for; `None` when it asks for no TLS.
    ///
    /// # Errors
    /// `invalid`, naming the setting whose file is wrong.
    pub async fn open(config: &Config) -> Result<Option<Arc<Self>>> {
        if !config.offers_tls() {
            return Ok(None);
        }
        let files = Files {
            own: config.tls_certificate_file.clone().zip(config.tls_key_file.clone()),
            client_ca: config.tls_client_ca_file.clone(),
        };
        let certificates = Arc::new(Certificates::default());
        let acme = Acme::from_config(config, Arc::clone(&certificates))?;
        let contents = files.read().await?;
        let (min_version, clients) = (config.tls_min_version, config.tls_client_certificates);
        let (server_config, own) = prepare(&contents, min_version, clients, &certificates)?;
        let tls = Self {
            files,
            min_version,
            clients,
            certificates,
            config: RwLock::new(Arc::new(server_config)),
            handshakes: Semaphore::new(HANDSHAKES_MAX),
            acme,
            opened: contents.digest(),
        };
        if let Some(own) = own {
            tls.show(own);
        }
        Ok(Some(Arc::new(tls)))
    }

    /// What an authority must find under `/.well-known/acme-challenge/`, if certificates are fetched so.
    pub fn tokens(&self) -> Option<Tokens> {
        self.acme.as_ref().and_then(Acme::tokens)
    }

    /// Keeps the certificate fresh until `stop`: from its files, or from an authority.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        match &self.acme {
            Some(acme) => {
                tokio::join!(acme.keep(&stop), self.watch(&stop));
            }
            None => self.watch(&stop).await,
        }
    }

    fn show(&self, key: CertifiedKey) {
        note_validity(&key);
        self.certificates.show(key);
    }

    /// Reads the files again when they have changed. What is wrong then is told once, and the old certificate stays.
    async fn watch(&self, stop: &CancellationToken) {
        let mut known = self.opened;
        loop {
            if stop.run_until_cancelled(tokio::time::sleep(WATCH_INTERVAL)).await.is_none() {
                return;
            }
            // A file that is just being replaced is read the next time.
            let Ok(contents) = self.files.read().await else { continue };
            let digest = contents.digest();
            if known == digest {
                continue;
            }
            known = digest;
            match prepare(&contents, self.min_version, self.clients, &self.certificates) {
                Ok((config, own)) => {
                    *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                    if let Some(own) = own {
                        self.show(own);
                    }
                    tracing::info!("the changed certificates are in use");
                }
                Err(error) => tracing::warn!(%error, "the changed certificates are not used; the old ones stay"),
            }
        }
    }

    /// The handshake. `None` when the client is gone, too slow, not trusted, or does not speak TLS.
    pub(super) async fn accept(&self, stream: TcpStream, peer: SocketAddr) -> Option<Secured> {
        let handshake = async {
            let mut first = [0];
            // Nothing: the client left.
            if stream.peek(&mut first).await.ok()? == 0 {
                return None;
            }
            if first != [HANDSHAKE_RECORD] {
                tell_plain_client(stream).await;
                return None;
            }
            // Never closed.
            let _permit = self.handshakes.acquire().await;
            let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
            match TlsAcceptor::from(config).accept(stream).await {
                Ok(stream) => Some(stream),
                Err(error) => {
                    tracing::debug!(%peer, %error, "a handshake failed");
                    None
                }
            }
        };
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await.ok().flatten();
        let Some(stream) = stream else {
            counter!("plasma_tls_handshakes_failed_total").increment(1);
            return None;
        };
        let (_, session) = stream.get_ref();
        let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("unknown");
        let group = session.negotiated_key_exchange_group().map(|group| group.name().as_str().unwrap_or("unknown"));
        let group = group.unwrap_or("resumed");
        counter!("plasma_tls_handshakes_total", "version" => version, "group" => group).increment(1);
        if session.alpn_protocol() == Some(ACME_PROTOCOL) {
            // The authority has seen the proof, which is all that it wants.
            return None;
        }
        let certificate = session.peer_certificates().and_then(|chain| ServiceCertificate::read(chain.first()?));
        Some(Secured { is_http2: session.alpn_protocol() == Some(b"h2".as_slice()), certificate, stream })
    }
}

/// A person who typed http:// gets an answer instead of a broken connection.
async fn tell_plain_client(mut stream: TcpStream) {
    // The client may be gone, and nothing else is to be said to it.
    let _ = stream.write_all(NOT_PLAIN).await;
    let _ = stream.shutdown().await;
}

fn note_validity(key: &CertifiedKey) {
    let Some(found) = validity(key) else { return };
    gauge!("plasma_tls_certificate_expiry_seconds").set(found.until as f64);
    let left = found.until - Clock::system().now() / 1_000_000;
    if left < 0 {
        tracing::warn!("the certificate has expired: clients will refuse it");
    } else if left < SHORT_SECONDS {
        tracing::warn!(days = left / 86_400, "the certificate expires soon");
    }
}

impl Files {
    async fn read(&self) -> Result<Contents> {
        let own = match &self.own {
            Some((certificate, key)) => {
                Some((read_file("tls_certificate_file", certificate).await?, read_file("tls_key_file", key).await?))
            }
            None => None,
        };
        let client_ca = match &self.client_ca {
            Some(file) => Some(read_file("tls_client_ca_file", file).await?),
            None => None,
        };
        Ok(Contents { own, client_ca })
    }
}

async fn read_file(setting: &'static str, file: &Path) -> Result<Vec<u8>> {
    let wrong = |what: String| Error::invalid(setting, format!("{}: {what}", file.display()));
    let found = tokio::fs::metadata(file).await.map_err(|error| wrong(error.to_string()))?;
    if found.len() > FILE_BYTES_MAX {
        return Err(wrong("is too large for a PEM file".to_owned()));
    }
    tokio::fs::read(file).await.map_err(|error| wrong(error.to_string()))
}

impl Contents {
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let (certificate, key) =
            self.own.as_ref().map(|(one, other)| (one.as_slice(), other.as_slice())).unwrap_or_default();
        for part in [certificate, key, self.client_ca.as_deref().unwrap_or_default()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

/// The configuration of new connections, and the own certificate if it comes from files.
fn prepare(
    contents: &Contents,
    min_version: TlsVersion,
    clients: ClientCertificates,
    certificates: &Arc<Certificates>,
) -> Result<(ServerConfig, Option<CertifiedKey>)> {
    let provider = Arc::new(provider());
    let own = match &contents.own {
        Some((chain, key)) => {
            Some(certified_key(chain, key, &provider).map_err(|what| Error::invalid("tls_certificate_file", what))?)
        }
        None => None,
    };
    let versions: &[&'static SupportedProtocolVersion] = match min_version {
        TlsVersion::V1_3 => &[&TLS13],
        TlsVersion::V1_2 => &[&TLS13, &TLS12],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| Error::from_source("TLS cannot be prepared", error))?;
    let builder = match &contents.client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let wrong = |what: String| Error::invalid("tls_client_ca_file", what);
            let mut roots = RootCertStore::empty();
            for root in self::certificates(pem).map_err(wrong)? {
                roots.add(root).map_err(|error| wrong(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match clients {
                ClientCertificates::Optional => verifier.allow_unauthenticated(),
                ClientCertificates::Required => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong(error.to_string()))?)
        }
    };
    let resolver: Arc<Certificates> = Arc::clone(certificates);
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if own.is_none() {
        config.alpn_protocols.push(ACME_PROTOCOL.to_vec());
    }
    if contents.client_ca.is_some() {
        // A resumed session would not look at the client's certificate again: it may have expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok((config, own))
}
