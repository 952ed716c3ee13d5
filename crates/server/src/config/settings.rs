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
    /// `info`, or directives such as `warn,plasma_models=debug`.
    LogFilter,
    /// Networks or addresses: a list in the file, separated by commas elsewhere.
    Networks,
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
        "Send the session cookie over HTTPS only; set it when a proxy in front offers HTTPS",
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
        "File of the key that wraps all stored secrets; the default is master.key in the data directory. Processes that \
         share a Postgres must share it",
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
