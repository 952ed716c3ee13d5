use serde_json::json;

use super::*;
use crate::chat::{Choice, Media, MediaSource, StopReason, TokenLogprob, Usage};

fn answer(message: Value, finish_reason: &str) -> Answer {
    let body = json!({"id": "a", "model": "m", "choices": [{"message": message, "finish_reason": finish_reason}]});
    read_answer(&body.to_string()).unwrap()
}

fn usage(usage: Value) -> Option<Usage> {
    let body = json!({"choices": [{"message": {"content": "x"}}], "usage": usage});
    read_answer(&body.to_string()).unwrap().usage
}

fn token(token: &str, logprob: f64, top: Vec<TokenLogprob>) -> TokenLogprob {
    TokenLogprob { token: token.to_owned(), bytes: Some(token.as_bytes().to_vec()), logprob, top }
}

/// All that an answer of this protocol can hold.
fn full() -> Answer {
    let image = Media {
        media_type: Some("image/png".to_owned()),
        source: MediaSource::Base64("AAAA".to_owned()),
        name: None,
        detail: None,
    };
    let seal = r#"{"type":"reasoning.text","index":0,"signature":"s"}"#;
    let hidden = r#"{"type":"reasoning.encrypted","data":"d","index":1}"#;
    let hidden = Reasoning { encrypted: signature(Protocol::OpenAiChat, hidden), ..Reasoning::default() };
    Answer {
        id: "chatcmpl-1".to_owned(),
        model: "m".to_owned(),
        created: Some(1_700_000_000),
        choices: vec![
            Choice {
                index: 0,
                parts: vec![
                    thought("t", signature(Protocol::OpenAiChat, seal)),
                    Part::new(Content::Reasoning(hidden)),
                    Part::text("text"),
                    Part::new(Content::Image(image)),
                    call("c1", "f", "{\"z\": 1}"),
                    call("c2", "g", "{}"),
                ],
                stop: StopReason::ToolUse,
                stop_sequence: None,
                logprobs: vec![token("te", -0.5, vec![token("ta", -1.5, Vec::new())]), token("xt", -0.25, Vec::new())],
            },
            Choice {
                index: 1,
                parts: vec![Part::new(Content::Refusal("no".to_owned()))],
                stop: StopReason::Refusal,
                stop_sequence: None,
                logprobs: Vec::new(),
            },
        ],
        usage: Some(Usage {
            input_tokens: 10,
            cached_input_tokens: 4,
            cache_write_tokens: 2,
            output_tokens: 6,
            reasoning_tokens: 3,
        }),
    }
}

#[test]
fn what_an_answer_can_hold_comes_back() {
    let mut losses = Losses::default();
    let body = write_answer(&full(), &mut losses);
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(read_answer(&body.to_string()).unwrap(), full());
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["reasoning_content"], "t");
    assert_eq!(body["choices"][1]["finish_reason"], "stop");
    assert_eq!(body["usage"]["total_tokens"], 16);
    assert_eq!(collect(full().into_deltas()), full());
    assert_eq!(collected(&super::written(full(), true)), full());
}

#[test]
fn a_small_answer_has_every_documented_field() {
    let answer = Answer {
        choices: vec![Choice {
            index: 0,
            parts: vec![call("c", "f", "")],
            stop: StopReason::ToolUse,
            stop_sequence: None,
            logprobs: Vec::new(),
        }],
        ..Answer::default()
    };
    let calls = json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let expected = json!({
        "id": "chatcmpl-plasma", "object": "chat.completion", "created": 0, "model": "",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": null, "refusal": null, "tool_calls": calls},
            "logprobs": null, "finish_reason": "tool_calls",
        }],
    });
    assert_eq!(write_answer(&answer, &mut Losses::default()), expected);
}

#[test]
fn seals_of_other_makers_travel_marked() {
    let summary = Reasoning {
        text: "s".to_owned(),
        summary: true,
        signature: None,
        encrypted: signature(Protocol::OpenAiResponses, "e"),
        id: Some("rs_1".to_owned()),
    };
    let parts = vec![
        thought("bare", None),
        thought("t", signature(Protocol::Anthropic, "abc")),
        Part::new(Content::Reasoning(summary)),
        Part::text("x"),
        thought("", signature(Protocol::Gemini, "g")),
        call("c", "f", "{}"),
    ];
    let choice = Choice { index: 0, parts, stop: StopReason::ToolUse, stop_sequence: None, logprobs: Vec::new() };
    let body = write_answer(&Answer { choices: vec![choice], ..Answer::default() }, &mut Losses::default());
    let message = &body["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "barets");
    let details = json!([
        {"type": "reasoning.text", "text": "t", "index": 0, "signature": "plasma.anthropic.abc"},
        {"type": "reasoning.summary", "summary": "s", "id": "rs_1", "index": 1},
        {"type": "reasoning.encrypted", "data": "plasma.responses.e", "id": "rs_1", "index": 2},
        {"type": "reasoning.text", "text": "", "id": "c", "index": 3, "signature": "plasma.gemini.g"},
    ]);
    assert_eq!(message["reasoning_details"], details);
    // The client sends the message back as it is.
    let back = read(json!({"model": "m", "messages": [message]})).messages.remove(0).parts;
    let Content::Reasoning(joined) = &back[1].content else { panic!() };
    assert_eq!(joined.encrypted, signature(Protocol::OpenAiResponses, "e"));
    assert_eq!(back[0], thought("t", signature(Protocol::Anthropic, "abc")));
    let rest = [Part::text("x"), thought("", signature(Protocol::Gemini, "g")), call("c", "f", "{}")];
    assert_eq!(back[2..], rest);
}

#[test]
fn thoughts_of_all_dialects_are_read() {
    let parts = |message: Value| answer(message, "stop").choices.remove(0).parts;
    let deepseek = thought("t", signature(Protocol::OpenAiChat, "reasoning_content"));
    assert_eq!(parts(json!({"content": "x", "reasoning_content": "t"})), [deepseek, Part::text("x")]);
    assert_eq!(parts(json!({"content": "x", "reasoning": "t"})), [thought("t", None), Part::text("x")]);
    let mistral = json!({"content": [
        {"type": "thinking", "thinking": [{"type": "text", "text": "t"}], "closed": true},
        {"type": "text", "text": "x"}, {"type": "reference", "reference_ids": [1]},
    ]});
    assert_eq!(parts(mistral), [thought("t", None), Part::text("x")]);
    // What is sealed goes back as it came, even when its text looks like another maker's, and whatever its kind.
    let openrouter = parts(json!({"content": "x", "reasoning": "t", "reasoning_details": [
        {"type": "reasoning.text", "text": "t", "signature": "plasma.gemini.s", "format": "f"},
        {"type": "reasoning.novel", "what": 1},
    ]}));
    let Content::Reasoning(sealed) = &openrouter[0].content else { panic!() };
    assert_eq!(sealed.text, "t");
    let seal = r#"{"type":"reasoning.text","signature":"plasma.gemini.s","format":"f"}"#;
    assert_eq!(sealed.signature, signature(Protocol::OpenAiChat, seal));
    let Content::Reasoning(novel) = &openrouter[1].content else { panic!() };
    assert_eq!(novel.encrypted, signature(Protocol::OpenAiChat, r#"{"type":"reasoning.novel","what":1}"#));
}

#[test]
fn reasons_for_an_end_are_understood() {
    let stop = |message: Value, word: &str| answer(message, word).choices.remove(0).stop;
    let text = || json!({"content": "x"});
    for (word, reason) in [
        ("stop", StopReason::End),
        ("", StopReason::End),
        ("eos", StopReason::End),
        ("length", StopReason::MaxTokens),
        ("model_length", StopReason::MaxTokens),
        ("tool_calls", StopReason::ToolUse),
        ("function_call", StopReason::ToolUse),
        ("content_filter", StopReason::Refusal),
        ("stop_sequence", StopReason::StopSequence),
        ("insufficient_system_resource", StopReason::Other("insufficient_system_resource".to_owned())),
    ] {
        assert_eq!(stop(text(), word), reason, "{word}");
    }
    let calls = json!({"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]});
    assert_eq!(stop(calls.clone(), "stop"), StopReason::ToolUse);
    assert_eq!(stop(json!({"refusal": "no"}), "stop"), StopReason::Refusal);
    // Ids are made up, and never twice.
    let id = || match answer(calls.clone(), "stop").choices.remove(0).parts.remove(0).content {
        Content::ToolCall(call) => {
            assert_eq!(call.arguments, "{\"a\":1}");
            call.id
        }
        _ => panic!(),
    };
    assert_ne!(id(), id());
    // vLLM names the sequence.
    let body = r####"{"choices":[{"message":{"content":"x"},"finish_reason":"stop","stop_reason":"##"}]}"####;
    let choice = read_answer(body).unwrap().choices.remove(0);
    assert_eq!((choice.stop, choice.stop_sequence.as_deref()), (StopReason::StopSequence, Some("##")));
    let older = json!({"content": null, "function_call": {"name": "f", "arguments": "{}"}});
    assert_eq!(stop(older, "function_call"), StopReason::ToolUse);
}

#[test]
fn reasons_that_the_protocol_lacks_become_near_ones() {
    let written = |stop: StopReason| {
        let parts = vec![Part::text("x")];
        let choice = Choice { index: 0, parts, stop, stop_sequence: None, logprobs: Vec::new() };
        let mut losses = Losses::default();
        let body = write_answer(&Answer { choices: vec![choice], ..Answer::default() }, &mut losses);
        (body["choices"][0]["finish_reason"].as_str().unwrap().to_owned(), losses.is_empty())
    };
    assert_eq!(written(StopReason::End), ("stop".to_owned(), true));
    assert_eq!(written(StopReason::StopSequence), ("stop".to_owned(), true));
    assert_eq!(written(StopReason::MaxTokens), ("length".to_owned(), true));
    assert_eq!(written(StopReason::Refusal), ("content_filter".to_owned(), true));
    assert_eq!(written(StopReason::Pause), ("length".to_owned(), false));
    assert_eq!(written(StopReason::Other("x".to_owned())), ("stop".to_owned(), false));
    let sound = Part::new(Content::Audio(Media {
        media_type: None,
        source: MediaSource::Base64("AA".to_owned()),
        name: None,
        detail: None,
    }));
    let choice =
        Choice { index: 0, parts: vec![sound], stop: StopReason::End, stop_sequence: None, logprobs: Vec::new() };
    let mut losses = Losses::default();
    write_answer(&Answer { choices: vec![choice], ..Answer::default() }, &mut losses);
    assert_eq!(fields(&losses), ["choices[0].parts[0]"]);
}

#[test]
fn tokens_are_counted_alike_whatever_the_dialect() {
    let counted = |input, cached, written, output, reasoning| {
        Some(Usage {
            input_tokens: input,
            cached_input_tokens: cached,
            cache_write_tokens: written,
            output_tokens: output,
            reasoning_tokens: reasoning,
        })
    };
    let openai = json!({"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}});
    assert_eq!(usage(openai), counted(10, 4, 0, 6, 3));
    let deepseek = json!({"prompt_tokens": 10, "completion_tokens": 6, "prompt_cache_hit_tokens": 4});
    assert_eq!(usage(deepseek), counted(10, 4, 0, 6, 0));
    let moonshot = json!({"prompt_tokens": 10, "completion_tokens": 6, "cached_tokens": 4});
    assert_eq!(usage(moonshot), counted(10, 4, 0, 6, 0));
    let openrouter = json!({"prompt_tokens": 10, "completion_tokens": 6,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2}});
    assert_eq!(usage(openrouter), counted(10, 4, 2, 6, 0));
    let xai = json!({"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 25,
        "completion_tokens_details": {"reasoning_tokens": 9}});
    assert_eq!(usage(xai), counted(10, 0, 0, 15, 9));
    assert_eq!(
        usage(json!({"prompt_tokens": 10, "completion_tokens": null, "prompt_tokens_details": null})),
        counted(10, 0, 0, 0, 0)
    );
    assert_eq!(usage(json!({"prompt_tokens": -5, "completion_tokens": 6.0})), counted(0, 0, 0, 6, 0));
    let absurd = usage(json!({"prompt_tokens": u64::MAX, "completion_tokens": 1e300,
        "completion_tokens_details": {"reasoning_tokens": u64::MAX}}));
    assert_eq!(absurd.unwrap().output_tokens, 1_000_000_000);
    assert_eq!(usage(Value::Null), None);
    assert_eq!(usage(json!("many")), None);
}

#[test]
fn errors_in_place_of_an_answer_are_told() {
    for (body, message) in [
        (json!({"error": {"message": "busy", "code": 503}}), "busy"),
        (json!({"object": "error", "message": "busy", "code": 503}), "busy"),
        (json!({"choices": [{"error": {"message": "busy", "code": 503}, "finish_reason": "error"}]}), "busy"),
    ] {
        match read_answer(&body.to_string()) {
            Err(Wrong::Told(told)) => assert_eq!((told.message.as_str(), told.status), (message, Some(503))),
            other => panic!("{other:?}"),
        }
    }
    let fine = json!({"error": null, "choices": [{"index": 0, "message": {"content": "x"}}]});
    assert_eq!(read_answer(&fine.to_string()).unwrap().choices[0].parts, [Part::text("x")]);
}
