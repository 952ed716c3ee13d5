//! The three layers, where each value came from, and every mistake in them.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize as _;
use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::{Config, SETTINGS, Setting, check, conflicts, search_nodes};

/// Variables of the environment that start with `PLASMA_` and belong to the client commands, the tests and the scripts.
const OTHER_VARIABLES: &[&str] = &["PLASMA_URL", "PLASMA_API_KEY", "PLASMA_CA_FILE", "PLASMA_CACHE_DIR"];

/// The configuration file's greatest size in bytes: anything larger is some other file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said.
    Default,
    /// The file, with the line.
    File(PathBuf, usize),
    /// This variable.
    Environment(String),
    /// This flag.
    Flag(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path, line) => write!(formatter, "{}:{line}", path.display()),
            Self::Environment(variable) => formatter.write_str(variable),
            Self::Flag(flag) => write!(formatter, "--{flag}"),
        }
    }
}

/// Something wrong in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file and line, the variable or the flag.
    pub place: String,
    /// What is wrong and what would be right.
    pub what: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.place, self.what)
    }
}

/// All that was said, each value checked on its own.
#[derive(Debug, Default)]
pub struct Layers {
    values: BTreeMap<&'static str, (Value, Source)>,
    mistakes: Vec<Mistake>,
}

impl Layers {
    /// Reads the file (`plasma.toml` in the working directory when `file` is `None`; that one may be absent), this process's
    /// environment and the flags.
    pub fn read(file: Option<&Path>, flags: &[(&'static str, String)]) -> Self {
        let mut layers = Self::default();
        layers.add_defaults();
        match file {
            Some(path) => layers.add_file(path),
            None if Path::new("plasma.toml").exists() => layers.add_file(Path::new("plasma.toml")),
            None => {}
        }
        layers.add_environment(
            env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))),
        );
        layers.add_flags(flags);
        layers
    }

    /// The configuration, or every mistake.
    ///
    /// # Errors
    /// All mistakes of all layers, and what does not fit together.
    pub fn finish(self) -> Result<(Config, Self), Vec<Mistake>> {
        if !self.mistakes.is_empty() {
            return Err(self.mistakes);
        }
        let table: Table = self.values.iter().map(|(key, (value, _))| ((*key).to_owned(), value.clone())).collect();
        // The table of settings and the struct agree, as a test proves; this names the rest.
        let config = Config::deserialize(table)
            .map_err(|error| vec![Mistake { place: "configuration".to_owned(), what: error.message().to_owned() }])?;
        let conflicts = conflicts(&config, &self);
        if conflicts.is_empty() { Ok((config, self)) } else { Err(conflicts) }
    }

    /// The value of a setting and where it came from.
    pub fn get(&self, key: &str) -> Option<&(Value, Source)> {
        self.values.get(key)
    }

    /// How to name the place where `key` was set.
    pub(super) fn place_of(&self, key: &str) -> String {
        match self.get(key) {
            Some((_, Source::Default)) | None => key.to_owned(),
            Some((_, source)) => source.to_string(),
        }
    }

    fn mistake(&mut self, place: impl ToString, what: impl Into<String>) {
        self.mistakes.push(Mistake { place: place.to_string(), what: what.into() });
    }

    fn set(&mut self, setting: &'static Setting, source: Source, value: Result<Value, String>) {
        match value {
            Ok(value) => drop(self.values.insert(setting.key, (value, source))),
            Err(what) => {
                let named =
                    if matches!(source, Source::File(..)) { format!("`{}` ", setting.key) } else { String::new() };
                self.mistake(source, format!("{named}{what}"));
            }
        }
    }

    fn add_defaults(&mut self) {
        for setting in SETTINGS {
            let value = match setting.key {
                "data_dir" => Some(user_folder("XDG_DATA_HOME", ".local/share", "plasma", "plasma-data")),
                "models_dir" => Some(user_folder("XDG_CACHE_HOME", ".cache", "plasma/models", "plasma-models")),
                _ => setting.default.map(str::to_owned),
            };
            if let Some(value) = value {
                self.set(setting, Source::Default, check::from_text(setting.kind, &value));
            }
        }
    }

    fn add_file(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(file) if file.len() > FILE_BYTES_MAX => {
                return self.mistake(path.display(), "is larger than 1 MiB; is it the right file?");
            }
            _ => {}
        }
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.mistake(path.display(), format!("cannot be read: {error}")),
        };
        self.add_file_text(path, &text);
    }

    fn add_file_text(&mut self, path: &Path, text: &str) {
        let source_at = |offset: usize| Source::File(path.to_owned(), line_of(text, offset));
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            self.mistake(source_at(error.span().map_or(0, |span| span.start)), error.message());
        }
        for (key, value) in table.get_ref() {
            let source = source_at(key.span().start);
            let name: &str = key.get_ref().as_ref();
            if name == "search" {
                self.add_search_table(&source_at, source, value.get_ref());
                continue;
            }
            match SETTINGS.iter().find(|setting| setting.key == name) {
                Some(setting) if setting.environment_only => {
                    self.mistake(source, format!("`{name}` is read only from the variable {}", setting.variable()));
                }
                Some(setting) => self.set(setting, source, check::from_file(setting.kind, value.get_ref())),
                None => {
                    let known = SETTINGS.iter().filter(|setting| !setting.environment_only).map(|setting| setting.key);
                    let near = check::suggestion(name, known);
                    self.mistake(source, format!("unknown setting `{name}`{near}"));
                }
            }
        }
    }

    /// `[search.nodes.NAME]`, which is the setting `search_nodes`.
    fn add_search_table(&mut self, source_at: &dyn Fn(usize) -> Source, source: Source, value: &DeValue<'_>) {
        let (nodes, mistakes) = search_nodes::from_table(value);
        let has_mistakes = !mistakes.is_empty();
        for (offset, what) in mistakes {
            self.mistake(source_at(offset), what);
        }
        let setting = SETTINGS.iter().find(|setting| setting.key == search_nodes::KEY);
        if let (Some(setting), false) = (setting, has_mistakes) {
            self.set(setting, source, Ok(nodes));
        }
    }

    fn add_environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        let known: Vec<(String, &'static Setting)> =
            SETTINGS.iter().map(|setting| (setting.variable(), setting)).collect();
        // Sorted, so that the mistakes come in the same order each time.
        let mut variables: Vec<_> = variables.filter(|(name, _)| name.starts_with("PLASMA_")).collect();
        variables.sort();
        for (name, value) in variables {
            if let Some((_, setting)) = known.iter().find(|(variable, _)| *variable == name) {
                self.set(setting, Source::Environment(name), check::from_text(setting.kind, &value));
            } else if !OTHER_VARIABLES.contains(&name.as_str())
                // Kubernetes adds variables of its own for a service named `plasma`: only what looks like a slip is one.
                && let Some(near) = check::closest(&name, known.iter().map(|(variable, _)| variable.as_str()))
                && strsim::damerau_levenshtein(&name, near) <= 3
            {
                self.mistake(&name, format!("unknown variable; did you mean `{near}`?"));
            }
        }
    }

    fn add_flags(&mut self, flags: &[(&'static str, String)]) {
        for (key, value) in flags {
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == *key) {
                self.set(setting, Source::Flag(setting.flag()), check::from_text(setting.kind, value));
            }
        }
    }
}

/// `name` under the folder that `variable` names or under `default` in the user's home; without a home, `fallback` in the
/// working directory.
fn user_folder(variable: &str, default: &str, name: &str, fallback: &str) -> String {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(default)));
    match folder {
        Some(folder) => folder.join(name).to_string_lossy().into_owned(),
        None => fallback.to_owned(),
    }
}

/// Lines count from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn layers(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, String)]) -> Layers {
        let mut layers = Layers::default();
        layers.add_defaults();
        layers.add_file_text(Path::new("plasma.toml"), file);
        layers.add_environment(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        layers.add_flags(flags);
        layers
    }

    fn mistakes(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
        layers(file, environment, &[]).finish().unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_struct_and_the_table_of_settings_agree() {
        // Every setting given, so that a field that the struct lacks is an error here.
        let file = "database_url = \"postgres://h/d\"\nmaster_key_file = \"k\"\ncustom_models_dirs = \"/w\"\n\
                    otlp_endpoint = \"http://c:4318\"\nmaster_key = \"vault\"\nvault_url = \"https://v:8200\"\n\
                    vault_ca_file = \"c\"\ntls_certificate_file = \"c\"\ntls_key_file = \"k\"\ntls_client_ca_file = \"c\"\n\
                    http_redirect_listen = \"0.0.0.0:80\"\nhttp_redirect_port = 443\nacme_contact = \"a@b\"\n\
                    acme_ca_file = \"c\"\naudit_anchor_dir = \"/a\"\npublic_url = \"https://p.test\"\n\
                    smtp_url = \"smtp://m:25\"\nmail_from = \"a@b.test\"\ncompliance_results_file = \"/r\"";
        let environment = [
            ("PLASMA_OWNER_EMAIL", "a@b"),
            ("PLASMA_OWNER_PASSWORD", "p"),
            ("PLASMA_BOOTSTRAP_API_KEY", "plk_x"),
            ("PLASMA_SEARCH_NODES", "a=postgres://h/v"),
            ("PLASMA_VAULT_TOKEN", "t"),
            ("PLASMA_OUTBOUND_ALLOWED_NETWORKS", "10.0.0.0/8"),
            ("PLASMA_TRUSTED_PROXIES", "10.0.0.0/8"),
        ];
        let (_, layers) = layers(file, &environment, &[]).finish().unwrap();
        // The other ways to a certificate and to a token.
        let instead = ["acme_domains", "vault_token_file"];
        for setting in SETTINGS.iter().filter(|setting| !instead.contains(&setting.key)) {
            assert!(layers.get(setting.key).is_some(), "the test gives no {}", setting.key);
        }
    }

    #[test]
    fn the_later_layer_wins_and_is_named() {
        let file = "listen = \"127.0.0.1:1\"\nconcurrency_max = 7";
        let environment = [("PLASMA_LISTEN", "127.0.0.1:2"), ("PLASMA_CONCURRENCY_MAX", "8")];
        let (config, layers) = layers(file, &environment, &[("listen", "127.0.0.1:3".to_owned())]).finish().unwrap();
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.concurrency_max, 8);
        assert_eq!(layers.get("listen").unwrap().1, Source::Flag("listen".to_owned()));
        assert_eq!(layers.get("concurrency_max").unwrap().1.to_string(), "PLASMA_CONCURRENCY_MAX");
        assert_eq!(layers.get("log_level").unwrap().1, Source::Default);
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let file =
            "lisen = \"127.0.0.1:1\"\nconcurrency_max = \"many\"\nrequest_timeout_ms = 5\nowner_email = \"a@b\"\n";
        let environment = [
            ("PLASMA_LOG_FORMAT", "jsno"),
            ("PLASMA_DATABASE_URL", "mysql://user:hunter2@host/x"),
            ("PLASMA_DATADIR", "/tmp/x"),
            ("PLASMA_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("PLASMA_ROLES", "api,werker"),
        ];
        assert_eq!(
            mistakes(file, &environment),
            [
                "plasma.toml:2: `concurrency_max` must be a whole number, got a string",
                "plasma.toml:1: unknown setting `lisen`; did you mean `listen`?",
                "plasma.toml:4: `owner_email` is read only from the variable PLASMA_OWNER_EMAIL",
                "plasma.toml:3: `request_timeout_ms` must be 100 to 600000 milliseconds, got 5",
                "PLASMA_DATABASE_URL: must be a URL that starts with postgres:// or postgresql://",
                "PLASMA_DATADIR: unknown variable; did you mean `PLASMA_DATA_DIR`?",
                "PLASMA_LOG_FORMAT: must be text or json; did you mean `json`?",
                "PLASMA_ROLES: `werker` is not one of api, worker; did you mean `worker`?",
            ]
        );
    }

    #[test]
    fn search_nodes_are_tables_in_the_file_and_a_line_elsewhere() {
        let file = "[search.nodes.a]\nurl = \"postgres://u:p@h/a\"\nreplicas = [\"postgres://h2/a\"]\n[search.nodes.b-2]\nurl = \"postgres://h/b\"\n";
        let (config, layers) = layers(file, &[], &[]).finish().unwrap();
        let nodes: Vec<_> =
            config.search_nodes.iter().map(|(name, node)| (name.as_str(), node.replicas.len())).collect();
        assert_eq!(nodes, [("a", 1), ("b-2", 0)]);
        assert_eq!(config.search_nodes["a"].url.expose(), "postgres://u:p@h/a");
        assert!(!super::super::show(&layers).contains("u:p@h"));
        let environment =
            [("PLASMA_SEARCH_NODES", "a=postgres://h/a,postgres://h2/a  b=postgres://h/b?sslmode=disable")];
        let (config, _) = self::layers("", &environment, &[]).finish().unwrap();
        assert_eq!(config.search_nodes["a"].replicas[0].expose(), "postgres://h2/a");
        assert_eq!(config.search_nodes["b"].url.expose(), "postgres://h/b?sslmode=disable");
        let (config, _) = self::layers("", &[], &[]).finish().unwrap();
        assert!(config.search_nodes.is_empty());
    }

    #[test]
    fn mistakes_in_search_nodes_are_told_without_the_urls() {
        let file = "[search.nodes.a]\nurl = \"mysql://u:hunter2@h/a\"\n[search.nodes.B]\nurl = \"postgres://h/b\"\n\
                    [search.nodes.c]\nulr = \"postgres://h/c\"\n[search.knots]\n";
        assert_eq!(
            mistakes(file, &[]),
            [
                "plasma.toml:7: unknown setting `search.knots`; there is only `search.nodes`",
                "plasma.toml:3: `search.nodes.B` must be named with 1 to 40 of a-z, 0-9, - and _, the first a letter",
                "plasma.toml:2: `search.nodes.a.url` must be a URL that starts with postgres:// or postgresql://",
                "plasma.toml:6: unknown setting `search.nodes.c.ulr`; did you mean `url`?",
                "plasma.toml:5: `search.nodes.c` must have a url",
            ]
        );
        assert_eq!(
            mistakes("", &[("PLASMA_SEARCH_NODES", "a=postgres://u:hunter2@h/a a=postgres://h/b")]),
            ["PLASMA_SEARCH_NODES: names the node `a` twice"]
        );
        assert_eq!(
            mistakes("", &[("PLASMA_SEARCH_NODES", "a=postgres://h/a b=postgres://h/a")]),
            ["PLASMA_SEARCH_NODES: the nodes `a` and `b` have the same database; give each one of its own"]
        );
        assert_eq!(
            mistakes("", &[("PLASMA_SEARCH_NODES", "postgres://u:hunter2@h/a")]),
            ["PLASMA_SEARCH_NODES: must be name=url,url-of-a-replica, with spaces between nodes"]
        );
    }

    #[test]
    fn ways_to_a_certificate_and_to_vault_fit_together() {
        let (config, _) = layers("", &[("PLASMA_ACME_DOMAINS", "a.example,b.example")], &[]).finish().unwrap();
        assert!(config.offers_tls() && config.is_secure() && config.vault_token.is_none());
        let file = "vault_url = \"https://v\"\nvault_token_file = \"t\"";
        assert_eq!(layers(file, &[], &[]).finish().unwrap().0.vault_key, "plasma");
        assert_eq!(
            mistakes(
                "tls_certificate_file = \"c\"\nacme_domains = \"a.example\"\nvault_url = \"https://v\"\n\
                 tls_client_certificates = \"required\"\nmaster_key = \"valut\"",
                &[]
            ),
            ["plasma.toml:5: `master_key` must be file or vault; did you mean `vault`?"]
        );
        assert_eq!(
            mistakes(
                "tls_certificate_file = \"c\"\nacme_domains = \"a.example\"\nvault_url = \"https://v\"\n\
                 tls_client_certificates = \"required\"",
                &[]
            ),
            [
                "plasma.toml:1: needs `tls_key_file`",
                "plasma.toml:2: a certificate comes either from `tls_certificate_file` or by ACME; leave one of them out",
                "plasma.toml:4: needs `tls_client_ca_file`, which says whose certificates count",
                "plasma.toml:3: needs PLASMA_VAULT_TOKEN or `vault_token_file`",
            ]
        );
        assert_eq!(
            mistakes("http_redirect_listen = \"0.0.0.0:80\"\nmaster_key = \"vault\"", &[]),
            [
                "plasma.toml:1: is of no use without a certificate: set `tls_certificate_file` and `tls_key_file`, or \
                 `acme_domains`",
                "plasma.toml:2: `vault` needs `vault_url`",
            ]
        );
    }

    #[test]
    fn networks_are_a_list_in_the_file_and_commas_elsewhere() {
        let networks = |file: &str, environment: &[(&str, &str)]| {
            let (config, _) = layers(file, environment, &[]).finish().unwrap();
            config.outbound_allowed_networks.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(networks("", &[]).is_empty());
        let file = "outbound_allowed_networks = [\"10.1.2.3/8\", \"fd00::/8\"]";
        assert_eq!(networks(file, &[]), ["10.0.0.0/8", "fd00::/8"]);
        let environment = [("PLASMA_OUTBOUND_ALLOWED_NETWORKS", "127.0.0.1, 192.168.0.0/16")];
        assert_eq!(networks(file, &environment), ["127.0.0.1/32", "192.168.0.0/16"]);
        assert_eq!(
            mistakes(
                "outbound_allowed_networks = \"10.0.0.0/8\"",
                &[("PLASMA_OUTBOUND_ALLOWED_NETWORKS", "10.0.0.0/33")]
            ),
            [
                "plasma.toml:1: `outbound_allowed_networks` must be a list such as [\"10.0.0.0/8\"], got a string",
                "PLASMA_OUTBOUND_ALLOWED_NETWORKS: `10.0.0.0/33` is not a network such as 10.0.0.0/8 or fd00::/8",
            ]
        );
    }

    #[test]
    fn broken_syntax_is_told_with_its_line() {
        let mistakes = mistakes("listen = \"127.0.0.1:1\"\ndata_dir = \n[[[\n", &[]);
        assert!(mistakes.iter().any(|mistake| mistake.starts_with("plasma.toml:2: ")), "{mistakes:?}");
        assert!(mistakes.iter().any(|mistake| mistake.starts_with("plasma.toml:3: ")), "{mistakes:?}");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert_eq!(
            mistakes("data_dir = \"/dev/null\"", &[("PLASMA_ROLES", "api")]),
            [
                "PLASMA_ROLES: a process that does not have both roles needs `database_url`: SQLite belongs to one process, \
                 so the other role would never be filled",
                "plasma.toml:1: /dev/null is a file; name a folder",
            ]
        );
    }
}
