//! Embedding texts with models of providers.

use plasma_kernel::{CallId, Code, Ctx, Error, Result};

use super::{EmbedRequest, Embedded, Embeddings, known::Lookup};
use crate::{
    ModelKind, Models, Purpose,
    budgets::Reservation,
    caches::{CacheWish, VectorMaker},
    catalog::RemoteModel,
    limits::Admission,
    prices::require_price,
    running_call::{CallError, CallStart, RunningCall},
    upstream::{Operation, Outgoing, RawObject, embeddings_answer, embeddings_usage},
};

/// Bytes of a text for a token, about: what limits of tokens reckon with until the provider has counted.
const BYTES_PER_TOKEN_ABOUT: u64 = 4;

/// The answer to a request in OpenAI's format.
pub(crate) enum Passed {
    /// The provider's own.
    Raw {
        call_id: CallId,
        /// JSON, with the model's name as the caller knows it.
        json: String,
        /// For the answer's header; `None` where the cache had nothing to do with it.
        cache: Option<String>,
    },
    /// Vectors that were known, or some of which were.
    Embedded(Embedded),
}

/// A call whose provider has answered, if it had to be asked. The caller ends it.
struct Posted {
    call: RunningCall,
    lookup: Lookup,
    /// `None` when all texts are known.
    answer: Option<RawObject>,
}

/// What must hold before a provider is asked, and what it is asked.
struct Ready {
    lookup: Lookup,
    admission: Admission,
    /// `None` when all texts are known.
    request: Option<Request>,
}

struct Request {
    /// JSON.
    body: String,
    admission: Admission,
    reservation: Option<Reservation>,
}

/// The texts of a request that the cache may know, and the model that embeds them.
struct Texts {
    all: Vec<String>,
    maker: VectorMaker,
    wish: CacheWish,
}

impl Models {
    pub(super) async fn embed_remotely(
        &self,
        ctx: &Ctx,
        remote: &RemoteModel,
        request: EmbedRequest,
        wish: CacheWish,
    ) -> Result<Embedded, CallError> {
        let mut body = RawObject::default();
        body.set("input", &request.inputs)?;
        body.set("encoding_format", &"float")?;
        let texts = Texts { all: request.inputs, maker: VectorMaker::remote(remote, &[]), wish };
        let posted = self.post_embeddings(ctx, remote, request.purpose, body, Some(texts)).await?;
        self.embedded(ctx, remote, posted).await
    }

    /// Passes a request of OpenAI's format on and returns the answer. Where some of its texts are known, the provider is asked for the
    /// rest only.
    pub(crate) async fn pass_embeddings(
        &self,
        ctx: &Ctx,
        remote: &RemoteModel,
        purpose: Purpose,
        body: RawObject,
        wish: CacheWish,
    ) -> Result<Passed, CallError> {
        let maker = VectorMaker::remote(remote, &deciding_fields(&body));
        let texts = texts_of(&body).map(|all| Texts { all, maker, wish });
        let posted = self.post_embeddings(ctx, remote, purpose, body, texts).await?;
        let Posted { call, lookup, answer } = posted;
        let mut answer = match answer {
            Some(answer) if lookup.found() == 0 => answer,
            answer => {
                let embedded = self.embedded(ctx, remote, Posted { call, lookup, answer }).await?;
                return Ok(Passed::Embedded(embedded));
            }
        };
        let call_id = call.id();
        // Where they cannot be read they are the caller's all the same.
        let vectors = if lookup.keeps() { embeddings_answer(&answer, lookup.missing()) } else { Ok(Vec::new()) };
        answer.set("model", &remote.id)?;
        let json = answer.to_json()?;
        let vectors = vectors.unwrap_or_default();
        let (_, cache) = self.finish_embedding(ctx, call, lookup, &vectors, true).await?;
        Ok(Passed::Raw { call_id, json, cache })
    }

    /// Ends a call with the vectors of all texts.
    async fn embedded(&self, ctx: &Ctx, remote: &RemoteModel, posted: Posted) -> Result<Embedded, CallError> {
        let Posted { call, lookup, answer } = posted;
        let call_id = call.id();
        let new = answer.map_or_else(|| Ok(Vec::new()), |answer| embeddings_answer(&answer, lookup.missing()));
        let all = new.and_then(|new| lookup.complete(&self.inner.caches, new)).and_then(|all| remote.fit(all));
        let vectors = match all {
            Ok(vectors) => vectors,
            Err(error) => return Err(CallError::of(call, error).await),
        };
        let known_tokens = lookup.known_tokens();
        let (finished, cache) = self.finish_embedding(ctx, call, lookup, &vectors, true).await?;
        let input_tokens = finished.usage.input_tokens.saturating_add(known_tokens);
        Ok(Embedded { embeddings: Embeddings { vectors, model: remote.id.clone(), input_tokens, call_id }, cache })
    }

    /// Posts `body` to the provider of `remote` and reads the whole answer. The call is still open: the caller ends it.
    async fn post_embeddings(
        &self,
        ctx: &Ctx,
        remote: &RemoteModel,
        purpose: Purpose,
        mut body: RawObject,
        texts: Option<Texts>,
    ) -> Result<Posted, CallError> {
        body.set("model", &remote.upstream_name)?;
        let start = CallStart {
            model: remote.id.clone(),
            kind: ModelKind::Embedding,
            purpose,
            streamed: false,
            price: remote.price.clone(),
        };
        let mut call = RunningCall::start(&self.inner.calls, ctx, start).await?;
        let Ready { lookup, admission, request } = match self.prepare_embeddings(ctx, remote, body, texts).await {
            Ok(ready) => ready,
            Err(error) => return Err(CallError::of(call, error).await),
        };
        call.admitted(admission);
        let Some(Request { body, admission, reservation }) = request else {
            return Ok(Posted { call, lookup, answer: None });
        };
        call.reserved(reservation, Some(admission));
        let outgoing = Outgoing {
            endpoint: &remote.endpoint,
            operation: Operation::OpenAi("/embeddings"),
            model: &remote.upstream_name,
            body,
            header: None,
        };
        let outcome = self.inner.client.post_object(outgoing).await;
        match outcome.and_then(|answer| Ok((embeddings_usage(&answer)?, answer))) {
            Ok((usage, answer)) => {
                if let Some(usage) = usage {
                    call.counts(usage);
                }
                Ok(Posted { call, lookup, answer: Some(answer) })
            }
            Err(error) => Err(CallError::of(call, error).await),
        }
    }

    /// What is checked before a call is checked before a hit too: whether the model has a price, the caller's limits, and whether
    /// the budgets would cover all texts. What is set aside then is for the texts that are not known.
    async fn prepare_embeddings(
        &self,
        ctx: &Ctx,
        remote: &RemoteModel,
        mut body: RawObject,
        texts: Option<Texts>,
    ) -> Result<Ready> {
        let price = require_price(remote)?;
        let mut json = body.to_json()?;
        let admission = self.admit(ctx, tokens_max(&json) / BYTES_PER_TOKEN_ABOUT).await?;
        let mut lookup = Lookup::outside_cache(ctx, &[]);
        if let Some(Texts { all, maker, wish }) = texts {
            if let Some(worst_case) = price.worst_case(tokens_max(&json), 0) {
                drop(self.reserve(ctx, None, &worst_case).await?);
            }
            lookup = self.look_up_texts(ctx, maker, &all, wish).await?;
            if lookup.missing() == 0 {
                return Ok(Ready { lookup, admission, request: None });
            }
            if lookup.found() > 0 {
                body.set("input", &lookup.missing_of(all))?;
                json = body.to_json()?;
            }
        }
        let tokens_max = tokens_max(&json);
        let provider = self.admit_provider(ctx, remote.provider_id, tokens_max / BYTES_PER_TOKEN_ABOUT).await?;
        let reservation = match price.worst_case(tokens_max, 0) {
            Some(worst_case) => self.reserve(ctx, None, &worst_case).await?,
            None => None,
        };
        Ok(Ready { lookup, admission, request: Some(Request { body: json, admission: provider, reservation }) })
    }
}

/// A token has at least one byte; a list of token ids has more bytes than tokens.
fn tokens_max(body: &str) -> u64 {
    body.len() as u64
}

/// The texts of a request in OpenAI's format. `None` where it has others than texts, or asks for vectors that are no lists of
/// numbers: then the cache has nothing to do with it.
fn texts_of(body: &RawObject) -> Option<Vec<String>> {
    if !matches!(body.text("encoding_format"), None | Some("\"float\"" | "\"base64\"")) {
        return None;
    }
    let input = body.text("input")?;
    let texts: Vec<String> = match input.starts_with('"') {
        true => vec![serde_json::from_str(input).ok()?],
        false => serde_json::from_str(input).ok()?,
    };
    (!texts.is_empty() && !texts.iter().any(String::is_empty)).then_some(texts)
}

/// What of a request decides the vectors besides the model and the texts, as the client wrote it.
fn deciding_fields(body: &RawObject) -> Vec<(&str, &str)> {
    const OTHERS: [&str; 4] = ["model", "input", "user", "encoding_format"];
    let mut fields: Vec<(&str, &str)> = body.fields().filter(|(name, _)| !OTHERS.contains(name)).collect();
    // Numbers are the same in both forms, unless a field that is not known here says that they are something else.
    if fields.iter().any(|(name, _)| *name != "dimensions") {
        fields.extend(body.text("encoding_format").map(|format| ("encoding_format", format)));
    }
    fields
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn body(fields: &str) -> RawObject {
        RawObject::parse(&format!(r#"{{"model":"m",{fields}}}"#)).unwrap()
    }

    #[test]
    fn only_texts_are_looked_up() {
        let texts = |fields: &str| texts_of(&body(fields));
        assert_eq!(texts(r#""input":"a""#).unwrap(), ["a"]);
        assert_eq!(texts(r#""input":["a","b"],"encoding_format":"base64""#).unwrap(), ["a", "b"]);
        for other in [
            r#""input":[1,2]"#,
            r#""input":[[1,2]]"#,
            r#""input":["a",1]"#,
            r#""input":[]"#,
            r#""input":["a",""]"#,
            r#""input":null"#,
            r#""input":"a","encoding_format":"ubinary""#,
        ] {
            assert_eq!(texts(other), None, "{other}");
        }
    }

    #[test]
    fn fields_decide_unless_they_do_not_matter() {
        let fields = |fields: &str| -> Vec<String> {
            deciding_fields(&body(fields)).iter().map(|(name, _)| (*name).to_owned()).collect()
        };
        assert!(fields(r#""input":"a","user":"u","encoding_format":"base64""#).is_empty());
        assert_eq!(fields(r#""input":"a","dimensions":8,"encoding_format":"base64""#), ["dimensions"]);
        let unheard_of = fields(r#""input":"a","output_dtype":"int8","encoding_format":"base64""#);
        assert_eq!(unheard_of, ["output_dtype", "encoding_format"]);
    }
}
