//! What an operator may set, and how: `plasma.toml`, then the environment (`PLASMA_…`), then flags; the later wins.

mod check;
mod layers;
mod search_nodes;
mod settings;
mod show;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use serde::Deserialize;

pub use plasma_kernel::Secret;

pub use layers::{Layers, Mistake, Source};
pub use settings::{Kind, SETTINGS, Setting};
pub(crate) use show::limits;
pub use show::show;

/// The configuration of one process, complete and checked. [`SETTINGS`] documents every field.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // said once, in the table of settings
pub struct Config {
    pub listen: SocketAddr,
    pub secure_cookies: bool,
    pub tls_certificate_file: Option<PathBuf>,
    pub tls_key_file: Option<PathBuf>,
    pub tls_min_version: TlsVersion,
    pub tls_client_ca_file: Option<PathBuf>,
    pub tls_client_certificates: ClientCertificates,
    pub http_redirect_listen: Option<SocketAddr>,
    pub http_redirect_port: Option<u16>,
    pub acme_domains: Option<String>,
    pub acme_contact: Option<String>,
    pub acme_directory_url: String,
    pub acme_ca_file: Option<PathBuf>,
    pub public_url: Option<String>,
    pub smtp_url: Option<Secret>,
    pub mail_from: Option<String>,
    #[serde(default)]
    pub trusted_proxies: Vec<IpNet>,
    pub roles: Vec<Role>,
    pub data_dir: PathBuf,
    pub database_url: Option<Secret>,
    pub database_connections_max: u32,
    pub models_dir: PathBuf,
    pub custom_models_dirs: Option<String>,
    pub hub_url: String,
    pub model_idle_seconds: u64,
    #[serde(default)]
    pub search_nodes: BTreeMap<String, SearchNodeUrls>,
    pub master_key_file: Option<PathBuf>,
    pub audit_anchor_dir: Option<PathBuf>,
    pub master_key: Option<MasterKey>,
    pub vault_url: Option<String>,
    pub vault_token: Option<Secret>,
    pub vault_token_file: Option<PathBuf>,
    pub vault_transit_mount: String,
    pub vault_key: String,
    pub vault_ca_file: Option<PathBuf>,
    pub json_body_bytes_max: usize,
    pub model_body_bytes_max: usize,
    pub upload_body_bytes_max: usize,
    pub request_timeout_ms: u64,
    pub concurrency_max: usize,
    pub connections_max: usize,
    pub live_connections_max: usize,
    pub tenant_requests_per_minute: u32,
    #[serde(default)]
    pub outbound_allowed_networks: Vec<IpNet>,
    pub tenant_deletion_grace_days: u32,
    pub compliance_results_file: Option<PathBuf>,
    pub log_level: String,
    pub log_format: LogFormat,
    pub otlp_endpoint: Option<String>,
    pub owner_email: Option<String>,
    pub owner_password: Option<Secret>,
    pub bootstrap_api_key: Option<Secret>,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Answers HTTP.
    Api,
    /// Runs background jobs.
    Worker,
}

/// The oldest version of TLS that clients may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2, for clients that cannot do better.
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// Whether clients must have a certificate of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// Those without one send a token.
    Optional,
    /// Those without one cannot connect.
    Required,
}

/// What wraps data keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MasterKey {
    /// The key file.
    File,
    /// Vault's transit engine.
    Vault,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where a search node is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchNodeUrls {
    /// Of the database that takes writes.
    pub url: Secret,
    /// Of databases that follow it.
    #[serde(default)]
    pub replicas: Vec<Secret>,
}

impl Config {
    /// The longest that an ordinary request may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Whether this process offers HTTPS itself.
    pub fn offers_tls(&self) -> bool {
        self.tls_certificate_file.is_some() || self.acme_domains.is_some()
    }

    /// Whether browsers see HTTPS: by this process itself or by a proxy in front of it.
    pub fn is_secure(&self) -> bool {
        self.secure_cookies || self.offers_tls()
    }

    /// The folder of file anchors of audit logs.
    pub fn audit_anchor_dir(&self) -> PathBuf {
        self.audit_anchor_dir.clone().unwrap_or_else(|| self.data_dir.join("audit-anchors"))
    }

    /// Whether this process does `role`.
    pub fn has_role(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// What does not fit together, though each value alone is fine.
fn conflicts(config: &Config, layers: &Layers) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut conflict = |key: &'static str, what: String| {
        mistakes.push(Mistake { place: layers.place_of(key), what });
    };
    if config.database_url.is_none() && !(config.has_role(Role::Api) && config.has_role(Role::Worker)) {
        conflict(
            "roles",
            "a process that does not have both roles needs `database_url`: SQLite belongs to one process, so the other role \
             would never be filled"
                .to_owned(),
        );
    }
    if let Some(file) = &config.master_key_file
        && !file.is_file()
        && file.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
    {
        conflict("master_key_file", format!("the folder of {} does not exist; make it first", file.display()));
    }
    if let Some(url) = config.public_url.as_deref().and_then(|url| url::Url::parse(url).ok())
        && (url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty())
    {
        conflict("public_url", "must be an address without a path, as in https://plasma.example.com".to_owned());
    }
    if config.data_dir.exists() && !config.data_dir.is_dir() {
        conflict("data_dir", format!("{} is a file; name a folder", config.data_dir.display()));
    }
    for (key, what) in tls_conflicts(config).into_iter().chain(vault_conflicts(config)) {
        conflict(key, what.to_owned());
    }
    mistakes
}

fn tls_conflicts(config: &Config) -> Vec<(&'static str, &'static str)> {
    let mut conflicts = Vec::new();
    match (&config.tls_certificate_file, &config.tls_key_file) {
        (Some(_), None) => conflicts.push(("tls_certificate_file", "needs `tls_key_file`")),
        (None, Some(_)) => conflicts.push(("tls_key_file", "needs `tls_certificate_file`")),
        _ => {}
    }
    if config.tls_certificate_file.is_some() && config.acme_domains.is_some() {
        let what = "a certificate comes either from `tls_certificate_file` or by ACME; leave one of them out";
        conflicts.push(("acme_domains", what));
    }
    if !config.offers_tls() {
        let what =
            "is of no use without a certificate: set `tls_certificate_file` and `tls_key_file`, or `acme_domains`";
        let needing = [
            ("tls_client_ca_file", config.tls_client_ca_file.is_some()),
            ("http_redirect_listen", config.http_redirect_listen.is_some()),
        ];
        conflicts.extend(needing.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| (key, what)));
    }
    if config.tls_client_certificates == ClientCertificates::Required && config.tls_client_ca_file.is_none() {
        conflicts.push(("tls_client_certificates", "needs `tls_client_ca_file`, which says whose certificates count"));
    }
    conflicts
}

fn vault_conflicts(config: &Config) -> Vec<(&'static str, &'static str)> {
    let mut conflicts = Vec::new();
    let tokens = (config.vault_token.is_some(), config.vault_token_file.is_some());
    match (config.vault_url.is_some(), tokens) {
        (true, (false, false)) => conflicts.push(("vault_url", "needs PLASMA_VAULT_TOKEN or `vault_token_file`")),
        (_, (true, true)) => conflicts.push(("vault_token_file", "there is PLASMA_VAULT_TOKEN too; set one of them")),
        _ => {}
    }
    if config.master_key == Some(MasterKey::Vault) && config.vault_url.is_none() {
        conflicts.push(("master_key", "`vault` needs `vault_url`"));
    }
    conflicts
}
