//! Measures search over 10,000 passages of real text, without the query's embedding.
//!
//! `cargo run --release -p plasma-knowledge --example bench_search -- [TEXT_FILE] [--passages N] [--queries N]`
//!
//! TEXT_FILE holds paragraphs separated by blank lines; without one, the text is what the sources of this program's
//! dependencies say in their doc comments and READMEs, for these are on every machine that builds it. The real local model
//! embeds the passages once: the database with their vectors is remembered in the system's temporary folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::{
    collections::{BTreeMap, HashSet},
    error::Error,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use plasma_kernel::{Actor, Clock, Ctx, Permissions, Random, TenantId, UserId};
use plasma_knowledge::{
    Knowledge, Metadata, NewCollection, NewContent, NewDocument, SearchMode, SearchRequest, parse::Format,
};
use plasma_models::{
    EmbedRequest, LocalModels, LocalSettings, Manifest, Models, ModelsConfig, Priority, Purpose,
    manifest::default_models_dir,
};
use plasma_store::{Store, StoreConfig};
use plasma_workflows::Workflows;
use sha2::{Digest as _, Sha256};

/// Passages of one document: as in a manual of a hundred sections.
const PASSAGES_OF_DOCUMENT: usize = 100;
/// Characters of a passage: about 128 tokens.
const PASSAGE_CHARS: std::ops::Range<usize> = 200..900;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Options {
    text_file: Option<PathBuf>,
    passages: usize,
    queries: usize,
}

fn options() -> Outcome<Options> {
    let mut options = Options { text_file: None, passages: 10_000, queries: 400 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number =
            || arguments.next().ok_or("a number is missing")?.parse::<usize>().map_err(Box::<dyn Error>::from);
        match argument.as_str() {
            "--passages" => options.passages = number()?,
            "--queries" => options.queries = number()?,
            path => options.text_file = Some(path.into()),
        }
    }
    Ok(options)
}

/// Paragraphs of a passage's size, each once.
fn paragraphs(options: &Options) -> Outcome<Vec<String>> {
    let text = match &options.text_file {
        Some(path) => fs::read_to_string(path)?,
        None => dependency_docs()?,
    };
    let mut known = HashSet::new();
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| PASSAGE_CHARS.contains(&paragraph.chars().count()) && known.insert(paragraph.clone()))
        .take(options.passages + options.queries)
        .collect();
    if paragraphs.len() < options.passages {
        return Err(format!("only {} paragraphs were found; {} are needed", paragraphs.len(), options.passages).into());
    }
    Ok(paragraphs)
}

/// Prose out of the sources of dependencies, in the order of their names.
fn dependency_docs() -> Outcome<String> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).ok_or("no home folder")?;
    let mut folders = vec![cargo_home.join("registry/src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("rs" | "md") => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    let mut text = String::new();
    for file in files {
        let source = String::from_utf8_lossy(&fs::read(&file)?).into_owned();
        text.push_str("\n\n");
        if file.extension().is_some_and(|extension| extension == "md") {
            text.push_str(&source);
        } else {
            text.push_str(&doc_comments(&source));
        }
    }
    Ok(text)
}

/// The paragraphs of a source file's doc comments, without examples.
fn doc_comments(source: &str) -> String {
    let mut text = String::new();
    let mut in_example = false;
    for line in source.lines().map(str::trim_start) {
        let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            text.push_str("\n\n");
            in_example = false;
            continue;
        };
        let doc = doc.trim();
        if doc.starts_with("```") {
            in_example = !in_example;
        } else if !in_example {
            text.push_str(doc);
            text.push('\n');
        }
    }
    text
}

/// A question-like query out of a paragraph: some words from its middle.
fn query(paragraph: &str) -> String {
    let words: Vec<&str> = paragraph.split(' ').collect();
    let middle = words.len() / 2;
    words[middle.saturating_sub(3)..(middle + 4).min(words.len())].join(" ")
}

struct Bench {
    ctx: Ctx,
    store: Store,
    models: Models,
    workflows: Workflows,
    knowledge: Knowledge,
}

async fn open(folder: &std::path::Path) -> Outcome<Bench> {
    let system = Ctx::system("bench", Clock::system(), Random::system());
    let store = Store::open(StoreConfig::sqlite(folder)).await?;
    let models_dir = std::env::var_os("PLASMA_MODELS_DIR")
        .map(PathBuf::from)
        .or_else(default_models_dir)
        .ok_or("no models folder")?;
    let local = LocalModels::new(&Manifest::builtin()?, &models_dir, &LocalSettings::default());
    let models = Models::new(&system, store.clone(), local, ModelsConfig::default())?;
    let workflows = Workflows::new(store.clone(), system.clone());
    let knowledge = Knowledge::new(store.clone(), models.clone(), &workflows, system);
    // One tenant, whose id is the same in each run over a remembered database.
    let tenant = TenantId::from_bits(1);
    let actor = Actor::User { id: UserId::from_bits(1) };
    let ctx = Ctx::new(tenant, actor, Permissions::all(), Clock::system(), Random::system());
    Ok(Bench { ctx, store, models, workflows, knowledge })
}

/// Brings the passages as documents of a hundred sections, and waits until they are searchable.
async fn ingest(bench: &Bench, passages: &[String]) -> Outcome<()> {
    let new = NewCollection { name: "bench".to_owned(), ..NewCollection::default() };
    let collection = bench.knowledge.create_collection(&bench.ctx, new).await?;
    for (number, passages) in passages.chunks(PASSAGES_OF_DOCUMENT).enumerate() {
        let sections =
            passages.iter().enumerate().map(|(section, passage)| format!("# Section {section}\n\n{passage}\n\n"));
        let document = NewDocument {
            title: Some(format!("Manual {number}")),
            key: None,
            metadata: Metadata::new(),
            content: NewContent::Text { format: Format::Markdown, text: sections.collect() },
        };
        bench.knowledge.add_document(&bench.ctx, collection.id, document).await?;
    }
    let started = Instant::now();
    loop {
        let collection = bench.knowledge.get_collection(&bench.ctx, "bench").await?;
        if collection.failed_count > 0 {
            return Err("a document could not be read".into());
        }
        if collection.ready_count == collection.document_count {
            let seconds = started.elapsed().as_secs_f64();
            println!(
                "ingested {} passages in {seconds:.0} s: {:.1}/s",
                collection.chunk_count,
                collection.chunk_count as f64 / seconds
            );
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Words only: parsing takes Markdown's marks away.
fn plain(text: &str) -> String {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Milliseconds at a share of the sorted values.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

async fn measure(bench: &Bench, queries: &[String], mode: SearchMode) -> Outcome<()> {
    let mut parts: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut own = 0;
    for round in 0..2 {
        for query in queries {
            let request = SearchRequest {
                collection: "bench".to_owned(),
                query: query.clone(),
                limit: Some(10),
                filter: None,
                mode: Some(mode),
            };
            let answer = bench.knowledge.search(&bench.ctx, request).await?;
            // The first round embeds the queries, and warms everything up.
            if round == 1 {
                let took = answer.took_ms;
                parts.entry("total without embedding").or_default().push(took.total - took.embedding);
                parts.entry("vector").or_default().push(took.vector);
                parts.entry("text").or_default().push(took.text);
                own += usize::from(answer.results.iter().take(3).any(|hit| plain(&hit.text).contains(&plain(query))));
            }
        }
    }
    for (part, milliseconds) in &mut parts {
        milliseconds.sort_by(f64::total_cmp);
        let (median, p99) = (percentile(milliseconds, 0.5), percentile(milliseconds, 0.99));
        println!("{mode:?} {part}: median {median:.2} ms, p99 {p99:.2} ms");
    }
    println!(
        "{mode:?}: {own} of {} queries find a passage that has their words in a row among the first three",
        queries.len()
    );
    Ok(())
}

async fn embed_queries(bench: &Bench, queries: &[String]) -> Outcome<()> {
    let mut milliseconds = Vec::new();
    for query in queries.iter().take(50) {
        let started = Instant::now();
        let inputs = vec![format!("again: {query}")];
        let request = EmbedRequest { model: None, inputs, purpose: Purpose::Search, priority: Priority::Urgent };
        bench.models.embed(&bench.ctx, request).await?;
        milliseconds.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    milliseconds.sort_by(f64::total_cmp);
    println!("embedding a query: median {:.2} ms", percentile(&milliseconds, 0.5));
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let options = options()?;
    let paragraphs = paragraphs(&options)?;
    let (passages, rest) = paragraphs.split_at(options.passages);
    // Queries from passages that are there, and a quarter from texts that are not.
    let inside = passages.iter().step_by((passages.len() / options.queries.max(1)).max(1));
    let queries: Vec<String> = inside.chain(rest.iter().take(options.queries / 4)).map(|text| query(text)).collect();

    let digest = Sha256::digest(passages.join("\n\n"));
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = std::env::temp_dir().join(format!("plasma-bench-search-{name}"));
    let complete = folder.join("complete");
    if !complete.exists() {
        let _ = fs::remove_dir_all(&folder);
        println!("embedding {} passages once, into {}", passages.len(), folder.display());
    }
    let bench = open(&folder).await?;
    bench.knowledge.start();
    if !complete.exists() {
        bench.workflows.start(true).await?;
        ingest(&bench, passages).await?;
        fs::write(&complete, "")?;
    }
    while !bench.knowledge.index_status().ready {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    embed_queries(&bench, &queries).await?;
    for mode in [SearchMode::Hybrid, SearchMode::Vector, SearchMode::Text] {
        measure(&bench, &queries, mode).await?;
    }
    bench.workflows.stop().await;
    bench.knowledge.stop().await;
    bench.models.shutdown().await;
    bench.store.close().await;
    Ok(())
}
