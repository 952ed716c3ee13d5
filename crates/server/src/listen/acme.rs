//! A certificate from an authority that speaks ACME (RFC 8555): fetched at the first start, renewed when two thirds of its life are
//! over. That a name is ours is proved over the redirecting listener (http-01) when there is one, else within TLS (tls-alpn-01).

use std::{
    collections::HashMap,
    fs::{self, OpenOptions, Permissions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, KeyAuthorization, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use plasma_kernel::{Clock, Code, Error, Result};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use tokio_util::sync::CancellationToken;

use super::certificates::{Certificates, Validity, certified_key, validity};
use crate::config::Config;

/// How often it is looked whether the certificate is due.
const CHECK_INTERVAL: Duration = Duration::from_secs(3_600);
/// After a failure: a minute, then twice as long each time. Authorities lock out who asks too often.
const RETRY_FIRST: Duration = Duration::from_secs(60);
const RETRY_MAX: Duration = Duration::from_secs(6 * 3_600);
/// How long the authority may take to look for a proof, and to issue.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));
const DOMAINS_MAX: usize = 100;

/// The answers to an authority's requests for `/.well-known/acme-challenge/TOKEN`.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Arc<RwLock<HashMap<String, String>>>);

impl Tokens {
    /// What to answer.
    pub fn get(&self, token: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    fn put(&self, token: &str, answer: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), answer.to_owned());
    }

    fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Fetches and renews.
pub(super) struct Acme {
    domains: Vec<String>,
    contact: Option<String>,
    directory_url: String,
    ca_file: Option<PathBuf>,
    /// Of the account and the certificate; private to this user.
    folder: PathBuf,
    certificates: Arc<Certificates>,
    /// Where proofs are shown over HTTP; `None`: within TLS.
    tokens: Option<Tokens>,
}

impl Acme {
    /// What the configuration asks for. A certificate that an earlier start fetched is shown at once.
    pub(super) fn from_config(config: &Config, certificates: Arc<Certificates>) -> Result<Option<Self>> {
        let Some(domains) = &config.acme_domains else { return Ok(None) };
        let folder = config.data_dir.join("acme");
        make_private_folder(&folder).map_err(|error| {
            Error::unavailable("data_dir_unavailable", format!("{} cannot be made: {error}", folder.display()))
                .remedy("check that this user may write the data directory")
        })?;
        let acme = Self {
            domains: parse_domains(domains)?,
            contact: config.acme_contact.as_deref().map(|mail| match mail.strip_prefix("mailto:") {
                Some(_) => mail.to_owned(),
                None => format!("mailto:{mail}"),
            }),
            directory_url: config.acme_directory_url.clone(),
            ca_file: config.acme_ca_file.clone(),
            folder,
            certificates,
            tokens: config.http_redirect_listen.map(|_| Tokens::default()),
        };
        if let Some(key) = acme.stored() {
            acme.certificates.show(key);
        }
        Ok(Some(acme))
    }

    pub(super) fn tokens(&self) -> Option<Tokens> {
        self.tokens.clone()
    }

    /// Until `stop`.
    pub(super) async fn keep(&self, stop: &CancellationToken) {
        let mut failures = 0;
        loop {
            let mut wait = CHECK_INTERVAL;
            if self.is_due() {
                // Boxed: this runs every two months.
                let Some(ordered) = stop.run_until_cancelled(Box::pin(self.order())).await else { return };
                self.forget_proofs();
                match ordered {
                    Ok(()) => {
                        failures = 0;
                        tracing::info!(domains = self.domains.join(","), "a new certificate is in use");
                    }
                    Err(error) => {
                        wait = retry_after(failures);
                        failures += 1;
                        tracing::warn!(?error, again_seconds = wait.as_secs(), "no certificate could be fetched");
                    }
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    fn certificate_file(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// The certificate of an earlier order.
    fn stored(&self) -> Option<CertifiedKey> {
        let pem = fs::read(self.certificate_file()).ok()?;
        certified_key(&pem, &pem, &aws_lc_rs::default_provider()).ok()
    }

    fn is_due(&self) -> bool {
        let now = Clock::system().now() / 1_000_000;
        self.stored().and_then(|key| validity(&key)).is_none_or(|found| must_be_renewed(&found, &self.domains, now))
    }

    fn forget_proofs(&self) {
        self.certificates.remove_proofs();
        if let Some(tokens) = &self.tokens {
            tokens.clear();
        }
    }

    async fn order(&self) -> Result<()> {
        let account = self.account().await?;
        let identifiers: Vec<Identifier> = self.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await.map_err(failed)?;
        self.prove(&mut order).await?;
        if order.poll_ready(&PATIENCE).await.map_err(failed)? != OrderStatus::Ready {
            return Err(refused(why(&mut order).await));
        }
        let key = order.finalize().await.map_err(failed)?;
        let chain = order.poll_certificate(&PATIENCE).await.map_err(failed)?;
        // In one file, so that key and certificate always belong together.
        let pem = format!("{key}\n{chain}");
        let certified =
            certified_key(pem.as_bytes(), pem.as_bytes(), &aws_lc_rs::default_provider()).map_err(refused)?;
        write_private(&self.certificate_file(), pem.as_bytes())
            .map_err(|error| Error::from_source("the certificate cannot be kept", error))?;
        self.certificates.show(certified);
        Ok(())
    }

    /// Shows what the authority asks for, for every name.
    async fn prove(&self, order: &mut Order) -> Result<()> {
        let kind = || if self.tokens.is_some() { ChallengeType::Http01 } else { ChallengeType::TlsAlpn01 };
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(failed)?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                other => return Err(refused(format!("an authorization is {other:?}"))),
            }
            let mut challenge = authorization
                .challenge(kind())
                .ok_or_else(|| refused(format!("the authority does not offer {:?}", kind())))?;
            let name = challenge.identifier().to_string();
            let answer = challenge.key_authorization();
            match &self.tokens {
                Some(tokens) => tokens.put(&challenge.token, answer.as_str()),
                None => self.certificates.put_proof(&name, proof(&name, &answer)?),
            }
            challenge.set_ready().await.map_err(failed)?;
        }
        Ok(())
    }

    /// The account of an earlier start, or a new one.
    async fn account(&self) -> Result<Account> {
        let file = self.folder.join("account.json");
        let builder = || match &self.ca_file {
            Some(ca) => Account::builder_with_root(ca),
            None => Account::builder(),
        };
        let stored = match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str::<Stored>(&text).ok(),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Error::from_source("the ACME account cannot be read", error)),
        };
        // Another authority knows nothing of it.
        if let Some(stored) = stored.filter(|stored| stored.directory_url == self.directory_url) {
            return builder().map_err(failed)?.from_credentials(stored.credentials).await.map_err(failed);
        }
        let contact: Vec<&str> = self.contact.iter().map(String::as_str).collect();
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) =
            builder().map_err(failed)?.create(&new, self.directory_url.clone(), None).await.map_err(failed)?;
        let text = serde_json::to_vec(&Stored { directory_url: self.directory_url.clone(), credentials })
            .map_err(|error| Error::from_source("the ACME account cannot be kept", error))?;
        write_private(&file, &text).map_err(|error| Error::from_source("the ACME account cannot be kept", error))?;
        Ok(account)
    }
}

/// The account as it is kept.
#[derive(serde::Serialize, serde::Deserialize)]
struct Stored {
    directory_url: String,
    credentials: AccountCredentials,
}

/// The certificate that proves within TLS that a name is ours (RFC 8737): it is shown to the authority only.
fn proof(name: &str, answer: &KeyAuthorization) -> Result<CertifiedKey> {
    let wrong = |error: rcgen::Error| Error::from_source("a proof for the authority cannot be made", error);
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(wrong)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(answer.digest().as_ref())];
    let key = KeyPair::generate().map_err(wrong)?;
    let certificate = params.self_signed(&key).map_err(wrong)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = aws_lc_rs::default_provider()
        .key_provider
        .load_private_key(key)
        .map_err(|error| Error::from_source("the key of a proof for the authority cannot be used", error))?;
    // They were made together; `from_der` would refuse the critical extension, which only authorities know.
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

/// What the authority says of the names that it could not find proved.
async fn why(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return problem.to_string();
        }
    }
    "the authority does not say why".to_owned()
}

fn failed(error: instant_acme::Error) -> Error {
    Error::new(Code::Upstream, "acme_failed", format!("the certificate authority: {error}"))
        .remedy("check acme_directory_url, and that this machine reaches it")
        .source(error)
}

fn refused(what: impl Into<String>) -> Error {
    Error::new(Code::Upstream, "acme_refused", what).remedy(
        "check that every name of acme_domains leads to this machine: port 80 to http_redirect_listen, or port 443 to listen",
    )
}

fn parse_domains(text: &str) -> Result<Vec<String>> {
    let wrong = |what: String| Error::invalid("acme_domains", what);
    let mut domains: Vec<String> = text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    domains.sort();
    domains.dedup();
    let is_label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    for domain in &domains {
        if domain.starts_with("*.") {
            return Err(wrong(format!("{domain}: an authority proves a wildcard only by DNS; name each host instead")));
        }
        if domain.len() > 253 || !domain.split('.').all(is_label) {
            return Err(wrong(format!("`{domain}` is not a host's name such as plasma.example.org")));
        }
    }
    if domains.len() > DOMAINS_MAX {
        return Err(wrong(format!("names {} hosts; a certificate has at most {DOMAINS_MAX}", domains.len())));
    }
    Ok(domains)
}

/// `now` in seconds since 1970 UTC; `domains` sorted.
fn must_be_renewed(found: &Validity, domains: &[String], now: i64) -> bool {
    let mut names = found.names.clone();
    names.sort();
    let life = found.until.saturating_sub(found.from);
    names != domains || now >= found.until.saturating_sub(life / 3)
}

fn retry_after(failures: u32) -> Duration {
    RETRY_FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(RETRY_MAX)
}

fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

/// Whole or not at all, and only for this user.
fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = file.with_extension("new");
    let mut handle = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    handle.write_all(bytes)?;
    handle.sync_all()?;
    fs::rename(&temporary, file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_nothing_else() {
        assert_eq!(parse_domains("b.example, A.example,b.example").unwrap(), ["a.example", "b.example"]);
        assert_eq!(parse_domains("localhost").unwrap(), ["localhost"]);
        for wrong in ["", "a.example,", "*.example.org", "a b", "https://a.example", "a..b", "ä.example"] {
            assert_eq!(parse_domains(wrong).unwrap_err().field_name(), Some("acme_domains"), "{wrong}");
        }
        let many: Vec<String> = (0..=DOMAINS_MAX).map(|number| format!("h{number}.example")).collect();
        assert!(parse_domains(&many.join(",")).is_err());
    }

    #[test]
    fn a_certificate_is_renewed_in_its_last_third_or_when_the_names_change() {
        let day = 86_400;
        let found = Validity { from: 0, until: 90 * day, names: vec!["b".to_owned(), "a".to_owned()] };
        let names = ["a".to_owned(), "b".to_owned()];
        assert!(!must_be_renewed(&found, &names, 59 * day));
        assert!(must_be_renewed(&found, &names, 60 * day));
        assert!(must_be_renewed(&found, &names, 100 * day));
        assert!(must_be_renewed(&found, &names[..1], 0));
    }

    #[test]
    fn failures_are_tried_again_ever_more_slowly() {
        let minutes: Vec<u64> = (0..12).map(|failures| retry_after(failures).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
        assert_eq!(retry_after(u32::MAX), RETRY_MAX);
    }

    #[test]
    fn what_is_kept_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, mode) =
            (folder.path().join("acme"), |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777);
        make_private_folder(&folder).unwrap();
        let file = folder.join("certificate.pem");
        write_private(&file, b"one").unwrap();
        write_private(&file, b"two").unwrap();
        assert_eq!(
            (fs::read(&file).unwrap().as_slice(), mode(&file), mode(&folder)),
            (b"two".as_slice(), 0o600, 0o700)
        );
    }
}
