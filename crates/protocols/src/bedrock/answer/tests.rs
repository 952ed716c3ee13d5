use serde_json::json;

use super::*;

/// An answer in the documented shape, with every kind of block.
fn body() -> Value {
    json!({
        "output": { "message": { "role": "assistant", "content": [
            { "reasoningContent": { "reasoningText": { "text": "Let me see.", "signature": "c2VhbA==" } } },
            { "reasoningContent": { "redactedContent": "AAEC" } },
            { "text": "I look it up." },
            { "toolUse": { "toolUseId": "tooluse_1", "name": "weather", "input": { "z": 1, "a": { "y": "ü" } } } },
            { "toolUse": { "toolUseId": "tooluse_2", "name": "time", "input": {} } },
        ] } },
        "stopReason": "tool_use",
        "usage": {
            "inputTokens": 10, "outputTokens": 20, "totalTokens": 65,
            "cacheReadInputTokens": 30, "cacheWriteInputTokens": 5,
            "cacheDetails": [{ "ttl": "5m", "inputTokens": 5 }],
        },
        "metrics": { "latencyMs": 1275 },
        "trace": {}, "performanceConfig": { "latency": "standard" },
    })
}

fn read(body: &Value) -> Answer {
    read_answer(&body.to_string()).unwrap()
}

fn own(text: &str) -> Option<Signature> {
    Some(Signature { maker: Protocol::Bedrock, text: text.to_owned() })
}

fn call(id: &str, name: &str, arguments: &str) -> Content {
    Content::ToolCall(ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() })
}

#[test]
fn every_kind_of_block_is_read() {
    let answer = read(&body());
    assert_eq!((answer.id.as_str(), answer.model.as_str(), answer.created), ("", "", None));
    let [choice] = answer.choices.as_slice() else { panic!("{answer:?}") };
    let expected = [
        Content::Reasoning(Reasoning {
            text: "Let me see.".to_owned(),
            signature: own("c2VhbA=="),
            ..Reasoning::default()
        }),
        Content::Reasoning(Reasoning { encrypted: own("AAEC"), ..Reasoning::default() }),
        Content::Text("I look it up.".to_owned()),
        call("tooluse_1", "weather", r#"{"z":1,"a":{"y":"ü"}}"#),
        call("tooluse_2", "time", "{}"),
    ];
    assert_eq!(choice.parts, expected.map(Part::new));
    assert_eq!((choice.index, &choice.stop, &choice.stop_sequence), (0, &StopReason::ToolUse, &None));
    let usage = Usage {
        input_tokens: 45,
        cached_input_tokens: 30,
        cache_write_tokens: 5,
        output_tokens: 20,
        reasoning_tokens: 0,
    };
    assert_eq!(answer.usage, Some(usage));
}

#[test]
fn blocks_that_were_not_asked_for_are_read_as_far_as_they_say_something() {
    let mut body = body();
    body["output"]["message"]["content"] = json!([
        { "citationsContent": { "content": [{ "text": "The grass " }, { "text": "is green." }], "citations": [{}] } },
        { "toolUse": { "toolUseId": "s", "name": "nova_grounding", "input": {}, "type": "server_tool_use" } },
        { "toolResult": { "toolUseId": "s", "content": [{ "text": "…" }] } },
        { "image": { "format": "png", "source": { "bytes": "iVBORw0KGgo=" } } },
        { "text": "" },
        { "reasoningContent": { "reasoningText": { "text": "" } } },
        { "reasoningContent": { "reasoningText": { "text": "", "signature": "hidden" } } },
        { "toolUse": { "toolUseId": "raw", "name": "f", "input": "{\"cut" } },
        { "novelty": { "x": 1 } },
        {}, null, 7, { "text": null }, { "text": 7 }, { "image": {} }, { "toolUse": null },
    ]);
    let image = Media {
        media_type: Some("image/png".to_owned()),
        source: MediaSource::Base64("iVBORw0KGgo=".to_owned()),
        name: None,
        detail: None,
    };
    let expected = [
        Content::Text("The grass is green.".to_owned()),
        Content::Image(image),
        Content::Reasoning(Reasoning { signature: own("hidden"), ..Reasoning::default() }),
        call("raw", "f", "{\"cut"),
        call("", "", ""),
    ];
    assert_eq!(read(&body).choices[0].parts, expected.map(Part::new));
}

#[test]
fn every_stop_reason_has_its_meaning() {
    for (word, expected) in [
        (json!("end_turn"), StopReason::End),
        (json!("tool_use"), StopReason::ToolUse),
        (json!("max_tokens"), StopReason::MaxTokens),
        (json!("model_context_window_exceeded"), StopReason::MaxTokens),
        (json!("stop_sequence"), StopReason::StopSequence),
        (json!("guardrail_intervened"), StopReason::Refusal),
        (json!("content_filtered"), StopReason::Refusal),
        (json!("malformed_tool_use"), StopReason::Other("malformed_tool_use".to_owned())),
        (Value::Null, StopReason::End),
    ] {
        let mut body = body();
        body["stopReason"] = word.clone();
        assert_eq!(read(&body).choices[0].stop, expected, "{word}");
    }
}

#[test]
fn the_stop_sequence_is_read_where_a_model_says_it() {
    for (fields, expected) in [
        (json!({ "stop_sequence": "END" }), Some("END")),
        (json!({ "delta": { "stop_sequence": "END" } }), Some("END")),
        (json!({ "stop_sequence": null }), None),
        (json!("END"), None),
    ] {
        let mut body = body();
        body["additionalModelResponseFields"] = fields;
        assert_eq!(read(&body).choices[0].stop_sequence.as_deref(), expected);
    }
}

#[test]
fn absurd_usage_is_bounded() {
    let usage = |usage: Value| read_usage(&usage);
    assert_eq!(usage(json!(null)), None);
    assert_eq!(usage(json!({})), Some(Usage::default()));
    assert_eq!(usage(json!({ "inputTokens": -5, "outputTokens": "7" })), Some(Usage::default()));
    let huge = usage(json!({ "inputTokens": u64::MAX, "cacheReadInputTokens": u64::MAX, "outputTokens": 1e300 }));
    let expected = Usage {
        input_tokens: 1_000_000_000,
        cached_input_tokens: 1_000_000_000,
        output_tokens: 1_000_000_000,
        ..Usage::default()
    };
    assert_eq!(huge, Some(expected));
    let mut body = body();
    body["usage"] = Value::Null;
    assert_eq!(read(&body).usage, None);
}

#[test]
fn what_is_no_answer_is_malformed_or_told() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for body in
        ["", "<html>", "{\"output\":", "[]", "null", "{}", r#"{"output":{"message":{"content":"text"}}}"#, &deep]
    {
        assert!(matches!(read_answer(body), Err(Wrong::Malformed(_))), "{body:.40}");
    }
    let Err(Wrong::Told(told)) = read_answer(r#"{"message":"Too many requests","__type":"ThrottlingException"}"#)
    else {
        panic!("not told");
    };
    assert_eq!((told.status, told.message.as_str()), (Some(429), "Too many requests"));
    // An answer without content is one: a guardrail may leave nothing.
    let empty = json!({ "output": { "message": { "content": [] } }, "stopReason": "guardrail_intervened" });
    assert_eq!(read(&empty).choices[0].stop, StopReason::Refusal);
}
