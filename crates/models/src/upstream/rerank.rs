//! Answers of rerankers, in the form that Cohere and Jina began and other servers (vLLM, llama.cpp, Infinity) took over.

use plasma_kernel::Result;
use serde::Deserialize;

use super::raw::{RawObject, TOKENS_MAX, invalid_answer, null_is_default};
use crate::TokenUsage;

#[derive(Deserialize)]
struct WireResult {
    index: usize,
    #[serde(alias = "score")]
    relevance_score: f64,
}

/// Some servers tell only the total: a reranker writes no tokens, so that it is what was read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    #[serde(deserialize_with = "null_is_default")]
    prompt_tokens: u64,
    #[serde(deserialize_with = "null_is_default")]
    total_tokens: u64,
}

/// What an answer used; `None` when it does not say.
pub(crate) fn rerank_usage(answer: &RawObject) -> Option<TokenUsage> {
    let usage = answer.get::<WireUsage>("usage").ok().flatten()?;
    let input_tokens = usage.prompt_tokens.max(usage.total_tokens).min(TOKENS_MAX);
    (input_tokens > 0).then(|| TokenUsage { input_tokens, ..TokenUsage::default() })
}

/// Indexes of `documents` texts with their scores, best first: at least `wanted` of them.
///
/// # Errors
/// `upstream` (`provider_answer_invalid`).
pub(crate) fn rerank_answer(answer: &RawObject, documents: usize, wanted: usize) -> Result<Vec<(usize, f64)>> {
    let results: Vec<WireResult> =
        answer.get("results").map_err(invalid_answer)?.ok_or_else(|| invalid_answer("`results` is missing"))?;
    if results.len() < wanted {
        return Err(invalid_answer(format!("{} results where {wanted} were asked for", results.len())));
    }
    let mut seen = vec![false; documents];
    let mut scores = Vec::with_capacity(results.len());
    for WireResult { index, relevance_score } in results {
        match seen.get_mut(index) {
            Some(slot @ false) => *slot = true,
            _ => return Err(invalid_answer(format!("index {index} is out of range or comes twice"))),
        }
        if !relevance_score.is_finite() {
            return Err(invalid_answer(format!("the score of document {index} is not finite")));
        }
        scores.push((index, relevance_score));
    }
    scores.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    Ok(scores)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn answer(text: &str) -> RawObject {
        RawObject::parse(text).unwrap()
    }

    #[test]
    fn scores_come_best_first_or_are_refused() {
        let read = |results: &str, wanted| rerank_answer(&answer(&format!("{{\"results\":{results}}}")), 3, wanted);
        let three = r#"[{"index":2,"relevance_score":-1.5},{"index":0,"relevance_score":0.2,"document":{"text":"a"}},{"index":1,"score":0.9}]"#;
        assert_eq!(read(three, 3).unwrap(), [(1, 0.9), (0, 0.2), (2, -1.5)]);
        for wrong in [
            r#"[{"index":3,"relevance_score":1}]"#,
            r#"[{"index":0,"relevance_score":1},{"index":0,"relevance_score":1}]"#,
            r#"[{"index":0,"relevance_score":null}]"#,
            r#"[{"index":0,"relevance_score":1e999}]"#,
            "[]",
            "null",
            "{}",
        ] {
            assert!(read(wrong, 1).is_err(), "{wrong}");
        }
    }

    #[test]
    fn usage_is_the_tokens_read() {
        let tokens =
            |usage: &str| rerank_usage(&answer(&format!("{{\"usage\":{usage}}}"))).map(|usage| usage.input_tokens);
        assert_eq!(tokens(r#"{"total_tokens":56}"#), Some(56));
        assert_eq!(tokens(r#"{"prompt_tokens":50,"total_tokens":50}"#), Some(50));
        assert_eq!(tokens(r#"{"prompt_tokens":null}"#), None);
        assert_eq!(tokens("null"), None);
        assert_eq!(rerank_usage(&answer(r#"{"meta":{}}"#)), None);
    }
}
