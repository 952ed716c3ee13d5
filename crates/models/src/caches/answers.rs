//! Answers in memory.

use std::{sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync::Cache};
use plasma_kernel::{CallId, Money, TenantId, Timestamp};
use plasma_protocols::chat::{Answer, Content, Delta, MediaSource, Part, StopReason, TokenLogprob};

use super::{AnswerKey, TTL_SECONDS_MAX};

/// What an entry takes beyond its texts, about.
const ENTRY_BYTES: usize = 512;
/// Bytes of a piece of an answer that is given again as a stream: some words, as models write them.
const PIECE_BYTES: usize = 64;

/// An answer that may be given again.
#[derive(Debug)]
pub(crate) struct CachedAnswer {
    pub(crate) answer: Answer,
    /// The call that it comes from.
    pub(crate) call_id: CallId,
    /// When that began.
    pub(crate) begun_at: Timestamp,
    /// What that cost; `None` when unknown.
    pub(crate) cost: Option<Money>,
    bytes: usize,
}

impl CachedAnswer {
    pub(crate) fn new(answer: Answer, call_id: CallId, begun_at: Timestamp, cost: Option<Money>) -> Self {
        let bytes = answer_bytes(&answer);
        Self { answer, call_id, begun_at, cost, bytes }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Answers of all tenants, bounded by their bytes: those that were not wanted for longest go first.
pub(crate) struct AnswerCache(Cache<AnswerKey, Arc<CachedAnswer>>);

impl AnswerCache {
    pub(crate) fn new(bytes_max: u64) -> Self {
        let weigh = |_: &AnswerKey, kept: &Arc<CachedAnswer>| u32::try_from(kept.bytes).unwrap_or(u32::MAX);
        let cache = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(weigh)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(Duration::from_secs(u64::from(TTL_SECONDS_MAX)))
            .support_invalidation_closures()
            .build();
        Self(cache)
    }

    pub(crate) fn get(&self, key: &AnswerKey) -> Option<Arc<CachedAnswer>> {
        self.0.get(key)
    }

    pub(crate) fn put(&self, key: AnswerKey, kept: Arc<CachedAnswer>) {
        self.0.insert(key, kept);
        // At once, so that the bound holds: this happens once for each answer of a model, which took far longer.
        self.0.run_pending_tasks();
    }

    pub(crate) fn remove(&self, key: &AnswerKey) {
        self.0.invalidate(key);
    }

    pub(crate) fn forget(&self, tenant: TenantId) {
        if let Err(error) = self.0.invalidate_entries_if(move |key, _| key.tenant == tenant) {
            // Cannot be: closures are supported. Answers from before a purge are refused by their time as well.
            tracing::error!(%error, "kept answers could not be thrown away");
        }
        self.0.run_pending_tasks();
    }

    #[cfg(test)]
    fn bytes(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.weighted_size()
    }
}

/// Whether an answer is one that a second caller should get: complete, and not cut where the caller set no limit.
pub(crate) fn is_worth_keeping(answer: &Answer, limited_by_caller: bool) -> bool {
    let ended = |stop: &StopReason| match stop {
        StopReason::End | StopReason::StopSequence | StopReason::ToolUse => true,
        // Else a budget's limit or the provider's own has cut it.
        StopReason::MaxTokens => limited_by_caller,
        StopReason::Refusal | StopReason::Pause | StopReason::Other(_) => false,
    };
    !answer.choices.is_empty() && answer.choices.iter().all(|choice| !choice.parts.is_empty() && ended(&choice.stop))
}

fn answer_bytes(answer: &Answer) -> usize {
    let choices = answer.choices.iter().map(|choice| {
        let parts: usize = choice.parts.iter().map(part_bytes).sum();
        parts + choice.logprobs.iter().map(logprob_bytes).sum::<usize>()
    });
    ENTRY_BYTES + choices.sum::<usize>()
}

fn part_bytes(part: &Part) -> usize {
    let own = match &part.content {
        Content::Text(text) | Content::Refusal(text) => text.len(),
        Content::Reasoning(reasoning) => {
            let sealed = [&reasoning.signature, &reasoning.encrypted].into_iter().flatten();
            reasoning.text.len() + sealed.map(|seal| seal.text.len()).sum::<usize>()
        }
        Content::ToolCall(call) => call.id.len() + call.name.len() + call.arguments.len(),
        Content::ToolResult(result) => result.parts.iter().map(part_bytes).sum(),
        Content::Image(media) | Content::Audio(media) | Content::Video(media) | Content::Document(media) => {
            match &media.source {
                MediaSource::Base64(text)
                | MediaSource::Text(text)
                | MediaSource::Url(text)
                | MediaSource::File(text) => text.len(),
            }
        }
    };
    size_of::<Part>() + own
}

fn logprob_bytes(token: &TokenLogprob) -> usize {
    let bytes = token.bytes.as_ref().map_or(0, Vec::len);
    size_of::<TokenLogprob>() + token.token.len() + bytes + token.top.iter().map(logprob_bytes).sum::<usize>()
}

/// The answer as the steps of a stream, each with one piece of some words.
pub(crate) fn pieces(answer: Answer) -> Vec<Vec<Delta>> {
    let mut steps = Vec::new();
    let mut step = Vec::new();
    for delta in answer.into_deltas() {
        let Delta::Append { choice, text } = delta else {
            step.push(delta);
            continue;
        };
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece_end(rest));
            step.push(Delta::Append { choice, text: piece.to_owned() });
            steps.push(std::mem::take(&mut step));
            rest = after;
        }
    }
    if !step.is_empty() {
        steps.push(step);
    }
    steps
}

/// Where the first piece ends: after the last space within its size, else at a character's end.
fn piece_end(text: &str) -> usize {
    if text.len() <= PIECE_BYTES {
        return text.len();
    }
    let ends = text.char_indices().map(|(start, letter)| (start + letter.len_utf8(), letter));
    let within = ends.take_while(|(end, _)| *end <= PIECE_BYTES);
    let (mut last, mut last_space) = (None, None);
    for (end, letter) in within {
        last = Some(end);
        if letter.is_whitespace() {
            last_space = Some(end);
        }
    }
    last_space.or(last).unwrap_or(text.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use plasma_protocols::chat::{Choice, Collector, ToolCall, Usage};
    use plasma_testkit::system;

    use super::*;

    fn answer(parts: Vec<Part>, stop: StopReason) -> Answer {
        let choice = Choice { index: 0, parts, stop, stop_sequence: None, logprobs: Vec::new() };
        let usage = Some(Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() });
        Answer { id: "a".to_owned(), model: "m".to_owned(), created: Some(1), choices: vec![choice], usage }
    }

    #[test]
    fn pieces_make_the_answer_again_and_are_short() {
        let call = ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: r#"{"a":"b"}"#.repeat(30) };
        for text in ["short".to_owned(), "word ".repeat(100), "語彙".repeat(100), "x".repeat(1_000)] {
            let whole =
                answer(vec![Part::text(text.clone()), Part::new(Content::ToolCall(call.clone()))], StopReason::ToolUse);
            let steps = pieces(whole.clone());
            let appended =
                |step: &Vec<Delta>| step.iter().filter(|delta| matches!(delta, Delta::Append { .. })).count();
            assert!(steps.iter().all(|step| appended(step) <= 1));
            let mut collector = Collector::default();
            for delta in steps.into_iter().flatten() {
                if let Delta::Append { text, .. } = &delta {
                    assert!(!text.is_empty() && text.len() <= PIECE_BYTES);
                }
                collector.push(delta);
            }
            assert_eq!(collector.finish(), whole);
        }
        assert_eq!(piece_end(&"word ".repeat(100)), 60);
    }

    #[test]
    fn only_complete_answers_are_kept() {
        let text = || vec![Part::text("x")];
        for stop in [StopReason::End, StopReason::StopSequence, StopReason::ToolUse] {
            assert!(is_worth_keeping(&answer(text(), stop), false));
        }
        assert!(is_worth_keeping(&answer(text(), StopReason::MaxTokens), true));
        assert!(!is_worth_keeping(&answer(text(), StopReason::MaxTokens), false));
        for stop in [StopReason::Refusal, StopReason::Pause, StopReason::Other("length?".to_owned())] {
            assert!(!is_worth_keeping(&answer(text(), stop), true));
        }
        assert!(!is_worth_keeping(&answer(Vec::new(), StopReason::End), true));
        assert!(!is_worth_keeping(&Answer::default(), true));
    }

    #[test]
    fn the_cache_is_bounded_by_bytes_and_a_purge_spares_other_tenants() {
        let ctx = system();
        let tenants = [TenantId::new(&ctx), TenantId::new(&ctx)];
        let cache = AnswerCache::new(100_000);
        let key = |tenant: usize, number: u8| AnswerKey { tenant: tenants[tenant], hash: [number; 32] };
        let put = |key: AnswerKey, bytes: usize| {
            let answer = answer(vec![Part::text("x".repeat(bytes))], StopReason::End);
            cache.put(key, Arc::new(CachedAnswer::new(answer, CallId::new(&ctx), 0, None)));
        };
        for number in 0..50 {
            put(key(0, number), 9_000);
            assert!(cache.bytes() <= 100_000);
        }
        assert!(cache.get(&key(0, 49)).is_some() && cache.get(&key(0, 0)).is_none());
        // Larger than everything: not kept, and the others stay.
        put(key(0, 60), 200_000);
        assert!(cache.get(&key(0, 60)).is_none() && cache.get(&key(0, 49)).is_some());
        put(key(1, 49), 9_000);
        cache.forget(tenants[0]);
        assert!(cache.get(&key(0, 49)).is_none() && cache.get(&key(1, 49)).is_some());
    }
}
