use serde_json::json;

use crate::{
    Protocol,
    bedrock::{
        read_answer,
        testing::{
            LLAMA, assistant, bytes, cached, call, lossless, message, refused, request, result, signed, tool, user,
            write,
        },
    },
    chat::{CacheControl, Content, Part, Reasoning, Role, Signature, Tool, ToolChoice},
};

#[test]
fn a_turn_with_tools_and_thoughts() {
    let mut request = request(vec![
        user("What is the weather?"),
        assistant(vec![
            Content::Reasoning(signed("Let me see.", Protocol::Bedrock)),
            Content::Reasoning(Reasoning {
                encrypted: Some(Signature { maker: Protocol::Bedrock, text: "AAEC".to_owned() }),
                ..Reasoning::default()
            }),
            Content::Text("I look it up.".to_owned()),
            call("tooluse_1", r#"{"z":1,"a":2}"#),
            call("tooluse_2", ""),
        ]),
        message(
            Role::User,
            vec![
                result("tooluse_1", vec![Part::text("sunny"), Part::new(Content::Image(bytes("image/png")))], false),
                result("tooluse_2", vec![], true),
            ],
        ),
    ]);
    request.tools = vec![
        Tool {
            description: Some("The weather.".to_owned()),
            parameters: Some(json!({ "type": "object", "properties": { "z": {}, "a": {} } })),
            strict: Some(true),
            ..tool("weather")
        },
        Tool { description: Some(String::new()), parameters: Some(json!({})), strict: Some(false), ..tool("time") },
    ];
    request.tool_choice = Some(ToolChoice::Auto);
    request.parallel_tool_calls = Some(true);
    let body = lossless(&request);
    let expected = json!([
        { "role": "user", "content": [{ "text": "What is the weather?" }] },
        { "role": "assistant", "content": [
            { "reasoningContent": { "reasoningText": { "text": "Let me see.", "signature": "c2VhbA==" } } },
            { "reasoningContent": { "redactedContent": "AAEC" } },
            { "text": "I look it up." },
            { "toolUse": { "toolUseId": "tooluse_1", "name": "weather", "input": { "z": 1, "a": 2 } } },
            { "toolUse": { "toolUseId": "tooluse_2", "name": "weather", "input": {} } },
        ] },
        { "role": "user", "content": [
            { "toolResult": { "toolUseId": "tooluse_1", "content": [
                { "text": "sunny" }, { "image": { "format": "png", "source": { "bytes": "AAEC" } } },
            ] } },
            { "toolResult": { "toolUseId": "tooluse_2", "content": [], "status": "error" } },
        ] },
    ]);
    assert_eq!(body["messages"], expected);
    let expected = json!({
        "tools": [
            { "toolSpec": {
                "name": "weather", "description": "The weather.",
                "inputSchema": { "json": { "type": "object", "properties": { "z": {}, "a": {} } } }, "strict": true,
            } },
            { "toolSpec": { "name": "time", "inputSchema": { "json": { "type": "object" } } } },
        ],
        "toolChoice": { "auto": {} },
    });
    assert_eq!(body["toolConfig"], expected);
    // The order of arguments and schemas survives.
    let text = body.to_string();
    assert!(text.contains(r#""input":{"z":1,"a":2}"#) && text.contains(r#""properties":{"z":{},"a":{}}"#), "{text}");
}

/// What a model answered goes back as it came.
#[test]
fn an_answer_comes_back_unchanged() {
    let content = json!([
        { "reasoningContent": { "reasoningText": { "text": "Let me see.", "signature": "c2VhbA==" } } },
        { "reasoningContent": { "redactedContent": "AAEC" } },
        { "text": "I look it up." },
        { "toolUse": { "toolUseId": "tooluse_1", "name": "weather", "input": { "z": 1, "a": { "y": "ü" } } } },
    ]);
    let answer = json!({ "output": { "message": { "role": "assistant", "content": content } } });
    let parts = read_answer(&answer.to_string()).unwrap().choices.remove(0).parts;
    let result = result("tooluse_1", vec![Part::text("sunny")], false);
    let mut request = request(vec![user("hi"), message(Role::Assistant, parts), message(Role::User, vec![result])]);
    request.tools = vec![tool("weather")];
    assert_eq!(lossless(&request)["messages"][1]["content"], content);
}

#[test]
fn turns_alternate_and_results_of_tools_come_first() {
    let mut request = request(vec![
        message(Role::Assistant, vec![]),
        user("a"),
        user(" "),
        user("b"),
        assistant(vec![call("1", "{}")]),
        assistant(vec![Content::Refusal("No.".to_owned()), call("2", "{}")]),
        user("c"),
        message(Role::User, vec![result("1", vec![], false), Part::text("d"), result("2", vec![], false)]),
        assistant(vec![Content::Text("so: ".to_owned())]),
    ]);
    request.tools = vec![tool("weather")];
    request.messages[1].name = Some("Ann".to_owned());
    let (body, losses) = write(&request);
    let kinds = |index: usize| -> Vec<String> {
        let blocks = body["messages"][index]["content"].as_array().unwrap();
        blocks.iter().map(|block| block.as_object().unwrap().keys().next().unwrap().clone()).collect()
    };
    assert_eq!(kinds(0), ["text", "text"]);
    assert_eq!(kinds(1), ["toolUse", "text", "toolUse"]);
    assert_eq!(kinds(2), ["toolResult", "toolResult", "text", "text"]);
    assert_eq!(body["messages"][3]["content"], json!([{ "text": "so:" }]));
    assert_eq!(losses, ["messages[1].name", "messages"]);
}

#[test]
fn instructions_in_the_middle_move_to_the_front() {
    let system = |text: &str| message(Role::System, vec![Part::text(text)]);
    let mut request = request(vec![system("b"), user("hi"), system("c"), user("again")]);
    request.system = vec![Part::text("a")];
    let (body, losses) = write(&request);
    assert_eq!(body["system"], json!([{ "text": "a" }, { "text": "b" }, { "text": "c" }]));
    assert_eq!(body["messages"], json!([{ "role": "user", "content": [{ "text": "hi" }, { "text": "again" }] }]));
    assert_eq!(losses, ["messages[2]"]);
    request.system = vec![Part::new(Content::Image(bytes("image/png")))];
    assert_eq!(refused(&request).0, "system[0]");
}

#[test]
fn conversations_that_do_not_begin_with_the_user_are_refused() {
    let begins = request(vec![assistant(vec![Content::Text("hi".to_owned())]), user("x")]);
    assert_eq!(refused(&begins).0, "messages[0]");
    assert_eq!(refused(&request(vec![])).0, "messages");
    let mut only_system = request(vec![user("")]);
    only_system.system = vec![Part::text("Be kind.")];
    assert_eq!(refused(&only_system).0, "messages");
}

#[test]
fn foreign_and_unsigned_thoughts_are_left_out_once() {
    let unsigned = Reasoning { text: "hm".to_owned(), ..Reasoning::default() };
    let sealed = Signature { maker: Protocol::OpenAiResponses, text: "x".to_owned() };
    let (body, losses) = write(&request(vec![
        user("a"),
        assistant(vec![
            Content::Reasoning(signed("anthropic", Protocol::Anthropic)),
            Content::Reasoning(unsigned),
            Content::Reasoning(Reasoning { encrypted: Some(sealed), ..Reasoning::default() }),
            Content::Text("b".to_owned()),
        ]),
        assistant(vec![Content::Reasoning(signed("", Protocol::Gemini))]),
        message(Role::User, vec![Part::new(Content::Reasoning(signed("mine", Protocol::Bedrock))), Part::text("c")]),
    ]));
    assert_eq!(body["messages"][1]["content"], json!([{ "text": "b" }]));
    assert_eq!(body["messages"][2]["content"], json!([{ "text": "c" }]));
    assert_eq!(losses, ["messages[1].parts[0]"]);
    assert!(!body.to_string().contains("c2VhbA=="));
}

#[test]
fn cache_points_follow_what_is_cached() {
    let mut request = request(vec![
        message(Role::User, vec![cached(Part::text("a"), Some("1h")), cached(Part::text(" "), None), Part::text("b")]),
        assistant(vec![call("1", "{}")]),
        message(
            Role::User,
            vec![result("1", vec![cached(Part::text("x"), None)], false), cached(Part::text("c"), None)],
        ),
    ]);
    request.system = vec![cached(Part::text("s"), Some("5m"))];
    request.tools = vec![Tool { cache: Some(CacheControl::default()), ..tool("f") }];
    let (body, losses) = write(&request);
    let point = json!({ "cachePoint": { "type": "default" } });
    assert_eq!(body["toolConfig"]["tools"][1], point);
    assert_eq!(body["system"], json!([{ "text": "s" }, point]));
    let expected = json!([{ "text": "a" }, { "cachePoint": { "type": "default", "ttl": "1h" } }, { "text": "b" }]);
    assert_eq!(body["messages"][0]["content"], expected);
    assert_eq!(body["messages"][2]["content"][1], point);
    // The fifth is one too many.
    assert_eq!(body["messages"][2]["content"].as_array().unwrap().len(), 3);
    assert_eq!(losses, ["messages[2].parts[1].cache"]);

    request.system = vec![cached(Part::text("s"), Some("2h"))];
    assert_eq!(write(&request).1, ["system[0].cache", "messages[2].parts[1].cache"]);

    request.model = "amazon.nova-pro-v1:0".to_owned();
    let (body, losses) = write(&request);
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    assert_eq!(body["system"][1], point);
    assert_eq!(losses, ["tools[0].cache", "system[0].cache"]);

    request.model = LLAMA.to_owned();
    let (body, losses) = write(&request);
    assert!(!body.to_string().contains("cachePoint"));
    assert_eq!(losses.len(), 5);

    request.model = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc".to_owned();
    assert!(write(&request).0.to_string().contains("cachePoint"));
}

#[test]
fn ids_of_other_providers_are_made_to_fit_alike() {
    let long = "x".repeat(65);
    for id in ["call.1:a-b_C", &"x".repeat(64), "", "a b", "ü", &long] {
        let mut request = request(vec![
            user("a"),
            assistant(vec![call(id, "{}")]),
            message(Role::User, vec![result(id, vec![], false)]),
        ]);
        request.tools = vec![tool("weather")];
        let body = lossless(&request);
        let of_call = body["messages"][1]["content"][0]["toolUse"]["toolUseId"].as_str().unwrap();
        assert_eq!(body["messages"][2]["content"][0]["toolResult"]["toolUseId"], of_call);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        assert!((1..=64).contains(&of_call.len()) && of_call.bytes().all(fits), "{of_call}");
        assert_eq!(of_call == id, id.len() > 2 && id.len() <= 64 && id.is_ascii() && !id.contains(' '), "{id}");
    }
}
