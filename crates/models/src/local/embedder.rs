//! Texts to vectors: loading on first use, two priorities, unloading when idle.

use std::{
    fs::File,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use plasma_kernel::{Code, Error, Result};
use tokenizers::Tokenizer;
use tokio::sync::oneshot;

use super::{
    encoder::Encoder,
    queue::{Popped, Priority, Queue, Rejected},
    threads::{Workers, shutting_down, start_worker},
    turns::Turns,
};
use crate::{manifest::ModelEntry, weights};

/// Texts in one call.
pub const TEXTS_MAX: usize = 2_048;

/// Bytes of a text that are looked at; what is embedded is a few kilobytes at most.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Units that may wait, all callers together.
const QUEUE_LIMIT: usize = 8_192;

/// While nothing is loaded there is nothing to unload.
const NOTHING_LOADED_WAIT: Duration = Duration::from_secs(3_600);

/// Vectors in the order of the texts.
#[derive(Clone, Debug)]
pub struct Embeddings {
    /// One for each text, of length 1 if the model normalizes.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens that the model read, its special tokens included.
    pub input_tokens: u64,
}

/// Counts tokens as the model does. Cheap to clone and to call from any thread.
#[derive(Clone)]
pub struct TokenCounter(Arc<Tokenizer>);

impl TokenCounter {
    /// Number of tokens of a text, without the special tokens that the model adds. Some 2 MB of text a second.
    ///
    /// # Errors
    /// `internal` if the tokenizer fails.
    pub fn count(&self, text: &str) -> Result<usize> {
        Ok(self.0.encode_fast(text, false).map_err(tokenizer_failed)?.len())
    }

    /// Where each token stands in the text, as byte ranges in ascending order. One pass over a document is cheaper than
    /// counting its pieces.
    ///
    /// # Errors
    /// `internal` if the tokenizer fails.
    pub fn offsets(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let encoding = self.0.encode(text, false).map_err(tokenizer_failed)?;
        Ok(encoding.get_offsets().iter().map(|(start, end)| *start..*end).collect())
    }
}

fn tokenizer_failed(error: tokenizers::Error) -> Error {
    Error::internal(format!("the tokenizer failed: {error}"))
}

/// An embedding model.
pub(super) struct Embedder {
    inner: Arc<Inner>,
    workers: Workers,
}

struct Inner {
    entry: ModelEntry,
    models_dir: PathBuf,
    idle_timeout: Duration,
    loaded: Mutex<Loaded>,
    /// Whether `loaded` has the weights.
    ready: AtomicBool,
    queue: Queue<Unit>,
    turns: Arc<Turns>,
}

struct Loaded {
    tokenizer: Option<Arc<Tokenizer>>,
    encoder: Option<Arc<Encoder>>,
    last_used: Instant,
    /// Held while there are weights, so that nobody removes them meanwhile.
    in_use: Option<File>,
}

/// Token ids of some texts.
type Sequences = Vec<Vec<u32>>;

/// Sequences of a call that go together, and the places of their texts in the call.
#[derive(Default)]
struct Group {
    places: Vec<usize>,
    sequences: Sequences,
}

/// Some sequences of a call, computed in one go.
struct Unit {
    encoder: Arc<Encoder>,
    sequences: Sequences,
    priority: Priority,
    reply: oneshot::Sender<Result<Vec<Vec<f32>>>>,
}

impl Embedder {
    pub fn new(entry: ModelEntry, models_dir: PathBuf, idle_timeout: Duration, turns: Arc<Turns>) -> Self {
        let loaded = Mutex::new(Loaded { tokenizer: None, encoder: None, last_used: Instant::now(), in_use: None });
        let (ready, queue) = (AtomicBool::new(false), Queue::new(QUEUE_LIMIT));
        let inner = Inner { entry, models_dir, idle_timeout, loaded, ready, queue, turns };
        Self { inner: Arc::new(inner), workers: Workers::default() }
    }

    /// Whether the weights are in memory. Never waits for a load.
    pub fn is_loaded(&self) -> bool {
        self.inner.ready.load(Ordering::Relaxed)
    }

    pub async fn token_counter(&self) -> Result<TokenCounter> {
        let inner = self.inner.clone();
        let load = move || inner.lock().tokenizer(&inner).map(TokenCounter);
        tokio::task::spawn_blocking(load)
            .await
            .map_err(|source| Error::from_source("loading a tokenizer failed", source))?
    }

    pub async fn embed(&self, texts: Vec<String>, priority: Priority) -> Result<Embeddings> {
        if texts.len() > TEXTS_MAX {
            let message = format!("{} texts in one call, the limit is {TEXTS_MAX}", texts.len());
            return Err(Error::too_large("input", message));
        }
        let inner = self.inner.clone();
        let prepared = tokio::task::spawn_blocking(move || inner.prepare(&texts)).await;
        let (encoder, groups) = prepared.map_err(|source| Error::from_source("tokenizing failed", source))??;
        let sequences = groups.iter().flat_map(|group| &group.sequences);
        let input_tokens = sequences.clone().map(|sequence| sequence.len() as u64).sum();
        let mut vectors = vec![Vec::new(); sequences.count()];
        self.workers.ensure(|| self.start_workers())?;
        let mut replies = Vec::with_capacity(groups.len());
        for Group { places, sequences } in groups {
            let (reply, result) = oneshot::channel();
            self.inner.push(Unit { encoder: encoder.clone(), sequences, priority, reply })?;
            replies.push((places, result));
        }
        for (places, reply) in replies {
            // A unit is dropped without an answer when its thread panicked or the queue was closed.
            let found = reply.await.map_err(|source| Error::from_source("embedding was interrupted", source))??;
            for (place, vector) in places.into_iter().zip(found) {
                if let Some(target) = vectors.get_mut(place) {
                    *target = vector;
                }
            }
        }
        Ok(Embeddings { vectors, input_tokens })
    }

    /// One thread takes urgent work only, so that a query never waits for a passage; one thread a core takes anything.
    fn start_workers(&self) -> Result<Vec<std::thread::JoinHandle<()>>> {
        let mut threads = Vec::new();
        for index in 0..=self.inner.turns.cores() {
            let inner = self.inner.clone();
            threads.push(start_worker(format!("embed-{index}"), move || inner.work(index == 0))?);
        }
        Ok(threads)
    }

    pub fn close(&self) {
        for unit in self.inner.queue.close() {
            let _ = unit.reply.send(Err(shutting_down()));
        }
    }

    pub fn join(&self) {
        self.workers.join();
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tokenizes and groups. Loads what is not loaded; callers that come meanwhile wait for the same load.
    fn prepare(&self, texts: &[String]) -> Result<(Arc<Encoder>, Vec<Group>)> {
        let (tokenizer, encoder) = {
            let mut loaded = self.lock();
            (loaded.tokenizer(self)?, loaded.encoder(self)?)
        };
        let sequences = texts.iter().map(|text| self.tokenize(&tokenizer, text)).collect::<Result<Sequences>>()?;
        let groups = group(sequences, encoder.unit_tokens());
        Ok((encoder, groups))
    }

    /// Token ids with the special tokens at both ends, cut to what the model reads.
    fn tokenize(&self, tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
        let text = text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text);
        let mut ids = tokenizer.encode_fast(text, true).map_err(tokenizer_failed)?.get_ids().to_vec();
        if ids.len() > self.entry.context_length {
            let end = ids.last().copied();
            ids.truncate(self.entry.context_length.saturating_sub(1));
            ids.extend(end);
        }
        Ok(ids)
    }

    fn push(&self, unit: Unit) -> Result<()> {
        let priority = unit.priority;
        self.queue.push(unit, priority).map_err(|rejected| match rejected {
            Rejected::Closed(_) => shutting_down(),
            Rejected::Full(_) => {
                let message = format!("too many texts wait for {}", self.entry.id);
                Error::new(Code::RateLimited, "model_queue_full", message).retry_after_ms(2_000)
            }
        })
    }

    fn work(&self, urgent_only: bool) {
        loop {
            match self.queue.pop(urgent_only, self.time_to_idle()) {
                // Nobody waits for it any more.
                Popped::Item(unit) if unit.reply.is_closed() => {}
                Popped::Item(unit) => {
                    let _turn = (unit.priority == Priority::Ordinary).then(|| self.turns.take_one());
                    let _ = unit.reply.send(unit.encoder.embed(&unit.sequences));
                    drop(unit.encoder);
                    self.lock().last_used = Instant::now();
                }
                Popped::TimedOut => self.unload_if_idle(),
                Popped::Closed => return,
            }
        }
    }

    fn time_to_idle(&self) -> Duration {
        let loaded = self.lock();
        if loaded.tokenizer.is_none() && loaded.encoder.is_none() {
            return NOTHING_LOADED_WAIT;
        }
        self.idle_timeout.saturating_sub(loaded.last_used.elapsed()).max(Duration::from_millis(10))
    }

    fn unload_if_idle(&self) {
        let mut loaded = self.lock();
        if loaded.last_used.elapsed() >= self.idle_timeout && (loaded.encoder.is_some() || loaded.tokenizer.is_some()) {
            loaded.encoder = None;
            loaded.tokenizer = None;
            loaded.in_use = None;
            self.ready.store(false, Ordering::Relaxed);
            tracing::info!(model = self.entry.id, "unloaded an idle model");
        }
    }
}

/// Sequences of about the same length together, up to `tokens_max` tokens: short ones fill units that long ones would leave half empty.
/// Equally long ones keep their order. A vector does not depend on what else is in its unit.
fn group(sequences: Sequences, tokens_max: usize) -> Vec<Group> {
    let mut ordered: Vec<(usize, Vec<u32>)> = sequences.into_iter().enumerate().collect();
    ordered.sort_by_key(|(_, sequence)| std::cmp::Reverse(sequence.len()));
    let mut groups: Vec<Group> = Vec::new();
    let mut tokens = usize::MAX;
    for (place, sequence) in ordered {
        tokens = tokens.saturating_add(sequence.len());
        if tokens > tokens_max {
            tokens = sequence.len();
            groups.push(Group::default());
        }
        if let Some(group) = groups.last_mut() {
            group.places.push(place);
            group.sequences.push(sequence);
        }
    }
    groups
}

impl Loaded {
    fn tokenizer(&mut self, inner: &Inner) -> Result<Arc<Tokenizer>> {
        self.last_used = Instant::now();
        if let Some(tokenizer) = &self.tokenizer {
            return Ok(tokenizer.clone());
        }
        inner.entry.verify(&inner.models_dir)?;
        let path = inner.entry.directory(&inner.models_dir).join("tokenizer.json");
        let mut tokenizer = Tokenizer::from_file(path)
            .map_err(|error| Error::internal(format!("tokenizer.json of {} is malformed: {error}", inner.entry.id)))?;
        // The file may ask for cutting and padding to a fixed length.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(tokenizer_failed)?;
        Ok(self.tokenizer.insert(Arc::new(tokenizer)).clone())
    }

    fn encoder(&mut self, inner: &Inner) -> Result<Arc<Encoder>> {
        if let Some(encoder) = &self.encoder {
            return Ok(encoder.clone());
        }
        let started = Instant::now();
        inner.entry.verify(&inner.models_dir)?;
        let encoder = Encoder::load(&inner.entry.directory(&inner.models_dir), inner.entry.precision)?;
        if inner.entry.dimensions.is_some_and(|dimensions| dimensions != encoder.dimensions()) {
            return Err(Error::internal(format!("{} does not have the dimensions of its manifest", inner.entry.id)));
        }
        self.in_use = weights::in_use(&inner.entry.directory(&inner.models_dir));
        let load_ms = started.elapsed().as_millis() as u64;
        tracing::info!(model = inner.entry.id, load_ms, "loaded a model");
        self.last_used = Instant::now();
        inner.ready.store(true, Ordering::Relaxed);
        Ok(self.encoder.insert(Arc::new(encoder)).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences(lengths: &[usize]) -> Sequences {
        lengths.iter().map(|length| vec![1; *length]).collect()
    }

    #[test]
    fn groups_hold_similar_lengths_and_each_text_once() {
        let lengths = [3, 250, 100, 4, 256, 120, 2, 90, 300];
        let groups = group(sequences(&lengths), 256);
        let mut places: Vec<usize> = groups.iter().flat_map(|group| group.places.clone()).collect();
        for group in &groups {
            let tokens: usize = group.sequences.iter().map(Vec::len).sum();
            assert!(tokens <= 256 || group.sequences.len() == 1, "{tokens} tokens");
            for (place, sequence) in group.places.iter().zip(&group.sequences) {
                assert_eq!(sequence.len(), lengths[*place]);
            }
        }
        assert_eq!(
            groups.iter().map(|group| group.places.clone()).collect::<Vec<_>>(),
            [vec![8], vec![4], vec![1], vec![5, 2], vec![7, 3, 0, 6]]
        );
        places.sort_unstable();
        assert_eq!(places, (0..lengths.len()).collect::<Vec<_>>());
        assert!(group(Vec::new(), 256).is_empty());
    }
}
