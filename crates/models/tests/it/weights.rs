//! Fetching weights from a server with Hugging Face's layout that breaks connections, lies, and sets traps.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path as UrlPath, State},
    http::{HeaderMap, Method, Response, StatusCode},
    routing::get,
};
use plasma_kernel::{Code, Error};
use plasma_models::{
    Manifest,
    weights::{self, Hub, PullEvent, PullRequest, Pulled},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::upstream::listen;

pub const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

#[derive(Clone, Default)]
pub struct Server {
    files: Arc<HashMap<&'static str, Vec<u8>>>,
    /// Each answer breaks off after so many bytes.
    cut_after: Option<usize>,
    /// It ignores `Range`.
    no_range: bool,
    wrong_hash: bool,
    /// Each answer stands still after so many bytes; 0 when none does.
    stalls_after: Arc<AtomicUsize>,
    more_files: Arc<Vec<&'static str>>,
    /// First bytes of the ranges that were asked for.
    ranges: Arc<Mutex<Vec<usize>>>,
    served: Arc<AtomicUsize>,
}

impl Server {
    /// Answers stand still after so many bytes from now on; 0 when none does.
    pub fn stall_after(&self, bytes: usize) {
        self.stalls_after.store(bytes, Ordering::SeqCst);
    }

    /// First bytes of the ranges that were asked for.
    pub fn ranges(&self) -> Vec<usize> {
        self.ranges.lock().unwrap().clone()
    }

    /// Starts it and returns its address.
    pub async fn start(&self) -> String {
        let router = Router::new()
            .route("/api/models/{org}/{repo}/revision/{revision}", get(describe))
            .route("/{org}/{repo}/resolve/{revision}/{*file}", get(resolve))
            .route("/storage/{*file}", get(storage))
            .with_state(self.clone());
        format!("http://{}", listen(router).await)
    }
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn describe(
    State(server): State<Server>,
    UrlPath((org, repo, revision)): UrlPath<(String, String, String)>,
) -> Response<Body> {
    if (org.as_str(), repo.as_str()) != ("org", "repo") {
        return Response::builder().status(404).body(Body::empty()).unwrap();
    }
    assert_eq!(revision, "main");
    let names = server.files.keys().chain(server.more_files.iter()).chain([&".gitattributes"]);
    let siblings: Vec<_> = names.map(|name| json!({ "rfilename": name })).collect();
    let body = json!({ "sha": REVISION, "siblings": siblings, "cardData": { "license": "apache-2.0" } });
    Response::new(Body::from(body.to_string()))
}

async fn resolve(
    State(server): State<Server>,
    UrlPath((_, _, revision, file)): UrlPath<(String, String, String, String)>,
) -> Response<Body> {
    let Some(content) = server.files.get(file.as_str()) else {
        return Response::builder().status(404).body(Body::empty()).unwrap();
    };
    assert_eq!(revision, REVISION);
    // As the real one: the hub names size and hash and redirects to its storage.
    let hash = if server.wrong_hash { sha256(b"something else") } else { sha256(content) };
    Response::builder()
        .status(302)
        .header("location", format!("/storage/{file}"))
        .header("x-linked-size", content.len())
        .header("x-linked-etag", format!("\"{hash}\""))
        .body(Body::empty())
        .unwrap()
}

async fn storage(
    State(server): State<Server>,
    method: Method,
    headers: HeaderMap,
    UrlPath(file): UrlPath<String>,
) -> Response<Body> {
    assert_eq!(method, Method::GET);
    let content = &server.files[file.as_str()];
    server.served.fetch_add(1, Ordering::SeqCst);
    let range = headers.get("range").map(|range| range.to_str().unwrap());
    let start: usize =
        range.map_or(0, |range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
    server.ranges.lock().unwrap().push(start);
    let start = if server.no_range { 0 } else { start };
    let rest = content[start..].to_vec();
    let mut response = Response::builder();
    if start > 0 {
        let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
        response = response.status(StatusCode::PARTIAL_CONTENT).header("content-range", range);
    }
    let stalls_after = server.stalls_after.load(Ordering::SeqCst);
    if (1..rest.len()).contains(&stalls_after) {
        let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::copy_from_slice(&rest[..stalls_after]))]);
        let stalled = futures::StreamExt::chain(first, futures::stream::pending());
        return response.header("content-length", rest.len()).body(Body::from_stream(stalled)).unwrap();
    }
    match server.cut_after.filter(|cut| *cut < rest.len()) {
        Some(cut) => {
            let pieces = [Ok(Bytes::copy_from_slice(&rest[..cut])), Err(std::io::Error::other("cut"))];
            let pieces = futures::stream::iter(pieces);
            // The bytes go out before the connection breaks.
            let paced = futures::StreamExt::then(pieces, |piece| async {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                piece
            });
            response.header("content-length", rest.len()).body(Body::from_stream(paced)).unwrap()
        }
        None => response.body(Body::from(rest)).unwrap(),
    }
}

async fn start(server: &Server) -> Hub {
    Hub::new(&server.start().await).unwrap()
}

pub fn serving(files: &[(&'static str, &[u8])]) -> Server {
    Server {
        files: Arc::new(files.iter().map(|(name, content)| (*name, content.to_vec())).collect()),
        ..Server::default()
    }
}

fn wanted(files: &[&str]) -> PullRequest {
    PullRequest {
        name: "org/repo".to_owned(),
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        revision: None,
        bytes_max: 1_000_000,
    }
}

async fn pull(hub: &Hub, folder: &Path, request: &PullRequest) -> Result<Vec<String>, Error> {
    let mut told = Vec::new();
    let mut tell = |event: PullEvent<'_>| match event {
        PullEvent::Begins { license, size_bytes, .. } => told.push(format!("{license:?} {size_bytes}")),
        PullEvent::Placed { file, verified, .. } => told.push(format!("{file} {verified}")),
        PullEvent::Progress { .. } => {}
    };
    hub.pull(&Manifest::builtin().unwrap(), folder, request, &mut tell).await?;
    Ok(told)
}

#[tokio::test]
async fn weights_that_break_off_are_continued_and_verified() {
    let content: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    let server = Server { cut_after: Some(30_000), ..serving(&[("model.gguf", &content)]) };
    let hub = start(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let told = pull(&hub, folder.path(), &wanted(&[])).await.unwrap();
    assert_eq!(told, ["Some(\"apache-2.0\") 100000", "model.gguf true"]);
    let path = folder.path().join("org--repo");
    assert_eq!(fs::read(path.join("model.gguf")).unwrap(), content);
    // Each attempt went on where the one before broke off.
    assert_eq!(*server.ranges.lock().unwrap(), [0, 30_000, 60_000, 90_000]);
    let record = Pulled::read(&path).unwrap();
    assert_eq!((record.revision.as_str(), record.license.as_deref()), (REVISION, Some("apache-2.0")));
    assert_eq!((record.files[0].size_bytes, &record.files[0].sha256), (100_000, &sha256(&content)));
    assert!(!path.join("model.gguf.part").exists());
    // Once more fetches nothing.
    pull(&hub, folder.path(), &wanted(&[])).await.unwrap();
    assert_eq!(server.served.load(Ordering::SeqCst), 4);
    let listed = weights::installed(&Manifest::builtin().unwrap(), folder.path()).unwrap();
    let own = listed.iter().find(|model| model.name == "org/repo").unwrap();
    assert_eq!((own.state, own.license.as_deref()), ("ready", Some("apache-2.0")));
    assert!(listed.iter().any(|model| model.name == "local/all-minilm-l6-v2" && model.state == "missing"));
}

#[tokio::test]
async fn weights_of_an_earlier_run_are_continued_also_where_the_hub_has_no_ranges() {
    for no_range in [false, true] {
        let server = Server { no_range, ..serving(&[("model.gguf", b"0123456789")]) };
        let hub = start(&server).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("org--repo");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("model.gguf.part"), "01234").unwrap();
        pull(&hub, folder.path(), &wanted(&[])).await.unwrap();
        assert_eq!(fs::read(path.join("model.gguf")).unwrap(), b"0123456789");
        assert_eq!(*server.ranges.lock().unwrap(), [5]);
    }
}

#[tokio::test]
async fn weights_with_a_wrong_hash_are_thrown_away() {
    let server = Server { wrong_hash: true, ..serving(&[("model.gguf", b"0123456789")]) };
    let hub = start(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let error = pull(&hub, folder.path(), &wanted(&[])).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Upstream, "weights_damaged"));
    assert!(error.message().contains(&sha256(b"0123456789")), "{error}");
    let path = folder.path().join("org--repo");
    assert!(
        !path.join("model.gguf").exists() && !path.join("model.gguf.part").exists() && Pulled::read(&path).is_none()
    );
    // Neither does what somebody left there get through.
    fs::write(path.join("model.gguf.part"), "trojan").unwrap();
    assert_eq!(pull(&hub, folder.path(), &wanted(&[])).await.unwrap_err().reason(), "weights_damaged");
}

#[tokio::test]
async fn weights_beyond_the_limit_and_files_that_lead_elsewhere_are_refused() {
    let server =
        Server { more_files: Arc::new(vec!["../../outside.gguf"]), ..serving(&[("model.gguf", b"0123456789")]) };
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    let error = pull(&start(&server).await, &models, &wanted(&[])).await.unwrap_err();
    assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("file")));
    let hub = start(&serving(&[("model.gguf", b"0123456789")])).await;
    for file in ["../../outside.gguf", "/etc/passwd", "a/../../b"] {
        assert_eq!(pull(&hub, &models, &wanted(&[file])).await.unwrap_err().field_name(), Some("file"), "{file}");
    }
    for name in ["../repo", "org/..", "org", "org/repo/more", "org/re po"] {
        let request = PullRequest { name: name.to_owned(), ..wanted(&[]) };
        assert_eq!(pull(&hub, &models, &request).await.unwrap_err().field_name(), Some("model"), "{name}");
    }
    let small = PullRequest { bytes_max: 9, ..wanted(&[]) };
    assert_eq!(pull(&hub, &models, &small).await.unwrap_err().code(), Code::TooLarge);
    let unknown = PullRequest { name: "org/other".to_owned(), ..wanted(&[]) };
    assert_eq!(pull(&hub, &models, &unknown).await.unwrap_err().reason(), "not_on_hub");
    assert_eq!(pull(&hub, &models, &wanted(&["other.gguf"])).await.unwrap_err().reason(), "not_on_hub");
    let outside: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(outside, ["models"]);
}

#[tokio::test]
async fn weights_are_chosen_where_a_repository_has_several() {
    let several = serving(&[("a-q4.gguf", b"small"), ("a-q8.gguf", b"large")]);
    let hub = start(&several).await;
    let folder = tempfile::tempdir().unwrap();
    let error = pull(&hub, folder.path(), &wanted(&[])).await.unwrap_err();
    assert!(error.message().contains("a-q4.gguf") && error.to_string().contains("--file"), "{error}");
    pull(&hub, folder.path(), &wanted(&["a-q4.gguf"])).await.unwrap();
    pull(&hub, folder.path(), &wanted(&["a-q8.gguf"])).await.unwrap();
    assert_eq!(Pulled::read(&folder.path().join("org--repo")).unwrap().files.len(), 2);

    let embedding = serving(&[
        ("config.json", b"{}"),
        ("tokenizer.json", b"{}"),
        ("model.safetensors", b"weights"),
        ("1_Pooling/config.json", b"{}"),
        ("README.md", b"#"),
    ]);
    let folder = tempfile::tempdir().unwrap();
    pull(&start(&embedding).await, folder.path(), &wanted(&[])).await.unwrap();
    let path = folder.path().join("org--repo");
    assert!(path.join("1_Pooling/config.json").exists() && !path.join("README.md").exists());
}

#[tokio::test]
async fn weights_are_fetched_by_one_process_at_a_time() {
    let hub = start(&serving(&[("model.gguf", b"0123456789")])).await;
    let folder = tempfile::tempdir().unwrap();
    let held = fs::File::create(folder.path().join(".lock")).unwrap();
    held.lock().unwrap();
    assert_eq!(pull(&hub, folder.path(), &wanted(&[])).await.unwrap_err().reason(), "pull_running");
    drop(held);
    pull(&hub, folder.path(), &wanted(&[])).await.unwrap();
}

#[tokio::test]
async fn files_that_an_interrupted_pull_has_put_into_place_are_not_fetched_again() {
    let server = serving(&[("a.gguf", b"0123456789"), ("b.gguf", b"abcdef")]);
    let hub = start(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("org--repo");
    fs::create_dir(&path).unwrap();
    // Without a record; the second has the right size and another content.
    fs::write(path.join("a.gguf"), "0123456789").unwrap();
    fs::write(path.join("b.gguf"), "trojan").unwrap();
    pull(&hub, folder.path(), &wanted(&["a.gguf", "b.gguf"])).await.unwrap();
    assert_eq!(server.served.load(Ordering::SeqCst), 1);
    assert_eq!(fs::read(path.join("b.gguf")).unwrap(), b"abcdef");
    assert_eq!(Pulled::read(&path).unwrap().files.len(), 2);
}
