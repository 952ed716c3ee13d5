use serde_json::json;

use super::*;
use crate::chat::{PartStart, StopReason, Usage};

const DONE: &str = "[DONE]";

fn chunk(delta: Value, finish_reason: Option<&str>) -> Value {
    json!({
        "id": "a", "object": "chat.completion.chunk", "created": 7, "model": "m",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
    })
}

fn stop(reason: &str) -> Value {
    chunk(json!({}), Some(reason))
}

/// The parts of the one choice, and why it ended.
fn read(chunks: &[Value]) -> (Vec<Part>, StopReason) {
    let choice = collected(chunks).choices.remove(0);
    (choice.parts, choice.stop)
}

/// The whole answer that says the same.
fn whole(message: Value, finish_reason: &str) -> Answer {
    let choices = json!([{"index": 0, "message": message, "finish_reason": finish_reason}]);
    read_answer(&json!({"id": "a", "created": 7, "model": "m", "choices": choices}).to_string()).unwrap()
}

#[test]
fn a_documented_stream_is_read() {
    let chunks = [
        chunk(json!({"role": "assistant", "content": "", "refusal": null}), None),
        chunk(json!({"content": "Hel"}), None),
        chunk(json!({"content": "lo"}), None),
        stop("stop"),
        json!({"id": "a", "created": 7, "model": "m", "choices": [], "usage": {
            "prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 1}}}),
        json!(DONE),
    ];
    let (deltas, complete) = deltas(&chunks).unwrap();
    assert!(complete);
    let usage =
        Usage { input_tokens: 5, cached_input_tokens: 4, cache_write_tokens: 0, output_tokens: 2, reasoning_tokens: 1 };
    let append = |text: &str| Delta::Append { choice: 0, text: text.to_owned() };
    let expected = [
        Delta::Start { id: "a".to_owned(), model: "m".to_owned(), created: Some(7) },
        Delta::Open { choice: 0, part: PartStart::Text },
        append("Hel"),
        append("lo"),
        Delta::Close { choice: 0 },
        Delta::Stop { choice: 0, reason: StopReason::End, sequence: None },
        Delta::Usage(usage),
    ];
    assert_eq!(deltas, expected);
    assert_eq!(Answer { usage: None, ..collect(deltas) }, whole(json!({"content": "Hello"}), "stop"));
}

#[test]
fn tool_calls_are_read_in_all_dialects() {
    let calls = |calls: Value| chunk(json!({"tool_calls": calls}), None);
    let expected = whole(
        json!({"tool_calls": [
            {"id": "c1", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"id": "c2", "function": {"name": "g", "arguments": "{}"}},
        ]}),
        "tool_calls",
    );
    // OpenAI: the id only on the first piece.
    let openai = [
        calls(json!([{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}])),
        calls(json!([{"index": 0, "function": {"arguments": "{\"a\":"}}])),
        calls(json!([{"index": 0, "function": {"arguments": "1}"}}])),
        calls(json!([{"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}])),
        calls(json!([{"index": 1, "function": {"arguments": "{}"}}])),
        // An empty piece after the end, as some send it.
        calls(json!([{"index": 0, "function": {"arguments": ""}}])),
        stop("tool_calls"),
        json!(DONE),
    ];
    assert_eq!(collected(&openai), expected);
    // Whole, several in one chunk, without an index, and `stop` as the reason.
    let at_once = json!([
        {"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "c2", "function": {"name": "g", "arguments": "{}"}},
    ]);
    assert_eq!(collected(&[calls(at_once), stop("stop")]), expected);
    // Each with the index 0.
    let ollama = [
        calls(json!([{"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{\"a\":1}"}}])),
        calls(json!([{"index": 0, "id": "c2", "function": {"name": "g", "arguments": "{}"}}])),
        stop("tool_calls"),
    ];
    assert_eq!(collected(&ollama), expected);
    // Pieces without index, the id on each; the name after the id; the id anew on each piece.
    let odd = [
        calls(json!([{"id": "c1"}])),
        calls(json!([{"id": "c1", "function": {"name": "f", "arguments": "{\"a\""}}])),
        calls(json!([{"id": "c1", "function": {"name": "f", "arguments": ":1}"}}])),
        calls(json!([{"index": 1, "id": "c2", "function": {"name": "g", "arguments": "{"}}])),
        calls(json!([{"index": 1, "id": "other", "function": {"name": null, "arguments": "}"}}])),
        stop("tool_calls"),
    ];
    assert_eq!(collected(&odd), expected);
}

#[test]
fn calls_without_ids_get_some() {
    let calls = json!([{"function": {"name": "f", "arguments": "{}"}}, {"function": {"name": "f", "arguments": "{}"}}]);
    let (parts, reason) = read(&[chunk(json!({"tool_calls": calls}), Some("stop"))]);
    assert_eq!(reason, StopReason::ToolUse);
    let ids: Vec<&str> = parts
        .iter()
        .map(|part| match &part.content {
            Content::ToolCall(call) => call.id.as_str(),
            _ => panic!(),
        })
        .collect();
    assert!(ids[0].starts_with("call_") && ids[0] != ids[1]);
    let older = [
        chunk(json!({"function_call": {"name": "f", "arguments": ""}}), None),
        chunk(json!({"function_call": {"arguments": "{}"}}), None),
        stop("function_call"),
    ];
    let (parts, reason) = read(&older);
    assert!(matches!(&parts[..], [Part { content: Content::ToolCall(call), .. }] if call.arguments == "{}"));
    assert_eq!(reason, StopReason::ToolUse);
}

#[test]
fn thoughts_are_read_in_all_dialects() {
    let deepseek = [
        chunk(json!({"role": "assistant", "content": null, "reasoning_content": ""}), None),
        chunk(json!({"content": null, "reasoning_content": "a"}), None),
        chunk(json!({"content": null, "reasoning_content": "b"}), None),
        chunk(json!({"content": "x", "reasoning_content": null}), None),
        stop("stop"),
    ];
    assert_eq!(collected(&deepseek), whole(json!({"content": "x", "reasoning_content": "ab"}), "stop"));
    let groq = [chunk(json!({"reasoning": "ab"}), None), chunk(json!({"content": "x"}), Some("stop"))];
    assert_eq!(collected(&groq), whole(json!({"content": "x", "reasoning": "ab"}), "stop"));
    let thinking =
        |text: &str| json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]});
    let mistral =
        [chunk(thinking("a"), None), chunk(thinking("b"), None), chunk(json!({"content": "x"}), Some("stop"))];
    let content = json!([
        {"type": "thinking", "thinking": [{"type": "text", "text": "ab"}]}, {"type": "text", "text": "x"},
    ]);
    assert_eq!(collected(&mistral), whole(json!({"content": content}), "stop"));
}

#[test]
fn reasoning_details_are_put_together() {
    let details = |reasoning: Value, item: Value| {
        chunk(json!({"content": "", "reasoning": reasoning, "reasoning_details": [item]}), None)
    };
    let openrouter = [
        details(json!("a"), json!({"type": "reasoning.text", "text": "a", "format": "f", "index": 0})),
        details(json!("b"), json!({"type": "reasoning.text", "text": "b", "format": "f", "index": 0})),
        details(Value::Null, json!({"type": "reasoning.text", "signature": "s", "format": "f", "index": 0})),
        details(Value::Null, json!({"type": "reasoning.encrypted", "data": "d", "id": "r", "index": 1})),
        details(json!("c"), json!({"type": "reasoning.summary", "summary": "c", "format": "f", "index": 2})),
        details(json!("d"), json!({"type": "reasoning.summary", "summary": "d", "format": "f", "index": 3})),
        chunk(json!({"content": "x"}), Some("stop")),
        json!(DONE),
    ];
    let items = json!([
        {"type": "reasoning.text", "text": "ab", "format": "f", "index": 0, "signature": "s"},
        {"type": "reasoning.encrypted", "data": "d", "id": "r", "index": 1},
        {"type": "reasoning.summary", "summary": "c", "format": "f", "index": 2},
        {"type": "reasoning.summary", "summary": "d", "format": "f", "index": 3},
    ]);
    let expected = whole(json!({"content": "x", "reasoning": "abcd", "reasoning_details": items}), "stop");
    let answer = collected(&openrouter);
    assert_eq!(answer, expected);
    // In the next turn they go back as they came.
    let message =
        crate::chat::Message { role: crate::chat::Role::Assistant, name: None, parts: answer.choices[0].parts.clone() };
    let body = write(&Request { messages: vec![message], ..Request::default() });
    assert_eq!(body["messages"][0]["reasoning_details"], items);
}

#[test]
fn refusals_images_and_probabilities_are_read() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let image = chunk(json!({"content": "", "images": [image]}), None);
    let (parts, _) = read(&[image, stop("stop")]);
    assert!(matches!(&parts[..], [Part { content: Content::Image(_), .. }]));
    let (parts, reason) = read(&[chunk(json!({"refusal": "n"}), None), chunk(json!({"refusal": "o"}), Some("stop"))]);
    assert_eq!(parts, [Part::new(Content::Refusal("no".to_owned()))]);
    assert_eq!(reason, StopReason::Refusal);
    // The first token is only a part of a character: its text follows.
    let token = |text: &str| json!({"content": [{"token": text, "logprob": -0.5, "bytes": [1], "top_logprobs": []}]});
    let with = |delta: Value, logprobs: Value| {
        let mut chunk = chunk(delta, None);
        chunk["choices"][0]["logprobs"] = logprobs;
        chunk
    };
    let chunks = [with(json!({"content": ""}), token("a")), with(json!({"content": "x"}), token("b")), stop("stop")];
    let logprobs = collected(&chunks).choices.remove(0).logprobs;
    assert_eq!(logprobs.iter().map(|token| token.token.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn usage_is_found_wherever_it_stands() {
    let usage = |chunk: Value| collected(&[chunk, json!(DONE)]).usage.map(|usage| usage.input_tokens);
    let mut moonshot = stop("stop");
    moonshot["choices"][0]["usage"] = json!({"prompt_tokens": 3});
    assert_eq!(usage(moonshot), Some(3));
    let mut groq = stop("stop");
    groq["x_groq"] = json!({"id": "r", "usage": {"prompt_tokens": 4}});
    assert_eq!(usage(groq), Some(4));
    let mut each = chunk(json!({"content": "a"}), None);
    each["usage"] = json!({"prompt_tokens": 5, "completion_tokens": 1});
    let mut last = stop("stop");
    last["usage"] = json!({"prompt_tokens": 5, "completion_tokens": 2});
    let (deltas, _) = deltas(&[each.clone(), each, last.clone(), last]).unwrap();
    // The same is said once.
    assert_eq!(deltas.iter().filter(|delta| matches!(delta, Delta::Usage(_))).count(), 2);
    assert_eq!(collect(deltas).usage.unwrap().output_tokens, 2);
}

#[test]
fn azures_and_empty_chunks_say_nothing() {
    let filters = json!({"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": [{"x": 1}]});
    let chunks = [
        filters,
        json!(""),
        json!({"id": "a", "model": "m", "created": 7, "choices": null}),
        json!({"id": "a", "model": "m", "created": 7, "choices": [{"index": 0, "delta": null, "finish_reason": null}]}),
        chunk(json!({"content": "x"}), Some("")),
        chunk(Value::Null, Some("stop")),
        chunk(json!({"content": "after the end"}), Some("stop")),
        json!(DONE),
        json!("anything after it"),
    ];
    assert_eq!(collected(&chunks), whole(json!({"content": "x"}), "stop"));
}

#[test]
fn completeness_needs_an_end() {
    let complete = |chunks: &[Value]| deltas(chunks).unwrap().1;
    let text = || chunk(json!({"content": "x"}), None);
    assert!(!complete(&[]));
    assert!(!complete(&[text()]));
    assert!(complete(&[text(), stop("stop")]));
    // A second choice that has begun must end as well.
    let mut second = text();
    second["choices"][0]["index"] = json!(1);
    assert!(!complete(&[text(), second.clone(), stop("stop")]));
    let mut second_stop = stop("length");
    second_stop["choices"][0]["index"] = json!(1);
    assert!(complete(&[text(), second.clone(), stop("stop"), second_stop]));
    // `[DONE]` ends all that has not said why.
    let answer = collected(&[text(), second, json!(DONE)]);
    assert!(answer.choices.iter().all(|choice| choice.stop == StopReason::End));
    let calls = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]});
    assert_eq!(read(&[chunk(calls, None), json!(DONE)]).1, StopReason::ToolUse);
    assert_eq!(collected(&[json!(DONE)]), Answer::default());
}

#[test]
fn errors_in_the_stream_are_told() {
    let error = json!({"error": {"message": "slow down", "type": "rate_limit_error", "code": 429}});
    let mid_stream = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}],
        "error": {"message": "slow down", "code": 429}});
    let of_choice = json!({"choices": [{"index": 0, "error": {"message": "slow down", "code": 429}}]});
    for chunk in [error, mid_stream, of_choice] {
        let wrong = deltas(&[chunk]).unwrap_err();
        assert!(matches!(wrong, Wrong::Told(told) if told.message == "slow down" && told.status == Some(429)));
    }
    let named = SseEvent { name: Some("error".to_owned()), data: r#"{"message":"slow down"}"#.to_owned() };
    let wrong = StreamReader::new().read(&named, &mut Vec::new()).unwrap_err();
    assert!(matches!(wrong, Wrong::Told(told) if told.message == "slow down"));
}
