//! The gateways that are measured: how each is started and configured.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{Gateway, install, loads};
use crate::bench::{
    process::resident_mb,
    servers::{Server, clean_command, free_address, is_ok},
};

/// The mock provider's key: only gateways have it, except for Portkey, whose clients bring it along.
const PROVIDER_KEY: &str = "sk-mock0000000000000000000000000000000000000000000000000";
/// What clients of Plasma and LiteLLM bring along.
const PLASMA_KEY: &str = "plk_bench0000000000000000000000000000000000000000000000";
const LITELLM_KEY: &str = "sk-bench00000000000000000000000000000000000000000000000";

/// A server with all that a client has to know.
pub struct Target {
    /// Its name in reports.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// What stands before the model's name.
    model_prefix: &'static str,
    headers: Vec<(&'static str, String)>,
    /// The gateway; none when the provider itself is asked.
    pub server: Option<Server>,
}

impl Target {
    /// The mock provider without a gateway in front.
    pub fn direct(provider: &Server) -> Self {
        let headers = vec![("Authorization", format!("Bearer {PROVIDER_KEY}"))];
        Self { name: "direct", address: provider.address, model_prefix: "", headers, server: None }
    }

    /// Who it is, for people.
    pub fn introduction(&self) -> String {
        match &self.server {
            None => "direct: the mock provider without a gateway".to_owned(),
            Some(server) => format!(
                "{}: ready after {:.1} s, {:.0} MB resident",
                self.name,
                server.ready_after.as_secs_f64(),
                resident_mb(server.id()).unwrap_or(f64::NAN)
            ),
        }
    }

    /// The whole request of a load.
    pub fn request(&self, load: &loads::Load) -> Vec<u8> {
        let body = load.body(&format!("{}{}", self.model_prefix, load.model));
        let mut head = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let accept = if load.streamed { "text/event-stream" } else { "application/json" };
        head.push_str(&format!(
            "Accept: {accept}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        (head + &body).into_bytes()
    }
}

/// Starts the mock provider.
pub fn start_provider(program: &Path, folder: &Path) -> Result<Server> {
    let address = free_address()?;
    let mut command = clean_command(program, folder);
    command.args(["--listen", &address.to_string(), "--api-key", PROVIDER_KEY]).args([
        "--chunks",
        &loads::CHUNKS.to_string(),
        "--chunk-pause-ms",
        &loads::CHUNK_PAUSE_MS.to_string(),
    ]);
    // It has nothing to GET, so any answer will do.
    Server::start("mock-provider", folder, address, "/", |_| true, &mut command)
}

/// Where programs and data lie.
pub struct Places<'a> {
    /// The program `plasma`.
    pub plasma: &'a Path,
    /// Data and logs of this run.
    pub folder: &'a Path,
    /// Where the other gateways are installed.
    pub installed: &'a Path,
}

/// Starts a gateway in front of the provider.
pub fn start_gateway(gateway: Gateway, places: &Places<'_>, provider: &Server, workers: u32) -> Result<Target> {
    let upstream = format!("http://{}/v1", provider.address);
    match gateway {
        Gateway::Plasma => start_plasma(places, &upstream),
        Gateway::Litellm => start_litellm(places, &upstream, workers),
        Gateway::Portkey => start_portkey(places, upstream),
    }
}

/// With authentication and the call log, which cannot be switched off, on SQLite, with the settings that it has by default.
fn start_plasma(places: &Places<'_>, upstream: &str) -> Result<Target> {
    let address = free_address()?;
    let mut command = clean_command(places.plasma, places.folder);
    command
        .args(["serve", "--listen", &address.to_string(), "--data-dir"])
        .arg(places.folder.join("plasma"))
        .env("PLASMA_BOOTSTRAP_API_KEY", PLASMA_KEY);
    let server = Server::start("plasma", places.folder, address, "/healthz", is_ok, &mut command)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(configure_plasma(address, upstream)).with_context(|| server.log_end())?;
    let headers = vec![("Authorization", format!("Bearer {PLASMA_KEY}"))];
    Ok(Target { name: "plasma", address, model_prefix: "mock/", headers, server: Some(server) })
}

/// All that a workspace sets up before its first call. Budgets, limits and routes that a call has to pass belong here too.
async fn configure_plasma(address: SocketAddr, upstream: &str) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let create = async |path: &str, body: Value| -> Result<Value> {
        let request = client.post(format!("http://{address}{path}")).bearer_auth(PLASMA_KEY).json(&body);
        let response = request.send().await?;
        let status = response.status();
        let answer: Value = response.json().await?;
        if !status.is_success() {
            bail!("POST {path} was answered with {status}: {answer}");
        }
        Ok(answer)
    };
    let provider = json!({"name": "mock", "kind": "openai", "base_url": upstream, "api_key": PROVIDER_KEY});
    let provider = create("/api/v1/providers", provider).await?;
    let provider = provider.get("id").context("the provider has no id")?;
    for model in ["instant", "paced"] {
        let model = json!({
            "provider": provider, "name": model, "kind": "chat",
            "input_price_micros_per_million": 2_500_000, "output_price_micros_per_million": 10_000_000, "currency": "USD",
        });
        create("/api/v1/models", model).await?;
    }
    Ok(())
}

/// As its documentation's page on production says: a master key, no verbose output, only errors logged. Without a database,
/// so it logs no spending; with one it would have more to do.
fn start_litellm(places: &Places<'_>, upstream: &str, workers: u32) -> Result<Target> {
    let address = free_address()?;
    let model = |name: &str| {
        json!({
            "model_name": name,
            "litellm_params": {
                "model": format!("openai/{name}"), "api_base": upstream, "api_key": PROVIDER_KEY,
                "input_cost_per_token": 0.000_002_5, "output_cost_per_token": 0.000_01,
            },
        })
    };
    let config = json!({
        "model_list": [model("instant"), model("paced")],
        "litellm_settings": {"set_verbose": false, "json_logs": true, "request_timeout": 600},
        "general_settings": {"master_key": LITELLM_KEY},
    });
    // JSON is YAML.
    let file = places.folder.join("litellm.yaml");
    fs::write(&file, config.to_string()).with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = clean_command(&install::litellm_program(places.installed), places.folder);
    command
        .arg("--config")
        .arg(&file)
        .args(["--host", "127.0.0.1", "--port", &address.port().to_string(), "--num_workers", &workers.to_string()])
        .args(["--telemetry", "False"])
        // Without this it would fetch prices over the network.
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("LITELLM_MODE", "PRODUCTION")
        .env("LITELLM_LOG", "ERROR");
    let server = Server::start("litellm", places.folder, address, "/health/liveliness", is_ok, &mut command)?;
    let headers = vec![("Authorization", format!("Bearer {LITELLM_KEY}"))];
    Ok(Target { name: "litellm", address, model_prefix: "", headers, server: Some(server) })
}

/// The open-source gateway has no keys of its own and stores nothing: a client says in headers where its request goes.
fn start_portkey(places: &Places<'_>, upstream: String) -> Result<Target> {
    let address = free_address()?;
    let mut command = clean_command(Path::new("node"), places.folder);
    command
        .arg(install::portkey_program(places.installed))
        .args([&format!("--port={}", address.port()), "--headless"])
        .env("NODE_ENV", "production");
    let server = Server::start("portkey", places.folder, address, "/", is_ok, &mut command)?;
    let headers = vec![
        ("Authorization", format!("Bearer {PROVIDER_KEY}")),
        ("x-portkey-provider", "openai".to_owned()),
        ("x-portkey-custom-host", upstream),
    ];
    Ok(Target { name: "portkey", address, model_prefix: "", headers, server: Some(server) })
}
