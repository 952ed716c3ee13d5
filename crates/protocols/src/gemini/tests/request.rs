use super::*;
use crate::chat::{Media, MediaSource};

fn contents_of(request: &Request) -> Value {
    write_request(request, &mut Losses::default()).unwrap()["contents"].clone()
}

#[test]
fn both_spellings_and_single_items_are_read() {
    let camel = read(json!({
        "systemInstruction": {"role": "user", "parts": [{"text": "Be short."}]},
        "contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]}],
        "generationConfig": {"maxOutputTokens": 7, "topP": 0.5, "topK": 40, "stopSequences": ["x"], "candidateCount": 2}
    }));
    let snake = read(json!({
        "system_instruction": {"parts": {"text": "Be short."}},
        "contents": {"parts": {"inline_data": {"mime_type": "image/png", "data": "aGk"}}},
        "generation_config":
            {"max_output_tokens": "7", "top_p": 0.5, "top_k": 40.0, "stop_sequences": ["x"], "candidate_count": 2}
    }));
    assert_eq!(camel, snake);
    assert_eq!((camel.model.as_str(), camel.stream, camel.stream_usage), ("", false, true));
    assert_eq!(camel.system, [Part::text("Be short.")]);
    assert_eq!((camel.max_output_tokens, camel.top_k, camel.choices), (Some(7), Some(40), Some(2)));
    let Content::Image(media) = &camel.messages[0].parts[0].content else { panic!() };
    assert_eq!(media.source, MediaSource::Base64("aGk=".to_owned()));
}

#[test]
fn errors_and_losses_name_the_callers_fields() {
    let (field, _) = refused(json!({"contents": [{"parts": [{"inline_data": {"data": "aGk="}}]}]}));
    assert_eq!(field, "contents[0].parts[0].inline_data.mimeType");
    let (field, _) =
        refused(json!({"contents": {"parts": {"text": "a"}}, "generation_config": {"max_output_tokens": -1}}));
    assert_eq!(field, "generation_config.max_output_tokens");
    assert_eq!(refused(json!({"contents": []})).0, "contents");
    assert_eq!(refused(json!([1])).0, "body");
    assert_eq!(refused(json!({"contents": [{"role": "system", "parts": [{"text": "a"}]}]})).0, "contents[0].role");
    assert_eq!(
        refused(json!({"contents": {"parts": {"text": "a"}}, "cached_content": "cachedContents/1"})).0,
        "cached_content"
    );
    let (_, losses) = read_losing(json!({
        "contents": [{"parts": [{"text": "a", "partMetadata": {}}]}],
        "safetySettings": [], "labels": {"a": "b"}, "nonsense": 1,
        "generationConfig": {"media_resolution": "MEDIA_RESOLUTION_LOW", "logprobs": 3}
    }));
    let mut fields = lost(&losses);
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "contents[0].parts[0].partMetadata",
            "generationConfig.logprobs",
            "generationConfig.media_resolution",
            "labels",
            "nonsense",
            "safetySettings",
        ]
    );
}

#[test]
fn parts_that_cannot_be_translated_are_refused() {
    for (part, field) in [
        (json!({}), "contents[0].parts[0]"),
        (json!({"executableCode": {"code": "1"}}), "contents[0].parts[0].executableCode"),
        (json!({"code_execution_result": {"output": "1"}}), "contents[0].parts[0].code_execution_result"),
        (
            json!({"fileData": {"fileUri": "gs://a/b.mp4"}, "videoMetadata": {"fps": 1}}),
            "contents[0].parts[0].videoMetadata",
        ),
        (json!({"functionCall": {"name": "f"}}), "contents[0].parts[0].functionCall"),
        (json!({"functionResponse": {"name": "f", "response": {}}}), "contents[0].parts[0].functionResponse.name"),
        (json!({"functionResponse": {"name": "f", "response": []}}), "contents[0].parts[0].functionResponse.response"),
    ] {
        assert_eq!(refused(with_part(part.clone())).0, field, "{part}");
    }
}

#[test]
fn a_conversation_with_tools_makes_the_round_trip() {
    let mut request = asked(vec![Part::text("What is the weather in Paris and Rome?")]);
    request.system = vec![Part::text("Be short."), Part::text("Be right.")];
    request.messages.extend([
        said(
            Role::Assistant,
            vec![
                thought("They want two cities.", None),
                Part::text("I look."),
                seal_part("c2ln"),
                call("call_1", "weather", r#"{"city":"Paris","z":1,"a":[1.5,null]}"#),
                call("call_2", "weather", r#"{"city":"Rome"}"#),
            ],
        ),
        said(Role::User, vec![result("call_1", "weather", r#"{"sky":"blue"}"#), result("call_2", "weather", "rain")]),
        said(Role::Assistant, vec![Part::text("Blue and rain."), seal_part("ZW5k")]),
        said(Role::User, vec![Part::text("Thanks.")]),
    ]);
    let body = write(&request);
    assert_eq!(
        body["contents"][1]["parts"],
        json!([
            {"thought": true, "text": "They want two cities."},
            {"text": "I look."},
            {"functionCall": {"id": "call_1", "name": "weather", "args": {"city": "Paris", "z": 1, "a": [1.5, null]}},
                "thoughtSignature": "c2ln"},
            {"functionCall": {"id": "call_2", "name": "weather", "args": {"city": "Rome"}}},
        ])
    );
    assert_eq!(
        body["contents"][2],
        json!({"role": "user", "parts": [
            {"functionResponse": {"name": "weather", "response": {"sky": "blue"}, "id": "call_1"}},
            {"functionResponse": {"name": "weather", "response": {"result": "rain"}, "id": "call_2"}},
        ]})
    );
    assert_eq!(body["contents"][3]["parts"][1], json!({"text": "", "thoughtSignature": "ZW5k"}));
    assert!(body.to_string().contains(r#"{"city":"Paris","z":1,"a":[1.5,null]}"#), "the order is lost: {body}");
    request.model.clear();
    assert_eq!(read(body), request);
}

#[test]
fn calls_without_ids_are_matched_by_name_and_order() {
    let request = read(json!({"contents": [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [
            {"functionCall": {"name": "a", "args": {}}}, {"functionCall": {"name": "b"}}, {"functionCall": {"name": "a", "id": "own"}},
        ]},
        {"role": "function", "parts": [
            {"functionResponse": {"name": "b", "response": {"output": "B"}}},
            {"functionResponse": {"name": "a", "response": {"result": 5}}},
            {"functionResponse": {"name": "a", "response": {"error": "broken"}}},
        ]},
        {"role": "model", "parts": [{"functionCall": {"name": "a"}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "unknown", "name": "a", "response": {}}}]},
    ]}));
    let ids: Vec<&str> = request
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some(call.id.as_str()),
            Content::ToolResult(result) => Some(result.call_id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        ids,
        [
            "call_gemini_0",
            "call_gemini_1",
            "own",
            "call_gemini_1",
            "call_gemini_0",
            "own",
            "call_gemini_3",
            "call_gemini_3"
        ]
    );
    let results: Vec<(&[Part], bool)> = request.messages[2]
        .parts
        .iter()
        .map(|part| match &part.content {
            Content::ToolResult(result) => (result.parts.as_slice(), result.is_error),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        results,
        [(&[Part::text("B")][..], false), (&[Part::text("5")][..], false), (&[Part::text("broken")][..], true),]
    );
}

#[test]
fn made_ids_stay_unique() {
    let request = read(json!({"contents": [{"role": "model", "parts": [
        {"functionCall": {"name": "a", "id": "call_gemini_1"}}, {"functionCall": {"name": "a"}},
    ]}]}));
    assert_eq!(request.messages[0].parts, [call("call_gemini_1", "a", "{}"), call("call_gemini_1_", "a", "{}")]);
}

#[test]
fn pieces_of_a_stream_that_a_client_kept_become_one_message() {
    let request = read(json!({"contents": [
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "user", "parts": [{"text": "b"}]},
        {"role": "model", "parts": [{"text": "thin", "thought": true}]},
        {"role": "model", "parts": [{"text": "king", "thought": true}]},
        {"role": "model", "parts": [{"text": "", "thought": true, "thoughtSignature": "c2ln"}]},
        {"role": "model", "parts": [{"text": "Hel"}]},
        {"role": "model", "parts": [{"text": "lo"}]},
        {"role": "model", "parts": [{"text": "", "thoughtSignature": "ZW5k"}]},
        {"role": "model", "parts": []},
    ]}));
    assert_eq!(
        request.messages,
        [
            said(Role::User, vec![Part::text("a"), Part::text("b")]),
            said(
                Role::Assistant,
                vec![thought("thinking", signature(Protocol::Gemini, "c2ln")), Part::text("Hello"), seal_part("ZW5k"),]
            ),
        ]
    );
}

#[test]
fn messages_of_one_role_are_joined_and_instructions_move_to_the_front() {
    let mut request = asked(vec![Part::text("a")]);
    request.messages.extend([
        said(Role::System, vec![Part::text("Now shout.")]),
        said(Role::User, vec![Part::text("b"), Part::text("")]),
        said(Role::Assistant, vec![Part::text("")]),
        Message { name: Some("Ann".to_owned()), ..said(Role::User, vec![Part::text("c")]) },
    ]);
    request.user = Some("u".to_owned());
    request.messages[0].parts[0].cache = Some(crate::chat::CacheControl::default());
    let mut losses = Losses::default();
    let body = write_request(&request, &mut losses).unwrap();
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "Now shout."}]}));
    assert_eq!(body["contents"], json!([{"role": "user", "parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}]));
    assert_eq!(lost(&losses), ["user", "cache", "messages[1]", "messages[4].name"]);
    assert_eq!(write_refused(&Request::default()).0, "messages");
    request.system = vec![Part::new(Content::Refusal("no".to_owned()))];
    assert_eq!(write_refused(&request).0, "system[0]");
}

#[test]
fn results_of_tools_stand_first_and_know_their_functions() {
    let mut request = asked(vec![Part::text("go")]);
    let failed = Part::new(Content::ToolResult(ToolResult {
        call_id: "1".to_owned(),
        name: None,
        parts: vec![Part::text("no"), Part::text("way")],
        is_error: true,
    }));
    request.messages.extend([
        said(Role::Assistant, vec![call("1", "f", "")]),
        said(Role::User, vec![Part::text("here"), failed.clone()]),
    ]);
    assert_eq!(
        contents_of(&request)[2]["parts"],
        json!([
            {"functionResponse": {"name": "f", "response": {"error": "no\nway"}, "id": "1"}}, {"text": "here"},
        ])
    );
    request.messages.remove(1);
    assert_eq!(write_refused(&request).0, "messages[1].parts[1].call_id");
    let mut image = Media::from_url("data:image/png;base64,aGk=");
    let shown = |media: &Media| {
        Part::new(Content::ToolResult(ToolResult {
            call_id: "1".to_owned(),
            name: Some("see".to_owned()),
            parts: vec![Part::new(Content::Image(media.clone()))],
            is_error: false,
        }))
    };
    request.messages[1].parts = vec![shown(&image)];
    assert_eq!(
        contents_of(&request)[0]["parts"][0],
        json!({"functionResponse": {
            "name": "see", "response": {}, "id": "1", "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
        }})
    );
    image.source = MediaSource::Url("https://example.com/a.png".to_owned());
    request.messages[1].parts = vec![shown(&image)];
    assert_eq!(write_refused(&request).0, "messages[1].parts[0].parts[0]");
}

#[test]
fn invalid_arguments_are_refused() {
    let mut request = asked(vec![Part::text("go")]);
    for arguments in ["{\"a\":", "[1]", "nonsense"] {
        request.messages.truncate(1);
        request.messages.push(said(Role::Assistant, vec![call("1", "f", arguments)]));
        let (field, text) = write_refused(&request);
        assert_eq!(field, "messages[1].parts[0].arguments");
        assert!(text.contains("mend"), "{text}");
    }
}

#[test]
fn own_signatures_come_back_and_foreign_ones_do_not() {
    let foreign = |text: &str, encrypted: bool| {
        let signature = signature(Protocol::Anthropic, "abc");
        let (signature, encrypted) = if encrypted { (None, signature) } else { (signature, None) };
        Part::new(Content::Reasoning(Reasoning { text: text.to_owned(), signature, encrypted, ..Reasoning::default() }))
    };
    let mut request = asked(vec![Part::text("go")]);
    request.messages.extend([
        said(
            Role::Assistant,
            vec![foreign("hm", false), foreign("", true), call("1", "f", "{}"), call("2", "f", "{}")],
        ),
        said(Role::User, vec![result("1", "f", "x"), result("2", "f", "y")]),
        said(Role::Assistant, vec![seal_part("YQ=="), seal_part("Yg=="), call("3", "f", "{}")]),
        said(Role::User, vec![result("3", "f", "z")]),
    ]);
    let mut losses = Losses::default();
    let body = write_request(&request, &mut losses).unwrap();
    assert_eq!(lost(&losses), ["reasoning"]);
    let calls = |body: &Value| {
        let parts: Vec<&Value> =
            [1, 3].iter().flat_map(|place| body["contents"][*place]["parts"].as_array().unwrap()).collect();
        parts.iter().map(|part| part["thoughtSignature"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(calls(&body), [some("skip_thought_signature_validator"), None, some("YQ=="), some("Yg==")]);
    // A client that sends the placeholder means no signature.
    let (read_back, _) = read_losing(body);
    assert_eq!(read_back.messages[1].parts, [call("1", "f", "{}"), call("2", "f", "{}")]);
    request.model = "models/gemini-2.5-pro".to_owned();
    assert_eq!(calls(&write_request(&request, &mut losses).unwrap()), [None, None, some("YQ=="), some("Yg==")]);
}

#[test]
fn tokens_are_counted_for_the_whole_request() {
    let mut request = asked(vec![Part::text("go")]);
    request.system = vec![Part::text("s")];
    let counted = count_tokens_request(&request, &mut Losses::default()).unwrap();
    assert_eq!(
        counted,
        json!({"generateContentRequest": {
            "systemInstruction": {"parts": [{"text": "s"}]},
            "contents": [{"role": "user", "parts": [{"text": "go"}]}],
            "model": "models/gemini-3-pro",
        }})
    );
    request.model = "tunedModels/a".to_owned();
    let counted = count_tokens_request(&request, &mut Losses::default()).unwrap();
    assert_eq!(counted["generateContentRequest"]["model"], "tunedModels/a");
    // What a client asks `:countTokens` with can be read as well.
    assert_eq!(read(counted["generateContentRequest"].clone()).messages, request.messages);
    assert_eq!(read_count(r#"{"totalTokens": 31, "promptTokensDetails": []}"#), Ok(31));
    for wrong in ["", "{}", "[]", r#"{"totalTokens": -1}"#, r#"{"totalTokens": {}}"#] {
        assert!(matches!(read_count(wrong), Err(crate::Wrong::Malformed(_))), "{wrong}");
    }
    assert!(matches!(read_count(r#"{"error": {"code": 404, "message": "no"}}"#), Err(crate::Wrong::Told(_))));
}
