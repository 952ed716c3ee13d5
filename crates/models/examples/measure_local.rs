//! Measures the local models on this machine: `cargo run --release -p plasma-models --example measure_local`.
//! Weights: PLASMA_MODELS_DIR, or the default cache (`make models`).
#![allow(clippy::expect_used, missing_docs)]

use std::time::{Duration, Instant};

use plasma_kernel::{Error, Result};
use plasma_models::{
    local::{ChatDone, ChatEvent, ChatMessage, ChatRequest, LocalModels, LocalSettings, Priority, Role},
    manifest::{Manifest, ModelKind, default_models_dir},
};
use tokio_util::sync::CancellationToken;

const WORDS: [&str; 16] = [
    "river", "budget", "garden", "signal", "winter", "engine", "letter", "market", "window", "planet", "coffee",
    "bridge", "doctor", "forest", "number", "silver",
];

/// A text of common words, each of which is one token for most tokenizers.
fn text(words: usize, seed: usize) -> String {
    let word = |index: usize| WORDS.get((index * 7 + index / 16 * 3 + seed) % WORDS.len()).copied().unwrap_or("word");
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1e3
}

#[tokio::main]
async fn main() -> Result<()> {
    let models_dir = std::env::var_os("PLASMA_MODELS_DIR")
        .map(Into::into)
        .or_else(default_models_dir)
        .ok_or_else(|| Error::internal("neither PLASMA_MODELS_DIR nor a home directory"))?;
    let manifest = Manifest::builtin()?;
    let models = LocalModels::new(&manifest, &models_dir, &LocalSettings::default());
    println!("resident at start: {:.0} MB", resident_mb());
    for entry in &manifest.models {
        println!("\n{} ({:.0} MB of weights)", entry.id, entry.size_bytes() as f64 / 1e6);
        match entry.kind {
            ModelKind::Embedding => embedding(&models, &entry.id).await?,
            ModelKind::Chat => {
                chat(&models, &entry.id).await?;
                chat_during_ingestion(&models, &manifest, &entry.id).await?;
            }
        }
        println!("resident with the model loaded: {:.0} MB", resident_mb());
    }
    models.shutdown().await;
    Ok(())
}

async fn embedding(models: &LocalModels, id: &str) -> Result<()> {
    let start = Instant::now();
    let query = text(10, 0);
    let tokens = models.embed(id, vec![query.clone()], Priority::Urgent).await?.input_tokens;
    println!("load and first query: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let (median, tail) = query_times(models, id, &query).await?;
    println!("query of {tokens} tokens: median {median:.2} ms, 95th percentile {tail:.2} ms");

    let passages: Vec<String> = (0..256).map(|seed| text(126, seed)).collect();
    let start = Instant::now();
    let embedded = models.embed(id, passages.clone(), Priority::Ordinary).await?;
    let seconds = start.elapsed().as_secs_f64();
    let mean_tokens = embedded.input_tokens as f64 / passages.len() as f64;
    println!("passages of {mean_tokens:.0} tokens: {:.1} a second", passages.len() as f64 / seconds);

    let ingest = models.embed(id, passages, Priority::Ordinary);
    let queries = query_times(models, id, &query);
    let (_, times) = tokio::join!(ingest, queries);
    let (median, tail) = times?;
    println!("query during an ingestion: median {median:.2} ms, 95th percentile {tail:.2} ms");
    Ok(())
}

async fn query_times(models: &LocalModels, id: &str, query: &str) -> Result<(f64, f64)> {
    let mut times = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        models.embed(id, vec![query.to_owned()], Priority::Urgent).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort_by(f64::total_cmp);
    Ok((times.get(50).copied().unwrap_or_default(), times.get(95).copied().unwrap_or_default()))
}

async fn chat(models: &LocalModels, id: &str) -> Result<()> {
    // The weights are read and their pages touched before anything is timed.
    let (done, load) = ask(models, id, "Say hello.", "", 8).await?;
    println!("load and first answer: {} ms (loading {load:.0} ms)", done.duration_ms);

    let passages = text(640, 3);
    let (first, _) = ask(models, id, &passages, "Which of these words are animals?", 128).await?;
    report("new prompt", &first);
    let read_ms = first.first_token_ms.unwrap_or_default().saturating_sub(first.queued_ms).max(1);
    let written_ms = first.duration_ms.saturating_sub(first.first_token_ms.unwrap_or_default()).max(1);
    println!("  prompt: {:.0} tokens a second", first.input_tokens as f64 * 1e3 / read_ms as f64);
    println!("  answer: {:.1} tokens a second", first.output_tokens.saturating_sub(1) as f64 * 1e3 / written_ms as f64);
    let (same, _) = ask(models, id, &passages, "Which of these words are animals?", 8).await?;
    report("same prompt", &same);
    let (other, _) = ask(models, id, &passages, "Which of these words name a metal?", 8).await?;
    report("same passages, other question", &other);
    Ok(())
}

async fn chat_during_ingestion(models: &LocalModels, manifest: &Manifest, id: &str) -> Result<()> {
    let Some(embedding) = manifest.models.iter().find(|entry| entry.kind == ModelKind::Embedding) else {
        return Ok(());
    };
    let start = Instant::now();
    let ingestion = async {
        let mut passages = 0;
        while start.elapsed() < Duration::from_secs(12) {
            let texts = (0..32).map(|seed| text(126, seed)).collect();
            passages += models.embed(&embedding.id, texts, Priority::Ordinary).await?.vectors.len();
        }
        println!("during that chat: {:.1} passages a second", passages as f64 / start.elapsed().as_secs_f64());
        Ok::<(), Error>(())
    };
    let context = text(640, 5);
    let (answer, ingested) = tokio::join!(ask(models, id, &context, "Tell a story with these words.", 128), ingestion);
    ingested?;
    let (done, _) = answer?;
    report("new prompt during an ingestion", &done);
    let written_ms = done.duration_ms.saturating_sub(done.first_token_ms.unwrap_or_default()).max(1);
    println!("  answer: {:.1} tokens a second", done.output_tokens.saturating_sub(1) as f64 * 1e3 / written_ms as f64);
    Ok(())
}

fn report(label: &str, done: &ChatDone) {
    println!(
        "{label}: {} tokens of prompt, {} of them known; first token after {} ms; {} tokens of answer in {} ms",
        done.input_tokens,
        done.cached_input_tokens,
        done.first_token_ms.unwrap_or_default(),
        done.output_tokens,
        done.duration_ms,
    );
}

async fn ask(models: &LocalModels, id: &str, system: &str, user: &str, max_tokens: u32) -> Result<(ChatDone, f64)> {
    let message = |role, content: &str| ChatMessage { role, content: content.to_owned() };
    let mut request = ChatRequest::new(vec![message(Role::System, system), message(Role::User, user)]);
    request.temperature = 0.0;
    request.max_tokens = Some(max_tokens);
    let start = Instant::now();
    let mut load_ms = 0.0;
    let mut events = models.chat(id, request, CancellationToken::new())?;
    while let Some(event) = events.recv().await {
        match event {
            ChatEvent::Reading { .. } if load_ms == 0.0 => load_ms = start.elapsed().as_secs_f64() * 1e3,
            ChatEvent::Done(done) => return Ok((done, load_ms)),
            ChatEvent::Error(error) => return Err(error),
            _ => {}
        }
    }
    Err(Error::internal("the answer was interrupted"))
}
