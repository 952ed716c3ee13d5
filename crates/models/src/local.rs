//! Models that run inside this process: BERT-family embedding models and GGUF chat models.
//!
//! Weights are loaded by the first request that needs them and given back after an idle time. Each chat model has one
//! thread and a bounded queue; an embedding model has a thread for each core and one that serves urgent texts only. Chat
//! and ingestion take turns on the cores.

mod bert;
mod chat;
mod contention;
mod embedder;
mod generate;
mod kernels;
mod prompt;
mod queue;
mod template;
mod text_stream;
mod threads;
mod turns;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
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

use crate::manifest::{Manifest, ModelEntry, ModelKind};

/// Limits of local models.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// A model that was not used for this long is unloaded.
    pub idle_timeout: Duration,
    /// Requests that may wait for a chat model; more are refused with `rate_limited`.
    pub chat_queue_limit: usize,
    /// Cores that a chat model, or passages that are embedded, may keep busy. A chat model uses fewer while others need them.
    pub threads: usize,
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self { idle_timeout: Duration::from_secs(300), chat_queue_limit: 16, threads: physical_cores() }
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
}

enum Engine {
    Chat(ChatModel),
    Embedding(Embedder),
}

impl LocalModels {
    /// The manifest's models with their weights in `models_dir`, which need not exist. Loads nothing and starts no thread.
    pub fn new(manifest: &Manifest, models_dir: &Path, settings: &LocalSettings) -> Self {
        let turns = Arc::new(Turns::new(settings.threads.max(1)));
        let engine = |entry: &ModelEntry| {
            let (entry, models_dir, turns) = (entry.clone(), models_dir.to_owned(), turns.clone());
            match entry.kind {
                ModelKind::Chat => Engine::Chat(ChatModel::new(entry, models_dir, settings.clone(), turns)),
                ModelKind::Embedding => {
                    Engine::Embedding(Embedder::new(entry, models_dir, settings.idle_timeout, turns))
                }
            }
        };
        let engines = manifest.models.iter().map(|entry| (entry.clone(), Arc::new(engine(entry)))).collect();
        Self { models_dir: models_dir.to_owned(), engines }
    }

    /// All models, in the manifest's order. Looks at the files each time, so that weights fetched meanwhile are seen.
    pub fn models(&self) -> Vec<LocalModel> {
        self.engines.iter().map(|(entry, engine)| self.describe(entry, engine)).collect()
    }

    /// One model.
    pub fn model(&self, id: &str) -> Option<LocalModel> {
        self.engines.iter().find(|(entry, _)| entry.id == id).map(|(entry, engine)| self.describe(entry, engine))
    }

    fn describe(&self, entry: &ModelEntry, engine: &Engine) -> LocalModel {
        let loaded = match engine {
            Engine::Chat(model) => model.is_loaded(),
            Engine::Embedding(embedder) => embedder.is_loaded(),
        };
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
        let engines: Vec<Arc<Engine>> = self.engines.iter().map(|(_, engine)| engine.clone()).collect();
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
            match &**engine {
                Engine::Chat(model) => model.close(),
                Engine::Embedding(embedder) => embedder.close(),
            }
        }
    }

    fn engine(&self, id: &str) -> Result<Arc<Engine>> {
        let found = self.engines.iter().find(|(entry, _)| entry.id == id);
        found
            .map(|(_, engine)| engine.clone())
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
