//! Measurements. They print numbers; they do not judge.

mod gateway;
mod load;
mod machine;
mod process;
mod search_http;
mod servers;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Search on 10,000 passages, without the query's embedding
    Search,
    /// Start, idle memory and processor time, and GET /api/v1/collections with an API key (needs wrk)
    Http {
        /// How long to send requests
        #[arg(long, default_value_t = 10)]
        seconds: u32,
        /// Connections that send at the same time
        #[arg(long, default_value_t = 64)]
        connections: u32,
        /// How long to watch the idle server
        #[arg(long, default_value_t = 20)]
        idle_seconds: u64,
    },
    /// Plasma as a gateway beside LiteLLM and Portkey: added latency, answers a second, processor time, memory
    Gateway(gateway::Options),
    /// Hybrid search over 100,000 real passages through HTTP: searches a second and latency (needs wrk)
    SearchHttp(search_http::Options),
}

/// A key that only the measured server knows.
const API_KEY: &str = "plk_bench0000000000000000000000000000000000000000000000";

/// Runs one measurement.
pub fn run(root: &Path, what: &What) -> Result<()> {
    match what {
        What::Search => search(root),
        What::Http { seconds, connections, idle_seconds } => http(root, *seconds, *connections, *idle_seconds),
        What::Gateway(options) => {
            let plasma = options.plasma.clone().map_or_else(|| build(root), Ok)?;
            gateway::run(options, &plasma, &build_mock_provider(root)?)
        }
        What::SearchHttp(options) => {
            let plasma = options.plasma.clone().map_or_else(|| build(root), Ok)?;
            search_http::run(root, options, &plasma)
        }
    }
}

fn search(root: &Path) -> Result<()> {
    let status = Command::new("cargo")
        .args(["run", "--release", "--quiet", "--example", "bench_search"])
        .current_dir(root)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the measurement failed");
    }
    Ok(())
}

fn http(root: &Path, seconds: u32, connections: u32, idle_seconds: u64) -> Result<()> {
    let program = build(root)?;
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let first = Server::start(&program, folder.path())?;
    println!("first start on an empty folder: ready after {:.0?}", first.ready_after);
    first.stop()?;
    let server = Server::start(&program, folder.path())?;
    println!("second start: ready after {:.0?}, {:.1} MB resident", server.ready_after, server.resident_mb()?);
    println!(
        "idle: {:.2}% of a core over {idle_seconds} s",
        server.processor_percent(Duration::from_secs(idle_seconds))?
    );
    make_collections(&server.address)?;
    let output = Command::new("wrk")
        .args([
            "--threads",
            "2",
            "--latency",
            "--connections",
            &connections.to_string(),
            "--duration",
            &format!("{seconds}s"),
        ])
        .args([
            "--header",
            &format!("Authorization: Bearer {API_KEY}"),
            &format!("{}/api/v1/collections", server.address),
        ])
        .output()
        .context("cannot run wrk: install it (Debian: apt-get install wrk)")?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    if !output.status.success() {
        bail!("wrk failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    println!("after the load: {:.1} MB resident", server.resident_mb()?);
    server.stop()
}

fn build(root: &Path) -> Result<PathBuf> {
    cargo_build(root, &["--workspace", "--bin", "plasma"])?;
    Ok(target(root)?.join("release/plasma"))
}

/// With the features that the workspace's tests have, so that its dependencies are compiled once for both.
fn build_mock_provider(root: &Path) -> Result<PathBuf> {
    cargo_build(root, &["--workspace", "--example", "mock_provider"])?;
    Ok(target(root)?.join("release/examples/mock_provider"))
}

fn cargo_build(root: &Path, what: &[&str]) -> Result<()> {
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--quiet"])
        .args(what)
        .current_dir(root)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the build failed");
    }
    Ok(())
}

fn target(root: &Path) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root)
        .output()
        .context("cannot run cargo")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let target = metadata.get("target_directory").and_then(Value::as_str).context("cargo metadata names no target")?;
    Ok(PathBuf::from(target))
}

/// A folder in Plasma's cache, made when it is not there.
fn cache_folder(name: &str) -> Result<PathBuf> {
    let cache = match (env::var_os("PLASMA_CACHE_DIR"), env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(cache), ..) => PathBuf::from(cache),
        (_, Some(caches), _) => Path::new(&caches).join("plasma"),
        (_, _, Some(home)) => Path::new(&home).join(".cache/plasma"),
        _ => bail!("no cache folder: set PLASMA_CACHE_DIR"),
    };
    let folder = cache.join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// A few rows, so that the answer is one that a dashboard gets.
fn make_collections(address: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::new();
        for number in 1..=5 {
            let body = json!({"name": format!("collection {number}"), "description": "made for a measurement"});
            let request = client.post(format!("{address}/api/v1/collections")).bearer_auth(API_KEY).json(&body);
            request.send().await?.error_for_status()?;
        }
        Ok(())
    })
}

struct Server {
    process: Child,
    address: String,
    ready_after: Duration,
}

impl Server {
    fn start(program: &Path, data_dir: &Path) -> Result<Self> {
        let begun = Instant::now();
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .env("PLASMA_BOOTSTRAP_API_KEY", API_KEY)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = process.stdout.take().context("the server's output")?;
        for line in BufReader::new(output).lines() {
            if let Some((_, address)) = line?.split_once("is ready at ") {
                return Ok(Self { process, address: address.to_owned(), ready_after: begun.elapsed() });
            }
        }
        bail!("the server ended before it was ready")
    }

    fn resident_mb(&self) -> Result<f64> {
        process::resident_mb(self.process.id())
    }

    #[allow(clippy::disallowed_methods)] // nothing else runs in this process
    fn processor_percent(&self, over: Duration) -> Result<f64> {
        // What is left to do after the start is not idling.
        thread::sleep(Duration::from_secs(3));
        let before = process::time(self.process.id())?;
        thread::sleep(over);
        let used = process::time(self.process.id())? - before;
        Ok(used.seconds() / over.as_secs_f64() * 100.0)
    }

    fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().context("cannot run kill")?;
        let status = self.process.wait()?;
        if !status.success() {
            bail!("the server did not stop cleanly: {status}");
        }
        Ok(())
    }
}
