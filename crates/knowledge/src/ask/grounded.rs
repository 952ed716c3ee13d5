//! A model's text from passages, with citations, as a stream.

use std::collections::{HashSet, VecDeque};

use futures::StreamExt as _;
use plasma_kernel::{Ctx, Error, Result};
use plasma_models::{ChatDone, ChatEvent, ChatRequest, ChatStream, Models};
use tokio::time::Instant;

use super::{
    citer::{Citer, Grown},
    prompt,
    sentences::sentences,
    types::{AskDone, AskEvent, AskPassage, AskProgress, AskStage, AskStream, AskToken, AskUsage, GroundedRequest},
};

/// Starts the model on `passages`. `started` is when the work that includes it began.
pub(super) async fn generate(
    models: &Models,
    ctx: &Ctx,
    request: GroundedRequest,
    passages: Vec<AskPassage>,
    started: Instant,
) -> Result<AskStream> {
    let messages = prompt::messages(request.instructions, &passages, &request.input);
    let chat = ChatRequest {
        model: request.model,
        max_tokens: Some(request.max_tokens),
        temperature: Some(request.temperature),
        ..ChatRequest::new(request.purpose, messages)
    };
    let generation = Generation {
        chat: Some(models.chat(ctx, chat).await?),
        models: models.clone(),
        ctx: ctx.clone(),
        citer: Citer::new(passages, &request.input),
        ready: VecDeque::new(),
        started,
        first_token_ms: None,
    };
    let events = futures::stream::unfold(generation, |mut generation| async move {
        let event = generation.next().await?;
        Some((event, generation))
    });
    Ok(events.boxed())
}

/// A text that is being written. Dropping it drops the model's stream, which stops the model.
struct Generation {
    /// `None` when nothing more will come from the model.
    chat: Option<ChatStream>,
    models: Models,
    ctx: Ctx,
    citer: Citer,
    ready: VecDeque<AskEvent>,
    started: Instant,
    first_token_ms: Option<u64>,
}

impl Generation {
    async fn next(&mut self) -> Option<AskEvent> {
        while self.ready.is_empty() {
            let event = self.chat.as_mut()?.next().await;
            self.take(event);
        }
        self.ready.pop_front()
    }

    fn take(&mut self, event: Option<Result<ChatEvent>>) {
        match event {
            Some(Ok(ChatEvent::Token { text })) => self.write(&text),
            Some(Ok(ChatEvent::Done(done))) => self.finish(done),
            Some(Ok(event)) => self.ready.extend(progress(&event).map(AskEvent::Progress)),
            Some(Err(error)) => self.fail(error),
            None => self.fail(
                Error::unavailable("model_interrupted", "the model stopped before the text was complete")
                    .remedy("try again"),
            ),
        }
    }

    fn write(&mut self, piece: &str) {
        if self.first_token_ms.is_none() {
            self.first_token_ms = Some(self.elapsed_ms());
            let detail = "writing".to_owned();
            self.ready.push_back(AskEvent::Progress(AskProgress {
                stage: AskStage::Writing,
                done: None,
                total: None,
                detail,
            }));
        }
        let grown = self.citer.push(piece);
        self.show(grown);
        if self.citer.repeats_itself() {
            self.fail(
                Error::unavailable("model_repeats_itself", "the model repeated itself and was stopped")
                    .remedy("try again, ask in other words, or choose a larger model"),
            );
        }
    }

    fn show(&mut self, grown: Grown) {
        if !grown.text.is_empty() {
            self.ready.push_back(AskEvent::Token(AskToken { text: grown.text }));
        }
        self.ready.extend(grown.citations.into_iter().map(AskEvent::Citation));
    }

    fn finish(&mut self, done: ChatDone) {
        let grown = self.citer.finish();
        self.show(grown);
        let model = self.chat.take().map(|chat| chat.model().to_owned());
        let (answer, citations) = self.citer.take();
        let cited: HashSet<usize> = citations.iter().map(|citation| citation.answer_start).collect();
        self.models.note_citations(&self.ctx, done.call_id, cited.len(), sentences(&answer).len());
        self.ready.push_back(AskEvent::Done(Box::new(AskDone {
            answer,
            call_id: Some(done.call_id),
            model,
            usage: AskUsage {
                input_tokens: done.usage.input_tokens,
                cached_input_tokens: done.usage.cached_input_tokens,
                output_tokens: done.usage.output_tokens,
            },
            cost: done.cost,
            first_token_ms: self.first_token_ms,
            duration_ms: self.elapsed_ms(),
            finish_reason: done.finish_reason,
            citations,
        })));
    }

    fn fail(&mut self, error: Error) {
        self.chat = None;
        self.ready.push_back(AskEvent::Error(error));
    }

    fn elapsed_ms(&self) -> u64 {
        elapsed_ms(self.started)
    }
}

/// Whole milliseconds since `started`.
pub(super) fn elapsed_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What a model does before it writes, for a person who waits.
fn progress(event: &ChatEvent) -> Option<AskProgress> {
    let count = |number: usize| u64::try_from(number).ok();
    Some(match event {
        ChatEvent::Queued { position } => AskProgress {
            stage: AskStage::Queued,
            done: None,
            total: None,
            detail: match position {
                0 | 1 => "waiting for the model: one request is before this one".to_owned(),
                more => format!("waiting for the model: {more} requests are before this one"),
            },
        },
        ChatEvent::Loading => AskProgress {
            stage: AskStage::Loading,
            done: None,
            total: None,
            detail: "loading the model into memory".to_owned(),
        },
        ChatEvent::Reading { done, total } => AskProgress {
            stage: AskStage::Reading,
            done: count(*done),
            total: count(*total),
            detail: format!("reading the passages: {done} of {total} tokens"),
        },
        ChatEvent::Token { .. } | ChatEvent::Done(_) => return None,
    })
}
