//! Answers in memory.

use plasma_kernel::{CallId, Money, Timestamp};
use plasma_protocols::chat::{Answer, Content, Delta, MediaSource, Part, StopReason, TokenLogprob};

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

    /// What it takes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
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
    fn an_answer_weighs_what_its_texts_do() {
        let answer = answer(vec![Part::text("x".repeat(9_000))], StopReason::End);
        let bytes = CachedAnswer::new(answer, CallId::new(&system()), 0, None).bytes();
        assert!((9_000..10_000).contains(&bytes), "{bytes}");
    }
}
