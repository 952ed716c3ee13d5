//! Nothing that comes from outside makes the module panic.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read_everywhere(text: &str) {
    let _ = read_answer(text);
    let _ = read_error(text.as_bytes());
    let mut deltas = Vec::new();
    let mut reader = StreamReader::new();
    let _ = reader.read(&event(text), &mut deltas);
    let _ = reader.read(&event(text), &mut deltas);
    let _ = reader.read(&event("[DONE]"), &mut deltas);
    in_order(&deltas);
    let mut writer = StreamWriter::new(true);
    let mut events = Vec::new();
    deltas.into_iter().for_each(|delta| writer.write(delta, &mut events));
    writer.finish(&mut events);
    if let Ok(body) = serde_json::from_str(text)
        && let Ok(request) = read_request(body, &mut Losses::default())
    {
        let _ = write_request(&request, &mut Losses::default());
    }
}

/// JSON made of the protocol's own words in places where they do not belong.
fn any_json() -> impl Strategy<Value = Value> {
    let words = [
        "assistant",
        "tool",
        "text",
        "function",
        "reasoning.text",
        "reasoning.encrypted",
        "stop",
        "tool_calls",
        "f",
        "",
        "data:,",
        "image_url",
        "thinking",
    ];
    let names = [
        "choices",
        "delta",
        "message",
        "messages",
        "content",
        "role",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "index",
        "reasoning_details",
        "reasoning_content",
        "type",
        "text",
        "usage",
        "prompt_tokens",
        "logprobs",
        "token",
        "logprob",
        "finish_reason",
        "error",
        "refusal",
        "model",
        "image_url",
        "url",
        "signature",
        "tool_call_id",
        "tools",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(words.to_vec()).prop_map(Value::from),
        (0_u64..3).prop_map(Value::from),
    ]
    .boxed();
    leaf.prop_recursive(8, 96, 6, move |inner| {
        let name = proptest::sample::select(names.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((name, inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(inner in any_json()) {
        read_everywhere(&inner.to_string());
        read_everywhere(&json!({"choices": [{"delta": inner, "finish_reason": null}]}).to_string());
        read_everywhere(&json!({"choices": [{"message": inner}]}).to_string());
        let lists = json!({"tool_calls": inner, "reasoning_details": inner});
        read_everywhere(&json!({"choices": [{"delta": lists}]}).to_string());
        read_everywhere(&json!({"model": "m", "messages": [{"role": "user", "content": inner}]}).to_string());
        read_everywhere(&json!({"model": "m", "messages": inner}).to_string());
    }
}

#[test]
fn a_cut_answer_is_malformed_wherever_it_is_cut() {
    let body = json!({"id": "ä", "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]});
    let body = body.to_string();
    for (cut, _) in body.char_indices() {
        assert!(matches!(read_answer(&body[..cut]), Err(Wrong::Malformed(_))), "cut at {cut}");
        read_everywhere(&body[..cut]);
    }
}

#[test]
fn what_is_no_answer_is_malformed() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        "<html></html>",
        "[]",
        "{}",
        "null",
        r#"{"choices":[]}"#,
        r#"{"choices":{}}"#,
        r#"{"choices":[7]}"#,
        r#"{"choices":[{}]}"#,
        r#"{"choices":[{"message":"x"}]}"#,
        r#"{"choices":[{"index":128,"message":{}}]}"#,
        r#"{"choices":[{"index":-1,"message":{}}]}"#,
        r#"{"choices":[{"message":{"tool_calls":[{"id":"c"}]}}]}"#,
        &deep,
    ] {
        assert!(matches!(read_answer(body), Err(Wrong::Malformed(_))), "{body:.80}");
    }
    for chunk in ["not JSON", "[]", "7", r#"{"choices":[{"index":4294967296}]}"#, &deep] {
        let wrong = StreamReader::new().read(&event(chunk), &mut Vec::new());
        assert!(matches!(wrong, Err(Wrong::Malformed(_))), "{chunk:.80}");
    }
    let call = |piece: Value| json!({"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]});
    let late = [
        call(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}})),
        call(json!({"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}})),
        call(json!({"index": 0, "function": {"arguments": "more"}})),
    ];
    assert!(matches!(deltas(&late), Err(Wrong::Malformed(_))));
    let nameless = [call(json!({"index": 0, "id": "a"})), json!("[DONE]")];
    assert!(matches!(deltas(&nameless), Err(Wrong::Malformed(_))));
}
