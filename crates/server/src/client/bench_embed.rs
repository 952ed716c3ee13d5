//! `plasma bench embed`: how fast this machine embeds. It needs no running server.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use plasma_models::{
    LocalModels, LocalSettings, Manifest, Priority,
    local::{TEXTS_MAX, embedding_arithmetic, embedding_device},
    manifest::{ModelEntry, ModelKind, Precision},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    table,
    weights::{ModelsDirArgs, described},
};

/// Bytes of a file of texts.
const FILE_BYTES_MAX: u64 = 64 << 20;
const THREADS_MAX: usize = 1_024;
/// Queries whose time is taken.
const QUERIES: usize = 200;
/// What is embedded unless a file is given: prose and tables of the documentation.
const PAGES: [&str; 3] = [
    include_str!("../../../../docs/knowledge.md"),
    include_str!("../../../../docs/models.md"),
    include_str!("../../../../docs/operations.md"),
];
/// Tokens of those texts, the model's two special ones included, and how many there are.
const LENGTHS: [(usize, usize); 4] = [(12, 128), (32, 96), (128, 48), (256, 24)];

/// In which numbers to multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Numbers {
    F32,
    Int8,
}

impl From<Numbers> for Precision {
    fn from(numbers: Numbers) -> Self {
        match numbers {
            Numbers::F32 => Self::F32,
            Numbers::Int8 => Self::Int8,
        }
    }
}

/// `plasma bench embed`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples: plasma bench embed\n          plasma bench embed --precision int8 --threads 1,2 --json\n\
                  A file of texts is a JSON object: {\"short\": [\"a text\", …], \"long\": […]}."
)]
pub struct BenchEmbedArgs {
    /// An embedding model of the manifest [default: the first one]
    #[arg(short, long, value_name = "NAME")]
    model: Option<String>,
    /// In which numbers to multiply, separated by commas
    #[arg(short, long, value_delimiter = ',', default_value = "f32,int8")]
    precision: Vec<Numbers>,
    /// Threads that embed at the same time, separated by commas (1 to 1,024) [default: 1, and one for each core]
    #[arg(short, long, value_delimiter = ',', value_name = "NUMBERS")]
    threads: Vec<usize>,
    /// Texts by class [default: passages of Plasma's documentation with 12, 32, 128 and 256 tokens]
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// Seconds for each measurement (1 to 600)
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Folder for the vectors: <precision>.f32, little-endian, in the order of the texts
    #[arg(long, value_name = "FOLDER")]
    vectors: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: ModelsDirArgs,
}

/// Texts that are measured together.
struct Class {
    name: String,
    texts: Vec<String>,
}

/// What was measured of a class.
#[derive(Serialize)]
struct Row {
    /// `cpu`, or `cuda` where the program was built for it.
    device: &'static str,
    precision: &'static str,
    /// The instructions.
    arithmetic: &'static str,
    threads: usize,
    class: String,
    texts: usize,
    tokens_mean: f64,
    /// Of the fastest pass over the texts.
    texts_per_second: f64,
    tokens_per_second: f64,
}

/// How long one text takes that somebody waits for.
#[derive(Serialize)]
struct Latency {
    device: &'static str,
    precision: &'static str,
    arithmetic: &'static str,
    class: String,
    median_ms: f64,
    p95_ms: f64,
}

/// Measures and prints.
///
/// # Errors
/// What is wrong with the arguments, the file or the weights.
pub async fn bench_embed(arguments: BenchEmbedArgs) -> Result<bool> {
    let models_dir = arguments.place.folder()?;
    let manifest = Manifest::builtin().map_err(described)?;
    let entry = entry(&manifest, arguments.model.as_deref())?;
    let mut threads = arguments.threads.clone();
    if threads.is_empty() {
        threads = vec![1, LocalSettings::default().threads];
        threads.dedup();
    }
    if threads.iter().any(|threads| !(1..=THREADS_MAX).contains(threads)) {
        bail!("--threads must be 1 to {THREADS_MAX}");
    }
    if let Some(folder) = &arguments.vectors {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let mut classes = match &arguments.texts {
        Some(file) => classes_of(file)?,
        None => Vec::new(),
    };
    let (mut rows, mut latencies) = (Vec::new(), Vec::new());
    for precision in arguments.precision.iter().copied().map(Precision::from) {
        for (number, threads) in threads.iter().copied().enumerate() {
            let models = open(&entry, precision, &models_dir, threads);
            if classes.is_empty() {
                classes = default_classes(&models, &entry.id).await?;
            }
            let bench = Bench { models: &models, id: &entry.id, precision, threads };
            for class in &classes {
                rows.push(bench.throughput(class, Duration::from_secs(arguments.seconds)).await?);
            }
            // A query has one thread, however many there are.
            if number == 0 {
                for class in classes.iter().take(1) {
                    latencies.push(bench.latency(class).await?);
                }
                if let Some(folder) = &arguments.vectors {
                    bench.write_vectors(&classes, folder).await?;
                }
            }
            models.shutdown().await;
        }
    }
    print(&arguments, &entry, &rows, &latencies)?;
    Ok(true)
}

fn entry(manifest: &Manifest, name: Option<&str>) -> Result<ModelEntry> {
    let mut embedding = manifest.models.iter().filter(|entry| entry.kind == ModelKind::Embedding);
    let found = match name {
        Some(name) => embedding.find(|entry| entry.id == name),
        None => embedding.next(),
    };
    found
        .cloned()
        .ok_or_else(|| anyhow!("the manifest has no such embedding model; `plasma models ls --local` lists them"))
}

fn open(entry: &ModelEntry, precision: Precision, models_dir: &Path, threads: usize) -> LocalModels {
    let manifest = Manifest { models: vec![ModelEntry { precision, ..entry.clone() }] };
    LocalModels::new(&manifest, models_dir, &LocalSettings { threads, ..LocalSettings::default() })
}

fn classes_of(file: &Path) -> Result<Vec<Class>> {
    let shown = file.display();
    let size = std::fs::metadata(file).with_context(|| format!("{shown} cannot be read"))?.len();
    if size > FILE_BYTES_MAX {
        bail!("{shown} has {size} bytes, the limit is {FILE_BYTES_MAX}");
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("{shown} cannot be read"))?;
    let object: Map<String, Value> =
        serde_json::from_str(&text).with_context(|| format!("{shown} is not an object of lists of texts"))?;
    let mut classes = Vec::new();
    for (name, texts) in object {
        let texts: Vec<String> =
            serde_json::from_value(texts).with_context(|| format!("{shown}: `{name}` is not a list of texts"))?;
        if texts.is_empty() || texts.len() > TEXTS_MAX {
            bail!("{shown}: `{name}` must have 1 to {TEXTS_MAX} texts");
        }
        classes.push(Class { name, texts });
    }
    if classes.is_empty() {
        bail!("{shown} has no texts");
    }
    Ok(classes)
}

/// Passages of the documentation, cut at exact numbers of tokens.
async fn default_classes(models: &LocalModels, id: &str) -> Result<Vec<Class>> {
    let counter = models.token_counter(id).await.map_err(described)?;
    let text = PAGES.concat();
    let offsets = counter.offsets(&text).map_err(described)?;
    let mut classes = Vec::new();
    for (tokens, count) in LENGTHS {
        let passages = offsets.chunks_exact(tokens.saturating_sub(2)).take(count);
        let cut = |tokens: &[std::ops::Range<usize>]| {
            let (first, last) = (tokens.first()?, tokens.last()?);
            text.get(first.start..last.end).map(str::to_owned)
        };
        classes.push(Class { name: format!("{tokens} tokens"), texts: passages.filter_map(cut).collect() });
    }
    Ok(classes)
}

/// A model with its threads.
struct Bench<'a> {
    models: &'a LocalModels,
    id: &'a str,
    precision: Precision,
    threads: usize,
}

impl Bench<'_> {
    /// The instructions, or that a GPU has its own.
    fn arithmetic(&self) -> &'static str {
        match embedding_device(self.precision) {
            "cpu" => embedding_arithmetic(self.precision),
            device => device,
        }
    }

    async fn throughput(&self, class: &Class, at_least: Duration) -> Result<Row> {
        let embed = || self.models.embed(self.id, class.texts.clone(), Priority::Ordinary);
        // Loads what is not loaded, and warms up.
        let tokens = embed().await.map_err(described)?.input_tokens as f64;
        let (begun, mut best) = (Instant::now(), f64::INFINITY);
        while begun.elapsed() < at_least {
            let pass = Instant::now();
            embed().await.map_err(described)?;
            best = best.min(pass.elapsed().as_secs_f64());
        }
        let texts = class.texts.len();
        Ok(Row {
            device: embedding_device(self.precision),
            precision: self.precision.as_str(),
            arithmetic: self.arithmetic(),
            threads: self.threads,
            class: class.name.clone(),
            texts,
            tokens_mean: tokens / texts as f64,
            texts_per_second: texts as f64 / best,
            tokens_per_second: tokens / best,
        })
    }

    async fn latency(&self, class: &Class) -> Result<Latency> {
        let mut times = Vec::with_capacity(QUERIES);
        for text in class.texts.iter().cycle().take(QUERIES) {
            let start = Instant::now();
            self.models.embed(self.id, vec![text.clone()], Priority::Urgent).await.map_err(described)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        Ok(Latency {
            device: embedding_device(self.precision),
            precision: self.precision.as_str(),
            arithmetic: self.arithmetic(),
            class: class.name.clone(),
            median_ms: at(50),
            p95_ms: at(95),
        })
    }

    async fn write_vectors(&self, classes: &[Class], folder: &Path) -> Result<()> {
        let mut bytes = Vec::new();
        for class in classes {
            let embedded =
                self.models.embed(self.id, class.texts.clone(), Priority::Ordinary).await.map_err(described)?;
            bytes.extend(embedded.vectors.iter().flatten().flat_map(|number| number.to_le_bytes()));
        }
        let file = folder.join(format!("{}.f32", self.precision.as_str()));
        std::fs::write(&file, bytes).with_context(|| format!("{} cannot be written", file.display()))
    }
}

fn print(arguments: &BenchEmbedArgs, entry: &ModelEntry, rows: &[Row], latencies: &[Latency]) -> Result<()> {
    if arguments.json {
        let report = json!({ "model": entry.id, "throughput": rows, "latency": latencies });
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    let heads = ["DEVICE", "PRECISION", "WITH", "THREADS", "TEXTS", "TOKENS EACH", "TEXTS/S", "TOKENS/S"];
    let mut lines = vec![heads.map(str::to_owned).to_vec()];
    for row in rows {
        lines.push(vec![
            row.device.to_owned(),
            row.precision.to_owned(),
            row.arithmetic.to_owned(),
            row.threads.to_string(),
            super::printable(&row.class),
            format!("{:.0}", row.tokens_mean),
            format!("{:.1}", row.texts_per_second),
            format!("{:.0}", row.tokens_per_second),
        ]);
    }
    println!("{}", entry.id);
    print!("{}", table(&lines));
    for latency in latencies {
        println!(
            "one text of {} alone, {}: median {:.2} ms, 95th percentile {:.2} ms",
            super::printable(&latency.class),
            latency.precision,
            latency.median_ms,
            latency.p95_ms
        );
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_texts_is_read_in_its_order_or_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("texts.json");
        let read = |content: &str| {
            std::fs::write(&file, content).unwrap();
            classes_of(&file).map_err(|error| format!("{error:#}"))
        };
        let classes = read(r#"{"z": ["one", "two"], "a": ["three"]}"#).unwrap();
        assert_eq!(
            classes.iter().map(|class| (class.name.as_str(), class.texts.len())).collect::<Vec<_>>(),
            [("z", 2), ("a", 1)]
        );
        for (content, word) in
            [("[]", "object"), (r#"{"a": [1]}"#, "`a`"), (r#"{"a": []}"#, "1 to"), ("{}", "no texts")]
        {
            let error = read(content).err().unwrap();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn only_embedding_models_are_measured() {
        let manifest = Manifest::builtin().unwrap();
        assert_eq!(entry(&manifest, None).unwrap().id, "local/all-minilm-l6-v2");
        assert!(entry(&manifest, Some("local/qwen2.5-coder-0.5b-instruct")).is_err());
    }
}
