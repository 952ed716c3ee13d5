use serde_json::json;

use super::*;
use crate::chat::{
    CacheControl, Effort, Media, MediaSource, Message, OutputFormat, OutputSchema, ReasoningRequest, Role, Tool,
    ToolChoice, ToolResult,
};

fn hi() -> Value {
    json!([{"role": "user", "content": "hi"}])
}

fn refused(body: Value) -> String {
    let error = read_request(body, &mut Losses::default()).unwrap_err();
    assert!(!error.message().is_empty());
    error.field_name().unwrap().to_owned()
}

/// A request about nothing but these fields.
fn with(more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": hi()});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn every_plain_field_is_read() {
    let request = read(with(json!({
        "max_completion_tokens": 7, "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 40,
        "frequency_penalty": 0.1, "presence_penalty": -0.2, "seed": -3, "stop": ["a", "b"], "n": 2,
        "logprobs": true, "top_logprobs": 3, "reasoning_effort": "high", "user": "u", "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": false}, "logit_bias": {},
        "modalities": ["text"], "parallel_tool_calls": false, "service_tier": null, "response_format": {"type": "text"},
    })));
    let expected = Request {
        model: "m".to_owned(),
        messages: vec![Message { role: Role::User, name: None, parts: vec![Part::text("hi")] }],
        parallel_tool_calls: Some(false),
        max_output_tokens: Some(7),
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(40),
        frequency_penalty: Some(0.1),
        presence_penalty: Some(-0.2),
        seed: Some(-3),
        stop: vec!["a".to_owned(), "b".to_owned()],
        choices: Some(2),
        logprobs: Some(3),
        reasoning: Some(ReasoningRequest { effort: Some(Effort::High), ..ReasoningRequest::default() }),
        user: Some("u".to_owned()),
        stream: true,
        stream_usage: true,
        ..Request::default()
    };
    assert_eq!(request, expected);
    assert_eq!(read(with(json!({"max_tokens": 9}))).max_output_tokens, Some(9));
    assert_eq!(read(with(json!({"stop": "x"}))).stop, ["x"]);
    assert_eq!(read(with(json!({"logprobs": true}))).logprobs, Some(0));
    assert_eq!(read(with(json!({"top_k": -1}))).top_k, None);
}

#[test]
fn what_is_not_understood_is_lost_and_told() {
    let mut losses = Losses::default();
    let body = json!({
        "model": "m", "store": true, "metadata": {"a": "b"}, "service_tier": "flex", "prediction": {"type": "content"},
        "verbosity": "low", "stream_options": {"include_obfuscation": true, "new": 1},
        "messages": [
            {"role": "system", "content": "s", "name": "n"},
            {"role": "user", "content": [{"type": "text", "text": "hi", "novel": 1}]},
            {"role": "assistant", "content": "yes", "annotations": [], "prefix": true},
        ],
    });
    read_request(body, &mut losses).unwrap();
    let mut lost = fields(&losses);
    lost.sort_unstable();
    let expected = [
        "messages[0].name",
        "messages[1].content[0].novel",
        "messages[2].prefix",
        "metadata",
        "prediction",
        "service_tier",
        "store",
        "stream_options.include_obfuscation",
        "stream_options.new",
        "verbosity",
    ];
    assert_eq!(lost, expected);
}

#[test]
fn what_changes_the_answer_is_refused_at_its_field() {
    for (more, field) in [
        (json!({"logit_bias": {"50256": -100}}), "logit_bias"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"web_search_options": {}}), "web_search_options"),
        (json!({"plugins": [{"id": "web"}]}), "plugins"),
        (json!({"guided_regex": "a+"}), "guided_regex"),
        (json!({"grammar": "root ::= \"a\""}), "grammar"),
        (json!({"n": 0}), "n"),
        (json!({"n": 129}), "n"),
        (json!({"top_logprobs": 2}), "top_logprobs"),
        (json!({"logprobs": true, "top_logprobs": u64::MAX}), "top_logprobs"),
        (json!({"reasoning_effort": "huge"}), "reasoning_effort"),
        (json!({"reasoning": {"effort": "huge"}}), "reasoning.effort"),
        (json!({"response_format": {"type": "regex"}}), "response_format.type"),
        (json!({"response_format": {"type": "json_schema"}}), "response_format.json_schema"),
        (json!({"response_format": {"type": "json_schema", "json_schema": {}}}), "response_format.json_schema.schema"),
        (json!({"tools": [{"type": "custom", "custom": {"name": "x"}}]}), "tools[0].type"),
        (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
        (json!({"tools": [{"type": "function", "function": {}}]}), "tools[0].function.name"),
        (json!({"tool_choice": "sometimes"}), "tool_choice"),
        (json!({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}), "tool_choice.type"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [1]}), "messages[0]"),
        (json!({"messages": [{"content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "owner", "content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": {}}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}), "messages[0].content[0].type"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}),
            "messages[0].content[0].image_url.url",
        ),
        (json!({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}), "messages[0].audio"),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), "messages[0].tool_call_id"),
        (json!({"messages": [{"role": "function", "name": "f", "content": "x"}]}), "messages[0].name"),
    ] {
        assert_eq!(refused(with(more)), field);
    }
    assert_eq!(refused(json!({"messages": hi()})), "model");
    assert_eq!(refused(json!([])), "body");
}

#[test]
fn leading_instructions_are_the_systems_and_later_ones_messages() {
    let request = read(with(json!({"messages": [
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        {"role": "user", "content": "hi", "name": "ann"},
        {"role": "system", "content": "three"},
    ]})));
    assert_eq!(request.system, [Part::text("one"), Part::text("two")]);
    assert_eq!(request.messages[0].name.as_deref(), Some("ann"));
    assert_eq!(request.messages[1], Message { role: Role::System, name: None, parts: vec![Part::text("three")] });
}

#[test]
fn media_of_all_kinds_are_read() {
    let request = read(with(json!({"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": "data:application/pdf;base64,BBBB"},
        {"type": "input_audio", "input_audio": {"data": "CCCC", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,DDDD", "filename": "d.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": "EEEE", "filename": "e.PDF"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/v.mp4"}},
    ]}]})));
    let media = |media_type: Option<&str>, source, name: Option<&str>, detail: Option<&str>| Media {
        media_type: media_type.map(str::to_owned),
        source,
        name: name.map(str::to_owned),
        detail: detail.map(str::to_owned),
    };
    let base64 = |data: &str| MediaSource::Base64(data.to_owned());
    let url = |url: &str| MediaSource::Url(url.to_owned());
    let pdf = Some("application/pdf");
    let expected = [
        Content::Image(media(None, url("https://example.com/a.png"), None, Some("low"))),
        Content::Image(media(Some("image/png"), base64("AAAA"), None, None)),
        Content::Document(media(pdf, base64("BBBB"), None, None)),
        Content::Audio(media(Some("audio/mpeg"), base64("CCCC"), None, None)),
        Content::Document(media(pdf, base64("DDDD"), Some("d.pdf"), None)),
        Content::Document(media(None, MediaSource::File("file-1".to_owned()), None, None)),
        Content::Document(media(pdf, base64("EEEE"), Some("e.PDF"), None)),
        Content::Video(media(None, url("https://example.com/v.mp4"), None, None)),
    ];
    let parts: Vec<Content> = request.messages[0].parts.iter().map(|part| part.content.clone()).collect();
    assert_eq!(parts, expected);
}

#[test]
fn tools_their_results_and_the_older_functions_are_read() {
    let schema = json!({"type": "object", "properties": {"z": {}, "a": {}}});
    let request = read(with(json!({
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, "strict": true}},
        ],
        "functions": [{"name": "g"}],
        "function_call": {"name": "g"},
        "messages": [
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"z\":1, \"a\":2"}},
                {"id": "c2", "type": "function", "index": 1, "function": {"name": "f", "arguments": {"z": 1}}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "one", "name": "f"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
            {"role": "user", "content": "and?"},
            {"role": "assistant", "content": null, "function_call": {"name": "g", "arguments": "{}"}},
            {"role": "function", "name": "g", "content": "three"},
        ],
    })));
    assert_eq!(request.tools[0].parameters.as_ref().unwrap().to_string(), schema.to_string());
    assert_eq!(request.tools[0].strict, Some(true));
    assert_eq!(
        request.tools[1],
        Tool { name: "g".to_owned(), description: None, parameters: None, strict: None, cache: None }
    );
    assert_eq!(request.tool_choice, Some(ToolChoice::Named(vec!["g".to_owned()])));
    let [calls, results, user, older, older_result] = request.messages.as_slice() else { panic!() };
    // Models err; what they wrote stays.
    assert_eq!(calls.parts, [call("c1", "f", "{\"z\":1, \"a\":2"), call("c2", "f", "{\"z\":1}")]);
    assert_eq!(results.role, Role::User);
    let [one, two] = results.parts.as_slice() else { panic!() };
    let result = |id: &str, name: Option<&str>, text: &str| {
        Content::ToolResult(ToolResult {
            call_id: id.to_owned(),
            name: name.map(str::to_owned),
            parts: vec![Part::text(text)],
            is_error: false,
        })
    };
    assert_eq!(one.content, result("c1", Some("f"), "one"));
    assert_eq!(two.content, result("c2", None, "two"));
    assert_eq!(user.parts, [Part::text("and?")]);
    let Content::ToolCall(made_up) = &older.parts[0].content else { panic!() };
    assert_eq!(older_result.parts[0].content, result(&made_up.id, Some("g"), "three"));
}

#[test]
fn choices_among_tools_are_read() {
    let choice = |choice: Value| {
        let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
        let request = read(with(json!({"tools": [tool("a"), tool("b"), tool("c")], "tool_choice": choice})));
        (request.tools.into_iter().map(|tool| tool.name).collect::<Vec<_>>().join(""), request.tool_choice)
    };
    let all = |wanted| ("abc".to_owned(), Some(wanted));
    assert_eq!(choice(json!("auto")), all(ToolChoice::Auto));
    assert_eq!(choice(json!("none")), all(ToolChoice::None));
    assert_eq!(choice(json!("required")), all(ToolChoice::Required));
    assert_eq!(choice(json!("any")), all(ToolChoice::Required));
    let named = |names: &[&str]| ToolChoice::Named(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(choice(json!({"type": "function", "function": {"name": "b"}})), all(named(&["b"])));
    let allowed = |mode: &str| {
        json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [
            {"type": "function", "function": {"name": "a"}}, {"type": "function", "name": "c"}]}})
    };
    assert_eq!(choice(allowed("required")), all(named(&["a", "c"])));
    assert_eq!(choice(allowed("auto")), ("ac".to_owned(), Some(ToolChoice::Auto)));
    let unknown = json!({"type": "allowed_tools", "allowed_tools": {"tools": [{"name": "x"}]}});
    assert_eq!(refused(with(json!({"tool_choice": unknown}))), "tool_choice.allowed_tools.tools");
}

#[test]
fn formats_of_answers_are_read() {
    let format = |format: Value| read(with(json!({"response_format": format}))).output;
    assert_eq!(format(json!({"type": "json_object"})), OutputFormat::Json);
    let schema = json!({"type": "object"});
    let expected = |name: Option<&str>, strict| {
        let name = name.map(str::to_owned);
        OutputFormat::Schema(OutputSchema { name, description: None, schema: json!({"type": "object"}), strict })
    };
    let openai = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}});
    assert_eq!(format(openai), expected(Some("n"), Some(true)));
    assert_eq!(format(json!({"type": "json_object", "schema": schema})), expected(None, None));
}

#[test]
fn wishes_about_thoughts_are_read_in_all_dialects() {
    let reasoning = |more: Value| read(with(more)).reasoning;
    let effort = |effort| Some(ReasoningRequest { effort: Some(effort), ..ReasoningRequest::default() });
    for (word, meaning) in [
        ("none", Effort::None),
        ("minimal", Effort::Minimal),
        ("low", Effort::Low),
        ("medium", Effort::Medium),
        ("xhigh", Effort::Max),
        ("max", Effort::Max),
    ] {
        assert_eq!(reasoning(json!({"reasoning_effort": word})), effort(meaning));
        assert_eq!(reasoning(json!({"reasoning": {"effort": word}})), effort(meaning));
    }
    assert_eq!(reasoning(json!({"thinking": {"type": "disabled"}})), effort(Effort::None));
    assert_eq!(reasoning(json!({"reasoning": {"enabled": false}})), effort(Effort::None));
    let budget = Some(ReasoningRequest { budget_tokens: Some(9), ..ReasoningRequest::default() });
    assert_eq!(reasoning(json!({"thinking": {"type": "enabled", "budget_tokens": 9}})), budget);
    assert_eq!(reasoning(json!({"reasoning": {"max_tokens": 9}})), budget);
    let hidden = Some(ReasoningRequest { visible: Some(false), ..ReasoningRequest::default() });
    assert_eq!(reasoning(json!({"reasoning": {"exclude": true}})), hidden);
    assert_eq!(reasoning(json!({"include_reasoning": false})), hidden);
    assert_eq!(reasoning(json!({})), None);
}

#[test]
fn cache_marks_are_read_wherever_clients_put_them() {
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    let request = read(with(json!({
        "tools": [
            {"type": "function", "function": {"name": "f"}, "cache_control": mark},
            {"type": "function", "function": {"name": "g", "cache_control": {"type": "ephemeral"}}},
        ],
        "messages": [
            {"role": "system", "content": [
                {"type": "text", "text": "a", "cache_control": mark}, {"type": "text", "text": "b"},
            ]},
            {"role": "user", "content": "c", "cache_control": mark},
            {"role": "tool", "tool_call_id": "1", "content": "d", "cache_control": mark},
        ],
    })));
    let hour = Some(CacheControl { ttl: Some("1h".to_owned()) });
    assert_eq!(request.tools[0].cache, hour);
    assert_eq!(request.tools[1].cache, Some(CacheControl::default()));
    assert_eq!([&request.system[0].cache, &request.system[1].cache], [&hour, &None]);
    assert_eq!(request.messages[0].parts[0].cache, hour);
    assert_eq!(request.messages[1].parts[0].cache, hour);
}

#[test]
fn what_the_official_package_adds_to_its_own_objects_is_no_loss() {
    let function = json!({"name": "f", "arguments": "{\"a\":1}", "parsed_arguments": {"a": 1}});
    let assistant = json!({
        "role": "assistant", "content": "{\"b\":2}", "parsed": {"b": 2},
        "tool_calls": [{"id": "c", "type": "function", "index": 0, "function": function}],
    });
    let parts = read(with(json!({"messages": [assistant]}))).messages.remove(0).parts;
    assert_eq!(parts, [Part::text("{\"b\":2}"), call("c", "f", "{\"a\":1}")]);
}

#[test]
fn thoughts_that_clients_send_back_keep_their_seals() {
    let assistant = |message: Value| {
        let mut message = message;
        message["role"] = json!("assistant");
        read(with(json!({"messages": [message]}))).messages.remove(0).parts
    };
    assert_eq!(assistant(json!({"content": "x", "reasoning_content": "t"})), [thought("t", None), Part::text("x")]);
    assert_eq!(assistant(json!({"content": "x", "reasoning": "t"})), [thought("t", None), Part::text("x")]);
    let mistral = json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]});
    assert_eq!(assistant(mistral), [thought("t", None)]);
    // Another maker's, marked; the plain text says the same again.
    let foreign = assistant(json!({"content": "x", "refusal": "no", "reasoning_content": "t", "reasoning_details": [
        {"type": "reasoning.text", "text": "t", "signature": "plasma.anthropic.abc", "index": 0},
        {"type": "reasoning.encrypted", "data": "plasma.anthropic.def", "index": 1},
    ]}));
    let hidden = Reasoning { encrypted: signature(Protocol::Anthropic, "def"), ..Reasoning::default() };
    let expected = [
        thought("t", signature(Protocol::Anthropic, "abc")),
        Part::new(Content::Reasoning(hidden)),
        Part::text("x"),
        Part::new(Content::Refusal("no".to_owned())),
    ];
    assert_eq!(foreign, expected);
    // A summary and what is hidden behind it are one.
    let joined = assistant(json!({"reasoning_details": [
        {"type": "reasoning.summary", "summary": "s", "id": "rs_1", "index": 0},
        {"type": "reasoning.encrypted", "data": "plasma.responses.e", "id": "rs_1", "index": 1},
    ]}));
    let summary = Reasoning {
        text: "s".to_owned(),
        summary: true,
        signature: None,
        encrypted: signature(Protocol::OpenAiResponses, "e"),
        id: Some("rs_1".to_owned()),
    };
    assert_eq!(joined, [Part::new(Content::Reasoning(summary))]);
    // A seal of a call stands before that call.
    let calls = assistant(json!({
        "reasoning_details": [{"type": "reasoning.text", "text": "", "signature": "plasma.gemini.g", "id": "c2"}],
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ],
    }));
    let expected = [call("c1", "f", "{}"), thought("", signature(Protocol::Gemini, "g")), call("c2", "f", "{}")];
    assert_eq!(calls, expected);
}
