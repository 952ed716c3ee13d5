use serde_json::json;

use super::*;
use crate::chat::{PartStart, StopReason, TokenLogprob, Usage};

fn write(deltas: Vec<Delta>, stream_usage: bool) -> Vec<Value> {
    in_order(&deltas);
    let mut writer = StreamWriter::new(stream_usage);
    let mut events = Vec::new();
    deltas.into_iter().for_each(|delta| writer.write(delta, &mut events));
    writer.finish(&mut events);
    json_of(&events)
}

fn start() -> Delta {
    Delta::Start { id: "chatcmpl-1".to_owned(), model: "m".to_owned(), created: Some(7) }
}

fn open(choice: u32, part: PartStart) -> Delta {
    Delta::Open { choice, part }
}

fn append(choice: u32, text: &str) -> Delta {
    Delta::Append { choice, text: text.to_owned() }
}

fn stop(choice: u32, reason: StopReason) -> Delta {
    Delta::Stop { choice, reason, sequence: None }
}

fn tool(id: &str) -> PartStart {
    PartStart::ToolCall { id: id.to_owned(), name: "f".to_owned() }
}

const THINKING: PartStart = PartStart::Reasoning { summary: false, id: None };

/// What the chunks add to choices: the place and the delta of each.
fn added(chunks: &[Value]) -> Vec<Value> {
    let choices = chunks.iter().filter_map(|chunk| chunk.get("choices")?.get(0));
    choices.map(|choice| choice["delta"].clone()).collect()
}

#[test]
fn every_chunk_is_as_documented() {
    let deltas = vec![
        start(),
        open(0, PartStart::Text),
        append(0, "hi"),
        Delta::Close { choice: 0 },
        stop(0, StopReason::End),
        Delta::Usage(Usage { input_tokens: 3, output_tokens: 1, ..Usage::default() }),
    ];
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        chunk
    };
    let choice = |delta: Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason});
        json!([choice])
    };
    let chunks = |null: Option<Value>| {
        vec![
            chunk(choice(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null), null.clone()),
            chunk(choice(json!({"content": "hi"}), Value::Null), null.clone()),
            chunk(choice(json!({}), json!("stop")), null),
        ]
    };
    let mut expected = chunks(None);
    expected.push(json!("[DONE]"));
    assert_eq!(write(deltas.clone(), false), expected);
    let usage = json!({
        "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4, "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    });
    let mut expected = chunks(Some(Value::Null));
    expected.extend([chunk(json!([]), Some(usage)), json!("[DONE]")]);
    assert_eq!(write(deltas.clone(), true), expected);
    // A provider that does not say what it used.
    let silent = deltas.into_iter().filter(|delta| !matches!(delta, Delta::Usage(_))).collect();
    let mut expected = chunks(Some(Value::Null));
    expected.push(json!("[DONE]"));
    assert_eq!(write(silent, true), expected);
}

#[test]
fn parallel_tool_calls_are_counted() {
    let chunks = write(
        vec![
            start(),
            open(0, tool("c1")),
            append(0, "{\"a\":"),
            append(0, "1}"),
            Delta::Close { choice: 0 },
            open(0, tool("c2")),
            Delta::Close { choice: 0 },
            stop(0, StopReason::ToolUse),
        ],
        false,
    );
    let begun = |index: u64, id: &str| {
        let function = json!({"name": "f", "arguments": ""});
        json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]})
    };
    let more = |index: u64, text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
    // A call without arguments has empty ones, for clients parse them.
    let expected = [begun(0, "c1"), more(0, "{\"a\":"), more(0, "1}"), begun(1, "c2"), more(1, "{}"), json!({})];
    assert_eq!(added(&chunks)[1..], expected);
    assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn thoughts_flow_and_their_seals_follow_whole() {
    let seal = |maker, text: &str| Delta::Signature { choice: 0, signature: signature(maker, text).unwrap() };
    let hidden = Reasoning { encrypted: signature(Protocol::Anthropic, "e"), ..Reasoning::default() };
    let chunks = write(
        vec![
            start(),
            open(0, THINKING),
            append(0, "a"),
            append(0, "b"),
            seal(Protocol::Anthropic, "s"),
            Delta::Close { choice: 0 },
            open(0, PartStart::Whole(Part::new(Content::Reasoning(hidden)))),
            Delta::Close { choice: 0 },
            open(0, THINKING),
            append(0, "bare"),
            Delta::Close { choice: 0 },
            open(0, THINKING),
            seal(Protocol::Gemini, "of the call"),
            Delta::Close { choice: 0 },
            open(0, tool("c1")),
            Delta::Close { choice: 0 },
            open(0, THINKING),
            seal(Protocol::Gemini, "of nothing"),
            Delta::Close { choice: 0 },
            stop(0, StopReason::ToolUse),
        ],
        false,
    );
    let text = |text: &str| json!({"reasoning_content": text});
    let details = |item: Value| json!({"reasoning_details": [item]});
    let gemini = |signature: &str, index: u64| {
        let signature = format!("plasma.gemini.{signature}");
        json!({"type": "reasoning.text", "text": "", "index": index, "signature": signature})
    };
    let mut of_call = gemini("of the call", 2);
    of_call["id"] = json!("c1");
    let added = added(&chunks);
    let expected = [
        text("a"),
        text("b"),
        details(json!({"type": "reasoning.text", "text": "ab", "index": 0, "signature": "plasma.anthropic.s"})),
        details(json!({"type": "reasoning.encrypted", "data": "plasma.anthropic.e", "index": 1})),
        text("bare"),
        details(of_call),
    ];
    assert_eq!(added[1..7], expected);
    assert_eq!(added[9..], [details(gemini("of nothing", 3)), json!({})]);
}

#[test]
fn refusals_probabilities_and_several_choices_are_written() {
    let token = TokenLogprob { token: "no".to_owned(), bytes: None, logprob: f64::NEG_INFINITY, top: Vec::new() };
    let chunks = write(
        vec![
            start(),
            open(1, PartStart::Refusal),
            append(1, "no"),
            Delta::Logprobs { choice: 1, tokens: vec![token.clone()] },
            Delta::Close { choice: 1 },
            stop(1, StopReason::Refusal),
            open(0, PartStart::Text),
            append(0, "yes"),
            Delta::Logprobs { choice: 0, tokens: vec![token] },
            Delta::Close { choice: 0 },
            stop(0, StopReason::Refusal),
        ],
        false,
    );
    let choice = |place: usize| &chunks[place]["choices"][0];
    let places: Vec<u64> = (0..chunks.len() - 1).map(|place| choice(place)["index"].as_u64().unwrap()).collect();
    assert_eq!(places, [0, 1, 1, 1, 1, 0, 0, 0]);
    assert_eq!(choice(1)["delta"]["role"], "assistant");
    assert_eq!(choice(2)["delta"], json!({"refusal": "no"}));
    let tokens = json!([{"token": "no", "logprob": -9999.0, "bytes": null, "top_logprobs": []}]);
    assert_eq!(choice(3)["logprobs"], json!({"content": null, "refusal": tokens}));
    assert_eq!(choice(6)["logprobs"], json!({"content": tokens, "refusal": null}));
    // In its own words, and by a filter.
    assert_eq!([&choice(4)["finish_reason"], &choice(7)["finish_reason"]], ["stop", "content_filter"]);
}

#[test]
fn a_stream_without_a_beginning_still_has_the_shape() {
    let mut events = Vec::new();
    let mut writer = StreamWriter::new(false);
    writer.write(append(3, "lost"), &mut events);
    writer.write(Delta::Close { choice: 3 }, &mut events);
    let chunks = json_of(&events);
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0]["id"], "chatcmpl-plasma");
}
