//! What an operator may set, and how: `plasma.toml`, then the environment (`PLASMA_…`), then flags; the later wins.

mod check;
mod layers;
mod search_nodes;
mod settings;
mod show;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use serde::Deserialize;

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
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
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
    pub json_body_bytes_max: usize,
    pub model_body_bytes_max: usize,
    pub upload_body_bytes_max: usize,
    pub request_timeout_ms: u64,
    pub concurrency_max: usize,
    pub connections_max: usize,
    pub live_connections_max: usize,
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

/// A text that never appears in a log or an error.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("(secret)")
    }
}

impl Config {
    /// The longest that an ordinary request may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Networks of proxies whose word on a client's address counts.
    pub fn trusted_proxies(&self) -> Vec<IpNet> {
        // Each was checked when it was read.
        self.trusted_proxies.iter().filter_map(|text| check::network(text)).collect()
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
    if config.data_dir.exists() && !config.data_dir.is_dir() {
        conflict("data_dir", format!("{} is a file; name a folder", config.data_dir.display()));
    }
    mistakes
}
