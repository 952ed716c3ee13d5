//! Starts the program, talks to it, stops or kills it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The owner's API key of every server in these tests.
pub const KEY: &str = "plk_tests00000000000000000000000000000000000000000000000";
pub const EMAIL: &str = "owner@example.com";
pub const PASSWORD: &str = "correct horse battery";
/// Waits end with a failure after this time.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The program, to be run to its end.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plasma"));
    // Settings of whoever runs the tests must not leak in; the models' folder may.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PLASMA_") && name != "PLASMA_MODELS_DIR") {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// What a server is started with. Cloned for a second start on the same data.
#[derive(Clone)]
pub struct Setup {
    pub data_dir: PathBuf,
    pub settings: BTreeMap<String, String>,
}

/// A folder for a test, and how to start a server on it.
pub struct Place {
    pub folder: Arc<TempDir>,
    pub setup: Setup,
}

impl Place {
    pub fn sqlite() -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let mut settings = BTreeMap::new();
        for (name, value) in [
            ("PLASMA_BOOTSTRAP_API_KEY", KEY),
            ("PLASMA_OWNER_EMAIL", EMAIL),
            ("PLASMA_OWNER_PASSWORD", PASSWORD),
            ("PLASMA_LISTEN", "127.0.0.1:0"),
        ] {
            settings.insert(name.to_owned(), value.to_owned());
        }
        let setup = Setup { data_dir: folder.path().join("data"), settings };
        Self { folder, setup }
    }

    pub async fn postgres() -> Self {
        let mut place = Self::sqlite();
        place.set("PLASMA_DATABASE_URL", &plasma_testkit::fresh_postgres_database().await);
        place
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.setup.settings.insert(name.to_owned(), value.to_owned());
    }

    pub fn start(&self) -> Plasma {
        let mut server = Plasma::start(&self.setup);
        server._folder = Some(Arc::clone(&self.folder));
        server
    }
}

/// A running server. Killed when dropped.
pub struct Plasma {
    process: Child,
    pub url: String,
    pub ready_after: Duration,
    pub printed: Vec<String>,
    log: PathBuf,
    /// Its data stay for as long as it runs.
    _folder: Option<Arc<TempDir>>,
    http: reqwest::Client,
}

impl Plasma {
    #[allow(clippy::zombie_processes)] // `Drop` and the stopping functions wait for it
    pub fn start(setup: &Setup) -> Self {
        std::fs::create_dir_all(setup.data_dir.parent().unwrap()).unwrap();
        let log = setup.data_dir.with_extension("log");
        let errors = File::options().create(true).append(true).open(&log).unwrap();
        let http = reqwest::Client::new();
        let begun = Instant::now();
        let mut process = program()
            .args(["serve", "--data-dir"])
            .arg(&setup.data_dir)
            .envs(&setup.settings)
            .current_dir(setup.data_dir.parent().unwrap())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let output = process.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut printed = Vec::new();
        while let Ok(line) = lines.recv_timeout(Duration::from_secs(30)) {
            let ready = line.split_once(" is ready at ").map(|(_, url)| url.to_owned());
            printed.push(line);
            if let Some(url) = ready {
                let ready_after = begun.elapsed();
                return Self { process, url, ready_after, printed, log, _folder: None, http };
            }
        }
        let _ = process.kill();
        let _ = process.wait();
        panic!("the server did not become ready:\n{}", read(&log));
    }

    pub fn log(&self) -> String {
        read(&self.log)
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// As the owner.
    pub fn owner(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.request(method, path).bearer_auth(KEY)
    }

    /// A JSON answer to the owner that must be a success.
    pub async fn get(&self, path: &str) -> Value {
        let response = self.owner(Method::GET, path).send().await.unwrap();
        success(response).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let response = self.owner(Method::POST, path).json(&body).send().await.unwrap();
        success(response).await
    }

    /// Every row of a list.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let page =
                self.get(&format!("{path}{}limit=200{cursor}", if path.contains('?') { '&' } else { '?' })).await;
            rows.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }

    pub async fn create_collection(&self, name: &str) -> String {
        let collection = self.post("/api/v1/collections", json!({"name": name})).await;
        collection["id"].as_str().unwrap().to_owned()
    }

    /// Brings a text and returns the document's id.
    pub async fn add_text(&self, collection: &str, title: &str, text: &str) -> String {
        let body = json!({"title": title, "text": text});
        let document = self.post(&format!("/api/v1/collections/{collection}/documents"), body).await;
        document["id"].as_str().unwrap().to_owned()
    }

    /// Waits until no document of the collection is on its way, and returns all.
    pub async fn settled(&self, collection: &str) -> Vec<Value> {
        let path = format!("/api/v1/collections/{collection}/documents");
        let begun = Instant::now();
        loop {
            let documents = self.all(&path).await;
            if documents.iter().all(|document| matches!(document["state"].as_str(), Some("ready" | "failed"))) {
                return documents;
            }
            assert!(begun.elapsed() < PATIENCE, "documents are still on their way: {documents:#?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Memory in RAM, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().to_owned();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// As `kill -9` does: no goodbye.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to stop, and waits.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("-TERM");
        self.process.wait().unwrap()
    }
}

impl Drop for Plasma {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- the server's log:\n{}", tail(&self.log()));
        }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

pub async fn success(response: Response) -> Value {
    let (status, url) = (response.status(), response.url().clone());
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{url} answered {status}: {text}");
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
}

/// A problem of the expected status; checks what every problem must have.
#[track_caller]
pub fn check_problem(status: StatusCode, headers: &reqwest::header::HeaderMap, body: &Value) {
    assert_eq!(headers["content-type"], "application/problem+json", "{body}");
    assert_eq!(body["status"], status.as_u16(), "{body}");
    assert_eq!(body["request_id"].as_str().unwrap(), headers["x-request-id"], "{body}");
    assert!(body["type"].as_str().unwrap().starts_with("/docs/errors/"), "{body}");
    for field in ["title", "code", "reason", "detail"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "no {field}: {body}");
    }
}

/// Sends and expects a problem with this status.
pub async fn problem(request: reqwest::RequestBuilder, expected: u16) -> Value {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    assert_eq!(status.as_u16(), expected, "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    check_problem(status, &headers, &body);
    body
}

/// Runs each body on SQLite and on Postgres, as two tests.
macro_rules! on_each_database {
    ($(async fn $name:ident($place:ident: Place) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn run(#[allow(unused_mut)] mut $place: $crate::harness::Place) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::harness::Place::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run($crate::harness::Place::postgres().await).await;
            }
        }
    )*};
}

pub(crate) use on_each_database;
