//! The optional second look: a remote model reads the best candidates together with the query and orders them anew.

use plasma_kernel::{Code, Ctx, Error, Result};
use plasma_models::{Models, Purpose, RerankRequest};

use super::{
    diversity::{Item, Reranked},
    settings::RerankRule,
};
use crate::limits;

/// Asks the reranker for its word on `documents`, at the latest after ten seconds; in their order.
///
/// # Errors
/// What [`Models::rerank`] fails with; `timeout` (`reranker_slow`).
pub(super) async fn ask(
    models: &Models,
    ctx: &Ctx,
    rule: &RerankRule,
    query: &str,
    documents: Vec<String>,
) -> Result<Vec<Reranked>> {
    let count = documents.len();
    let request = RerankRequest {
        model: rule.model.clone(),
        query: query.to_owned(),
        documents,
        top_n: None,
        purpose: Purpose::Search,
    };
    // Boxed: most searches have no reranker and must not carry its weight. Dropping it ends the call.
    let asked = tokio::time::timeout(limits::RERANK_WAIT_MAX, Box::pin(models.rerank(ctx, request))).await;
    let reranking = asked.unwrap_or_else(|_| {
        let seconds = limits::RERANK_WAIT_MAX.as_secs();
        Err(Error::new(Code::Timeout, "reranker_slow", format!("`{}` did not answer within {seconds} s", rule.model))
            .remedy("let it read fewer candidates (`rerank.top`), or use a faster model"))
    })?;
    let scores: Vec<(usize, f64)> = reranking.results.iter().map(|document| (document.index, document.score)).collect();
    in_request_order(&scores, count)
        .ok_or_else(|| Error::internal("a reranker's answer does not have a score for each document"))
}

/// Scores of which the best comes first, as words on each document in the order of the request.
fn in_request_order(scores: &[(usize, f64)], count: usize) -> Option<Vec<Reranked>> {
    let squash = !scores.iter().all(|(_, score)| (0.0..=1.0).contains(score));
    let mut words: Vec<Option<Reranked>> = vec![None; count];
    for (rank, (index, raw)) in (1..).zip(scores) {
        // Most servers give a probability. Others give its logit, whose probability is the logistic function of it.
        let normalized = if squash { 1.0 / (1.0 + (-raw).exp()) } else { *raw };
        *words.get_mut(*index)? = Some(Reranked { rank, raw: *raw, normalized });
    }
    words.into_iter().collect()
}

/// Whether a search goes on without the reranker after this error. A request that could never work is refused.
pub(super) fn degrades(error: &Error) -> bool {
    match error.code() {
        Code::Forbidden | Code::Unauthenticated => false,
        // What the provider refuses is not the caller's fault; a model that cannot rerank is.
        Code::Invalid => error.reason() == "provider_refused_request",
        _ => true,
    }
}

/// What a search that goes on without its reranker says.
pub(super) fn warning(model: &str, error: &Error) -> String {
    let cause = match error.code() {
        Code::Internal => "it failed".to_owned(),
        _ => error.message().to_owned(),
    };
    let remedy = error.remedy_text().map(|remedy| format!(": {remedy}")).unwrap_or_default();
    format!("the reranker `{model}` did not order the results: {cause}{remedy}")
}

/// Gives the items the reranker's words. Both lists are in the same order.
pub(super) fn apply(items: &mut [Item], words: Vec<Reranked>) {
    for (item, word) in items.iter_mut().zip(words) {
        item.reranked = Some(word);
        item.rescore();
    }
}

/// A passage as a reranker reads it: what stands above it, and its text.
pub(super) fn document(title: &str, heading: Option<&str>, text: &str) -> String {
    match heading {
        Some(heading) => format!("{title}\n{heading}\n\n{text}"),
        None => format!("{title}\n\n{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_in_the_order_of_the_request() {
        let words = in_request_order(&[(1, 0.9), (0, 0.2)], 2).unwrap();
        assert_eq!(words[0], Reranked { rank: 2, raw: 0.2, normalized: 0.2 });
        assert_eq!(words[1], Reranked { rank: 1, raw: 0.9, normalized: 0.9 });
        assert_eq!(in_request_order(&[(1, 0.9)], 2), None);
        assert_eq!(in_request_order(&[(7, 0.9)], 2), None);
    }

    #[test]
    fn logits_become_probabilities() {
        let words = in_request_order(&[(0, 3.0), (1, 0.0), (2, -3.0)], 3).unwrap();
        let normalized: Vec<f64> = words.iter().map(|word| word.normalized).collect();
        assert!((normalized[0] - 0.952_574_126_822_433).abs() < 1e-12 && (normalized[1] - 0.5).abs() < 1e-12);
        assert!(normalized.is_sorted_by(|left, right| left > right));
    }

    #[test]
    fn only_what_could_never_work_is_refused() {
        assert!(degrades(&Error::not_found("model_not_found", "there is no model")));
        assert!(degrades(&Error::new(Code::OverBudget, "over_budget", "the budget is used up")));
        assert!(degrades(&Error::new(Code::Invalid, "provider_refused_request", "too long")));
        assert!(!degrades(&Error::invalid("model", "is a chat model and cannot rerank")));
        assert!(!degrades(&Error::forbidden("no")));
        let warning = warning("acme/r", &Error::internal("secret").remedy("look"));
        assert!(warning.contains("acme/r") && !warning.contains("secret") && warning.contains("look"), "{warning}");
    }
}
