//! Embedding texts.

use std::ops::Range;

use plasma_kernel::{CallId, Code, Ctx, Error, Result};

use crate::{
    ModelKind, Models, Priority, Purpose, TokenUsage,
    catalog::{RemoteModel, Target},
    cost, local,
    manifest::ModelEntry,
    prices::require_price,
    running_call::{CallError, CallStart, RunningCall},
    upstream::{Operation, Outgoing, RawObject, embeddings_answer, embeddings_usage},
};

/// Texts in one call.
pub(crate) const INPUTS_MAX: usize = local::TEXTS_MAX;
/// Bytes of all texts together.
pub(crate) const INPUT_BYTES_MAX: usize = 8 << 20;
/// Tokens that a model's special tokens take of its context.
const SPECIAL_TOKENS: usize = 2;
/// A token has at most about this many bytes on average, whatever the text: longer ones need not be counted.
const BYTES_PER_TOKEN_MAX: usize = 32;
/// Bytes of a text for a token, about: what limits of tokens reckon with until the provider has counted.
const BYTES_PER_TOKEN_ABOUT: u64 = 4;

/// Texts to embed.
#[derive(Clone, Debug)]
pub struct EmbedRequest {
    /// A model's name; `None` for the default embedding model.
    pub model: Option<String>,
    /// At most 2,048, none empty, 8 MiB together. A local model reads a long one's beginning; with [`Purpose::Api`] or
    /// [`Purpose::Batch`] a text that it would cut is refused.
    pub inputs: Vec<String>,
    /// What the call is made for; it also decides which permission is needed.
    pub purpose: Purpose,
    /// Which work goes first at a local model.
    pub priority: Priority,
}

/// Vectors in the order of the texts.
#[derive(Clone, Debug)]
pub struct Embeddings {
    /// One for each text, all of the same length.
    pub vectors: Vec<Vec<f32>>,
    /// The name of the model that made them.
    pub model: String,
    /// Tokens read; 0 when the provider does not say.
    pub input_tokens: u64,
    /// The record in the call log.
    pub call_id: CallId,
}

/// Counts tokens as an embedding model does. Cheap to clone and to call from any thread.
#[derive(Clone)]
pub enum TokenCounter {
    /// By the model's own tokenizer.
    Exact(local::TokenCounter),
    /// For a provider's model, whose tokenizer is not known: four ASCII letters of a word, or one other character, count as
    /// a token. Real tokenizers need about as many or fewer.
    Estimated,
}

impl TokenCounter {
    /// Number of tokens of a text, without special tokens.
    ///
    /// # Errors
    /// `internal` if the tokenizer fails.
    pub fn count(&self, text: &str) -> Result<usize> {
        match self {
            Self::Exact(counter) => counter.count(text),
            Self::Estimated => Ok(estimated_offsets(text).len()),
        }
    }

    /// Where each token stands in the text, as byte ranges in ascending order.
    ///
    /// # Errors
    /// `internal` if the tokenizer fails.
    pub fn offsets(&self, text: &str) -> Result<Vec<Range<usize>>> {
        match self {
            Self::Exact(counter) => counter.offsets(text),
            Self::Estimated => Ok(estimated_offsets(text)),
        }
    }
}

fn estimated_offsets(text: &str) -> Vec<Range<usize>> {
    const LETTERS_PER_TOKEN: usize = 4;
    let mut tokens: Vec<Range<usize>> = Vec::new();
    // Whether the last token is a part of a word and may grow.
    let mut grows = false;
    for (start, letter) in text.char_indices() {
        let end = start + letter.len_utf8();
        let in_word = letter.is_ascii_alphanumeric();
        match tokens.last_mut() {
            Some(token) if grows && in_word && token.len() < LETTERS_PER_TOKEN => token.end = end,
            _ if letter.is_whitespace() => {}
            _ => tokens.push(start..end),
        }
        grows = in_word;
    }
    tokens
}

impl Models {
    /// Embeds texts.
    ///
    /// Work of a local model for a search or for ingestion costs nothing and is not a client's answer: its record is
    /// written a moment later. Every other call returns when its record is durable.
    ///
    /// # Errors
    /// `forbidden` without the permission of the purpose, `invalid` or `too_large` naming the field, `not_found`
    /// (`model_not_found`), `unavailable` when the weights are missing, `rate_limited`, `timeout`, `upstream`.
    pub async fn embed(&self, ctx: &Ctx, request: EmbedRequest) -> Result<Embeddings> {
        let target = self.embed_target(ctx, &request).await?;
        self.embed_with(ctx, target, request).await.map_err(|error| error.error)
    }

    async fn embed_target(&self, ctx: &Ctx, request: &EmbedRequest) -> Result<Target> {
        ctx.require(request.purpose.permission())?;
        self.resolve(ctx, request.model.as_deref(), ModelKind::Embedding).await
    }

    /// The same when the name has been resolved already.
    pub(crate) async fn embed_with(
        &self,
        ctx: &Ctx,
        target: Target,
        request: EmbedRequest,
    ) -> Result<Embeddings, CallError> {
        check_inputs(&request.inputs)?;
        match target {
            Target::Local(entry) => self.embed_locally(ctx, &entry, request).await,
            Target::Remote(remote) => self.embed_remotely(ctx, &remote, request).await,
        }
    }

    async fn embed_locally(
        &self,
        ctx: &Ctx,
        entry: &ModelEntry,
        request: EmbedRequest,
    ) -> Result<Embeddings, CallError> {
        let start = CallStart {
            model: entry.id.clone(),
            kind: ModelKind::Embedding,
            purpose: request.purpose,
            streamed: false,
            price: Some(cost::free()),
        };
        let mut call = RunningCall::start(&self.inner.calls, ctx, start)?;
        let call_id = call.id();
        let work = async {
            if matches!(request.purpose, Purpose::Api | Purpose::Batch) {
                self.refuse_long_inputs(entry, &request.inputs).await?;
            }
            self.inner.local.embed(&entry.key(), request.inputs, request.priority).await
        };
        let embeddings = match work.await {
            Ok(embeddings) => embeddings,
            Err(error) => return Err(CallError::of(call, error).await),
        };
        call.counts(TokenUsage { input_tokens: embeddings.input_tokens, ..TokenUsage::default() });
        if matches!(request.purpose, Purpose::Search | Purpose::Ingest) {
            call.succeed_without_waiting();
        } else {
            call.succeed().await.map_err(|error| CallError { call_id: Some(call_id), error })?;
        }
        let local::Embeddings { vectors, input_tokens } = embeddings;
        Ok(Embeddings { vectors, model: entry.id.clone(), input_tokens, call_id })
    }

    /// A client that is not told would compare texts by their beginnings.
    async fn refuse_long_inputs(&self, entry: &ModelEntry, inputs: &[String]) -> Result<()> {
        let counter = self.inner.local.token_counter(&entry.key()).await?;
        let tokens_max = entry.context_length.saturating_sub(SPECIAL_TOKENS);
        // No text of so few bytes has more tokens.
        let suspects: Vec<(usize, String)> =
            inputs.iter().cloned().enumerate().filter(|(_, input)| input.len() > tokens_max).collect();
        if suspects.is_empty() {
            return Ok(());
        }
        let name = entry.id.clone();
        let check = move || {
            for (index, input) in suspects {
                let tokens = if input.len() > tokens_max * BYTES_PER_TOKEN_MAX {
                    format!("{} bytes", input.len())
                } else {
                    match counter.count(&input)? {
                        tokens if tokens <= tokens_max => continue,
                        tokens => format!("{tokens} tokens"),
                    }
                };
                let message = format!("the text has {tokens}, but `{name}` reads at most {tokens_max} tokens");
                return Err(Error::new(Code::Invalid, "input_too_long", message)
                    .field(format!("input[{index}]"))
                    .remedy("split it into passages and embed each"));
            }
            Ok(())
        };
        tokio::task::spawn_blocking(check).await.map_err(|error| Error::from_source("counting tokens failed", error))?
    }

    async fn embed_remotely(
        &self,
        ctx: &Ctx,
        remote: &RemoteModel,
        request: EmbedRequest,
    ) -> Result<Embeddings, CallError> {
        let mut body = RawObject::default();
        body.set("input", &request.inputs)?;
        body.set("encoding_format", &"float")?;
        let (call, answer) = self.post_embeddings(ctx, remote, request.purpose, body).await?;
        let call_id = call.id();
        let vectors = match embeddings_answer(&answer, request.inputs.len()).and_then(|vectors| remote.fit(vectors)) {
            Ok(vectors) => vectors,
            Err(error) => return Err(CallError::of(call, error).await),
        };
        let finished = call.succeed().await.map_err(|error| CallError { call_id: Some(call_id), error })?;
        Ok(Embeddings { vectors, model: remote.id.clone(), input_tokens: finished.usage.input_tokens, call_id })
    }

    /// Posts `body` to the provider of `remote` and reads the whole answer. The call is still open: the caller ends it.
    async fn post_embeddings(
        &self,
        ctx: &Ctx,
        remote: &RemoteModel,
        purpose: Purpose,
        mut body: RawObject,
    ) -> Result<(RunningCall, RawObject), CallError> {
        body.set("model", &remote.upstream_name)?;
        let outgoing = Outgoing {
            endpoint: &remote.endpoint,
            operation: Operation::OpenAi("/embeddings"),
            model: &remote.upstream_name,
            body: body.to_json()?,
            header: None,
        };
        let start = CallStart {
            model: remote.id.clone(),
            kind: ModelKind::Embedding,
            purpose,
            streamed: false,
            price: remote.price.clone(),
        };
        let mut call = RunningCall::start(&self.inner.calls, ctx, start)?;
        let ready = async {
            let price = require_price(remote)?;
            // A token has at least one byte; a list of token ids has more bytes than tokens.
            let tokens_max = outgoing.body.len() as u64;
            let admission = self.admit(ctx, tokens_max / BYTES_PER_TOKEN_ABOUT).await?;
            let provider = self.admit_provider(ctx, remote.provider_id, tokens_max / BYTES_PER_TOKEN_ABOUT).await?;
            let reservation = match price.worst_case(tokens_max, 0) {
                Some(worst_case) => self.reserve(ctx, None, &worst_case).await?,
                None => None,
            };
            Ok((admission, provider, reservation))
        };
        match ready.await {
            Ok((admission, provider, reservation)) => {
                call.admitted(admission);
                call.reserved(reservation, Some(provider));
            }
            Err(error) => return Err(CallError::of(call, error).await),
        }
        let outcome = self.inner.client.post_object(outgoing).await;
        match outcome.and_then(|answer| Ok((embeddings_usage(&answer)?, answer))) {
            Ok((usage, answer)) => {
                if let Some(usage) = usage {
                    call.counts(usage);
                }
                Ok((call, answer))
            }
            Err(error) => Err(CallError::of(call, error).await),
        }
    }

    /// Passes a request of OpenAI's format on and returns the answer's JSON, with the model's name as the caller knows it.
    pub(crate) async fn pass_embeddings(
        &self,
        ctx: &Ctx,
        remote: &RemoteModel,
        purpose: Purpose,
        body: RawObject,
    ) -> Result<(CallId, String), CallError> {
        let (call, mut answer) = self.post_embeddings(ctx, remote, purpose, body).await?;
        let call_id = call.id();
        answer.set("model", &remote.id)?;
        let json = answer.to_json()?;
        call.succeed().await.map_err(|error| CallError { call_id: Some(call_id), error })?;
        Ok((call_id, json))
    }

    /// The length of an embedding model's vectors, when it is known before the first call: of local models, and of a
    /// provider's where it was given.
    ///
    /// # Errors
    /// `not_found` (`model_not_found`), `invalid` for a chat model.
    pub async fn embedding_dimensions(&self, ctx: &Ctx, model: &str) -> Result<Option<usize>> {
        Ok(match self.resolve(ctx, Some(model), ModelKind::Embedding).await? {
            Target::Local(entry) => entry.dimensions,
            Target::Remote(remote) => remote.dimensions.map(|dimensions| dimensions as usize),
        })
    }

    /// Counts tokens as the embedding model `model` does; loads only its tokenizer.
    ///
    /// # Errors
    /// `not_found` (`model_not_found`), `invalid` for a chat model, `unavailable` when a local model's files are missing.
    pub async fn token_counter(&self, ctx: &Ctx, model: &str) -> Result<TokenCounter> {
        Ok(match self.resolve(ctx, Some(model), ModelKind::Embedding).await? {
            Target::Local(entry) => TokenCounter::Exact(self.inner.local.token_counter(&entry.key()).await?),
            Target::Remote(_) => TokenCounter::Estimated,
        })
    }
}

impl RemoteModel {
    /// Refuses vectors of another length than the model was added with: an index would take them for noise.
    fn fit(&self, vectors: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>> {
        match (self.dimensions, vectors.first().map(Vec::len)) {
            (Some(expected), Some(actual)) if expected as usize != actual => Err(Error::new(
                Code::Upstream,
                "provider_answer_invalid",
                format!("`{}` answered with vectors of {actual} numbers, but was added with {expected}", self.id),
            )
            .remedy("add the model with the right dimensions")),
            _ => Ok(vectors),
        }
    }
}

/// The limits of a call; also of one that is passed on.
pub(crate) fn check_inputs(inputs: &[String]) -> Result<()> {
    if inputs.is_empty() {
        return Err(Error::invalid("input", "at least one text is needed"));
    }
    if inputs.len() > INPUTS_MAX {
        return Err(Error::too_large(
            "input",
            format!("{} texts, the limit is {INPUTS_MAX} in one call", inputs.len()),
        ));
    }
    if let Some(index) = inputs.iter().position(String::is_empty) {
        return Err(Error::invalid(format!("input[{index}]"), "is empty"));
    }
    let bytes: usize = inputs.iter().map(String::len).sum();
    if bytes > INPUT_BYTES_MAX {
        return Err(Error::too_large(
            "input",
            format!("{bytes} bytes of text, the limit is {INPUT_BYTES_MAX} in one call"),
        ));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn estimated_tokens_lie_on_characters_and_in_order() {
        let text = "Tokenization, naïve: 語彙 x";
        let counter = TokenCounter::Estimated;
        let pieces: Vec<&str> = counter.offsets(text).unwrap().into_iter().map(|range| &text[range]).collect();
        assert_eq!(pieces, ["Toke", "niza", "tion", ",", "na", "ï", "ve", ":", "語", "彙", "x"]);
        assert_eq!(counter.count(text).unwrap(), pieces.len());
        assert_eq!(counter.count(" \n ").unwrap(), 0);
    }

    #[test]
    fn inputs_have_limits() {
        let field = |inputs: &[String]| check_inputs(inputs).unwrap_err().field_name().unwrap().to_owned();
        assert_eq!(field(&[]), "input");
        assert_eq!(field(&["a".to_owned(), String::new()]), "input[1]");
        assert_eq!(field(&vec!["a".to_owned(); INPUTS_MAX + 1]), "input");
        assert_eq!(field(&["a".repeat(INPUT_BYTES_MAX), "b".to_owned()]), "input");
        check_inputs(&vec!["a".to_owned(); INPUTS_MAX]).unwrap();
    }
}
