use plasma_kernel::Error;
use serde_json::{Value, json};

use super::{lost, seal};
use crate::{Losses, Protocol, chat::*, openai_responses::read_request};

fn read(body: Value) -> (Request, Losses) {
    let mut losses = Losses::default();
    (read_request(body, &mut losses).unwrap(), losses)
}

fn refused(body: Value) -> Error {
    read_request(body, &mut Losses::default()).unwrap_err()
}

fn with(field: &str, value: Value) -> Value {
    let mut body = json!({ "model": "m", "input": "hi" });
    body[field] = value;
    body
}

fn media(media_type: Option<&str>, source: MediaSource) -> Media {
    Media { media_type: media_type.map(str::to_owned), source, name: None, detail: None }
}

#[test]
fn a_text_is_a_message_of_the_user() {
    let (request, losses) = read(json!({ "model": "m", "input": "hi", "instructions": "Be short." }));
    assert_eq!(request.system, [Part::text("Be short.")]);
    assert_eq!(request.messages, [Message { role: Role::User, name: None, parts: vec![Part::text("hi")] }]);
    assert!(losses.is_empty() && !request.stream && !request.stream_usage);
}

#[test]
fn parameters_are_read() {
    let (request, losses) = read(json!({
        "model": "m", "input": "hi", "max_output_tokens": 9, "temperature": 0.5, "top_p": 0.25, "top_logprobs": 3,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
        "reasoning": { "effort": "xhigh", "summary": "detailed" }, "stream": true, "parallel_tool_calls": false,
        "stream_options": { "include_obfuscation": false }, "store": false, "truncation": "disabled",
        "background": false,
        "user": "u1", "safety_identifier": "u2", "metadata": null,
    }));
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!((request.max_output_tokens, request.temperature, request.top_p), (Some(9), Some(0.5), Some(0.25)));
    assert_eq!((request.logprobs, request.parallel_tool_calls), (Some(3), Some(false)));
    let reasoning = ReasoningRequest { effort: Some(Effort::Max), budget_tokens: None, visible: Some(true) };
    assert_eq!(request.reasoning, Some(reasoning));
    assert!(request.stream && request.stream_usage);
    assert_eq!(request.user.as_deref(), Some("u2"));
}

#[test]
fn what_no_other_protocol_has_is_lost_with_its_name() {
    let (_, losses) = read(json!({
        "model": "m", "input": [{
            "role": "user", "x": 1, "content": [{
                "type": "input_text", "text": "a", "prompt_cache_breakpoint": { "mode": "explicit", "ttl": "30m" },
            }],
        }, {
            "role": "assistant", "phase": "commentary", "content": [{
                "type": "output_text", "text": "b", "logprobs": [], "annotations": [{ "type": "file_path" }],
            }],
        }],
        "store": true, "truncation": "auto", "metadata": { "a": "b" }, "service_tier": "flex", "max_tool_calls": 3,
        "prompt_cache_key": "k", "text": { "verbosity": "low" }, "include": ["web_search_call.results"],
        "top_logprobs": 2, "reasoning": { "mode": "pro" },
    }));
    let expected = [
        "input[0].content[0].prompt_cache_breakpoint.ttl",
        "input[0].x",
        "input[1].content[0].annotations",
        "input[1].phase",
        "store",
        "truncation",
        "text.verbosity",
        "include[0]",
        "top_logprobs",
        "reasoning.mode",
        "metadata",
        "service_tier",
        "max_tool_calls",
        "prompt_cache_key",
    ];
    assert_eq!(lost(&losses), expected);
}

#[test]
fn what_needs_the_providers_state_is_refused_with_a_remedy() {
    let whole = "send the whole conversation in `input`";
    for (body, field, remedy) in [
        (with("previous_response_id", json!("resp_1")), "previous_response_id", whole),
        (with("conversation", json!({ "id": "conv_1" })), "conversation", whole),
        (with("prompt", json!({ "id": "pmpt_1" })), "prompt", whole),
        (with("background", json!(true)), "background", "leave it out and wait for the answer, or set `stream`"),
        (with("input", json!([{ "type": "item_reference", "id": "msg_1" }])), "input[0].type", "send the whole item"),
        (with("input", json!([{ "id": "msg_1" }])), "input[0].type", "send the whole item"),
    ] {
        let error = refused(body);
        assert_eq!((error.field_name(), error.remedy_text()), (Some(field), Some(remedy)), "{error}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let part = |part: Value| with("input", json!([{ "role": "user", "content": [part] }]));
    for (body, field) in [
        (json!([]), "body"),
        (json!({ "input": "hi" }), "model"),
        (json!({ "model": "m" }), "input"),
        (with("input", json!(7)), "input"),
        (with("input", json!(["hi"])), "input[0]"),
        (with("input", json!([{}])), "input[0].type"),
        (with("input", json!([{ "role": "tool", "content": "x" }])), "input[0].role"),
        (with("input", json!([{ "role": "user" }])), "input[0].content"),
        (with("input", json!([{ "role": "user", "content": 7 }])), "input[0].content"),
        (with("input", json!([{ "type": "function_call", "name": "f" }])), "input[0].call_id"),
        (with("input", json!([{ "type": "function_call_output", "call_id": "c" }])), "input[0].output"),
        (with("input", json!([{ "type": "web_search_call", "id": "ws_1" }])), "input[0].type"),
        (with("input", json!([{ "type": "custom_tool_call", "call_id": "c" }])), "input[0].type"),
        (part(json!({ "type": "input_image" })), "input[0].content[0].image_url"),
        (part(json!({ "type": "input_file", "filename": "a.pdf" })), "input[0].content[0].file_data"),
        (
            part(json!({ "type": "input_audio", "input_audio": { "data": "x" } })),
            "input[0].content[0].input_audio.format",
        ),
        (part(json!({ "type": "refusal", "refusal": "no" })), "input[0].content[0].type"),
        (part(json!({ "type": "hologram" })), "input[0].content[0].type"),
        (with("tools", json!([{ "type": "web_search" }])), "tools[0].type"),
        (with("tools", json!([{ "type": "custom", "name": "c" }])), "tools[0].type"),
        (with("tools", json!([{ "type": "function" }])), "tools[0].name"),
        (with("tool_choice", json!("any")), "tool_choice"),
        (with("tool_choice", json!({ "type": "file_search" })), "tool_choice.type"),
        (with("tool_choice", json!({ "type": "function" })), "tool_choice.name"),
        (
            with("tool_choice", json!({ "type": "allowed_tools", "mode": "auto", "tools": [{ "type": "mcp" }] })),
            "tool_choice.tools[0].type",
        ),
        (with("text", json!({ "format": { "type": "xml" } })), "text.format.type"),
        (with("text", json!({ "format": { "type": "json_schema", "name": "n" } })), "text.format.schema"),
        (with("reasoning", json!({ "effort": "huge" })), "reasoning.effort"),
        (with("max_output_tokens", json!(-1)), "max_output_tokens"),
        (with("temperature", json!("warm")), "temperature"),
    ] {
        assert_eq!(refused(body.clone()).field_name(), Some(field), "{body}");
    }
    let many = json!({
        "model": "m", "input": "hi", "top_logprobs": 1e10 as u64, "include": ["message.output_text.logprobs"],
    });
    assert_eq!(refused(many).field_name(), Some("top_logprobs"));
}

#[test]
fn a_conversation_becomes_turns() {
    let (request, losses) = read(json!({ "model": "m", "input": [
        { "role": "developer", "content": "One." },
        { "type": "message", "role": "system", "content": [{ "type": "input_text", "text": "Two." }] },
        { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Weather?" }] },
        { "type": "reasoning", "id": "rs_1", "summary": [
            { "type": "summary_text", "text": "Look" }, { "type": "summary_text", "text": "it up" },
        ], "encrypted_content": "sealed", "status": "completed" },
        { "type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [
            { "type": "output_text", "text": "Let me see.", "annotations": [] },
        ] },
        { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather",
          "arguments": "{\"b\":1,\"a\":2}" },
        { "type": "function_call", "call_id": "call_2", "name": "time", "arguments": "" },
        { "type": "function_call_output", "call_id": "call_1", "output": "sun" },
        { "type": "function_call_output", "call_id": "call_2", "output": [
            { "type": "input_text", "text": "noon" }, { "type": "input_image", "image_url": "https://e.com/a.png" },
        ] },
        { "role": "user", "content": "And?" },
        { "role": "assistant", "content": [{ "type": "refusal", "refusal": "No." }] },
        { "role": "developer", "content": "Be kind." },
    ] }));
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(request.system, [Part::text("One."), Part::text("Two.")]);
    let call = |id: &str, name: &str, arguments: &str| {
        let (id, name, arguments) = (id.to_owned(), name.to_owned(), arguments.to_owned());
        Part::new(Content::ToolCall(ToolCall { id, name, arguments }))
    };
    let result = |id: &str, parts| {
        let (call_id, is_error) = (id.to_owned(), false);
        Part::new(Content::ToolResult(ToolResult { call_id, name: None, parts, is_error }))
    };
    let image = Content::Image(media(None, MediaSource::Url("https://e.com/a.png".to_owned())));
    let thoughts = Content::Reasoning(Reasoning {
        text: "Look\n\nit up".to_owned(),
        summary: true,
        signature: Some(seal(Protocol::OpenAiResponses, "sealed")),
        encrypted: None,
        id: Some("rs_1".to_owned()),
    });
    let message = |role, parts| Message { role, name: None, parts };
    let expected = [
        message(Role::User, vec![Part::text("Weather?")]),
        message(
            Role::Assistant,
            vec![
                Part::new(thoughts),
                Part::text("Let me see."),
                call("call_1", "weather", "{\"b\":1,\"a\":2}"),
                call("call_2", "time", ""),
            ],
        ),
        message(
            Role::User,
            vec![
                result("call_1", vec![Part::text("sun")]),
                result("call_2", vec![Part::text("noon"), Part::new(image)]),
                Part::text("And?"),
            ],
        ),
        message(Role::Assistant, vec![Part::new(Content::Refusal("No.".to_owned()))]),
        message(Role::System, vec![Part::text("Be kind.")]),
    ];
    assert_eq!(request.messages, expected);
}

#[test]
fn media_are_read() {
    let (request, losses) = read(with(
        "input",
        json!([{ "role": "user", "content": [
        { "type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low" },
        { "type": "input_image", "file_id": "file-1", "detail": "auto" },
        { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA==" },
        { "type": "input_file", "file_data": "AA==", "filename": "b" },
        { "type": "input_file", "file_url": "https://e.com/c.pdf" },
        { "type": "input_file", "file_id": "file-2", "prompt_cache_breakpoint": { "mode": "explicit" } },
        { "type": "input_audio", "input_audio": { "data": "AA==", "format": "mp3" } },
        { "type": "input_audio", "input_audio": { "data": "AA==", "format": "wav" } },
    ] }]),
    ));
    assert!(losses.is_empty(), "{losses:?}");
    let bytes = || MediaSource::Base64("AA==".to_owned());
    let file = |id: &str| MediaSource::File(id.to_owned());
    let named = |name: &str, media| Media { name: Some(name.to_owned()), ..media };
    let mut expected: Vec<_> = [
        Content::Image(Media { detail: Some("low".to_owned()), ..media(Some("image/png"), bytes()) }),
        Content::Image(media(None, file("file-1"))),
        Content::Document(named("a.pdf", media(Some("application/pdf"), bytes()))),
        Content::Document(named("b", media(None, bytes()))),
        Content::Document(media(None, MediaSource::Url("https://e.com/c.pdf".to_owned()))),
        Content::Document(media(None, file("file-2"))),
        Content::Audio(media(Some("audio/mpeg"), bytes())),
        Content::Audio(media(Some("audio/wav"), bytes())),
    ]
    .into_iter()
    .map(Part::new)
    .collect();
    expected[5].cache = Some(CacheControl::default());
    assert_eq!(request.messages[0].parts, expected);
}

#[test]
fn thoughts_of_every_kind_are_read() {
    let (request, losses) = read(with(
        "input",
        json!([
            { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "own" },
            { "type": "reasoning", "summary": [{ "type": "summary_text", "text": "s" }],
              "encrypted_content": "plasma.anthropic.sig.with.dots" },
            { "type": "reasoning", "summary": [], "encrypted_content": "plasma.encrypted.anthropic.hidden" },
            { "type": "reasoning", "summary": [], "content": [{ "type": "reasoning_text", "text": "raw" }],
              "encrypted_content": "" },
            { "type": "reasoning", "id": "rs_2", "summary": [] },
            { "type": "reasoning", "summary": [{ "text": "s" }], "content": [{ "text": "raw" }] },
        ]),
    ));
    assert_eq!(lost(&losses), ["input[4].encrypted_content", "input[5].content"]);
    let thoughts: Vec<_> = request.messages[0].parts.iter().map(|part| part.content.clone()).collect();
    let text = |text: &str, summary| Reasoning { text: text.to_owned(), summary, ..Reasoning::default() };
    let expected = [
        Reasoning {
            signature: Some(seal(Protocol::OpenAiResponses, "own")),
            id: Some("rs_1".to_owned()),
            ..Reasoning::default()
        },
        Reasoning { signature: Some(seal(Protocol::Anthropic, "sig.with.dots")), ..text("s", true) },
        Reasoning { encrypted: Some(seal(Protocol::Anthropic, "hidden")), ..Reasoning::default() },
        text("raw", false),
        text("s", true),
    ];
    assert_eq!(thoughts, expected.map(Content::Reasoning));
}

#[test]
fn an_image_that_the_model_made_is_its_part() {
    let (request, _) = read(with(
        "input",
        json!([
            { "type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AA==",
              "output_format": "webp" },
            { "type": "image_generation_call", "id": "ig_2", "status": "failed", "result": null },
        ]),
    ));
    let image = Content::Image(media(Some("image/webp"), MediaSource::Base64("AA==".to_owned())));
    assert_eq!(request.messages, [Message { role: Role::Assistant, name: None, parts: vec![Part::new(image)] }]);
}

#[test]
fn tools_keep_the_order_of_their_schemas() {
    let schema = r#"{"type":"object","properties":{"z":{},"a":{}},"required":["z"]}"#;
    let (request, losses) = read(json!({
        "model": "m", "input": "hi", "tools": [{
            "type": "function", "name": "f", "description": "d", "strict": true,
            "parameters": serde_json::from_str::<Value>(schema).unwrap(), "defer_loading": true,
        }, { "type": "function", "name": "g", "parameters": null }],
        "tool_choice": { "type": "function", "name": "f" },
    }));
    assert_eq!(lost(&losses), ["tools[0].defer_loading"]);
    assert_eq!(request.tools[0].parameters.as_ref().unwrap().to_string(), schema);
    assert_eq!((request.tools[0].strict, request.tools[1].strict), (Some(true), None));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named(vec!["f".to_owned()])));
}

#[test]
fn allowed_tools_choose_among_the_tools() {
    let choose = |mode: &str| {
        let tools = ["a", "b", "c"].map(|name| json!({ "type": "function", "name": name }));
        let allowed = json!({ "type": "allowed_tools", "mode": mode, "tools": [tools[0], tools[2]] });
        let (request, _) = read(json!({ "model": "m", "input": "hi", "tools": tools, "tool_choice": allowed }));
        let names: Vec<_> = request.tools.into_iter().map(|tool| tool.name).collect();
        (names.concat(), request.tool_choice.unwrap())
    };
    assert_eq!(choose("auto"), ("ac".to_owned(), ToolChoice::Auto));
    assert_eq!(choose("required"), ("abc".to_owned(), ToolChoice::Named(vec!["a".to_owned(), "c".to_owned()])));
}

#[test]
fn formats_of_the_answer_are_read() {
    let format = |format: Value| read(with("text", json!({ "format": format }))).0.output;
    assert_eq!(format(json!({ "type": "text" })), OutputFormat::Text);
    assert_eq!(format(json!({ "type": "json_object" })), OutputFormat::Json);
    let schema = OutputSchema {
        name: Some("n".to_owned()),
        description: Some("d".to_owned()),
        schema: json!({ "type": "object" }),
        strict: Some(true),
    };
    let written = json!({
        "type": "json_schema", "name": "n", "description": "d", "strict": true, "schema": { "type": "object" },
    });
    assert_eq!(format(written), OutputFormat::Schema(schema));
}
