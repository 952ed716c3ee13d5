//! The collection that is searched, brought in by the API as a client does it. It takes minutes, so that the program's data stay in
//! the cache; a later version of the program takes them over as it takes over everybody's.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{API_KEY, corpus::Corpus};
use crate::bench::{
    cache_folder,
    load::interrupt,
    servers::{Server, clean_command, free_address, is_ok},
};

/// How often progress is told.
const TELL: Duration = Duration::from_secs(15);
/// How often it is asked for.
const LOOK: Duration = Duration::from_millis(500);
/// The longest time for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// A collection of the API.
#[derive(Debug, Deserialize)]
struct State {
    document_count: u64,
    ready_count: u64,
    failed_count: u64,
    chunk_count: u64,
}

/// The searchable collection.
#[derive(Debug, Serialize)]
pub struct Collection {
    /// Its id.
    pub id: String,
    /// Documents.
    pub documents: u64,
    /// Passages.
    pub passages: u64,
    /// How long it took to bring them in, in seconds; null when a run before did it, or a part of it.
    pub ingest_seconds: Option<f64>,
}

/// Where the data of a corpus lie. What was not brought in completely is removed, and everything with `fresh`.
pub fn folder(corpus: &Corpus, fresh: bool) -> Result<PathBuf> {
    let folder = cache_folder("bench-search")?.join(&corpus.name);
    if folder.exists() && (fresh || !mark(&folder).exists()) {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Holds the collection's id as soon as all documents were accepted: from then on the program works them off by itself, also after
/// it was stopped.
fn mark(folder: &Path) -> PathBuf {
    folder.join("collection")
}

/// Starts the program on the data of this folder, with the settings that it has by default.
pub fn start(program: &Path, folder: &Path) -> Result<Server> {
    let address = free_address()?;
    let mut command = clean_command(program, folder);
    command
        .args(["serve", "--listen", &address.to_string(), "--data-dir"])
        .arg(folder.join("plasma"))
        .env("PLASMA_BOOTSTRAP_API_KEY", API_KEY)
        .env("PLASMA_MODELS_DIR", models_folder()?);
    Server::start("plasma", folder, address, "/readyz", is_ok, &mut command)
}

/// Where `make models` puts them.
fn models_folder() -> Result<PathBuf> {
    match (env::var_os("PLASMA_MODELS_DIR"), env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(models), ..) => Ok(PathBuf::from(models)),
        (_, Some(caches), _) => Ok(Path::new(&caches).join("plasma/models")),
        (_, _, Some(home)) => Ok(Path::new(&home).join(".cache/plasma/models")),
        _ => bail!("no models folder: set PLASMA_MODELS_DIR"),
    }
}

/// Brings the documents in, unless they are there, and waits until all of them are searchable.
pub fn bring(server: &Server, folder: &Path, corpus: &Corpus) -> Result<Collection> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client {
        http: reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build()?,
        base: format!("http://{}/api/v1/collections", server.address),
    };
    runtime.block_on(client.bring(folder, corpus)).with_context(|| server.log_end())
}

struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    async fn bring(&self, folder: &Path, corpus: &Corpus) -> Result<Collection> {
        let begun = Instant::now();
        let (id, is_new) = match fs::read_to_string(mark(folder)) {
            Ok(id) => (id, false),
            Err(_) => (self.add(folder, corpus).await?, true),
        };
        let State { document_count: documents, chunk_count: passages, .. } = self.wait(&id).await?;
        let ingest_seconds = is_new.then(|| begun.elapsed().as_secs_f64());
        Ok(Collection { id, documents, passages, ingest_seconds })
    }

    async fn add(&self, folder: &Path, corpus: &Corpus) -> Result<String> {
        println!("bringing in {} documents, once", corpus.documents.len());
        let collection = self.ask(Method::POST, "", Some(&json!({"name": "texts"}))).await?;
        let id = collection.get("id").and_then(Value::as_str).context("the collection has no id")?.to_owned();
        for document in &corpus.documents {
            interrupt::check()?;
            self.ask(Method::POST, &format!("/{id}/documents"), Some(document)).await?;
        }
        fs::write(mark(folder), &id).context("the collection's id cannot be kept")?;
        Ok(id)
    }

    async fn wait(&self, id: &str) -> Result<State> {
        let begun = Instant::now();
        let mut told = begun;
        loop {
            interrupt::check()?;
            let state: State = serde_json::from_value(self.ask(Method::GET, &format!("/{id}"), None).await?)?;
            if state.failed_count > 0 {
                bail!("{} documents could not be read", state.failed_count);
            }
            if state.ready_count == state.document_count {
                return Ok(state);
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                let seconds = begun.elapsed().as_secs_f64();
                println!("{} of {} documents after {seconds:.0} s", state.ready_count, state.document_count);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base)).bearer_auth(API_KEY);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let answer: Value = response.json().await?;
        if !status.is_success() {
            bail!("{method} {path} was answered with {status}: {answer}");
        }
        Ok(answer)
    }
}
