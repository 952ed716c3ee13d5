//! Models that run inside this process: BERT-family embedding models and GGUF chat models.
//!
//! Weights are loaded by the first request that needs them and given back after an idle time. Each chat model has one
//! thread and a bounded queue; an embedding model has a thread for each core and one that serves urgent texts only. Chat
//! and ingestion take turns on the cores.

mod bert;
mod chat;
mod contention;
mod embedder;
mod encoder;
mod generate;
#[cfg(feature = "candle")]
mod gpu;
mod kernels;
mod prompt;
mod queue;
mod template;
mod text_stream;
mod threads;
mod turns;

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use plasma_kernel::{Error, Result};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use chat::ChatModel;
pub use chat::{ChatDone, ChatEvent, ChatMessage, ChatRequest, FinishReason, MESSAGES_MAX, Role, STOPS_MAX};
use embedder::Embedder;
pub use embedder::{Embeddings, TEXTS_MAX, TokenCounter};
pub use queue::Priority;
use threads::physical_cores;
use turns::Turns;

use crate::{
    manifest::{Manifest, ModelEntry, ModelKind, Precision},
    weights::HUB_URL_DEFAULT,
};

/// Limits of local models.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// A model that was not used for this long is unloaded.
    pub idle_timeout: Duration,
    /// Requests that may wait for a chat model; more are refused with `rate_limited`.
    pub chat_queue_limit: usize,
    /// Cores that a chat model, or passages that are embedded, may keep busy. A chat model uses fewer while others need them.
    pub threads: usize,
    /// Folders beside the models directory whose files may become custom models.
    pub custom_dirs: Vec<PathBuf>,
    /// Where weights are fetched: a server with Hugging Face's layout.
    pub hub_url: String,
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(300),
            chat_queue_limit: 16,
            threads: physical_cores(),
            custom_dirs: Vec::new(),
            hub_url: HUB_URL_DEFAULT.to_owned(),
        }
    }
}

/// Where a model's weights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalState {
    /// In memory.
    Ready,
    /// On disk; the next request loads them.
    Idle,
    /// Not on this machine, or not completely.
    Missing,
}

/// What is known of a local model.
#[derive(Clone, Debug)]
pub struct LocalModel {
    /// Its manifest entry.
    pub entry: ModelEntry,
    /// Where its weights are now.
    pub state: LocalState,
    /// What to do when they are missing.
    pub remedy: Option<String>,
}

/// The models of the manifest, and the engines that run them.
pub struct LocalModels {
    models_dir: PathBuf,
    engines: Vec<(ModelEntry, Arc<Engine>)>,
    /// Those of custom models, by [`ModelEntry::key`].
    custom: Mutex<HashMap<String, Arc<Engine>>>,
    settings: LocalSettings,
    turns: Arc<Turns>,
}

/// Custom models that one process runs.
const CUSTOM_ENGINES_MAX: usize = 200;
/// Bytes of a path.
const PATH_BYTES_MAX: usize = 1_000;

enum Engine {
    Chat(ChatModel),
    Embedding(Embedder),
}

impl Engine {
    fn new(entry: &ModelEntry, models_dir: &Path, settings: &LocalSettings, turns: &Arc<Turns>) -> Self {
        let (entry, models_dir, turns) = (entry.clone(), models_dir.to_owned(), turns.clone());
        match entry.kind {
            ModelKind::Chat => Self::Chat(ChatModel::new(entry, models_dir, settings.clone(), turns)),
            ModelKind::Embedding => Self::Embedding(Embedder::new(entry, models_dir, settings.idle_timeout, turns)),
        }
    }

    fn is_loaded(&self) -> bool {
        match self {
            Self::Chat(model) => model.is_loaded(),
            Self::Embedding(embedder) => embedder.is_loaded(),
        }
    }

    fn close(&self) {
        match self {
            Self::Chat(model) => model.close(),
            Self::Embedding(embedder) => embedder.close(),
        }
    }
}

/// Where embedding models of a precision compute in this process: `cpu`, or `cuda`.
pub fn embedding_device(precision: Precision) -> &'static str {
    encoder::device_name(precision)
}

/// By which instructions embedding models multiply on the processor, such as `avx512-vnni`.
pub fn embedding_arithmetic(precision: Precision) -> &'static str {
    match precision {
        Precision::Int8 => plasma_embed_kernels::kernel().name(),
        // Chosen when the program was compiled.
        Precision::F32 if cfg!(target_feature = "avx512f") => "avx512",
        Precision::F32 if cfg!(all(target_feature = "avx2", target_feature = "fma")) => "avx2",
        Precision::F32 if cfg!(target_arch = "aarch64") => "neon",
        Precision::F32 => "scalar",
    }
}

/// Whether the embedding engine can load the model in a folder. Blocks, and takes its memory for the time.
pub(crate) fn check_embedding_model(folder: &Path, precision: Precision) -> Result<()> {
    bert::Bert::load(folder, precision)?;
    tokenizers::Tokenizer::from_file(folder.join("tokenizer.json"))
        .map(drop)
        .map_err(|_| Error::internal("tokenizer.json is not a tokenizer's description"))
}

impl LocalModels {
    /// The manifest's models with their weights in `models_dir`, which need not exist. Loads nothing and starts no thread.
    pub fn new(manifest: &Manifest, models_dir: &Path, settings: &LocalSettings) -> Self {
        let turns = Arc::new(Turns::new(settings.threads.max(1)));
        let engines = manifest
            .models
            .iter()
            .map(|entry| (entry.clone(), Arc::new(Engine::new(entry, models_dir, settings, &turns))))
            .collect();
        let (models_dir, settings) = (models_dir.to_owned(), settings.clone());
        Self { models_dir, engines, custom: Mutex::default(), settings, turns }
    }

    /// Where the weights are, and where they are fetched.
    pub(crate) fn places(&self) -> (&Path, &str) {
        (&self.models_dir, &self.settings.hub_url)
    }

    /// All models, in the manifest's order. Looks at the files each time, so that weights fetched meanwhile are seen.
    pub fn models(&self) -> Vec<LocalModel> {
        self.engines.iter().map(|(entry, engine)| self.describe(entry, engine)).collect()
    }

    /// One model.
    pub fn model(&self, id: &str) -> Option<LocalModel> {
        self.engines.iter().find(|(entry, _)| entry.id == id).map(|(entry, engine)| self.describe(entry, engine))
    }

    /// A custom model, whose engine need not exist yet.
    pub(crate) fn describe_entry(&self, entry: &ModelEntry) -> LocalModel {
        let engine = self.lock().get(&entry.key()).cloned();
        match engine {
            Some(engine) => self.describe(entry, &engine),
            None => match entry.require_files(&self.models_dir) {
                Ok(()) => LocalModel { entry: entry.clone(), state: LocalState::Idle, remedy: None },
                Err(error) => {
                    let remedy = error.remedy_text().map(str::to_owned);
                    LocalModel { entry: entry.clone(), state: LocalState::Missing, remedy }
                }
            },
        }
    }

    /// Makes an engine for a custom model, if it has none. Loads nothing and starts no thread.
    ///
    /// # Errors
    /// `too_large` beyond 200 custom models in a process.
    pub(crate) fn adopt(&self, entry: &ModelEntry) -> Result<()> {
        let mut custom = self.lock();
        let key = entry.key();
        if custom.contains_key(&key) {
            return Ok(());
        }
        if custom.len() >= CUSTOM_ENGINES_MAX {
            // Those that nobody uses now are made anew when they are called.
            custom.retain(|_, engine| engine.is_loaded());
        }
        if custom.len() >= CUSTOM_ENGINES_MAX {
            let message = format!("{CUSTOM_ENGINES_MAX} custom models are in use in this process");
            return Err(Error::too_large("model", message));
        }
        // Workspaces share it when they add the same weights: one's name must not stand in what another is told.
        let neutral = "this model".to_owned();
        let shared = ModelEntry { id: neutral.clone(), name: neutral, ..entry.clone() };
        custom.insert(key, Arc::new(Engine::new(&shared, &self.models_dir, &self.settings, &self.turns)));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Engine>>> {
        self.custom.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file or folder that `given` names, without links: below the models directory or one that the configuration
    /// allows. Relative paths begin at the models directory.
    ///
    /// # Errors
    /// `invalid` (`path`), the same for what does not exist and for what is outside.
    pub(crate) fn locate(&self, given: &str) -> Result<PathBuf> {
        let refused = || {
            Error::invalid(
                "path",
                "there are no such weights below the models directory or a folder that the configuration allows",
            )
            .remedy("fetch them with `plasma models pull`, or name their folder in custom_models_dirs")
        };
        let path = Path::new(given);
        let upwards = path.components().any(|component| component == Component::ParentDir);
        if given.is_empty() || given.len() > PATH_BYTES_MAX || given.chars().any(char::is_control) || upwards {
            return Err(refused());
        }
        let found = self.models_dir.join(path).canonicalize().map_err(|_| refused())?;
        let mut allowed = std::iter::once(&self.models_dir).chain(&self.settings.custom_dirs);
        if allowed.any(|folder| folder.canonicalize().is_ok_and(|folder| found.starts_with(&folder) && found != folder))
        {
            return Ok(found);
        }
        Err(refused())
    }

    fn describe(&self, entry: &ModelEntry, engine: &Engine) -> LocalModel {
        let loaded = engine.is_loaded();
        let (state, remedy) = match entry.require_files(&self.models_dir) {
            _ if loaded => (LocalState::Ready, None),
            Ok(()) => (LocalState::Idle, None),
            Err(error) => (LocalState::Missing, error.remedy_text().map(str::to_owned)),
        };
        LocalModel { entry: entry.clone(), state, remedy }
    }

    /// Asks a chat model. Returns at once; what happens comes as events. Dropping the receiver or firing `cancel` stops
    /// the work within some tenths of a second.
    ///
    /// # Errors
    /// `not_found` (reason `model_not_found`), `invalid` naming the field, `unavailable` when the weights are missing,
    /// `rate_limited` (reason `model_queue_full`) when too many wait. As an event: `invalid` (reason `prompt_too_long`),
    /// `unavailable` (reason `model_weights_damaged` or `model_load_failed`).
    pub fn chat(
        &self,
        id: &str,
        request: ChatRequest,
        cancel: CancellationToken,
    ) -> Result<UnboundedReceiver<ChatEvent>> {
        match &*self.engine(id)? {
            Engine::Chat(model) => model.start(request, cancel),
            Engine::Embedding(_) => Err(Error::invalid("model", format!("{id} is an embedding model and cannot chat"))),
        }
    }

    /// Embeds up to [`TEXTS_MAX`] texts; longer ones than the model reads are cut. Dropping the future abandons what was
    /// not begun.
    ///
    /// # Errors
    /// `not_found`, `invalid` for a chat model, `too_large`, `unavailable` when the weights are missing or damaged,
    /// `rate_limited` when too many texts wait.
    pub async fn embed(&self, id: &str, texts: Vec<String>, priority: Priority) -> Result<Embeddings> {
        match &*self.engine(id)? {
            Engine::Embedding(embedder) => embedder.embed(texts, priority).await,
            Engine::Chat(_) => Err(not_an_embedding_model(id)),
        }
    }

    /// Counts tokens as an embedding model does. Loads only its tokenizer.
    ///
    /// # Errors
    /// As [`LocalModels::embed`].
    pub async fn token_counter(&self, id: &str) -> Result<TokenCounter> {
        match &*self.engine(id)? {
            Engine::Embedding(embedder) => embedder.token_counter().await,
            Engine::Chat(_) => Err(not_an_embedding_model(id)),
        }
    }

    /// Ends running and waiting work with `shutting_down`, and waits for the threads. Takes as long as a chunk of a prompt,
    /// some tenths of a second.
    pub async fn shutdown(&self) {
        self.close();
        let mut engines: Vec<Arc<Engine>> = self.engines.iter().map(|(_, engine)| engine.clone()).collect();
        engines.extend(self.lock().values().cloned());
        let join = move || {
            for engine in engines {
                match &*engine {
                    Engine::Chat(model) => model.join(),
                    Engine::Embedding(embedder) => embedder.join(),
                }
            }
        };
        if let Err(error) = tokio::task::spawn_blocking(join).await {
            tracing::error!(%error, "waiting for the threads of local models failed");
        }
    }

    fn close(&self) {
        for (_, engine) in &self.engines {
            engine.close();
        }
        for engine in self.lock().values() {
            engine.close();
        }
    }

    fn engine(&self, id: &str) -> Result<Arc<Engine>> {
        let found = self.engines.iter().find(|(entry, _)| entry.id == id);
        found
            .map(|(_, engine)| engine.clone())
            .or_else(|| self.lock().get(id).cloned())
            .ok_or_else(|| Error::not_found("model_not_found", format!("there is no local model {id}")).field("model"))
    }
}

impl Drop for LocalModels {
    fn drop(&mut self) {
        self.close();
    }
}

fn not_an_embedding_model(id: &str) -> Error {
    Error::invalid("model", format!("{id} is a chat model and cannot embed"))
}
