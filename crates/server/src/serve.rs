//! `plasma serve`: wires the parts together, runs them, and stops them in the right order.

use std::{
    io::Write as _,
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use plasma_content::Content;
use plasma_governance::{Governance, GovernanceConfig};
use plasma_http::outbound::Outbound;
use plasma_identity::{Bootstrap, BootstrapKey, BootstrapOutcome, Identity, IdentityConfig};
use plasma_kernel::{Clock, Code, Ctx, Error, Random};
use plasma_knowledge::Knowledge;
use plasma_models::{LocalModels, LocalSettings, Manifest, Models, ModelsConfig};
use plasma_store::{
    Dialect, MasterKeyKind, Store, StoreConfig, VaultConfig, VaultToken, search_node::SearchNodeConfig,
};
use plasma_workflows::Workflows;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    compliance::Compliance,
    config::{Config, MasterKey, Role, Secret},
    encryption::Encryption,
    listen::{self, Tls},
    lock::DataDirLock,
    metrics::Metrics,
    people::{IdentityPeople, KnowledgeForgets},
    router,
    system::{Parts, System},
    tail::EventTail,
    telemetry::Telemetry,
};

/// Exit code of a program whose configuration is wrong.
const EXIT_CONFIGURATION: u8 = 2;
/// Exit code of a program that was told twice to stop.
const EXIT_IMPATIENT: i32 = 130;
/// How long open WebSockets have to be closed properly.
const LIVE_CLOSE: Duration = Duration::from_secs(2);
/// What still runs in threads after everything was stopped (a model's last step) is left behind after this time.
const THREADS_END: Duration = Duration::from_secs(2);

/// Runs the server until it is told to stop.
pub fn run(config: Config) -> ExitCode {
    match run_to_end(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plasma: {error:#}");
            let wrong_configuration = error.downcast_ref::<Error>().is_some_and(|error| error.code() == Code::Invalid);
            if wrong_configuration { ExitCode::from(EXIT_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

fn run_to_end(config: Config) -> Result<()> {
    let telemetry = Telemetry::install(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let served = runtime.block_on(serve(config));
    runtime.shutdown_timeout(THREADS_END);
    telemetry.stop();
    served
}

async fn serve(config: Config) -> Result<()> {
    let started = Instant::now();
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let lock = DataDirLock::take(&config.data_dir)?;
    // Before anything slow: a port that is taken is the commonest mistake.
    let listener = bind(config.listen, "--listen").await?;
    let redirecting = match config.http_redirect_listen {
        Some(address) => Some(bind(address, "--http-redirect-listen").await?),
        None => None,
    };
    let metrics = Metrics::install()?;
    let tls = Tls::open(&config).await?;
    let ctx = Ctx::system("background work", Clock::system(), Random::system());
    let store = Store::open(store_config(&config)).await?;
    let workflows = Workflows::new(store.clone(), ctx.clone());
    let system = assemble(&config, &ctx, store, &workflows, metrics, started, stop.clone()).await?;
    let parts = system.parts();
    welcome(&parts.identity.bootstrap(bootstrap(&config)).await?)?;
    let router = router::build(&config, &system)?;
    parts.knowledge.start();
    parts.governance.start(config.has_role(Role::Worker));
    if config.has_role(Role::Worker) {
        // SQLite belongs to this process alone, so whatever seems to run was left behind.
        workflows.start(parts.store.dialect() == Dialect::Sqlite).await?;
    }
    let address = listener.local_addr().context("the listening address")?;
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).keep_fresh(stop.clone()));
    }
    if let Some(listener) = redirecting {
        let public_url = public_url(&config)?;
        let tokens = tls.as_ref().and_then(|tls| tls.tokens());
        let router = listen::redirect(address.port(), config.http_redirect_port, public_url.as_ref(), tokens);
        tokio::spawn(listen::serve(listener, None, router, config.connections_max, stop.clone()));
    }
    tracing::info!(%address, database = parts.store.dialect().as_str(), ready_ms = started.elapsed().as_millis(), "ready");
    let scheme = if tls.is_some() { "https" } else { "http" };
    say(&format!("plasma {} is ready at {scheme}://{address}", env!("CARGO_PKG_VERSION")))?;
    listen::serve(listener, tls, router, config.connections_max, stop).await;
    stop_parts(&config, parts, &workflows).await;
    drop(lock);
    tracing::info!("stopped");
    Ok(())
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: choose another address with {flag}, or stop the program that has it")
    })
}

fn store_config(config: &Config) -> StoreConfig {
    StoreConfig {
        data_dir: config.data_dir.clone(),
        database_url: config.database_url.as_ref().map(|url| url.expose().to_owned()),
        master_key_file: config.master_key_file.clone(),
        master_key: config.master_key.map(|kind| match kind {
            MasterKey::File => MasterKeyKind::File,
            MasterKey::Vault => MasterKeyKind::Vault,
        }),
        vault: vault_config(config),
        connections_max: config.database_connections_max,
    }
}

fn vault_config(config: &Config) -> Option<VaultConfig> {
    let token = match (&config.vault_token, &config.vault_token_file) {
        (Some(token), _) => VaultToken::Text(token.clone()),
        (None, Some(file)) => VaultToken::File(file.clone()),
        (None, None) => return None,
    };
    Some(VaultConfig {
        url: config.vault_url.clone()?,
        token,
        mount: config.vault_transit_mount.clone(),
        key: config.vault_key.clone(),
        ca_file: config.vault_ca_file.clone(),
    })
}

fn public_url(config: &Config) -> Result<Option<Url>> {
    config.public_url.as_deref().map(Url::parse).transpose().context("public_url")
}

fn identity_config(config: &Config) -> Result<IdentityConfig> {
    let identity = IdentityConfig {
        secure_cookies: config.is_secure(),
        deletion_grace_days: Some(config.tenant_deletion_grace_days),
        public_url: public_url(config)?,
        smtp_url: config.smtp_url.clone(),
        mail_from: config.mail_from.clone(),
    };
    identity.check()?;
    Ok(identity)
}

fn search_nodes(config: &Config) -> Vec<SearchNodeConfig> {
    let nodes = config.search_nodes.iter().map(|(name, urls)| SearchNodeConfig {
        name: name.clone(),
        url: urls.url.expose().to_owned(),
        replicas: urls.replicas.iter().map(|url| url.expose().to_owned()).collect(),
    });
    nodes.collect()
}

async fn assemble(
    config: &Config,
    ctx: &Ctx,
    store: Store,
    workflows: &Workflows,
    metrics: Metrics,
    started: Instant,
    stop: CancellationToken,
) -> Result<System> {
    let identity = Identity::new(store.clone(), ctx.clock().clone(), ctx.random().clone(), identity_config(config)?);
    identity.register_steps(workflows);
    identity.register_tenant_steps(workflows);
    identity.register_oauth_steps(workflows);
    let settings = LocalSettings {
        idle_timeout: Duration::from_secs(config.model_idle_seconds),
        custom_dirs: config.custom_models_dirs.iter().flat_map(std::env::split_paths).collect(),
        hub_url: config.hub_url.clone(),
        ..LocalSettings::default()
    };
    let manifest = Manifest::builtin()?;
    let local = LocalModels::new(&manifest, &config.models_dir, &settings);
    let outbound = Outbound::guarded(config.outbound_allowed_networks.clone());
    identity.use_outbound(outbound.clone());
    let models = Models::with_outbound(ctx, store.clone(), local, ModelsConfig::default(), &outbound)?;
    models.register_steps(workflows);
    let nodes = search_nodes(config);
    let knowledge = Knowledge::with_nodes(store.clone(), models.clone(), workflows, ctx.clone(), &nodes)?;
    knowledge.use_people(Arc::new(IdentityPeople(identity.clone())));
    identity.use_forgetters(vec![Arc::new(KnowledgeForgets(knowledge.clone()))]);
    let content = Content::new(store.clone(), knowledge.clone(), workflows);
    let audit = GovernanceConfig { anchor_dir: config.audit_anchor_dir(), outbound };
    let governance = Governance::open(store.clone(), ctx.clone(), audit).await?;
    governance.register_steps(workflows);
    let encryption = Encryption::new(store.clone(), workflows);
    let tail = EventTail::start(store.clone(), stop.clone()).await?;
    metrics.follow(&tail, stop.clone());
    Ok(System::new(Parts {
        store,
        identity,
        models,
        manifest,
        models_dir: config.models_dir.clone(),
        knowledge,
        content,
        governance,
        encryption,
        compliance: Arc::new(Compliance::new(config.compliance_results_file.clone())),
        tail,
        live_room: Arc::new(Semaphore::new(config.live_connections_max)),
        metrics,
        stop,
        started,
    }))
}

/// In the order in which they lean on each other. Requests have ended already.
async fn stop_parts(config: &Config, parts: &Parts, workflows: &Workflows) {
    let all = u32::try_from(config.live_connections_max).unwrap_or(u32::MAX);
    // When every place is free again, every WebSocket has said goodbye.
    let _ = tokio::time::timeout(LIVE_CLOSE, parts.live_room.acquire_many(all)).await;
    workflows.stop().await;
    parts.governance.stop().await;
    parts.knowledge.stop().await;
    parts.models.shutdown().await;
    if let Err(error) = parts.identity.flush().await {
        tracing::warn!(?error, "the last uses of sessions and keys could not be written");
    }
    parts.store.close().await;
}

fn bootstrap(config: &Config) -> Bootstrap {
    let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| plasma_identity::Secret::new(secret.expose()));
    Bootstrap {
        owner_email: config.owner_email.clone(),
        owner_password: secret(&config.owner_password),
        api_key: secret(&config.bootstrap_api_key),
    }
}

/// Tells the person at the terminal how to get in. Not through the log, which is kept and shipped.
fn welcome(outcome: &BootstrapOutcome) -> Result<()> {
    if let Some(owner) = &outcome.owner {
        say(&format!("first start: the owner is {}", owner.email))?;
        if let Some(password) = &owner.generated_password {
            say(&format!("the owner's password is {} (shown only now)", password.expose()))?;
        }
    }
    if outcome.api_key == Some(BootstrapKey::Revoked) {
        tracing::warn!("PLASMA_BOOTSTRAP_API_KEY names a key that was revoked: it stays refused; set another one");
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut output = std::io::stdout();
    match writeln!(output, "{line}").and_then(|()| output.flush()) {
        // Nobody reads: `plasma serve | head -1` must go on serving.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("the standard output"),
    }
}

/// The first SIGINT or SIGTERM stops the program in order, the second at once.
fn stop_on_signals(stop: CancellationToken) -> Result<()> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        tracing::info!("stopping; once more stops at once");
        stop.cancel();
        either(&mut interrupt, &mut terminate).await;
        std::process::exit(EXIT_IMPATIENT);
    });
    Ok(())
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
