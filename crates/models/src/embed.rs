//! Embedding texts.

mod known;
mod remote;

use std::ops::Range;

use plasma_kernel::{CallId, Code, Ctx, Error, Result};

pub(crate) use self::remote::Passed;
use crate::{
    ModelKind, Models, Priority, Purpose, TokenUsage,
    caches::{CacheWish, VectorMaker},
    catalog::Target,
    cost, local,
    manifest::ModelEntry,
    running_call::{CallError, CallStart, RunningCall},
};

/// Texts in one call.
pub(crate) const INPUTS_MAX: usize = local::TEXTS_MAX;
/// Bytes of all texts together.
pub(crate) const INPUT_BYTES_MAX: usize = 8 << 20;
/// Tokens that a model's special tokens take of its context.
const SPECIAL_TOKENS: usize = 2;
/// A token has at most about this many bytes on average, whatever the text: longer ones need not be counted.
const BYTES_PER_TOKEN_MAX: usize = 32;

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
    /// Tokens read, with those that known texts took the first time; 0 when the provider does not say.
    pub input_tokens: u64,
    /// The record in the call log.
    pub call_id: CallId,
}

/// Vectors, and what the cache had to do with them.
pub(crate) struct Embedded {
    pub(crate) embeddings: Embeddings,
    /// For the answer's header; `None` where the cache had nothing to do with them.
    pub(crate) cache: Option<String>,
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
    /// Embeds texts. What the workspace has had embedded before by the same model is given again and costs nothing, where its cache
    /// is on.
    ///
    /// Work of a local model for a search or for ingestion costs nothing and is not a client's answer: its record is
    /// written a moment later. Every other call returns when its record is durable.
    ///
    /// # Errors
    /// `forbidden` without the permission of the purpose, `invalid` or `too_large` naming the field, `not_found`
    /// (`model_not_found`), `unavailable` when the weights are missing, `rate_limited`, `timeout`, `upstream`.
    pub async fn embed(&self, ctx: &Ctx, request: EmbedRequest) -> Result<Embeddings> {
        let target = self.embed_target(ctx, &request).await?;
        let embedded = self.embed_with(ctx, target, request, CacheWish::Use).await;
        embedded.map(|embedded| embedded.embeddings).map_err(|error| error.error)
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
        wish: CacheWish,
    ) -> Result<Embedded, CallError> {
        check_inputs(&request.inputs)?;
        // Boxed: one of the two is there, and callers must not carry the weight of both.
        match target {
            Target::Local(entry) => Box::pin(self.embed_locally(ctx, &entry, request, wish)).await,
            Target::Remote(remote) => Box::pin(self.embed_remotely(ctx, &remote, request, wish)).await,
        }
    }

    async fn embed_locally(
        &self,
        ctx: &Ctx,
        entry: &ModelEntry,
        request: EmbedRequest,
        wish: CacheWish,
    ) -> Result<Embedded, CallError> {
        let EmbedRequest { inputs, purpose, priority, .. } = request;
        let start = CallStart {
            model: entry.id.clone(),
            kind: ModelKind::Embedding,
            purpose,
            streamed: false,
            price: Some(cost::free()),
        };
        let mut call = RunningCall::start(&self.inner.calls, ctx, start).await?;
        let call_id = call.id();
        let work = async {
            if matches!(purpose, Purpose::Api | Purpose::Batch) {
                self.refuse_long_inputs(entry, &inputs).await?;
            }
            let lookup = self.look_up_texts(ctx, VectorMaker::local(entry), &inputs, wish).await?;
            let missing = lookup.missing_of(inputs);
            let (new, input_tokens) = if missing.is_empty() {
                (Vec::new(), 0)
            } else {
                let embeddings = self.inner.local.embed(&entry.key(), missing, priority).await?;
                (embeddings.vectors, embeddings.input_tokens)
            };
            let vectors = lookup.complete(&self.inner.caches, new)?;
            Ok((lookup, vectors, input_tokens))
        };
        let (lookup, vectors, input_tokens) = match work.await {
            Ok(embedded) => embedded,
            Err(error) => return Err(CallError::of(call, error).await),
        };
        call.counts(TokenUsage { input_tokens, ..TokenUsage::default() });
        let waits = !matches!(purpose, Purpose::Search | Purpose::Ingest);
        let input_tokens = input_tokens.saturating_add(lookup.known_tokens());
        let (_, cache) = self.finish_embedding(ctx, call, lookup, &vectors, waits).await?;
        let embeddings = Embeddings { vectors, model: entry.id.clone(), input_tokens, call_id };
        Ok(Embedded { embeddings, cache })
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

    /// By what vectors of an embedding model are told from those of others: its weights and precision, or the provider's address and name
    /// of it. It may differ between versions of the program for the same model, never be the same for two.
    ///
    /// # Errors
    /// `not_found` (`model_not_found`), `invalid` for a chat model.
    pub async fn embedding_identity(&self, ctx: &Ctx, model: &str) -> Result<[u8; 32]> {
        Ok(match self.resolve(ctx, Some(model), ModelKind::Embedding).await? {
            Target::Local(entry) => VectorMaker::local(&entry).identity(),
            Target::Remote(remote) => VectorMaker::remote(&remote, &[]).identity(),
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
