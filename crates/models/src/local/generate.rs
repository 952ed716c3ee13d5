//! A loaded model that answers one request after the other, and keeps what it read of the last prompt.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    num::NonZeroU32,
    sync::OnceLock,
    time::{Duration, Instant},
};

use llama_cpp_2::{
    LlamaStateSeqFlags,
    context::{LlamaContext, params::LlamaContextParams},
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::LlamaModel,
    sampling::LlamaSampler,
    token::LlamaToken,
};
use plasma_kernel::{Error, Result};
use tokio_util::sync::CancellationToken;

use super::{
    chat::{ChatDone, ChatEvent, ChatRequest, FinishReason, Job},
    contention::Observer,
    prompt::PromptFormat,
    text_stream::TextStream,
    threads::shutting_down,
    turns::{Turn, Turns},
};

/// Tokens of a prompt that are read at a time: small enough to show progress and to stop quickly, large enough for speed.
/// Chunks begin at multiples of it, see [`Cache`].
const CHUNK: usize = 64;

/// Only the likeliest tokens are drawn from, as local servers do by default: the long tail of a vocabulary of 150,000 makes
/// small models ramble.
const TOP_K: i32 = 40;

/// The one sequence of a context.
const SEQUENCE: i32 = 0;

/// `LLAMA_FLASH_ATTN_TYPE_DISABLED`. With flash attention the sums of an attention are split by the number of threads, and the same
/// request would get another answer when the number changes.
const FLASH_ATTENTION_OFF: i32 = 0;

/// Between two changes of the number of threads; each costs some 100 ms.
const SWITCH_INTERVAL: Duration = Duration::from_secs(1);

/// llama.cpp, initialized once for the process. Its own log is silenced: it writes hundreds of lines for each load, and
/// what goes wrong is reported by the errors of this crate.
pub(super) fn backend() -> Result<&'static LlamaBackend> {
    static BACKEND: OnceLock<Option<LlamaBackend>> = OnceLock::new();
    let start = || {
        let mut backend = LlamaBackend::init().ok()?;
        backend.void_logs();
        Some(backend)
    };
    BACKEND.get_or_init(start).as_ref().ok_or_else(|| Error::internal("llama.cpp was initialized by somebody else"))
}

/// Which tokens the context holds.
///
/// Reading the same tokens in other portions gives slightly other numbers, enough to change an answer. Requests that are to
/// be reproducible therefore reuse only whole chunks that were read as they would be read again: `exact` counts these.
/// Others reuse every token that their prompt begins with, earlier answers included.
#[derive(Default)]
struct Cache {
    tokens: Vec<LlamaToken>,
    exact: usize,
}

impl Cache {
    /// How many leading tokens of the prompt need not be read. The last one always is, because its result is needed.
    fn reusable(&self, prompt: &[LlamaToken], reproducible: bool) -> usize {
        let same = self.tokens.iter().zip(prompt).take_while(|(cached, wanted)| cached == wanted).count();
        let same = same.min(prompt.len().saturating_sub(1));
        if reproducible { same.min(self.exact) / CHUNK * CHUNK } else { same }
    }

    fn truncate(&mut self, length: usize) {
        self.tokens.truncate(length);
        self.exact = self.exact.min(length / CHUNK * CHUNK);
    }

    fn extend(&mut self, read: &[LlamaToken]) {
        if self.exact == self.tokens.len() && read.len() == CHUNK {
            self.exact += CHUNK;
        }
        self.tokens.extend_from_slice(read);
    }
}

/// A context and what it holds.
pub(super) struct Session<'model> {
    model: &'model LlamaModel,
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    format: PromptFormat,
    cache: Cache,
    context_length: usize,
    turns: &'model Turns,
    threads: usize,
    switched_at: Instant,
}

/// An answer in progress.
struct Progress<'a> {
    job: &'a Job,
    stop: &'a CancellationToken,
    turn: Turn<'a>,
    observer: Option<Observer>,
    started_at: Instant,
    input_tokens: usize,
    cached_input_tokens: usize,
    output_tokens: usize,
    first_token_ms: Option<u64>,
}

impl Progress<'_> {
    fn is_cancelled(&self) -> bool {
        self.job.is_cancelled() || self.stop.is_cancelled()
    }

    fn elapsed_ms(&self) -> u64 {
        self.job.accepted_at.elapsed().as_millis() as u64
    }

    fn done(&self, finish_reason: FinishReason) -> ChatDone {
        ChatDone {
            finish_reason,
            input_tokens: self.input_tokens,
            cached_input_tokens: self.cached_input_tokens,
            output_tokens: self.output_tokens,
            queued_ms: (self.started_at - self.job.accepted_at).as_millis() as u64,
            first_token_ms: self.first_token_ms,
            duration_ms: self.elapsed_ms(),
        }
    }
}

impl<'model> Session<'model> {
    /// Reserves the memory for `context_length` tokens.
    pub fn new(model: &'model LlamaModel, context_length: usize, turns: &'model Turns) -> Result<Self> {
        let threads = turns.cores();
        let context = new_context(model, context_length, threads)?;
        let format = PromptFormat::new(model)?;
        let batch = LlamaBatch::new(CHUNK, 1);
        let (cache, switched_at) = (Cache::default(), Instant::now());
        Ok(Self { model, context, batch, format, cache, context_length, turns, threads, switched_at })
    }

    /// Answers a request, sending events to its caller. Stops within a chunk or a token when the caller is gone or the
    /// process stops.
    pub fn answer(&mut self, job: &Job, stop: &CancellationToken) -> Result<ChatDone> {
        let started_at = Instant::now();
        // One place is left for the answer.
        let prompt = self.format.tokens(self.model, &job.request.messages, self.context_length - 1)?;
        let cached = self.rewind(&prompt, job.request.is_reproducible())?;
        let mut progress = Progress {
            job,
            stop,
            turn: self.turns.take_all(),
            observer: Observer::start(),
            started_at,
            input_tokens: prompt.len(),
            cached_input_tokens: cached,
            output_tokens: 0,
            first_token_ms: None,
        };
        let finished = match self.read(&prompt, &mut progress)? {
            false => FinishReason::Cancelled,
            true => self.write(&mut progress)?,
        };
        if stop.is_cancelled() {
            return Err(shutting_down());
        }
        Ok(progress.done(finished))
    }

    /// Forgets what the context holds beyond the common beginning with the prompt; returns the length of that.
    fn rewind(&mut self, prompt: &[LlamaToken], reproducible: bool) -> Result<usize> {
        let mut keep = self.cache.reusable(prompt, reproducible);
        let position = u32::try_from(keep).map_err(|source| Error::from_source("a prompt of this length", source))?;
        // Some architectures cannot forget a part.
        if !self.context.clear_kv_cache_seq(Some(SEQUENCE.unsigned_abs()), Some(position), None).unwrap_or(false) {
            self.context.clear_kv_cache();
            keep = 0;
        }
        self.cache.truncate(keep);
        Ok(keep)
    }

    /// Reads the prompt from where the cache ends. False when it was cancelled.
    fn read(&mut self, prompt: &[LlamaToken], progress: &mut Progress<'_>) -> Result<bool> {
        loop {
            let done = self.cache.tokens.len();
            progress.job.send(ChatEvent::Reading { done, total: prompt.len() });
            let end = prompt.len().min((done / CHUNK + 1) * CHUNK);
            match prompt.get(done..end) {
                Some(chunk) if !chunk.is_empty() => {
                    if progress.is_cancelled() {
                        return Ok(false);
                    }
                    self.give_way(progress);
                    self.evaluate(chunk, end == prompt.len())?;
                }
                _ => return Ok(true),
            }
        }
    }

    /// Generates until the model, a limit or the caller ends it.
    fn write(&mut self, progress: &mut Progress<'_>) -> Result<FinishReason> {
        let job = progress.job;
        let request = &job.request;
        let mut sampler = self.sampler(request);
        let mut text = TextStream::new(request.stop.clone());
        let limit = request.max_tokens.map_or(usize::MAX, |limit| limit as usize);
        let vocabulary = self.model.vocab();
        let mut piece = Vec::new();
        let finished = loop {
            if progress.is_cancelled() {
                break FinishReason::Cancelled;
            }
            let token = sampler.sample(&self.context, -1);
            let now_ms = progress.elapsed_ms();
            progress.first_token_ms.get_or_insert(now_ms);
            if vocabulary.is_eog(token) {
                break FinishReason::Stop;
            }
            progress.output_tokens += 1;
            piece.clear();
            vocabulary.token_to_piece_into(token, &mut piece, false, None);
            send_text(job, text.push(&piece));
            if text.stopped() {
                break FinishReason::Stop;
            }
            if progress.output_tokens >= limit || self.cache.tokens.len() >= self.context_length {
                break FinishReason::Length;
            }
            self.give_way(progress);
            self.evaluate(&[token], true)?;
        };
        send_text(job, text.finish());
        Ok(finished)
    }

    /// At the end of a turn: uses as many threads as there are free cores, and lets those go first who wait. Must be
    /// followed by [`Session::evaluate`], because the last result may be lost.
    fn give_way(&mut self, progress: &mut Progress<'_>) {
        if !progress.turn.is_over() {
            return;
        }
        if let Some(seen) = progress.observer.as_ref().and_then(Observer::observe) {
            let threads = seen.threads(self.threads, self.turns.cores());
            if threads != self.threads && self.switched_at.elapsed() >= SWITCH_INTERVAL {
                self.switch(threads);
            }
        }
        progress.turn.renew();
        progress.observer = Observer::start();
    }

    /// Goes on with another number of threads, which is fixed for a context: what the old one knows is copied.
    fn switch(&mut self, threads: usize) {
        self.switched_at = Instant::now();
        let copied = new_context(self.model, self.context_length, threads).and_then(|mut context| {
            let failed = |source| Error::from_source("the state of a context cannot be copied", source);
            let state = self.context.state_seq_get(SEQUENCE, LlamaStateSeqFlags::empty()).map_err(failed)?;
            context.state_seq_set(&state, SEQUENCE).map_err(failed)?;
            Ok(context)
        });
        match copied {
            Ok(context) => {
                self.context = context;
                self.threads = threads;
                tracing::debug!(threads, "a chat model changed its number of threads");
            }
            // The old context still works.
            Err(error) => tracing::warn!(?error, "a chat model could not change its number of threads"),
        }
    }

    /// Runs the model over tokens that follow those in the cache; keeps the result of the last one if asked.
    fn evaluate(&mut self, tokens: &[LlamaToken], keep_result: bool) -> Result<()> {
        let evaluated = self.fill_and_decode(tokens, keep_result);
        if evaluated.is_ok() {
            self.cache.extend(tokens);
        } else {
            // What the context holds is unknown now.
            self.context.clear_kv_cache();
            self.cache = Cache::default();
        }
        evaluated
    }

    fn fill_and_decode(&mut self, tokens: &[LlamaToken], keep_result: bool) -> Result<()> {
        self.batch.clear();
        for (index, token) in tokens.iter().enumerate() {
            let position = i32::try_from(self.cache.tokens.len() + index)
                .map_err(|source| Error::from_source("a prompt of this length", source))?;
            self.batch
                .add(*token, position, &[SEQUENCE], keep_result && index + 1 == tokens.len())
                .map_err(|source| Error::from_source("a batch of tokens is full", source))?;
        }
        self.context.decode(&mut self.batch).map_err(|source| Error::from_source("the model failed to compute", source))
    }

    fn sampler(&self, request: &ChatRequest) -> LlamaSampler {
        let mut chain = Vec::new();
        if request.frequency_penalty != 0.0 || request.presence_penalty != 0.0 {
            let last = i32::try_from(self.context_length).unwrap_or(i32::MAX);
            let vocabulary = self.model.n_vocab();
            chain.push(LlamaSampler::penalties(
                vocabulary,
                last,
                1.0,
                request.frequency_penalty,
                request.presence_penalty,
            ));
        }
        if request.temperature == 0.0 {
            chain.push(LlamaSampler::greedy());
        } else {
            let seed = request.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
            chain.push(LlamaSampler::top_k(TOP_K));
            chain.push(LlamaSampler::top_p(request.top_p, 1));
            chain.push(LlamaSampler::temp(request.temperature));
            chain.push(LlamaSampler::dist((seed ^ (seed >> 32)) as u32));
        }
        LlamaSampler::chain(chain, true)
    }
}

fn new_context(model: &LlamaModel, context_length: usize, threads: usize) -> Result<LlamaContext<'_>> {
    let threads = i32::try_from(threads).unwrap_or(1);
    let params = LlamaContextParams::default()
        .with_n_ctx(u32::try_from(context_length).ok().and_then(NonZeroU32::new))
        .with_n_batch(CHUNK as u32)
        .with_n_ubatch(CHUNK as u32)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_flash_attention_policy(FLASH_ATTENTION_OFF)
        .with_no_perf(true);
    model.new_context(backend()?, params).map_err(|source| {
        Error::unavailable("model_load_failed", "there is not enough memory for the model's context").source(source)
    })
}

fn send_text(job: &Job, text: String) {
    if !text.is_empty() {
        job.send(ChatEvent::Token { text });
    }
}

#[cfg(test)]
mod tests {
    use llama_cpp_2::model::params::LlamaModelParams;

    use super::{
        super::chat::{ChatMessage, Role},
        *,
    };
    use crate::manifest::{Manifest, ModelKind, default_models_dir};

    fn tokens(range: std::ops::Range<i32>) -> Vec<LlamaToken> {
        range.map(LlamaToken::new).collect()
    }

    fn read(cache: &mut Cache, prompt: &[LlamaToken], reproducible: bool) -> usize {
        let kept = cache.reusable(prompt, reproducible);
        cache.truncate(kept);
        while cache.tokens.len() < prompt.len() {
            let done = cache.tokens.len();
            let end = prompt.len().min((done / CHUNK + 1) * CHUNK);
            cache.extend(&prompt[done..end]);
        }
        kept
    }

    #[test]
    fn a_reproducible_prompt_reuses_whole_chunks_of_prompts_only() {
        let mut cache = Cache::default();
        assert_eq!(read(&mut cache, &tokens(0..150), true), 0);
        assert_eq!(cache.exact, 128);
        // The answer, token by token.
        for token in tokens(150..250) {
            cache.extend(&[token]);
        }
        assert_eq!(cache.exact, 128);
        assert_eq!(read(&mut cache, &tokens(0..250), true), 128);
        assert_eq!(cache.exact, 192);
    }

    #[test]
    fn other_prompts_reuse_everything_but_the_last_token() {
        let mut cache = Cache::default();
        read(&mut cache, &tokens(0..150), false);
        assert_eq!(cache.reusable(&tokens(0..150), false), 149);
        assert_eq!(cache.reusable(&tokens(0..160), false), 150);
        assert_eq!(cache.reusable(&tokens(5..160), false), 0);
        assert_eq!(cache.reusable(&tokens(0..1), false), 0);
        // Reading on from the middle of a chunk leaves nothing exact beyond it.
        assert_eq!(read(&mut cache, &tokens(0..400), false), 150);
        assert_eq!(cache.exact, 128);
        assert_eq!(cache.reusable(&tokens(0..400), true), 128);
    }

    #[test]
    fn the_seed_of_a_chunk_must_be_exact_too() {
        let mut cache = Cache::default();
        read(&mut cache, &tokens(0..200), true);
        let mut other = tokens(0..100);
        other.extend(tokens(1000..1100));
        assert_eq!(read(&mut cache, &other, false), 100);
        assert_eq!(cache.exact, 64);
        assert_eq!(cache.reusable(&other, true), 64);
    }

    /// Reads a prompt of about 600 tokens and takes the likeliest token each time, changing threads at the given steps.
    fn continuation(model: &LlamaModel, turns: &Turns, switches: &[(usize, usize)]) -> Vec<LlamaToken> {
        let mut session = Session::new(model, 1024, turns).unwrap();
        let text = "The gateway listens on port 8080 and writes a line for each request. ".repeat(42);
        let content = format!("{text}Summarize this.");
        let messages = [ChatMessage { role: Role::User, content }];
        let prompt = session.format.tokens(model, &messages, 1023).unwrap();
        assert!((550..900).contains(&prompt.len()), "{} tokens", prompt.len());
        let mut sampler = LlamaSampler::greedy();
        let mut answer = Vec::new();
        for (step, chunk) in prompt.chunks(CHUNK).enumerate() {
            change(&mut session, switches, step);
            session.evaluate(chunk, true).unwrap();
        }
        for step in 100..112 {
            let token = sampler.sample(&session.context, -1);
            answer.push(token);
            change(&mut session, switches, step);
            session.evaluate(&[token], true).unwrap();
        }
        answer
    }

    fn change(session: &mut Session<'_>, switches: &[(usize, usize)], step: usize) {
        if let Some((_, threads)) = switches.iter().find(|(at, _)| *at == step) {
            session.switch(*threads);
            assert_eq!(session.threads, *threads);
        }
    }

    #[test]
    fn changing_the_number_of_threads_changes_no_answer() {
        let folder = std::env::var_os("PLASMA_MODELS_DIR").map(Into::into).or_else(default_models_dir).unwrap();
        let manifest = Manifest::builtin().unwrap();
        let entry = manifest.models.iter().find(|entry| entry.kind == ModelKind::Chat).unwrap();
        entry.verify(&folder).expect("this test needs the weights of the chat model: run `make models`");
        let path = entry.directory(&folder).join(&entry.files[0].path);
        let model = LlamaModel::load_from_file(backend().unwrap(), path, &LlamaModelParams::default()).unwrap();
        let one = Turns::new(1);
        let plain = continuation(&model, &one, &[]);
        // Few steps with several threads: they crawl where tests run beside each other.
        let switched = continuation(&model, &one, &[(5, 2), (6, 1), (8, 3), (9, 1), (102, 2), (105, 1)]);
        assert_eq!(plain, switched);
    }
}
