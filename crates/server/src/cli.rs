//! The command line: what can be said, and which exit code it ends with.

use std::{path::PathBuf, process::ExitCode, sync::LazyLock};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand};

use crate::{
    client,
    config::{self, Config, Layers, Mistake, SETTINGS},
    openapi, serve,
};

/// The names of the flags, for as long as the program runs: clap keeps references.
static FLAGS: LazyLock<Vec<String>> = LazyLock::new(|| SETTINGS.iter().map(config::Setting::flag).collect());

/// Exit code of a program that was told to do something that its configuration does not allow.
const EXIT_CONFIGURATION: u8 = 2;

/// Self-hosted AI content platform: your knowledge and your models, in one program.
#[derive(Debug, Parser)]
#[command(name = "plasma", version, propagate_version = true, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start the server: the dashboard, the API and the background workers
    ///
    /// An empty data directory is enough: the database, the keys and the first owner are made. Stop with Ctrl-C; work that
    /// runs is finished or taken up at the next start. Settings come from plasma.toml, then PLASMA_… variables, then flags.
    #[command(after_help = "Exit codes: 0 stopped on request, 2 wrong configuration, 1 any other failure.")]
    Serve(Settings),
    /// Look at the configuration
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
    /// Log in to a running server with your browser, here or on another device
    Login(client::LoginArgs),
    /// End the login that `plasma login` kept
    Logout(client::LogoutArgs),
    /// Look after the keys that sign ID tokens for applications
    SigningKeys {
        #[command(subcommand)]
        verb: SigningKeysVerb,
    },
    /// Search a collection on a running server
    Search(client::SearchArgs),
    /// Ask a question about a collection, and read the answer with its sources
    Ask(client::AskArgs),
    /// Upload files and folders into a collection, and wait until they can be searched
    Ingest(client::IngestArgs),
    /// Look at models, measure and try them, fetch or remove weights, calibrate a cache
    Models {
        #[command(subcommand)]
        verb: ModelsVerb,
    },
    /// Sum up what calls of models used and cost
    Usage(client::UsageArgs),
    /// Look at the prompts of a running server, add versions, move aliases
    Prompts(client::PromptsArgs),
    /// Look at workspaces, make, close and open them, take one's data out
    Tenants(client::TenantsArgs),
    /// Ask who may do what, and why
    Access {
        #[command(subcommand)]
        verb: AccessVerb,
    },
    /// Call models for every line of a file
    Batches {
        #[command(subcommand)]
        verb: BatchesVerb,
    },
    /// Read, export and verify the audit log
    Audit {
        #[command(subcommand)]
        verb: AuditVerb,
    },
    /// Look at the keys that seal secrets, and change them
    Keys {
        #[command(subcommand)]
        verb: KeysVerb,
    },
    /// Make, verify and restore encrypted backups of the data directory
    Backup {
        #[command(subcommand)]
        verb: BackupVerb,
    },
    /// Say which security controls are met
    Compliance {
        #[command(subcommand)]
        verb: ComplianceVerb,
    },
    /// Measure what this machine can do, without a server
    Bench {
        #[command(subcommand)]
        verb: BenchVerb,
    },
    /// Print the API's OpenAPI specification as JSON
    Openapi,
}

#[derive(Debug, Subcommand)]
enum AuditVerb {
    /// List records of a running server, the newest first
    Ls(client::AuditListArgs),
    /// Write records of a running server into a file, or the whole log to be verified
    Export(client::AuditExportArgs),
    /// Prove, without a server, that nothing in a log was edited, reordered, removed or cut off
    Verify(client::AuditVerifyArgs),
}

#[derive(Debug, Subcommand)]
enum SigningKeysVerb {
    /// Make a new key; needs to manage the installation
    Rotate(client::RotateSigningKeysArgs),
}

#[derive(Debug, Subcommand)]
enum BenchVerb {
    /// Embed texts in this process: texts a second by device, precision, threads and length, and the time of one query
    Embed(client::BenchEmbedArgs),
}

#[derive(Debug, Subcommand)]
enum ComplianceVerb {
    /// Hold the catalogues of controls (OWASP ASVS, API Security Top 10) against the last test run, without a server
    Report(client::ComplianceReportArgs),
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Find every mistake in plasma.toml, the environment and the flags
    #[command(after_help = "Exit codes: 0 all is well, 2 there are mistakes.")]
    Check(Settings),
    /// Print every setting with its meaning, limits, value and origin, as a plasma.toml; secrets are hidden
    Show(Settings),
}

#[derive(Debug, Subcommand)]
enum ModelsVerb {
    /// List the models: name, kind, state, size, price
    Ls(client::ModelsArgs),
    /// Find how similar two questions must be for a route's semantic cache
    CacheCalibrate(client::CalibrateArgs),
    /// Fetch the weights of a model of the manifest, or of a repository of Hugging Face; what was interrupted goes on
    Pull(client::PullArgs),
    /// Remove the weights of a model from this machine
    Rm(client::RemoveArgs),
    /// Ask a model once: the answer as it comes, then timings and cost
    Try(client::TryArgs),
    /// Put the cases of a suite to several models: quality, speed and cost with confidence intervals
    Bench(client::BenchArgs),
}

#[derive(Debug, Subcommand)]
enum AccessVerb {
    /// Say whether somebody may do something: the role or the policy that decides, or the permission that is missing
    Explain(client::ExplainArgs),
}

#[derive(Debug, Subcommand)]
enum BatchesVerb {
    /// Upload a file of requests and answer them in the background
    Run(client::RunBatchArgs),
}

#[derive(Debug, Subcommand)]
enum KeysVerb {
    /// Which master keys wrap how many data keys, and how far rotations are
    Status(client::KeysArgs),
    /// Give the API key's workspace a new data key; what the old one sealed is sealed again
    Rotate(client::KeysArgs),
    /// Make a new master key (in the key file or in Vault) and wrap every data key with it
    RotateMaster(client::KeysArgs),
    /// Wrap every data key with the current master key, after the configuration names another
    Rewrap(client::KeysArgs),
    /// Remove master keys that wrap nothing any more from the key file; backups from their time cannot be used after that
    ForgetOld(client::KeysArgs),
}

#[derive(Debug, Subcommand)]
enum BackupVerb {
    /// Back up the data directory of this machine, also while the server runs
    Create(client::CreateBackupArgs),
    /// Make a new data directory from a backup
    Restore(client::RestoreBackupArgs),
    /// Read a backup to its end and say whether it is whole
    Verify(client::VerifyBackupArgs),
    /// Encrypt what comes in, such as a dump of Postgres: pg_dump … | plasma backup seal … > dump.backup
    Seal(client::SealArgs),
    /// Decrypt what `seal` or `create` encrypted
    Open(client::OpenArgs),
    /// Make a key for backups: the identity that opens them goes to a file, the recipient that encrypts them is printed
    Keygen(client::KeygenArgs),
}

/// The file and the flags of the commands that read the configuration. The flags are made from the table of settings.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    file: Option<PathBuf>,
    flags: Vec<(&'static str, String)>,
}

impl Settings {
    fn load(&self) -> Result<(Config, Layers), Vec<Mistake>> {
        Layers::read(self.file.as_deref(), &self.flags).finish()
    }
}

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Configuration file [default: plasma.toml in the working directory, if there is one]");
        let flags = SETTINGS.iter().zip(FLAGS.iter()).filter(|(setting, _)| !setting.environment_only);
        flags.fold(command.arg(file), |command, (setting, flag)| {
            let mut help = setting.help.to_owned();
            if let Some(limits) = config::limits(setting.kind) {
                help.push_str(&format!(" ({limits})"));
            }
            let default = setting.default.map(|value| format!("default: {value}, "));
            help.push_str(&format!(" [{}env: {}]", default.unwrap_or_default(), setting.variable()));
            command.arg(
                Arg::new(setting.key)
                    .long(flag.as_str())
                    .value_name(value_name(setting.kind))
                    .allow_negative_numbers(true)
                    .help(help),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn value_name(kind: config::Kind) -> &'static str {
    use config::Kind;
    match kind {
        Kind::Text => "TEXT",
        Kind::Path => "PATH",
        Kind::Address => "ADDRESS:PORT",
        Kind::Url(_) => "URL",
        Kind::Choice(_) => "WORD",
        Kind::Words(_) => "WORDS",
        Kind::Whole { .. } => "NUMBER",
        Kind::Flag => "BOOL",
        Kind::Networks => "NETWORKS",
        Kind::LogFilter => "FILTER",
        Kind::SearchNodes => "NODES",
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut settings = Self::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.file = matches.get_one::<PathBuf>("config").cloned();
        self.flags = SETTINGS
            .iter()
            .filter(|setting| !setting.environment_only)
            .filter_map(|setting| Some((setting.key, matches.get_one::<String>(setting.key)?.clone())))
            .collect();
        Ok(())
    }
}

/// Runs the program as its arguments say.
pub fn run() -> ExitCode {
    let verb = Cli::parse().verb;
    match verb {
        Verb::Serve(settings) => match settings.load() {
            Ok((config, _)) => serve::run(config),
            Err(mistakes) => refuse(&mistakes),
        },
        Verb::Config { verb: ConfigVerb::Check(settings) } => match settings.load() {
            Ok(_) => {
                println!("the configuration is fine; `plasma config show` prints it");
                ExitCode::SUCCESS
            }
            Err(mistakes) => refuse(&mistakes),
        },
        Verb::Config { verb: ConfigVerb::Show(settings) } => match settings.load() {
            Ok((_, layers)) => {
                print!("{}", config::show(&layers));
                ExitCode::SUCCESS
            }
            Err(mistakes) => refuse(&mistakes),
        },
        Verb::Login(arguments) => client::run(client::login(arguments)),
        Verb::Logout(arguments) => client::run(client::logout(arguments)),
        Verb::SigningKeys { verb: SigningKeysVerb::Rotate(arguments) } => {
            client::run(client::rotate_signing_keys(arguments))
        }
        Verb::Search(arguments) => client::run(client::search(arguments)),
        Verb::Ask(arguments) => client::run(client::ask(arguments)),
        Verb::Ingest(arguments) => client::run(client::ingest(arguments)),
        Verb::Models { verb: ModelsVerb::Ls(arguments) } => client::run(client::models(arguments)),
        Verb::Usage(arguments) => client::run(client::usage(arguments)),
        Verb::Models { verb: ModelsVerb::CacheCalibrate(arguments) } => client::run(client::calibrate(arguments)),
        Verb::Prompts(arguments) => client::run(client::prompts(arguments)),
        Verb::Tenants(arguments) => client::run(client::tenants(arguments)),
        Verb::Access { verb: AccessVerb::Explain(arguments) } => client::run(client::explain(arguments)),
        Verb::Batches { verb: BatchesVerb::Run(arguments) } => client::run(client::run_batch(arguments)),
        Verb::Models { verb: ModelsVerb::Bench(arguments) } => client::run(client::bench(arguments)),
        Verb::Models { verb: ModelsVerb::Pull(arguments) } => client::run(client::pull(arguments)),
        Verb::Models { verb: ModelsVerb::Rm(arguments) } => client::run(client::remove(arguments)),
        Verb::Models { verb: ModelsVerb::Try(arguments) } => client::run(client::try_model(arguments)),
        Verb::Audit { verb: AuditVerb::Ls(arguments) } => client::run(client::audit_list(arguments)),
        Verb::Audit { verb: AuditVerb::Export(arguments) } => client::run(client::audit_export(arguments)),
        Verb::Audit { verb: AuditVerb::Verify(arguments) } => client::audit_verify(arguments),
        Verb::Compliance { verb: ComplianceVerb::Report(arguments) } => {
            client::run(client::compliance_report(arguments))
        }
        Verb::Bench { verb: BenchVerb::Embed(arguments) } => client::run(client::bench_embed(arguments)),
        Verb::Keys { verb } => run_keys(verb),
        Verb::Backup { verb } => run_backup(verb),
        Verb::Openapi => {
            print!("{}", openapi::pretty());
            ExitCode::SUCCESS
        }
    }
}

fn run_keys(verb: KeysVerb) -> ExitCode {
    match verb {
        KeysVerb::Status(arguments) => client::run(client::keys_status(arguments)),
        KeysVerb::Rotate(arguments) => client::run(client::rotate_data_key(arguments)),
        KeysVerb::RotateMaster(arguments) => client::run(client::rotate_master_key(arguments)),
        KeysVerb::Rewrap(arguments) => client::run(client::rewrap_keys(arguments)),
        KeysVerb::ForgetOld(arguments) => client::run(client::forget_old_keys(arguments)),
    }
}

fn run_backup(verb: BackupVerb) -> ExitCode {
    match verb {
        BackupVerb::Create(arguments) => match arguments.settings.load() {
            Ok((config, _)) => client::run(client::create_backup(config, arguments)),
            Err(mistakes) => refuse(&mistakes),
        },
        BackupVerb::Restore(arguments) => match arguments.settings.load() {
            Ok((config, _)) => client::run(client::restore_backup(config, arguments)),
            Err(mistakes) => refuse(&mistakes),
        },
        BackupVerb::Verify(arguments) => client::run(client::verify_backup(arguments)),
        BackupVerb::Seal(arguments) => client::run(client::seal(arguments)),
        BackupVerb::Open(arguments) => client::run(client::open(arguments)),
        BackupVerb::Keygen(arguments) => client::run(client::keygen(arguments)),
    }
}

fn refuse(mistakes: &[Mistake]) -> ExitCode {
    for mistake in mistakes {
        eprintln!("{mistake}");
    }
    let number = if mistakes.len() == 1 { "1 mistake".to_owned() } else { format!("{} mistakes", mistakes.len()) };
    eprintln!("the configuration has {number}; `plasma config show --help` lists what may be set");
    ExitCode::from(EXIT_CONFIGURATION)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
