//! Chat models: requests wait in a bounded queue for the one thread that owns a model.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use llama_cpp_2::model::{LlamaModel, params::LlamaModelParams};
use plasma_kernel::{Code, Error, Result};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::{
    LocalSettings,
    generate::{Session, backend},
    queue::{Popped, Priority, Queue, Rejected},
    threads::{Workers, shutting_down, start_worker},
    turns::Turns,
};
use crate::{manifest::ModelEntry, weights};

/// Messages in one request.
pub const MESSAGES_MAX: usize = 1_024;
/// Stop sequences in one request, and bytes of each.
pub const STOPS_MAX: usize = 16;
const STOP_BYTES_MAX: usize = 1_024;

/// While nothing is loaded there is nothing to unload.
const NOTHING_LOADED_WAIT: Duration = Duration::from_secs(3_600);

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// The person.
    User,
    /// The model, earlier.
    Assistant,
}

impl Role {
    /// The name in chat formats, as in `assistant`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A message of a conversation.
#[derive(Clone, Debug)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// What a model is to continue, and how.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The conversation so far; 1 to [`MESSAGES_MAX`].
    pub messages: Vec<ChatMessage>,
    /// Tokens to generate at most; the rest of the context where `None`.
    pub max_tokens: Option<u32>,
    /// 0 takes the likeliest token each time, up to 2.
    pub temperature: f32,
    /// Only the likeliest tokens that together have this probability, above 0 up to 1.
    pub top_p: f32,
    /// The same seed gives the same answer again on the same machine and build.
    pub seed: Option<u64>,
    /// The answer ends before the first of these; at most [`STOPS_MAX`].
    pub stop: Vec<String>,
    /// Makes tokens less likely for each time that they were generated, -2 to 2.
    pub frequency_penalty: f32,
    /// Makes tokens less likely once they were generated, -2 to 2.
    pub presence_penalty: f32,
}

impl ChatRequest {
    /// A request with the usual settings: temperature 0.7, everything else off.
    pub fn new(messages: Vec<ChatMessage>) -> Self {
        Self {
            messages,
            max_tokens: None,
            temperature: 0.7,
            top_p: 1.0,
            seed: None,
            stop: Vec::new(),
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
        }
    }

    /// Whether the same request is to give the same answer, whatever was asked before.
    pub(super) fn is_reproducible(&self) -> bool {
        self.temperature == 0.0 || self.seed.is_some()
    }

    fn validate(&self) -> Result<()> {
        let within =
            |field: &str, valid: bool, rule: &str| if valid { Ok(()) } else { Err(Error::invalid(field, rule)) };
        within("messages", !self.messages.is_empty(), "at least one message is needed")?;
        within("messages", self.messages.len() <= MESSAGES_MAX, &format!("at most {MESSAGES_MAX} messages"))?;
        within("max_tokens", self.max_tokens != Some(0), "must be at least 1")?;
        within("temperature", (0.0..=2.0).contains(&self.temperature), "must be between 0 and 2")?;
        within("top_p", self.top_p > 0.0 && self.top_p <= 1.0, "must be above 0 and at most 1")?;
        within("frequency_penalty", (-2.0..=2.0).contains(&self.frequency_penalty), "must be between -2 and 2")?;
        within("presence_penalty", (-2.0..=2.0).contains(&self.presence_penalty), "must be between -2 and 2")?;
        within("stop", self.stop.len() <= STOPS_MAX, &format!("at most {STOPS_MAX} sequences"))?;
        let fits = self.stop.iter().all(|stop| stop.len() <= STOP_BYTES_MAX);
        within("stop", fits, &format!("at most {STOP_BYTES_MAX} bytes each"))
    }
}

/// What happens to a request, in this order. After `Done` or `Error` nothing follows; a stream that ends without either
/// was interrupted.
#[derive(Debug)]
pub enum ChatEvent {
    /// It waits; sent again when its place changes.
    Queued {
        /// Requests before it, the running one included.
        position: usize,
    },
    /// The weights are being read.
    Loading,
    /// The model reads the prompt.
    Reading {
        /// Tokens read, those included that were known from an earlier prompt.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// A piece of the answer: whole characters, never a part of a stop sequence.
    Token {
        /// Not empty.
        text: String,
    },
    /// The end.
    Done(ChatDone),
    /// It failed.
    Error(Error),
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, or a stop sequence was met.
    Stop,
    /// `max_tokens` or the end of the context.
    Length,
    /// The caller cancelled it.
    Cancelled,
}

/// What an answer took. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChatDone {
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens of the prompt.
    pub input_tokens: usize,
    /// How many of them were not computed again, because an earlier prompt began with them.
    pub cached_input_tokens: usize,
    /// Tokens generated.
    pub output_tokens: usize,
    /// Until the model turned to it (loading included).
    pub queued_ms: u64,
    /// From the request to the first token; `None` if there was none.
    pub first_token_ms: Option<u64>,
    /// From the request to the end.
    pub duration_ms: u64,
}

/// A request in the queue.
pub(super) struct Job {
    pub request: ChatRequest,
    pub accepted_at: Instant,
    events: UnboundedSender<ChatEvent>,
    cancel: CancellationToken,
}

impl Job {
    /// Tells the caller, who may be gone.
    pub fn send(&self, event: ChatEvent) {
        let _ = self.events.send(event);
    }

    /// Whether nobody wants the answer any more.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled() || self.events.is_closed()
    }
}

/// A chat model and its thread.
pub(super) struct ChatModel {
    inner: Arc<Inner>,
    workers: Workers,
}

struct Inner {
    entry: ModelEntry,
    models_dir: PathBuf,
    settings: LocalSettings,
    turns: Arc<Turns>,
    queue: Queue<Job>,
    loaded: AtomicBool,
    busy: AtomicBool,
    stop: CancellationToken,
}

impl ChatModel {
    pub fn new(entry: ModelEntry, models_dir: PathBuf, settings: LocalSettings, turns: Arc<Turns>) -> Self {
        let inner = Inner {
            entry,
            models_dir,
            queue: Queue::new(settings.chat_queue_limit),
            settings,
            turns,
            loaded: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            stop: CancellationToken::new(),
        };
        Self { inner: Arc::new(inner), workers: Workers::default() }
    }

    pub fn is_loaded(&self) -> bool {
        self.inner.loaded.load(Ordering::Relaxed)
    }

    pub fn start(&self, request: ChatRequest, cancel: CancellationToken) -> Result<UnboundedReceiver<ChatEvent>> {
        request.validate()?;
        self.inner.entry.require_files(&self.inner.models_dir)?;
        self.workers.ensure(|| {
            let inner = self.inner.clone();
            Ok(vec![start_worker("chat".to_owned(), move || inner.run())?])
        })?;
        let (events, receiver) = unbounded_channel();
        let job = Job { request, accepted_at: Instant::now(), events, cancel };
        // Those who gave up make room.
        self.inner.queue.review(|_, job| !job.is_cancelled());
        self.inner.queue.push(job, Priority::Ordinary).map_err(|rejected| self.inner.refuse(&rejected))?;
        self.inner.announce();
        Ok(receiver)
    }

    pub fn close(&self) {
        self.inner.stop.cancel();
        for job in self.inner.queue.close() {
            job.send(ChatEvent::Error(shutting_down()));
        }
    }

    pub fn join(&self) {
        self.workers.join();
    }
}

impl Inner {
    fn refuse(&self, rejected: &Rejected<Job>) -> Error {
        match rejected {
            Rejected::Closed(_) => shutting_down(),
            Rejected::Full(_) => {
                let message = format!("{} requests already wait for {}", self.settings.chat_queue_limit, self.entry.id);
                Error::new(Code::RateLimited, "model_queue_full", message)
                    .remedy("try again later, or add a provider that answers more requests at a time")
                    .retry_after_ms(10_000)
            }
        }
    }

    /// Tells each waiting request its place.
    fn announce(&self) {
        let running = usize::from(self.busy.load(Ordering::Relaxed));
        self.queue.review(|place, job| {
            job.send(ChatEvent::Queued { position: place + running });
            true
        });
    }

    /// The model's thread: waits without the weights, loads them for the first request, gives them back when idle.
    fn run(&self) {
        loop {
            match self.queue.pop(false, NOTHING_LOADED_WAIT) {
                Popped::Item(job) if job.is_cancelled() => {}
                Popped::Item(job) => self.load_and_serve(job),
                Popped::TimedOut => {}
                Popped::Closed => return,
            }
        }
    }

    fn load_and_serve(&self, job: Job) {
        let busy = Raised::new(&self.busy);
        self.announce();
        job.send(ChatEvent::Loading);
        let started = Instant::now();
        let model = match self.load() {
            Ok(model) => model,
            Err(error) => {
                tracing::error!(model = self.entry.id, ?error, "a model could not be loaded");
                return job.send(ChatEvent::Error(error));
            }
        };
        let mut session = match Session::new(&model, self.entry.context_length, &self.turns) {
            Ok(session) => session,
            Err(error) => return job.send(ChatEvent::Error(error)),
        };
        let _in_use = weights::in_use(&self.entry.directory(&self.models_dir));
        let _loaded = Raised::new(&self.loaded);
        tracing::info!(model = self.entry.id, load_ms = started.elapsed().as_millis() as u64, "loaded a model");
        drop(busy);
        self.serve(&mut session, job);
        // The memory is given back before the model is called idle.
        drop(session);
        drop(model);
        tracing::info!(model = self.entry.id, "unloaded the model");
    }

    /// Answers requests until none came for the idle time, or the process stops.
    fn serve(&self, session: &mut Session<'_>, first: Job) {
        let mut next = Some(first);
        loop {
            if let Some(job) = next.take().filter(|job| !job.is_cancelled()) {
                let _busy = Raised::new(&self.busy);
                self.announce();
                match session.answer(&job, &self.stop) {
                    Ok(done) => job.send(ChatEvent::Done(done)),
                    Err(error) => job.send(ChatEvent::Error(error)),
                }
            }
            match self.queue.pop(false, self.settings.idle_timeout) {
                Popped::Item(job) => next = Some(job),
                Popped::TimedOut | Popped::Closed => return,
            }
        }
    }

    fn load(&self) -> Result<LlamaModel> {
        self.entry.verify(&self.models_dir)?;
        let file = self.entry.files.first().ok_or_else(|| Error::internal("a chat model without a file"))?;
        let path = self.entry.directory(&self.models_dir).join(&file.path);
        let stop = self.stop.clone();
        let params = LlamaModelParams::default().with_progress_callback(move |_| !stop.is_cancelled());
        LlamaModel::load_from_file(backend()?, path, &params).map_err(|source| {
            if self.stop.is_cancelled() {
                return shutting_down();
            }
            Error::unavailable("model_load_failed", format!("{} could not be loaded", self.entry.id))
                .remedy(format!("check that {} MB of memory are free", self.entry.memory_bytes / 1_000_000))
                .source(source)
        })
    }
}

/// A flag that is up as long as this lives, also through a panic.
struct Raised<'a>(&'a AtomicBool);

impl<'a> Raised<'a> {
    fn new(flag: &'a AtomicBool) -> Self {
        flag.store(true, Ordering::Relaxed);
        Self(flag)
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
