use std::{
    collections::VecDeque,
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use super::{ServerArgs, api::Api, printable, search::parse_filter};

/// What a folder is searched for. A file that is named itself is always sent.
const EXTENSIONS: &[&str] = &["md", "markdown", "txt", "text", "html", "htm", "pdf", "docx", "csv"];
/// Files in one run, at most.
const FILES_MAX: usize = 100_000;
/// Folders within folders, at most.
const DEPTH_MAX: usize = 64;
/// The largest body that any server can be set to accept.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Characters of a document's key, as the server counts them.
const KEY_CHARS_MAX: usize = plasma_knowledge::limits::KEY_CHARS_MAX;
/// How often the server is asked, and about how many documents each time.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
const POLLED_DOCUMENTS: usize = 16;

/// `plasma ingest`
#[derive(Debug, Args)]
#[command(after_help = "A file that was ingested before under the same path replaces its document.\n\
                        Exit codes: 0 all documents are ready, 1 any failed.\n\
                        Example: plasma ingest -c handbook --create docs/ notes.pdf")]
pub struct IngestArgs {
    /// Files, or folders that are searched for Markdown, text, HTML, PDF, DOCX and CSV files
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The collection's name or id
    #[arg(short, long)]
    collection: String,
    /// Make the collection if there is none of this name
    #[arg(long)]
    create: bool,
    /// Metadata for every document, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = parse_filter)]
    metadata: Option<Value>,
    /// Do not wait until the documents can be searched
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Uploads every file, waits until each is ready or has failed, and says which failed and why.
///
/// # Errors
/// What the server or the connection says before the first upload; later failures are counted.
pub async fn ingest(arguments: IngestArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let files = find_files(&arguments.paths)?;
    let collection = find_collection(&api, &arguments).await?;
    let mut progress = Progress::new(files.len(), arguments.server.json);
    let mut waiting: VecDeque<Value> = VecDeque::new();
    let mut finished: Vec<Value> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        progress.show(&format!("uploading {} of {}: {}", index + 1, files.len(), file.display()));
        match upload(&api, &collection, file, arguments.metadata.as_ref()).await {
            Ok(document) => waiting.push_back(document),
            Err(error) => {
                let failure = json!({
                    "file_name": file.display().to_string(), "state": "failed", "error": {"detail": format!("{error:#}")}
                });
                progress.failed(&failure);
                finished.push(failure);
            }
        }
    }
    if !arguments.no_wait {
        wait(&api, &collection, &mut waiting, &mut finished, &mut progress).await?;
    }
    finished.extend(waiting);
    progress.clear();
    report(&arguments, &finished)
}

fn report(arguments: &IngestArgs, documents: &[Value]) -> Result<bool> {
    let count = |state: &str| documents.iter().filter(|document| state_of(document) == state).count();
    let (ready, failed) = (count("ready"), count("failed"));
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(documents)?);
    } else if arguments.no_wait {
        println!("{} uploaded, {failed} failed", documents.len() - failed);
    } else {
        println!("{ready} ready, {failed} failed");
    }
    Ok(failed == 0)
}

fn state_of(document: &Value) -> &str {
    document.get("state").and_then(Value::as_str).unwrap_or_default()
}

/// The collection's id.
async fn find_collection(api: &Api, arguments: &IngestArgs) -> Result<String> {
    let text = |collection: &Value, name: &str| collection.get(name).and_then(Value::as_str).map(str::to_owned);
    let wanted = Some(arguments.collection.clone());
    let collections = api.list(&["api", "v1", "collections"]).await?;
    let found = collections.iter().find(|one| text(one, "id") == wanted || text(one, "name") == wanted);
    let collection = match found {
        Some(collection) => collection.clone(),
        None if arguments.create => {
            let body = json!({"name": arguments.collection});
            api.json(Method::POST, &["api", "v1", "collections"], Some(&body)).await?
        }
        None => bail!("there is no collection `{}`: pass --create to make it", arguments.collection),
    };
    text(&collection, "id").context("the server's answer names no collection")
}

async fn upload(api: &Api, collection: &str, file: &Path, metadata: Option<&Value>) -> Result<Value> {
    let size = tokio::fs::metadata(file).await.with_context(|| format!("cannot read {}", file.display()))?.len();
    if size > FILE_BYTES_MAX {
        bail!("the file has {size} bytes; no server takes more than {FILE_BYTES_MAX}");
    }
    let bytes =
        bytes::Bytes::from(tokio::fs::read(file).await.with_context(|| format!("cannot read {}", file.display()))?);
    let file_name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let response = api
        .send(|api| {
            let part = Part::stream_with_length(bytes.clone(), size).file_name(file_name.clone());
            let mut form = Form::new().text("key", key_of(file));
            if let Some(metadata) = metadata {
                form = form.text("metadata", metadata.to_string());
            }
            // The file last: the server knows the fields before it reads the bytes.
            let form = form.part("file", part);
            Ok(api.request(Method::POST, &["api", "v1", "collections", collection, "documents"])?.multipart(form))
        })
        .await?;
    response.json().await.context("the server's answer is not what this version of plasma expects")
}

/// The path as it was named, so that the next run replaces the document; of a very long one the end, which differs most.
fn key_of(file: &Path) -> String {
    let plain: PathBuf = file.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect();
    let key = plain.to_string_lossy();
    let surplus = key.chars().count().saturating_sub(KEY_CHARS_MAX);
    key.chars().skip(surplus).collect()
}

/// Asks until each document is ready or has failed. Documents are worked on about in the order of their upload.
async fn wait(
    api: &Api,
    collection: &str,
    waiting: &mut VecDeque<Value>,
    finished: &mut Vec<Value>,
    progress: &mut Progress,
) -> Result<()> {
    while !waiting.is_empty() {
        let mut any_finished = false;
        for _ in 0..waiting.len().min(POLLED_DOCUMENTS) {
            let Some(document) = waiting.pop_front() else { break };
            let id =
                document.get("id").and_then(Value::as_str).ok_or_else(|| anyhow!("a document has no id"))?.to_owned();
            let document: Value =
                api.json(Method::GET, &["api", "v1", "collections", collection, "documents", &id], None).await?;
            match state_of(&document) {
                "ready" => {
                    any_finished = true;
                    finished.push(document);
                }
                "failed" => {
                    any_finished = true;
                    progress.failed(&document);
                    finished.push(document);
                }
                _ => waiting.push_back(document),
            }
        }
        progress.show(&describe(waiting, finished));
        if !any_finished {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
    Ok(())
}

/// `12 of 20 ready; report.pdf: embedding 40 of 120 passages, about 12 s left`
fn describe(waiting: &VecDeque<Value>, finished: &[Value]) -> String {
    let ready = finished.iter().filter(|document| state_of(document) == "ready").count();
    let mut line = format!("{ready} of {} ready", waiting.len() + finished.len());
    let working = waiting.iter().find(|document| matches!(state_of(document), "parsing" | "embedding"));
    if let Some(document) = working {
        let title = document.get("title").and_then(Value::as_str).unwrap_or_default();
        line.push_str(&format!("; {}: {}", printable(title), state_of(document)));
        let number = |pointer: &str| document.pointer(pointer).and_then(Value::as_u64);
        if let (Some(done), Some(total)) = (number("/progress/done"), number("/progress/total")) {
            line.push_str(&format!(" {done} of {total} passages"));
        }
        if let Some(seconds) = document.pointer("/progress/seconds_left").and_then(Value::as_f64) {
            line.push_str(&format!(", about {seconds:.0} s left"));
        }
    }
    line
}

/// One line that changes on a terminal; a line every ten seconds elsewhere; nothing with --json.
struct Progress {
    quiet: bool,
    terminal: bool,
    shown_at: Option<Instant>,
}

impl Progress {
    fn new(files: usize, quiet: bool) -> Self {
        let progress = Self { quiet, terminal: std::io::stderr().is_terminal(), shown_at: None };
        if !quiet {
            eprintln!("{files} files");
        }
        progress
    }

    fn show(&mut self, line: &str) {
        let every = if self.terminal { Duration::from_millis(100) } else { Duration::from_secs(10) };
        if self.quiet || self.shown_at.is_some_and(|shown_at| shown_at.elapsed() < every) {
            return;
        }
        self.shown_at = Some(Instant::now());
        if self.terminal { eprint!("\r\u{1b}[K{line}") } else { eprintln!("{line}") }
    }

    fn failed(&mut self, document: &Value) {
        self.clear();
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).map(printable).unwrap_or_default();
        let remedy = match text("/error/remedy") {
            remedy if remedy.is_empty() => String::new(),
            remedy => format!(" ({remedy})"),
        };
        eprintln!("{}: {}{remedy}", text("/file_name"), text("/error/detail"));
    }

    fn clear(&mut self) {
        if self.terminal && self.shown_at.take().is_some() {
            eprint!("\r\u{1b}[K");
        }
    }
}

/// Every file that is named, and those with a known ending in the folders that are, in a stable order.
fn find_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let found = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        if found.is_dir() {
            walk(path, 0, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    files.dedup();
    if files.is_empty() {
        bail!("found no files to ingest; folders are searched for {}", EXTENSIONS.join(", "));
    }
    Ok(files)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    if depth > DEPTH_MAX {
        bail!("{} is more than {DEPTH_MAX} folders deep", folder.display());
    }
    let mut entries = fs::read_dir(folder)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("cannot read {}", folder.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Hidden files are settings and histories, not documents; links could lead in circles.
        let kind = entry.file_type().with_context(|| format!("cannot read {}", path.display()))?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            walk(&path, depth + 1, files)?;
        } else if kind.is_file() && has_known_extension(&path) {
            if files.len() >= FILES_MAX {
                bail!("more than {FILES_MAX} files; ingest them in several runs");
            }
            files.push(path);
        }
    }
    Ok(())
}

fn has_known_extension(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_for_documents_only() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/.git")).unwrap();
        for name in ["z.md", "a.PDF", "b/c.txt", "b/.git/config.txt", "b/program.exe", ".hidden.md"] {
            fs::write(root.join(name), "x").unwrap();
        }
        let found = find_files(&[root.to_owned()]).unwrap();
        let names: Vec<_> = found.iter().map(|file| file.strip_prefix(root).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.PDF", "b/c.txt", "z.md"]);
        assert!(find_files(&[root.join("b/.git")]).is_ok());
        assert!(find_files(&[root.join("absent")]).unwrap_err().to_string().contains("absent"));
    }

    #[test]
    fn the_same_path_has_the_same_key() {
        assert_eq!(key_of(Path::new("./docs//a.md")), "docs/a.md");
        assert_eq!(key_of(Path::new("docs/a.md")), "docs/a.md");
        assert_eq!(key_of(Path::new("/srv/docs/a.md")), "/srv/docs/a.md");
        let long = key_of(&Path::new(&"ä/".repeat(300)).join("a.md"));
        assert!(long.chars().count() == KEY_CHARS_MAX && long.ends_with("/ä/a.md"), "{long}");
    }
}
