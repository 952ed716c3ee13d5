//! Reranking: a model that reads a query and a text together says how well the text answers it.

use std::sync::Arc;

use plasma_kernel::{CallId, Ctx, Error, Result};

use crate::{
    ModelKind, Models, Price, ProviderKind, Purpose, TokenUsage,
    budgets::Reservation,
    catalog::{RemoteModel, Target},
    limits::Admission,
    prices::require_price,
    running_call::{CallError, CallStart, RunningCall},
    upstream::{Operation, Outgoing, RawObject, rerank_answer, rerank_usage},
};

/// Texts in one call.
const DOCUMENTS_MAX: usize = 1_000;
/// Bytes of the query and all texts together.
const BYTES_MAX: usize = 8 << 20;
/// Bytes of a text for a token, about: what limits of tokens reckon with until the provider has counted.
const BYTES_PER_TOKEN_ABOUT: u64 = 4;

/// Texts to compare with a query.
#[derive(Clone, Debug)]
pub struct RerankRequest {
    /// The name of a provider's model of the kind `rerank`, or an alias of one.
    pub model: String,
    /// What is looked for; not empty.
    pub query: String,
    /// 1 to 1,000 texts, none empty, 8 MiB together with the query.
    pub documents: Vec<String>,
    /// So many of the best are wanted; `None`: all of them.
    pub top_n: Option<usize>,
    /// What the call is made for; it also decides which permission is needed.
    pub purpose: Purpose,
}

/// What a reranker says.
#[derive(Clone, Debug)]
pub struct Reranking {
    /// Best first: all texts, or at least the `top_n` best.
    pub results: Vec<RerankedDocument>,
    /// The name of the model.
    pub model: String,
    /// Tokens read; 0 when the provider does not say.
    pub input_tokens: u64,
    /// The record in the call log.
    pub call_id: CallId,
}

/// A text with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RerankedDocument {
    /// Its place in the request, from 0.
    pub index: usize,
    /// Finite; comparable within this answer. Most servers give 0 to 1, some any number.
    pub score: f64,
}

/// What must hold before the provider is asked, and what is set aside for it.
struct Ready {
    admission: Admission,
    provider: Admission,
    reservation: Option<Reservation>,
}

impl Models {
    /// Lets a provider's reranker compare texts with a query. Returns when the call's record is durable; takes up to
    /// [`crate::ModelsConfig::total_timeout`]. Dropping it ends the call.
    ///
    /// # Errors
    /// `forbidden` without the permission of the purpose, `invalid` or `too_large` naming the field, `not_found`
    /// (`model_not_found`), `conflict` (`price_unknown`), `over_budget`, `rate_limited`, `timeout`, `upstream`.
    pub async fn rerank(&self, ctx: &Ctx, request: RerankRequest) -> Result<Reranking> {
        self.rerank_call(ctx, request).await.map_err(|error| error.error)
    }

    /// The same with the record of a call that failed.
    pub(crate) async fn rerank_call(&self, ctx: &Ctx, request: RerankRequest) -> Result<Reranking, CallError> {
        ctx.require(request.purpose.permission())?;
        let wanted = check(&request)?;
        let remote = self.reranker(ctx, &request.model).await?;
        let body = body_of(&remote, &request)?;
        let start = CallStart {
            model: remote.id.clone(),
            kind: ModelKind::Rerank,
            purpose: request.purpose,
            streamed: false,
            price: remote.price.clone(),
        };
        let mut call = RunningCall::start(&self.inner.calls, ctx, start).await?;
        let call_id = call.id();
        match self.ready_to_rerank(ctx, &remote, tokens_max(&request)).await {
            Ok(Ready { admission, provider, reservation }) => {
                call.admitted(admission);
                call.reserved(reservation, Some(provider));
            }
            Err(error) => return Err(CallError::of(call, error).await),
        }
        let outgoing = Outgoing {
            endpoint: &remote.endpoint,
            operation: Operation::OpenAi("/rerank"),
            model: &remote.upstream_name,
            body,
            header: None,
        };
        let documents = request.documents.len();
        let answered = self.inner.client.post_object(outgoing).await;
        let read = answered.and_then(|answer| Ok((rerank_usage(&answer), rerank_answer(&answer, documents, wanted)?)));
        let (usage, scores) = match read {
            Ok(read) => read,
            Err(error) => return Err(CallError::of(call, error).await),
        };
        if remote.price.as_ref().is_some_and(counts_tokens) {
            if let Some(usage) = usage {
                call.counts(usage);
            }
        } else {
            // Paid for by the call: tokens without a price would leave its cost unknown.
            call.counts(TokenUsage::default());
        }
        call.succeed().await.map_err(|error| CallError { call_id: Some(call_id), error })?;
        Ok(Reranking {
            results: scores.into_iter().map(|(index, score)| RerankedDocument { index, score }).collect(),
            model: remote.id.clone(),
            input_tokens: usage.map_or(0, |usage| usage.input_tokens),
            call_id,
        })
    }

    async fn reranker(&self, ctx: &Ctx, name: &str) -> Result<Arc<RemoteModel>> {
        let Target::Remote(remote) = self.resolve(ctx, Some(name), ModelKind::Rerank).await? else {
            return Err(Error::internal("no local model has this kind"));
        };
        if !matches!(remote.endpoint.kind, ProviderKind::Openai | ProviderKind::Azure) {
            let message = format!("providers of the kind `{}` cannot do this", remote.endpoint.kind.as_str());
            return Err(Error::invalid("model", message).remedy("name a reranker of an OpenAI-compatible provider"));
        }
        Ok(remote)
    }

    async fn ready_to_rerank(&self, ctx: &Ctx, remote: &RemoteModel, tokens_max: u64) -> Result<Ready> {
        let price = require_price(remote)?;
        let about = tokens_max / BYTES_PER_TOKEN_ABOUT;
        let admission = self.admit(ctx, about).await?;
        let provider = self.admit_provider(ctx, remote.provider_id, about).await?;
        let counted = if counts_tokens(price) { tokens_max } else { 0 };
        let reservation = match price.worst_case(counted, 0) {
            Some(worst_case) => self.reserve(ctx, None, &worst_case).await?,
            None => None,
        };
        Ok(Ready { admission, provider, reservation })
    }
}

/// Whether a call's tokens cost something or nothing; else only the call has a price.
fn counts_tokens(price: &Price) -> bool {
    price.free || price.rates.input.is_some()
}

/// A token has at least one byte. A model reads each text together with the query and some tokens of its own.
fn tokens_max(request: &RerankRequest) -> u64 {
    const OWN_TOKENS: usize = 16;
    let texts: usize = request.documents.iter().map(String::len).sum();
    let queries = request.documents.len().saturating_mul(request.query.len() + OWN_TOKENS);
    texts.saturating_add(queries) as u64
}

fn body_of(remote: &RemoteModel, request: &RerankRequest) -> Result<String> {
    let mut body = RawObject::default();
    body.set("model", &remote.upstream_name)?;
    body.set("query", &request.query)?;
    body.set("documents", &request.documents)?;
    body.set_some("top_n", request.top_n)?;
    body.to_json()
}

/// Checks the limits of a call; returns how many results the answer must have.
fn check(request: &RerankRequest) -> Result<usize> {
    if request.query.trim().is_empty() {
        return Err(Error::invalid("query", "must not be empty").remedy("say what the texts are compared with"));
    }
    let count = request.documents.len();
    if count == 0 {
        return Err(Error::invalid("documents", "at least one text is needed"));
    }
    if count > DOCUMENTS_MAX {
        let message = format!("{count} texts, the limit is {DOCUMENTS_MAX} in one call");
        return Err(Error::too_large("documents", message));
    }
    if let Some(index) = request.documents.iter().position(|document| document.trim().is_empty()) {
        return Err(Error::invalid(format!("documents[{index}]"), "is empty"));
    }
    let bytes = request.query.len() + request.documents.iter().map(String::len).sum::<usize>();
    if bytes > BYTES_MAX {
        return Err(Error::too_large(
            "documents",
            format!("{bytes} bytes of text, the limit is {BYTES_MAX} in one call"),
        ));
    }
    match request.top_n {
        Some(0) => Err(Error::invalid("top_n", "must be at least 1").remedy("leave it out for all texts")),
        Some(top_n) => Ok(top_n.min(count)),
        None => Ok(count),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(documents: Vec<String>) -> RerankRequest {
        RerankRequest {
            model: "acme/rerank".to_owned(),
            query: "query".to_owned(),
            documents,
            top_n: None,
            purpose: Purpose::Search,
        }
    }

    #[test]
    fn requests_have_limits() {
        let field = |request: &RerankRequest| check(request).unwrap_err().field_name().unwrap().to_owned();
        let one = || request(vec!["a".to_owned()]);
        assert_eq!(field(&RerankRequest { query: " ".to_owned(), ..one() }), "query");
        assert_eq!(field(&request(Vec::new())), "documents");
        assert_eq!(field(&request(vec!["a".to_owned(), " ".to_owned()])), "documents[1]");
        assert_eq!(field(&request(vec!["a".to_owned(); DOCUMENTS_MAX + 1])), "documents");
        assert_eq!(field(&request(vec!["a".repeat(BYTES_MAX)])), "documents");
        assert_eq!(field(&RerankRequest { top_n: Some(0), ..one() }), "top_n");
        assert_eq!(check(&RerankRequest { top_n: Some(9), ..one() }).unwrap(), 1);
        assert_eq!(check(&request(vec!["a".to_owned(); 3])).unwrap(), 3);
    }

    #[test]
    fn each_text_is_read_with_the_query() {
        assert_eq!(tokens_max(&request(vec!["abc".to_owned(); 4])), 4 * 3 + 4 * (5 + 16));
    }
}
