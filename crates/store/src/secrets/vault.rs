//! Vault's transit engine (HashiCorp Vault and OpenBao speak the same): the master key stays there, and wraps and unwraps data keys
//! on request. <https://openbao.org/api-docs/secret/transit/>

use std::{fs, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{Code, Error, Result, Secret};
use reqwest::{Certificate, Client, Method, Response, StatusCode, header::HeaderValue, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A call may stand in the way of a database transaction: it is not waited for long.
const CALL_TIMEOUT: Duration = Duration::from_secs(4);
/// A leader may just be changing.
const ATTEMPTS_MAX: u32 = 2;
const PAUSE: Duration = Duration::from_millis(200);
/// Answers are a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
const TOKEN_BYTES_MAX: u64 = 4096;

/// Where a Vault is, and with which of its keys the data keys are wrapped.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    /// As in `https://vault.example.org:8200`.
    pub url: String,
    /// With what Plasma shows who it is.
    pub token: VaultToken,
    /// Where the transit engine is mounted, usually `transit`.
    pub mount: String,
    /// The name of the key.
    pub key: String,
    /// Certificates (PEM) of whoever signed Vault's own; with them, those that the system trusts do not count.
    pub ca_file: Option<PathBuf>,
}

/// A token of Vault.
#[derive(Clone, Debug)]
pub enum VaultToken {
    /// The token itself.
    Text(Secret),
    /// A file that holds it and is read for every call, so that an agent may renew it.
    File(PathBuf),
}

pub(super) struct Vault {
    http: Client,
    base: Url,
    config: VaultConfig,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: String,
}

/// The answer to calls of which only the success counts.
#[derive(Deserialize)]
struct Nothing {}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    errors: Vec<String>,
}

impl Vault {
    pub(super) fn new(config: VaultConfig) -> Result<Self> {
        let invalid = |field: &str, what: &str| Error::invalid(field, what.to_owned());
        let base = Url::parse(&config.url).map_err(|_| invalid("vault_url", "is not a URL"))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(invalid("vault_url", "must begin with https:// (or http://) and name a host"));
        }
        let is_name = |text: &str| {
            !text.is_empty()
                && text.len() <= 200
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
                && text.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        };
        if !is_name(&config.mount) {
            return Err(invalid("vault_transit_mount", "must be a mount's path such as transit"));
        }
        if !is_name(&config.key) || config.key.contains('/') {
            return Err(invalid("vault_key", "must be the name of a key of the transit engine"));
        }
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            // The token never follows to another place.
            .redirect(Policy::none())
            .user_agent(concat!("plasma/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &config.ca_file {
            let wrong = |what: String| invalid("vault_ca_file", &format!("{}: {what}", file.display()));
            let pem = fs::read(file).map_err(|error| wrong(error.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
            builder = builder.tls_certs_only(certificates);
        }
        let http = builder.build().map_err(|error| Error::from_source("the client for Vault cannot be made", error))?;
        Ok(Self { http, base, config })
    }

    /// Makes sure that the key is there and may be used, before anything depends on it.
    pub(super) async fn check(&self) -> Result<()> {
        match self.call::<Nothing>(Method::GET, &["keys", &self.config.key], None).await {
            // Reading the key is not among the rights that are needed. Without it, an encryption makes a key that is absent.
            Ok(_) => {}
            Err(error) if error.reason() == "vault_denied" => {}
            Err(error) => return Err(error),
        }
        let ciphertext = self.encrypt("check", b"check").await?;
        self.decrypt("check", &ciphertext).await.map(drop)
    }

    /// Encrypts, bound to `associated`.
    pub(super) async fn encrypt(&self, associated: &str, plaintext: &[u8]) -> Result<String> {
        let plaintext = Zeroizing::new(STANDARD.encode(plaintext));
        let body = json!({ "plaintext": plaintext.as_str(), "associated_data": STANDARD.encode(associated) });
        let answer: Encrypted = self.call(Method::POST, &["encrypt", &self.config.key], Some(&body)).await?;
        Ok(answer.ciphertext)
    }

    /// Decrypts what [`Vault::encrypt`] encrypted for the same `associated`.
    pub(super) async fn decrypt(&self, associated: &str, ciphertext: &str) -> Result<Zeroizing<Vec<u8>>> {
        let body = json!({ "ciphertext": ciphertext, "associated_data": STANDARD.encode(associated) });
        let answer: Decrypted = self.call(Method::POST, &["decrypt", &self.config.key], Some(&body)).await?;
        let plaintext = Zeroizing::new(answer.plaintext);
        STANDARD
            .decode(plaintext.as_str())
            .map(Zeroizing::new)
            .map_err(|error| Error::from_source("Vault's plaintext is not base64", error))
    }

    /// Makes a new version of the key; what older ones wrapped can still be unwrapped.
    pub(super) async fn rotate(&self) -> Result<()> {
        let path = ["keys", self.config.key.as_str(), "rotate"];
        match self.call::<Option<Nothing>>(Method::POST, &path, Some(&json!({}))).await {
            Ok(_) => Ok(()),
            Err(error) if error.reason() == "vault_denied" => Err(Error::new(
                Code::Forbidden,
                "vault_rotation_denied",
                format!("Vault does not let Plasma rotate the key `{}`", self.config.key),
            )
            .remedy(format!(
                "let whoever may do it run `bao write -f {}/keys/{}/rotate`, then run `plasma keys rewrap`",
                self.config.mount, self.config.key
            ))),
            Err(error) => Err(error),
        }
    }

    /// Names the key and its version that made a ciphertext, as in `transit/plasma:v3`.
    pub(super) fn name_of(&self, ciphertext: &str) -> Option<String> {
        let version = ciphertext.strip_prefix("vault:")?.split(':').next()?;
        Some(format!("{}/{}:{version}", self.config.mount, self.config.key))
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<T> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::invalid("vault_url", "is not a server's address"))?
            .pop_if_empty()
            .push("v1")
            .extend(self.config.mount.split('/'))
            .extend(path);
        let token = self.token()?;
        let mut attempt = 1;
        loop {
            let mut request = self.http.request(method.clone(), url.clone()).header("X-Vault-Token", token.clone());
            if let Some(body) = body {
                request = request.json(body);
            }
            let answered = match request.send().await {
                Ok(response) => self.read(response).await,
                Err(error) => Err(self.unreachable(&error)),
            };
            match answered {
                Err(error)
                    if matches!(error.reason(), "vault_unreachable" | "vault_sealed") && attempt < ATTEMPTS_MAX =>
                {
                    attempt += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// The token as a header that no log shows.
    fn token(&self) -> Result<HeaderValue> {
        let wrong = |_| Error::invalid("vault_token", "has characters that no token has");
        let file = match &self.config.token {
            VaultToken::Text(token) => {
                let mut token = HeaderValue::from_str(token.expose()).map_err(wrong)?;
                token.set_sensitive(true);
                return Ok(token);
            }
            VaultToken::File(file) => file,
        };
        let unusable = |what: String| {
            Error::unavailable("vault_token_unusable", format!("the file {} of Vault's token: {what}", file.display()))
                .remedy("check vault_token_file, and that the agent that writes it runs")
        };
        if fs::metadata(file).is_ok_and(|found| found.len() > TOKEN_BYTES_MAX) {
            return Err(unusable("is too large to hold a token".to_owned()));
        }
        let text = fs::read_to_string(file).map(Zeroizing::new).map_err(|error| unusable(error.to_string()))?;
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable("does not hold a token".to_owned()));
        }
        let mut token = HeaderValue::from_str(token).map_err(wrong)?;
        token.set_sensitive(true);
        Ok(token)
    }

    async fn read<T: DeserializeOwned>(&self, mut response: Response) -> Result<T> {
        let status = response.status();
        let mut bytes = Zeroizing::new(Vec::<u8>::new());
        while let Some(piece) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(self.strange("its answer is too long"));
            }
            bytes.extend_from_slice(&piece);
        }
        self.answered(status, &bytes)
    }

    /// What an answer holds, or why there is none.
    fn answered<T: DeserializeOwned>(&self, status: StatusCode, bytes: &[u8]) -> Result<T> {
        if !status.is_success() {
            return Err(self.refused(status, &serde_json::from_slice::<Refusal>(bytes).unwrap_or_default().errors));
        }
        // Some answers have no body at all.
        let text: &[u8] = if bytes.is_empty() { b"{\"data\": null}" } else { bytes };
        let answer: Answer<T> =
            serde_json::from_slice(text).map_err(|_| self.strange("its answer is not what Vault answers"))?;
        Ok(answer.data)
    }

    fn refused(&self, status: StatusCode, errors: &[String]) -> Error {
        let (mount, key) = (&self.config.mount, &self.config.key);
        let said = errors.join("; ");
        let unavailable = |reason: &'static str, what: String| Error::unavailable(reason, what);
        match status {
            StatusCode::FORBIDDEN => Error::new(
                Code::Unavailable,
                "vault_denied",
                format!("Vault at {} does not accept Plasma's token, or not for this key", self.base),
            )
            .remedy(format!(
                "renew the token, or give its policy `update` on {mount}/encrypt/{key} and {mount}/decrypt/{key}"
            )),
            StatusCode::NOT_FOUND if said.is_empty() => key_missing(mount, key),
            StatusCode::NOT_FOUND => {
                unavailable("vault_mount_missing", format!("Vault at {} has no transit engine at {mount}", self.base))
                    .remedy(format!("run `bao secrets enable -path={mount} transit`, or correct vault_transit_mount"))
            }
            StatusCode::SERVICE_UNAVAILABLE => unavailable("vault_sealed", format!("Vault at {} is sealed", self.base))
                .remedy("unseal it with `bao operator unseal`"),
            StatusCode::BAD_REQUEST if said.contains("encryption key not found") => key_missing(mount, key),
            _ => unavailable("vault_refused", format!("Vault at {} answered {status}: {said}", self.base))
                .remedy("look at Vault's own log; the key must be of a kind that encrypts, such as aes256-gcm96"),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        let what = if error.is_timeout() { "did not answer in time" } else { "cannot be reached" };
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Error::unavailable("vault_unreachable", format!("Vault at {} {what}: {cause}", self.base))
            .remedy("check vault_url, and that Vault runs; secrets that were used lately still open")
    }

    fn strange(&self, what: &str) -> Error {
        Error::unavailable("vault_strange", format!("what answers at {} is no Vault: {what}", self.base))
            .remedy("check vault_url; a proxy in front must pass on /v1/")
    }
}

fn key_missing(mount: &str, key: &str) -> Error {
    Error::unavailable("vault_key_missing", format!("Vault has no key `{key}` at {mount}"))
        .remedy(format!("run `bao write -f {mount}/keys/{key}`, or correct vault_key"))
}

/// For fuzzing only: what something at Vault's address answers.
#[cfg(fuzzing)]
pub(super) fn fuzz(status: u16, body: &[u8]) {
    static VAULT: std::sync::OnceLock<Option<Vault>> = std::sync::OnceLock::new();
    let config = || VaultConfig {
        url: "https://vault.example:8200".to_owned(),
        token: VaultToken::Text(Secret::new("t")),
        mount: "transit".to_owned(),
        key: "plasma".to_owned(),
        ca_file: None,
    };
    let vault = VAULT.get_or_init(|| Vault::new(config()).ok());
    let (Some(vault), Ok(status)) = (vault, StatusCode::from_u16(status)) else { return };
    if let Ok(Encrypted { ciphertext }) = vault.answered(status, body) {
        assert!(status.is_success(), "a refusal is taken for a ciphertext");
        let name = vault.name_of(&ciphertext);
        assert_eq!(name.is_some(), ciphertext.starts_with("vault:"));
        assert!(name.is_none_or(|name| name.starts_with("transit/plasma:")));
    }
    if let Ok(Decrypted { .. }) = vault.answered(status, body) {
        assert!(status.is_success(), "a refusal is taken for a key");
    }
    let done = vault.answered::<Option<Nothing>>(status, body);
    assert!(done.is_err() || status.is_success(), "a refusal is taken for a success");
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn config(url: &str, mount: &str, key: &str) -> VaultConfig {
        let token = VaultToken::Text(Secret::new("t"));
        VaultConfig { url: url.to_owned(), token, mount: mount.to_owned(), key: key.to_owned(), ca_file: None }
    }

    #[test]
    fn wrong_settings_are_named() {
        for (url, mount, key, field) in [
            ("vault:8200", "transit", "k", "vault_url"),
            ("ftp://vault", "transit", "k", "vault_url"),
            ("https://vault", "", "k", "vault_transit_mount"),
            ("https://vault", "a/../b", "k", "vault_transit_mount"),
            ("https://vault", "transit", "a/b", "vault_key"),
            ("https://vault", "transit", "a?b", "vault_key"),
        ] {
            let Err(error) = Vault::new(config(url, mount, key)) else { panic!("{url} {mount} {key} was taken") };
            assert_eq!(error.field_name(), Some(field), "{url} {mount} {key}");
        }
        Vault::new(config("https://vault:8200/", "team-a/transit", "plasma.v2")).unwrap();
    }

    #[test]
    fn a_ciphertext_names_the_version_of_its_key() {
        let vault = Vault::new(config("https://vault", "transit", "plasma")).unwrap();
        assert_eq!(vault.name_of("vault:v12:abc").as_deref(), Some("transit/plasma:v12"));
        assert_eq!(vault.name_of("something"), None);
    }

    #[tokio::test]
    async fn a_vault_that_is_not_there_is_named_with_a_remedy() {
        let vault = Vault::new(config("http://127.0.0.1:1", "transit", "plasma")).unwrap();
        let error = vault.check().await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::Unavailable, "vault_unreachable"));
        assert!(error.message().contains("127.0.0.1:1") && error.remedy_text().is_some());
    }

    #[test]
    fn each_refusal_has_its_own_remedy() {
        let vault = Vault::new(config("https://vault", "transit", "plasma")).unwrap();
        for (status, said, reason) in [
            (403, "permission denied", "vault_denied"),
            (404, "", "vault_key_missing"),
            (404, "no handler for route", "vault_mount_missing"),
            (503, "Vault is sealed", "vault_sealed"),
            (400, "encryption key not found", "vault_key_missing"),
            (400, "cipher: message authentication failed", "vault_refused"),
        ] {
            let said: Vec<String> = if said.is_empty() { Vec::new() } else { vec![said.to_owned()] };
            let error = vault.refused(StatusCode::from_u16(status).unwrap(), &said);
            assert_eq!(error.reason(), reason);
            assert!(error.remedy_text().is_some());
        }
    }
}
