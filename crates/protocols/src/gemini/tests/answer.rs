use super::*;
use crate::{
    Wrong,
    chat::{Answer, Choice, Collector, Media, MediaSource, StopReason, TokenLogprob, Usage},
};

fn choice(parts: Vec<Part>, stop: StopReason) -> Choice {
    Choice { index: 0, parts, stop, stop_sequence: None, logprobs: Vec::new() }
}

fn logprob(token: &str, logprob: f64, top: Vec<TokenLogprob>) -> TokenLogprob {
    TokenLogprob { token: token.to_owned(), bytes: None, logprob, top }
}

fn full_answer() -> Answer {
    let image = Media::from_url("data:image/png;base64,aGk=");
    Answer {
        id: "mAitaLmkHPPlz7IPvtfUqQ4".to_owned(),
        model: "gemini-3-pro".to_owned(),
        created: Some(1_795_719_564),
        choices: vec![
            Choice {
                logprobs: vec![
                    logprob("It", -0.25, vec![logprob("It", -0.25, vec![]), logprob("A", -2.0, vec![])]),
                    logprob(" is", 0.0, vec![]),
                ],
                ..choice(
                    vec![
                        thought("Hm.", None),
                        Part::text("It is"),
                        seal_part("c2ln"),
                        call("a1", "f", r#"{"z":1,"a":{"b":[]}}"#),
                        call("a2", "g", "{}"),
                        Part::new(Content::Image(image)),
                    ],
                    StopReason::ToolUse,
                )
            },
            Choice { index: 1, ..choice(vec![Part::text("Well"), seal_part("ZW5k")], StopReason::MaxTokens) },
            Choice { index: 2, ..choice(vec![], StopReason::Refusal) },
            Choice { index: 3, ..choice(vec![], StopReason::Other("MALFORMED_FUNCTION_CALL".to_owned())) },
        ],
        usage: Some(Usage {
            input_tokens: 100,
            cached_input_tokens: 40,
            cache_write_tokens: 0,
            output_tokens: 30,
            reasoning_tokens: 10,
        }),
    }
}

#[test]
fn a_whole_answer_makes_the_round_trip() {
    let answer = full_answer();
    let mut losses = Losses::default();
    let body = write_answer(&answer, &mut losses);
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(body["createTime"], "2026-11-26T18:59:24Z");
    assert_eq!(body["responseId"], "mAitaLmkHPPlz7IPvtfUqQ4");
    assert_eq!(
        body["usageMetadata"],
        json!({"promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 20, "thoughtsTokenCount": 10,
            "totalTokenCount": 130})
    );
    let candidate = &body["candidates"][0];
    assert_eq!(candidate["finishReason"], "STOP");
    assert_eq!(candidate["avgLogprobs"], json!(-0.125));
    assert_eq!(
        candidate["content"],
        json!({"role": "model", "parts": [
            {"thought": true, "text": "Hm."},
            {"text": "It is"},
            {"functionCall": {"id": "a1", "name": "f", "args": {"z": 1, "a": {"b": []}}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"id": "a2", "name": "g", "args": {}}},
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        ]})
    );
    assert_eq!(body["candidates"][1]["content"]["parts"][1], json!({"text": "", "thoughtSignature": "ZW5k"}));
    assert_eq!(read_answer(&body.to_string()), Ok(answer));
}

#[test]
fn a_stream_of_an_answer_collects_to_the_same() {
    let answer = full_answer();
    let events = written(answer.clone().into_deltas());
    let last = events.last().unwrap();
    assert_eq!(last["usageMetadata"]["totalTokenCount"], 130);
    assert_eq!(last["candidates"].as_array().unwrap().len(), 4);
    assert_eq!(events.iter().filter(|event| event.to_string().contains("finishReason")).count(), 1);
    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    for data in events {
        assert!(!reader.is_complete());
        reader.read(&event(data), &mut deltas).unwrap();
    }
    assert!(reader.is_complete());
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    assert_eq!(collector.finish(), answer);
}

#[test]
fn usage_counts_thoughts_and_prompts_of_tools() {
    let usage = |text: &str| {
        let body = format!(r#"{{"candidates":[{{"finishReason":"STOP"}}],"usageMetadata":{text}}}"#);
        read_answer(&body).unwrap().usage
    };
    let expected = Usage {
        input_tokens: 12,
        cached_input_tokens: 8,
        cache_write_tokens: 0,
        output_tokens: 7,
        reasoning_tokens: 4,
    };
    let counts = r#"{"promptTokenCount":10,"cachedContentTokenCount":8,"toolUsePromptTokenCount":2,
        "candidatesTokenCount":"3","thoughtsTokenCount":4,"promptTokensDetails":[]}"#;
    assert_eq!(usage(counts), Some(expected));
    assert_eq!(usage("null"), None);
    assert_eq!(usage("{}"), Some(Usage::default()));
    let absurd =
        usage(r#"{"promptTokenCount":9223372036854775807,"cachedContentTokenCount":1e300,"thoughtsTokenCount":-1}"#);
    assert_eq!(absurd.unwrap().input_tokens, 1_000_000_000);
    assert_eq!(absurd.unwrap().reasoning_tokens, 0);
}

#[test]
fn each_end_has_its_reason() {
    let stop = |reason: &str| {
        let body = json!({"candidates": [{"finishReason": reason}]}).to_string();
        read_answer(&body).unwrap().choices[0].stop.clone()
    };
    for (word, reason) in [("STOP", StopReason::End), ("MAX_TOKENS", StopReason::MaxTokens), ("", StopReason::End)] {
        assert_eq!(stop(word), reason);
    }
    for word in ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"] {
        assert_eq!(stop(word), StopReason::Refusal);
    }
    for word in ["MALFORMED_FUNCTION_CALL", "LANGUAGE", "OTHER", "SOMETHING_NEW"] {
        assert_eq!(stop(word), StopReason::Other(word.to_owned()));
    }
    let written = |stop: StopReason| {
        let answer = Answer { choices: vec![choice(vec![], stop)], ..Answer::default() };
        write_answer(&answer, &mut Losses::default())["candidates"][0]["finishReason"].clone()
    };
    for stop in [StopReason::StopSequence, StopReason::Pause, StopReason::ToolUse] {
        assert_eq!(written(stop), "STOP");
    }
    assert_eq!(written(StopReason::Refusal), "SAFETY");
    assert_eq!(written(StopReason::Other("insufficient_system_resource".to_owned())), "OTHER");
    // The limit was reached in the middle of the arguments.
    let cut = json!({"candidates": [{"finishReason": "MAX_TOKENS", "content": {"parts": [{"functionCall": {"name": "f"}}]}}]});
    assert_eq!(read_answer(&cut.to_string()).unwrap().choices[0].stop, StopReason::MaxTokens);
}

#[test]
fn a_blocked_prompt_is_a_refusal() {
    let blocked =
        json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}});
    let answer = read_answer(&blocked.to_string()).unwrap();
    assert_eq!(answer.choices, [choice(vec![], StopReason::Refusal)]);
    assert_eq!(answer.usage.unwrap().input_tokens, 4);
}

#[test]
fn made_ids_of_calls_differ_between_answers() {
    let ids = |response_id: &str| {
        let calls = json!([{"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "f"}}]);
        let body = json!({"responseId": response_id, "candidates": [{"content": {"parts": calls}}]}).to_string();
        let answer = read_answer(&body).unwrap();
        assert_eq!(answer.choices[0].stop, StopReason::ToolUse);
        let calls = answer.choices[0].parts.iter().map(|part| match &part.content {
            Content::ToolCall(call) => (call.id.clone(), call.arguments.clone()),
            other => panic!("{other:?}"),
        });
        calls.unzip::<_, _, Vec<String>, Vec<String>>()
    };
    let (first, arguments) = ids("mAitaLmk/HPPlz7IPvtfUqQ4");
    assert_eq!(first, ["call_gemini_mAitaLmkHPPlz7IPvtfU_0", "call_gemini_mAitaLmkHPPlz7IPvtfU_1"]);
    assert_eq!(arguments, ["{}", "{}"]);
    assert_ne!(first, ids("other").0);
    assert_eq!(ids("").0, ["call_gemini_0", "call_gemini_1"]);
}

#[test]
fn foreign_seals_pass_through_clients_that_decode_bytes() {
    let foreign = vec![
        Part::new(Content::Reasoning(Reasoning {
            text: "Hm.".to_owned(),
            summary: true,
            signature: signature(Protocol::Anthropic, "EqQB+/="),
            ..Reasoning::default()
        })),
        Part::new(Content::Reasoning(Reasoning {
            encrypted: signature(Protocol::OpenAiResponses, "gAAA"),
            id: Some("rs_1".to_owned()),
            ..Reasoning::default()
        })),
        call("1", "f", "{}"),
    ];
    let answer = Answer { choices: vec![choice(foreign.clone(), StopReason::ToolUse)], ..Answer::default() };
    let mut losses = Losses::default();
    let content = write_answer(&answer, &mut losses)["candidates"][0]["content"].clone();
    assert!(losses.is_empty());
    let mut url_safe = content.clone();
    for part in url_safe["parts"].as_array_mut().unwrap() {
        if let Some(seal) = part.get("thoughtSignature").and_then(Value::as_str) {
            assert!(seal.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)), "{seal}");
            part["thoughtSignature"] = seal.replace('+', "-").replace('/', "_").trim_end_matches('=').into();
        }
    }
    for content in [content, url_safe] {
        assert_eq!(read(json!({"contents": [content]})).messages[0].parts, foreign);
    }
    // Marked as other protocols mark them.
    let marked =
        json!({"role": "model", "parts": [{"text": "a", "thought": true, "thoughtSignature": "plasma.anthropic.x"}]});
    assert_eq!(
        read(json!({"contents": [marked]})).messages[0].parts,
        [thought("a", signature(Protocol::Anthropic, "x"))]
    );
}

#[test]
fn what_an_answer_cannot_say_is_lost_with_a_word() {
    let file = Media { media_type: None, source: MediaSource::File("file-1".to_owned()), name: None, detail: None };
    let parts = vec![
        call("1", "f", "{\"a\":"),
        Part::new(Content::Refusal("I will not.".to_owned())),
        Part::new(Content::Image(file)),
        result("1", "f", "x"),
        Part::text(""),
    ];
    let stopped = Choice { stop_sequence: Some("END".to_owned()), ..choice(parts, StopReason::StopSequence) };
    let mut losses = Losses::default();
    let body = write_answer(&Answer { choices: vec![stopped], ..Answer::default() }, &mut losses);
    assert_eq!(
        body["candidates"][0]["content"]["parts"],
        json!([
            {"functionCall": {"id": "1", "name": "f", "args": {"arguments": "{\"a\":"}}},
            {"text": "I will not."},
        ])
    );
    assert_eq!(
        lost(&losses),
        ["choices[0].parts[0].arguments", "choices[0].parts[2]", "choices[0].parts[3]", "choices[0].stop_sequence"]
    );
}

#[test]
fn odd_answers_are_read_as_far_as_they_go() {
    let body = json!({"candidates": [{
        "content": {"parts": [
            {"thought": true, "inlineData": {"mimeType": "image/png", "data": "aGk="}},
            {"executableCode": {"code": "1"}},
            {"text": ""},
            {"functionCall": {"name": "f", "args": "{\"a\": 1"}},
            {"fileData": {"fileUri": "https://example.com/a.mp3"}},
            {},
        ], "role": "model"},
        "groundingMetadata": {}, "safetyRatings": [],
        "logprobsResult": {"chosenCandidates": [{"token": "a"}, {"logProbability": "-Infinity"}], "topCandidates": [7]},
    }]});
    let answer = read_answer(&body.to_string()).unwrap();
    let choice = &answer.choices[0];
    assert_eq!(choice.parts[0], call("call_gemini_0", "f", "{\"a\": 1"));
    assert!(
        matches!(&choice.parts[1].content, Content::Audio(media) if media.media_type.as_deref() == Some("audio/mp3"))
    );
    assert_eq!(choice.parts.len(), 2);
    assert_eq!(choice.logprobs, [logprob("a", 0.0, vec![]), logprob("", -9_999.0, vec![])]);
    // A stream without `alt=sse` is a list.
    let list = json!([
        {"candidates": [{"content": {"parts": [{"text": "a"}]}}]},
        {"candidates": [{"content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"}]},
    ]);
    assert_eq!(read_answer(&list.to_string()).unwrap().choices[0].parts, [Part::text("ab")]);
}

#[test]
fn hostile_answers_are_refused_or_survived() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let many: Vec<Value> = (0..200).map(|index| json!({"index": index})).collect();
    let malformed = [
        String::new(),
        "<html>".to_owned(),
        "{\"candidates\":[{\"content\"".to_owned(),
        "[]".to_owned(),
        "7".to_owned(),
        "{}".to_owned(),
        nested,
        r#"{"candidates":{}}"#.to_owned(),
        r#"{"candidates":[]}"#.to_owned(),
        r#"{"candidates":[7]}"#.to_owned(),
        r#"{"candidates":[{"index":-1}]}"#.to_owned(),
        r#"{"candidates":[{"index":1e99}]}"#.to_owned(),
        r#"{"candidates":[{"content":{"parts":[7]}}]}"#.to_owned(),
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{}}}]}}]}"#.to_owned(),
        json!({"candidates": many}).to_string(),
    ];
    for body in &malformed {
        let outcome = read_answer(body);
        assert!(matches!(outcome, Err(Wrong::Malformed(_))), "{outcome:?} of {:.80}", body);
    }
    for body in [
        r#"{"candidates":[{"content":[],"finishReason":{}}]}"#,
        r#"{"candidates":[{"content":{"parts":{}},"logprobsResult":[],"index":null}]}"#,
        r#"{"candidates":[{"content":null}],"promptFeedback":7,"usageMetadata":[],"responseId":{},"createTime":"2026-99-99T"}"#,
    ] {
        assert!(read_answer(body).is_ok(), "{body}");
    }
    let told = read_answer(r#"[{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}]"#);
    assert!(matches!(told, Err(Wrong::Told(told)) if told.status == Some(503)));
}
