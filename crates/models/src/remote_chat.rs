//! A chat at a provider, chunk by chunk: under the typed stream of [`crate::ChatStream`] and under `/v1`.

use plasma_kernel::{CallId, Code, Ctx, Result};

use crate::{
    ModelKind, Models, Purpose, TokenUsage,
    catalog::RemoteModel,
    openai::{Chunk, ChunkStream, Endpoint, OpenAiClient, RawObject},
    running_call::{CallError, CallStart, Finished, RunningCall},
};

const CHAT_PATH: &str = "/chat/completions";

/// A chat at a provider. The request goes out with the first [`RemoteChat::next`].
pub(crate) struct RemoteChat {
    client: OpenAiClient,
    endpoint: Endpoint,
    /// What to send, until it is sent.
    request: Option<RawObject>,
    chunks: Option<ChunkStream>,
    call_id: CallId,
    /// `None` when the chat has ended.
    call: Option<RunningCall>,
    /// Whether the caller wants usage in the stream; we ask the provider for it in any case, for the call log.
    usage_wanted: bool,
    /// Whether the request is ours to reword, and not a client's to pass on.
    is_ours: bool,
}

pub(crate) enum RemoteStep {
    Chunk(Chunk),
    /// The answer is complete, and its record durable.
    Done(Finished),
}

impl RemoteChat {
    /// `request` is the body in OpenAI's format; model and streaming are set here.
    pub(crate) fn start(
        models: &Models,
        ctx: &Ctx,
        remote: &RemoteModel,
        purpose: Purpose,
        mut request: RawObject,
    ) -> Result<Self> {
        let mut options: RawObject = request.get("stream_options")?.unwrap_or_default();
        let usage_wanted = options.text("include_usage") == Some("true");
        options.set("include_usage", &true)?;
        request.set("stream_options", &options)?;
        request.set("stream", &true)?;
        request.set("model", &remote.upstream_name)?;
        let call = RunningCall::start(&models.inner.calls, ctx, remote.call_start(purpose, true))?;
        Ok(Self {
            client: models.inner.client.clone(),
            endpoint: remote.endpoint.clone(),
            request: Some(request),
            chunks: None,
            call_id: call.id(),
            call: Some(call),
            usage_wanted,
            is_ours: purpose != Purpose::Api,
        })
    }

    pub(crate) fn call_id(&self) -> CallId {
        self.call_id
    }

    pub(crate) fn usage_wanted(&self) -> bool {
        self.usage_wanted
    }

    /// The next chunk, the end, or the error after which nothing follows.
    pub(crate) async fn next(&mut self) -> Option<Result<RemoteStep>> {
        self.call.as_ref()?;
        let outcome = self.advance().await;
        if let Ok(Some(chunk)) = outcome {
            let call = self.call.as_mut()?;
            if chunk.has_content {
                call.has_token();
            }
            if let Some(usage) = chunk.usage {
                call.counts(usage);
            }
            return Some(Ok(RemoteStep::Chunk(chunk)));
        }
        // Closes the connection before the record is awaited.
        self.chunks = None;
        let call = self.call.take()?;
        Some(match outcome {
            Ok(_) => call.succeed().await.map(RemoteStep::Done),
            Err(error) => Err(call.fail(error).await),
        })
    }

    async fn advance(&mut self) -> Result<Option<Chunk>> {
        if let Some(request) = self.request.take() {
            self.chunks = Some(self.connect(request).await?);
        }
        match &mut self.chunks {
            Some(chunks) => chunks.next().await,
            None => Ok(None),
        }
    }

    async fn connect(&self, mut request: RawObject) -> Result<ChunkStream> {
        loop {
            match self.client.post_stream(&self.endpoint, CHAT_PATH, request.to_json()?).await {
                Err(error) if error.code() == Code::Invalid && self.reword(&mut request, error.message())? => {}
                outcome => return outcome,
            }
        }
    }

    /// Takes back what we wrote into the request and the server does not know, as its refusal says; each only once.
    fn reword(&self, request: &mut RawObject, refusal: &str) -> Result<bool> {
        if !self.usage_wanted && refusal.contains("stream_options") && request.has("stream_options") {
            // The call's tokens stay unknown then.
            request.remove("stream_options");
            return Ok(true);
        }
        // OpenAI's reasoning models know the limit by its newer name only, many other servers by its older one only.
        if self.is_ours && refusal.contains("max_completion_tokens") {
            let limit: Option<u32> = request.get("max_tokens")?;
            request.remove("max_tokens");
            request.set_some("max_completion_tokens", limit)?;
            return Ok(limit.is_some());
        }
        Ok(false)
    }
}

impl RemoteModel {
    fn call_start(&self, purpose: Purpose, streamed: bool) -> CallStart {
        CallStart { model: self.id.clone(), kind: self.kind, purpose, streamed, price: self.price.clone() }
    }
}

/// A whole answer of a provider, as JSON text.
pub(crate) struct WholeAnswer {
    pub(crate) call: RunningCall,
    pub(crate) answer: RawObject,
}

/// How to read from an answer what it used.
type UsageOf = fn(&RawObject) -> Result<Option<TokenUsage>>;

impl Models {
    /// Posts `body` to the provider of `remote` and reads the whole answer. The call is still open: the caller ends it.
    pub(crate) async fn post_whole(
        &self,
        ctx: &Ctx,
        remote: &RemoteModel,
        purpose: Purpose,
        mut body: RawObject,
        usage_of: UsageOf,
    ) -> Result<WholeAnswer, CallError> {
        let path = match remote.kind {
            ModelKind::Chat => CHAT_PATH,
            ModelKind::Embedding => "/embeddings",
        };
        body.set("model", &remote.upstream_name)?;
        let body = body.to_json()?;
        let mut call = RunningCall::start(&self.inner.calls, ctx, remote.call_start(purpose, false))?;
        let outcome = self.inner.client.post_json(&remote.endpoint, path, body).await;
        match outcome.and_then(|answer| Ok((usage_of(&answer)?, answer))) {
            Ok((usage, answer)) => {
                if let Some(usage) = usage {
                    call.counts(usage);
                }
                Ok(WholeAnswer { call, answer })
            }
            Err(error) => Err(CallError::of(call, error).await),
        }
    }

    /// Passes a request of OpenAI's format on and returns the answer's JSON, with the model's name as the caller knows it.
    pub(crate) async fn pass_whole(
        &self,
        ctx: &Ctx,
        remote: &RemoteModel,
        body: RawObject,
        usage_of: UsageOf,
    ) -> Result<(CallId, String), CallError> {
        let WholeAnswer { call, mut answer } = self.post_whole(ctx, remote, Purpose::Api, body, usage_of).await?;
        let call_id = call.id();
        answer.set("model", &remote.id)?;
        let json = answer.to_json()?;
        call.succeed().await.map_err(|error| CallError { call_id: Some(call_id), error })?;
        Ok((call_id, json))
    }
}
