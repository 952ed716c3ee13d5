//! One attempt: a question put to one candidate, up to the first piece of its answer.

use plasma_kernel::{Code, Error, Result};
use plasma_protocols::{
    Losses, Protocol, anthropic, bedrock,
    chat::{Answer, Collector, Delta, PartStart, Usage},
    gemini, openai_chat, openai_responses, write_sse_event,
};

use super::{
    Asked, Question,
    exchange::{Step, Whole},
    local_source::{LocalSource, LocalStep, into_local_request},
    rename,
    request::Prepared,
};
use crate::{
    Models, TokenUsage,
    catalog::{RemoteModel, Target},
    manifest::ModelEntry,
    running_call::RunningCall,
    upstream::{Frame, Operation, Outgoing, UpstreamStream},
};

/// What came of an attempt that worked.
pub(super) enum Opened {
    Whole(Whole),
    /// Pieces to come, after those that came already.
    Source(Source, Vec<Step>),
}

/// Where the pieces of an answer come from.
pub(super) enum Source {
    Local(LocalSource),
    Remote(Box<RemoteSource>),
    /// The steps of an answer of the cache.
    Cached(std::vec::IntoIter<Vec<Delta>>),
}

/// A stream of a provider.
pub(super) struct RemoteSource {
    stream: UpstreamStream,
    /// Whether its events may go to the caller as they are.
    same_protocol: bool,
    model: String,
    names: rename::EventNames,
    /// What ends the stream, after what has come before it.
    failed: Option<Error>,
}

/// Bytes of events that go on together when they have come together.
const PASSED_BYTES_MAX: usize = 16 << 10;

/// What an attempt is made with.
pub(super) struct Attempt<'a> {
    pub(super) models: &'a Models,
    pub(super) question: &'a Question,
    pub(super) call: &'a mut RunningCall,
    /// Replaced by the losses of this attempt's translation.
    pub(super) losses: &'a mut Losses,
    /// The limit of the answer that a budget needs and the caller did not set.
    pub(super) output_tokens_max: Option<u64>,
}

impl Attempt<'_> {
    /// Asks `target` and waits for the first piece of its answer (a local model's progress counts as one), or for all of it.
    pub(super) async fn run(mut self, target: &Target) -> Result<Opened> {
        match target {
            Target::Local(entry) => self.ask_local(entry).await,
            Target::Remote(remote) if self.question.streamed => self.ask_streamed(remote).await,
            Target::Remote(remote) => self.ask_whole(remote).await,
        }
    }

    async fn ask_local(&mut self, entry: &ModelEntry) -> Result<Opened> {
        let (request, losses) = self.question.translated()?;
        let request =
            into_local_request(request, &losses, entry).map_err(|error| self.question.in_callers_words(error))?;
        *self.losses = losses;
        let source = Source::Local(LocalSource::start(self.models, entry, request)?);
        if self.question.streamed {
            return Ok(Opened::Source(source, Vec::new()));
        }
        let mut source = source;
        let mut collector = Collector::default();
        while let Some(step) = source.next(self.call).await? {
            if let Step::Deltas(deltas) = step {
                deltas.into_iter().for_each(|delta| collector.push(delta));
            }
        }
        let answer = collector.finish();
        self.call.has_whole(&answer);
        Ok(Opened::Whole(Whole::Translated(answer)))
    }

    async fn ask_whole(&mut self, remote: &RemoteModel) -> Result<Opened> {
        let mut prepared = self.prepare(remote, false)?;
        let json = loop {
            let outgoing = self.outgoing(remote, &prepared, false)?;
            match self.models.inner.client.post_whole(outgoing).await {
                Err(error) if self.rewords(&mut prepared, &error)? => {}
                outcome => break outcome?,
            }
        };
        let mut answer = read_answer(remote, prepared.protocol, &json)?;
        if let Some(usage) = answer.usage {
            self.call.counts(TokenUsage::from(usage));
        }
        self.call.has_whole(&answer);
        *self.losses = prepared.losses;
        if prepared.same_protocol {
            return Ok(Opened::Whole(Whole::Raw(rename::answer(prepared.protocol, &json, &remote.id)?)));
        }
        answer.model.clone_from(&remote.id);
        Ok(Opened::Whole(Whole::Translated(answer)))
    }

    async fn ask_streamed(&mut self, remote: &RemoteModel) -> Result<Opened> {
        let mut prepared = self.prepare(remote, true)?;
        let stream = loop {
            let outgoing = self.outgoing(remote, &prepared, true)?;
            match self.models.inner.client.post_stream(outgoing).await {
                Err(error) if self.rewords(&mut prepared, &error)? => {}
                outcome => break outcome?,
            }
        };
        *self.losses = prepared.losses;
        // Within what was set aside, or an unfinished answer could cost more than its worst case.
        let input_tokens = self.question.tokens_about()?.min(self.question.input_tokens_max()?);
        self.call.streams(input_tokens, self.question.output_tokens_max()?);
        let mut source = Source::Remote(Box::new(RemoteSource {
            names: rename::EventNames::new(stream.protocol(), &remote.id, self.question.wants_usage()?),
            stream,
            same_protocol: prepared.same_protocol,
            model: remote.id.clone(),
            failed: None,
        }));
        // Held back until there is content, so that a stream that breaks before can be replaced by another.
        let mut held = Vec::new();
        while !held.iter().any(Step::has_content) {
            match source.next(self.call).await? {
                Some(step) => held.push(step),
                None => break,
            }
        }
        Ok(Opened::Source(source, held))
    }

    fn prepare(&self, remote: &RemoteModel, streamed: bool) -> Result<Prepared> {
        self.question.prepare(remote, streamed, self.output_tokens_max)
    }

    fn outgoing<'b>(&self, remote: &'b RemoteModel, prepared: &Prepared, streamed: bool) -> Result<Outgoing<'b>> {
        let header = match &self.question.asked {
            Asked::Client { header, .. } if prepared.same_protocol => header.clone(),
            _ => None,
        };
        Ok(Outgoing {
            endpoint: &remote.endpoint,
            operation: Operation::Chat(prepared.protocol, streamed),
            model: &remote.upstream_name,
            body: prepared.body.to_json()?,
            header,
        })
    }

    fn rewords(&self, prepared: &mut Prepared, error: &Error) -> Result<bool> {
        Ok(error.code() == Code::Invalid && prepared.reword(self.question, error.message())?)
    }
}

fn read_answer(remote: &RemoteModel, protocol: Protocol, json: &str) -> Result<Answer> {
    match protocol {
        Protocol::OpenAiChat => openai_chat::read_answer(json),
        Protocol::OpenAiResponses => openai_responses::read_answer(json),
        Protocol::Anthropic => anthropic::read_answer(json),
        Protocol::Gemini => gemini::read_answer(json),
        Protocol::Bedrock => bedrock::read_answer(json),
    }
    .map_err(|wrong| remote.endpoint.wrong(wrong))
}

impl Source {
    /// The next step; `None` when the answer is complete.
    pub(super) async fn next(&mut self, call: &mut RunningCall) -> Result<Option<Step>> {
        match self {
            Self::Local(source) => Ok(source.next(call).await?.map(|step| match step {
                LocalStep::Progress(event) => Step::Progress(event),
                LocalStep::Deltas(deltas) | LocalStep::Last(deltas) => {
                    observe(call, &deltas);
                    Step::Deltas(deltas)
                }
            })),
            Self::Remote(source) => source.next(call).await,
            Self::Cached(steps) => {
                let step = steps.next();
                if step.is_some() {
                    call.has_token();
                }
                Ok(step.map(Step::Deltas))
            }
        }
    }
}

impl RemoteSource {
    async fn next(&mut self, call: &mut RunningCall) -> Result<Option<Step>> {
        loop {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            let Some(mut frame) = self.stream.next().await? else { return Ok(None) };
            if self.same_protocol {
                let step = self.pass(frame, call);
                if step.is_some() {
                    return Ok(step);
                }
                continue;
            }
            observe(call, &frame.deltas);
            for delta in &mut frame.deltas {
                if let Delta::Start { model, .. } = delta {
                    model.clone_from(&self.model);
                }
            }
            return Ok(Some(Step::Deltas(frame.deltas)));
        }
    }

    /// `first` and the events that have come with it, for the caller; `None` when the caller is to see nothing of them.
    fn pass(&mut self, first: Frame, call: &mut RunningCall) -> Option<Step> {
        let mut text = String::new();
        let mut has_content = false;
        let mut next = Ok(Some(first));
        loop {
            let outcome = next.and_then(|frame| {
                let Some(frame) = frame else { return Ok(false) };
                observe(call, &frame.deltas);
                has_content |= frame.deltas.iter().any(is_content);
                if let Some(event) = frame.event
                    && let Some(data) = self.names.rename(&event)?
                {
                    write_sse_event(event.name.as_deref(), &data, &mut text);
                }
                Ok(text.len() < PASSED_BYTES_MAX)
            });
            match outcome {
                Ok(true) => next = self.stream.ready(),
                Ok(false) => break,
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        (!text.is_empty()).then_some(Step::Raw { text, has_content })
    }
}

/// What the call's record learns from the pieces of an answer.
fn observe(call: &mut RunningCall, deltas: &[Delta]) {
    call.has_pieces(deltas);
    for delta in deltas {
        if is_content(delta) {
            call.has_token();
        }
        if let Delta::Append { text, .. } = delta {
            call.has_text(text.len());
        }
        if let Delta::Usage(usage) = delta {
            call.counts(TokenUsage::from(*usage));
        }
    }
}

/// Whether a piece is something of the answer itself.
pub(super) fn is_content(delta: &Delta) -> bool {
    match delta {
        Delta::Append { .. } => true,
        Delta::Open { part, .. } => matches!(part, PartStart::ToolCall { .. } | PartStart::Whole(_)),
        _ => false,
    }
}

impl From<Usage> for TokenUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            output_tokens: usage.output_tokens,
            reasoning_tokens: usage.reasoning_tokens,
        }
    }
}
