/// What a setting's value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file or folder.
    Path,
    /// `address:port`; port 0 takes a free one.
    Address,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Some of these words: a list in the file, separated by commas elsewhere.
    Words(&'static [&'static str]),
    /// A whole number from `min` to `max` of `unit`.
    Whole {
        /// At least.
        min: i64,
        /// At most.
        max: i64,
        /// What is counted.
        unit: &'static str,
    },
    /// True or false.
    Flag,
    /// Networks such as `10.0.0.0/8`, or single addresses: a list in the file, separated by commas elsewhere.
    Networks,
    /// `info`, or directives such as `warn,plasma_models=debug`.
    LogFilter,
    /// Databases by name: tables `[search.nodes.NAME]` in the file, `name=url,replica name=url` elsewhere.
    SearchNodes,
}

/// Something that an operator may set. Its variable is `PLASMA_` and its key in capitals; its flag is `--` and its key with
/// hyphens.
#[derive(Debug)]
pub struct Setting {
    /// Its name in `plasma.toml`.
    pub key: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is when nobody says: a value as in the environment, or none. Folders are found when the program runs.
    pub default: Option<&'static str>,
    /// What it means, for people.
    pub help: &'static str,
    /// Never shown.
    pub secret: bool,
    /// Only from the environment: it would be seen in the list of processes, or is needed only once.
    pub environment_only: bool,
}

impl Setting {
    const fn new(key: &'static str, kind: Kind, default: Option<&'static str>, help: &'static str) -> Self {
        Self { key, kind, default, help, secret: false, environment_only: false }
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn environment_only(mut self) -> Self {
        self.environment_only = true;
        self
    }

    /// Its variable in the environment.
    pub fn variable(&self) -> String {
        format!("PLASMA_{}", self.key.to_ascii_uppercase())
    }

    /// Its flag, without the hyphens in front.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }
}

const fn whole(min: i64, max: i64, unit: &'static str) -> Kind {
    Kind::Whole { min, max, unit }
}

/// Every setting, in the order in which people read them.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "listen",
        Kind::Address,
        Some("127.0.0.1:8080"),
        "Address and port to listen on; port 0 takes a free one",
    ),
    Setting::new(
        "secure_cookies",
        Kind::Flag,
        Some("false"),
        "Send the session cookie over HTTPS only; set it when a proxy in front offers HTTPS. With a certificate of its own it is on",
    ),
    Setting::new(
        "tls_certificate_file",
        Kind::Path,
        None,
        "Certificate chain (PEM) with which this process offers HTTPS itself; read again when it changes",
    ),
    Setting::new("tls_key_file", Kind::Path, None, "Private key (PEM) of tls_certificate_file"),
    Setting::new(
        "tls_min_version",
        Kind::Choice(&["1.3", "1.2"]),
        Some("1.3"),
        "Oldest version of TLS that clients may use; 1.2 only for those that cannot do better",
    ),
    Setting::new(
        "tls_client_ca_file",
        Kind::Path,
        None,
        "Certificates (PEM) of those who sign services' own certificates: such a service needs no API key (mTLS)",
    ),
    Setting::new(
        "tls_client_certificates",
        Kind::Choice(&["optional", "required"]),
        Some("optional"),
        "Whether clients without such a certificate may connect",
    ),
    Setting::new(
        "http_redirect_listen",
        Kind::Address,
        None,
        "Second address, usually 0.0.0.0:80, that sends browsers from http:// to https:// and answers the authority of acme_domains",
    ),
    Setting::new(
        "http_redirect_port",
        whole(1, 65_535, "as a port"),
        None,
        "Port of the https:// address to which it sends them; the default is that of public_url, or of listen",
    ),
    Setting::new(
        "acme_domains",
        Kind::Text,
        None,
        "Names, separated by commas, for which a certificate is fetched and renewed by ACME. Setting it accepts the authority's terms",
    ),
    Setting::new("acme_contact", Kind::Text, None, "E-mail address that the certificate authority may write to"),
    Setting::new(
        "acme_directory_url",
        Kind::Url(&["https"]),
        Some("https://acme-v02.api.letsencrypt.org/directory"),
        "Certificate authority that issues the certificate",
    ),
    Setting::new(
        "acme_ca_file",
        Kind::Path,
        None,
        "Certificate (PEM) of a private authority's own HTTPS; without it, what the system trusts",
    ),
    Setting::new(
        "public_url",
        Kind::Url(&["http", "https"]),
        None,
        "Address under which people reach the dashboard, as in https://plasma.example.com; links in mails, passkeys and sign-in \
         at identity providers are bound to it. Without it they work on this machine only",
    ),
    Setting::new(
        "smtp_url",
        Kind::Url(&["smtp", "smtps"]),
        None,
        "Server for mail, as in smtps://user:password@host or smtp://user:password@host:587?tls=required; without it mails are \
         put into the folder outbox of the data directory",
    )
    .secret(),
    Setting::new(
        "mail_from",
        Kind::Text,
        None,
        "From whom mail comes, as in `Plasma <plasma@example.com>`; needed with smtp_url",
    ),
    Setting::new(
        "trusted_proxies",
        Kind::Networks,
        None,
        "Networks of proxies in front whose X-Forwarded-For or Forwarded header says where a request comes from; trust only proxies \
         that write one of the two themselves",
    ),
    Setting::new(
        "roles",
        Kind::Words(&["api", "worker"]),
        Some("api,worker"),
        "What this process does: api answers HTTP, worker runs background jobs",
    ),
    Setting::new(
        "data_dir",
        Kind::Path,
        None,
        "Folder of the database, files and indexes; the default is plasma in the user's data directory (XDG_DATA_HOME)",
    ),
    Setting::new(
        "database_url",
        Kind::Url(&["postgres", "postgresql"]),
        None,
        "Postgres to use instead of SQLite in the data directory",
    )
    .secret(),
    Setting::new(
        "database_connections_max",
        whole(1, 200, "connections"),
        Some("8"),
        "Connections to Postgres, or readers of SQLite, at most",
    ),
    Setting::new(
        "models_dir",
        Kind::Path,
        None,
        "Folder of the local models' weights; the default is plasma/models in the user's cache directory (XDG_CACHE_HOME)",
    ),
    Setting::new(
        "custom_models_dirs",
        Kind::Text,
        None,
        "Folders beside models_dir whose weights administrators may add as custom models, separated by colons",
    ),
    Setting::new(
        "hub_url",
        Kind::Url(&["http", "https"]),
        Some("https://huggingface.co"),
        "Where weights are fetched: Hugging Face, or another server with its layout, such as a mirror",
    ),
    Setting::new(
        "model_idle_seconds",
        whole(5, 86_400, "seconds"),
        Some("300"),
        "A local model that is not used for this long gives its memory back",
    ),
    Setting::new(
        "search_nodes",
        Kind::SearchNodes,
        None,
        "Postgres databases with pgvector that hold vectors of collections; in the file a table [search.nodes.NAME] for each, with \
         url and replicas",
    )
    .secret(),
    Setting::new(
        "master_key_file",
        Kind::Path,
        None,
        "File of the keys that wrap the data keys of all stored secrets, the newest first; the default is master.key in the data \
         directory. Processes that share a Postgres must share it",
    ),
    Setting::new(
        "master_key",
        Kind::Choice(&["file", "vault"]),
        None,
        "What wraps data keys from now on; the default is vault when vault_url is set, else file. `plasma keys rewrap` moves the \
         others there",
    ),
    Setting::new(
        "vault_url",
        Kind::Url(&["https", "http"]),
        None,
        "Vault or OpenBao whose transit engine wraps data keys, as in https://vault.example.org:8200",
    ),
    Setting::new("vault_token", Kind::Text, None, "Token for Vault").secret().environment_only(),
    Setting::new(
        "vault_token_file",
        Kind::Path,
        None,
        "File that holds the token for Vault; read for every call, so that an agent may renew it",
    ),
    Setting::new("vault_transit_mount", Kind::Text, Some("transit"), "Where Vault's transit engine is mounted"),
    Setting::new("vault_key", Kind::Text, Some("plasma"), "Name of the key there; it must exist"),
    Setting::new(
        "vault_ca_file",
        Kind::Path,
        None,
        "Certificates (PEM) of whoever signed Vault's; without it, what the system trusts",
    ),
    Setting::new(
        "audit_anchor_dir",
        Kind::Path,
        None,
        "Folder in which checkpoints of audit logs are anchored in files, best on storage that only lets files grow; the default is \
         audit-anchors in the data directory",
    ),
    Setting::new(
        "json_body_bytes_max",
        whole(16 << 10, 64 << 20, "bytes"),
        Some("2097152"),
        "Largest JSON request body",
    ),
    Setting::new(
        "model_body_bytes_max",
        whole(16 << 10, 256 << 20, "bytes"),
        Some("16777216"),
        "Largest request body under /v1",
    ),
    Setting::new(
        "upload_body_bytes_max",
        whole(16 << 10, 256 << 20, "bytes"),
        Some("33554432"),
        "Largest request body when a document is uploaded",
    ),
    Setting::new(
        "request_timeout_ms",
        whole(100, 600_000, "milliseconds"),
        Some("30000"),
        "Longest time for an ordinary request; uploads have ten times as long, calls of models an hour",
    ),
    Setting::new(
        "concurrency_max",
        whole(1, 100_000, "requests"),
        Some("512"),
        "Requests worked on at the same time; further ones are told to come back",
    ),
    Setting::new(
        "connections_max",
        whole(1, 1_000_000, "connections"),
        Some("4096"),
        "Open client connections; further ones wait in the system's queue",
    ),
    Setting::new(
        "live_connections_max",
        whole(0, 100_000, "connections"),
        Some("1000"),
        "Open WebSockets of /api/v1/live",
    ),
    Setting::new(
        "tenant_requests_per_minute",
        whole(60, 1_000_000_000, "requests"),
        Some("6000000"),
        "Requests of one workspace a minute in this process, where its plan says nothing else; a minute's worth may come at once",
    ),
    Setting::new(
        "outbound_allowed_networks",
        Kind::Networks,
        None,
        "Networks beside the public internet that addresses of users may lead to, such as those of model providers that a \
         workspace's administrators add",
    ),
    Setting::new(
        "tenant_deletion_grace_days",
        whole(0, 365, "days"),
        Some("30"),
        "How long the deletion of a workspace can be taken back before everything in it is erased",
    ),
    Setting::new(
        "compliance_results_file",
        Kind::Path,
        None,
        "Results of a test run (JUnit) that the page Settings, Compliance holds its controls against; read again when it changes",
    ),
    Setting::new(
        "log_level",
        Kind::LogFilter,
        Some("info"),
        "error, warn, info, debug or trace, or directives such as warn,plasma_models=debug",
    ),
    Setting::new("log_format", Kind::Choice(&["text", "json"]), Some("text"), "Log lines for people, or as JSON"),
    Setting::new(
        "otlp_endpoint",
        Kind::Url(&["http", "https"]),
        None,
        "OpenTelemetry collector that receives traces (OTLP over HTTP), as in http://127.0.0.1:4318",
    ),
    Setting::new(
        "owner_email",
        Kind::Text,
        None,
        "E-mail address of the installation's owner, used at the first start",
    )
    .environment_only(),
    Setting::new(
        "owner_password",
        Kind::Text,
        None,
        "Password of the installation's owner, used at the first start; without it one is made and printed once",
    )
    .secret()
    .environment_only(),
    Setting::new(
        "bootstrap_api_key",
        Kind::Text,
        None,
        "A full plk_… key that becomes an API key of the installation's owner",
    )
    .secret()
    .environment_only(),
];
