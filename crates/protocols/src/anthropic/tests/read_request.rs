use serde_json::json;

use super::*;
use crate::chat::{
    CacheControl, Effort, Message, OutputFormat, OutputSchema, ReasoningRequest, Role, Tool, ToolChoice, ToolResult,
};

fn minute(ttl: Option<&str>) -> Option<CacheControl> {
    Some(CacheControl { ttl: ttl.map(str::to_owned) })
}

fn marked(content: Content, ttl: Option<&str>) -> Part {
    Part { content, cache: minute(ttl) }
}

/// A conversation with everything in it that the protocol can carry.
fn conversation() -> Vec<Message> {
    let document = Media {
        name: Some("Terms".to_owned()),
        ..media(Some("application/pdf"), MediaSource::Base64("JVBERi0=".to_owned()))
    };
    let result = ToolResult {
        call_id: "toolu_1".to_owned(),
        name: None,
        parts: vec![
            Part::text("12 degrees"),
            Part::new(Content::Image(media(Some("image/png"), MediaSource::Base64("iVBORw0=".to_owned())))),
        ],
        is_error: false,
    };
    let failed = ToolResult {
        call_id: "toolu_2".to_owned(),
        name: None,
        parts: vec![Part::text("no such city")],
        is_error: true,
    };
    let message = |role, parts| Message { role, name: None, parts };
    vec![
        message(
            Role::User,
            vec![
                Part::text("Look:"),
                Part::new(Content::Image(media(None, MediaSource::Url("https://example.com/a.png".to_owned())))),
                Part::new(Content::Image(media(None, MediaSource::File("file_011".to_owned())))),
                marked(Content::Document(document), Some("5m")),
                Part::new(Content::Document(media(Some("text/plain"), MediaSource::Text("Hello".to_owned())))),
                Part::new(Content::Document(media(
                    Some("application/pdf"),
                    MediaSource::Url("https://example.com/a.pdf".to_owned()),
                ))),
                Part::new(Content::Document(media(None, MediaSource::File("file_012".to_owned())))),
            ],
        ),
        message(
            Role::Assistant,
            vec![
                thoughts("Two calls.", Some(signature(Protocol::Anthropic, "c2ln"))),
                sealed(Protocol::Anthropic, "c2VhbGVk"),
                Part::text("I shall look."),
                call("toolu_1", "weather", r#"{"zebra":1,"apple":{"deep":[1,2.5,null]}}"#),
                call("toolu_2", "weather", r#"{"city":"Ort"}"#),
            ],
        ),
        message(
            Role::User,
            vec![
                Part::new(Content::ToolResult(result)),
                marked(Content::ToolResult(failed), None),
                Part::text("And now?"),
            ],
        ),
    ]
}

/// Everything that the protocol can carry.
fn full() -> Request {
    Request {
        model: "a-model".to_owned(),
        system: vec![Part::text("Be brief."), marked(Content::Text("Be kind.".to_owned()), Some("1h"))],
        messages: conversation(),
        tools: vec![Tool {
            name: "weather".to_owned(),
            description: Some("The weather of a city".to_owned()),
            parameters: Some(json!({"type":"object","properties":{"zebra":{},"apple":{}},"required":["zebra"]})),
            strict: Some(true),
            cache: minute(None),
        }],
        tool_choice: Some(ToolChoice::Auto),
        parallel_tool_calls: Some(false),
        output: OutputFormat::Schema(OutputSchema {
            name: None,
            description: None,
            schema: json!({"type":"object","properties":{"z":{},"a":{}},"additionalProperties":false}),
            strict: Some(true),
        }),
        max_output_tokens: Some(9_000),
        top_p: Some(0.97),
        stop: vec!["END".to_owned()],
        reasoning: Some(ReasoningRequest {
            effort: Some(Effort::High),
            budget_tokens: Some(2_000),
            visible: Some(true),
        }),
        user: Some("u-1".to_owned()),
        stream: true,
        stream_usage: true,
        ..Request::default()
    }
}

#[test]
fn what_the_protocol_can_carry_survives_both_ways() {
    let request = full();
    let (body, losses) = write(&request);
    assert!(losses.is_empty(), "{:?}", lost(&losses));
    // Keys keep their order.
    let input = body["messages"][1]["content"][3]["input"].to_string();
    assert_eq!(input, r#"{"zebra":1,"apple":{"deep":[1,2.5,null]}}"#);
    let (again, losses) = read(body);
    assert!(losses.is_empty(), "{:?}", lost(&losses));
    assert_eq!(again, request);
}

#[test]
fn each_tool_choice_and_way_of_thinking_survives_both_ways() {
    let base = Request { tool_choice: None, parallel_tool_calls: None, reasoning: None, top_p: None, ..full() };
    let choices =
        [ToolChoice::Auto, ToolChoice::None, ToolChoice::Required, ToolChoice::Named(vec!["weather".to_owned()])];
    let reasoning = [
        ReasoningRequest { effort: None, budget_tokens: Some(0), visible: None },
        ReasoningRequest { effort: Some(Effort::Low), budget_tokens: Some(0), visible: None },
        ReasoningRequest { effort: None, budget_tokens: Some(1_024), visible: Some(false) },
        ReasoningRequest { effort: None, budget_tokens: None, visible: None },
        ReasoningRequest { effort: Some(Effort::Medium), budget_tokens: None, visible: Some(true) },
        ReasoningRequest { effort: Some(Effort::Max), budget_tokens: None, visible: None },
    ];
    let requests = choices
        .into_iter()
        .map(|choice| Request { tool_choice: Some(choice), ..base.clone() })
        .chain(reasoning.into_iter().map(|reasoning| Request { reasoning: Some(reasoning), ..base.clone() }))
        .chain([Request { temperature: Some(0.5), top_k: Some(40), ..base.clone() }]);
    for request in requests {
        let (body, losses) = write(&request);
        assert!(losses.is_empty(), "{:?}", lost(&losses));
        assert_eq!(read(body).0, request);
    }
}

#[test]
fn texts_stand_for_blocks() {
    let (request, losses) = read(json!({
        "model": "m", "max_tokens": 10, "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": "done"},
                {"type": "tool_result", "tool_use_id": "u"},
            ]},
        ],
    }));
    assert!(losses.is_empty());
    assert_eq!(request.system, [Part::text("Be brief.")]);
    assert_eq!(request.messages[0].parts, [Part::text("Hi")]);
    assert_eq!(request.messages[1].parts, [call("t", "f", "{}")]);
    let result = |call_id: &str, parts| {
        Part::new(Content::ToolResult(ToolResult { call_id: call_id.to_owned(), name: None, parts, is_error: false }))
    };
    assert_eq!(request.messages[2].parts, [result("t", vec![Part::text("done")]), result("u", vec![])]);
}

#[test]
fn a_mark_on_the_request_stands_for_one_on_its_last_block() {
    let (request, losses) = read(json!({
        "model": "m", "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "messages": [{"role": "user", "content": "Hi"}],
    }));
    assert!(losses.is_empty());
    assert_eq!(request.messages[0].parts[0].cache, minute(Some("1h")));
}

#[test]
fn what_is_not_carried_is_noted_with_its_place() {
    let (request, losses) = read(json!({
        "model": "m", "max_tokens": 10, "service_tier": "auto", "betas": ["x"], "container": "c", "nothing": null,
        "metadata": {"user_id": "u", "team": "t"},
        "output_config": {"effort": "xhigh", "task_budget": {}},
        "thinking": {"type": "between_tools", "display": "updates"},
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "defer_loading": true}],
        "messages": [{"role": "user", "id": 7, "content": [
            {"type": "document", "title": "T", "context": "c", "citations": {"enabled": true},
             "source": {"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}},
            {"type": "document", "citations": {"enabled": false}, "source": {"type": "text", "data": "x"}},
            {"type": "text", "text": "a", "citations": []},
        ]}],
    }));
    let mut places = lost(&losses);
    places.sort_unstable();
    assert_eq!(
        places,
        [
            "betas",
            "container",
            "messages[0].content[0].citations",
            "messages[0].content[0].context",
            "messages[0].content[0].source.content",
            "messages[0].id",
            "metadata.team",
            "output_config.effort",
            "output_config.task_budget",
            "service_tier",
            "thinking.display",
            "thinking.type",
            "tools[0].defer_loading",
        ]
    );
    let document =
        Media { name: Some("T".to_owned()), ..media(Some("text/plain"), MediaSource::Text("a\n\nb".to_owned())) };
    assert_eq!(request.messages[0].parts[0].content, Content::Document(document));
    assert_eq!(request.reasoning.unwrap().effort, Some(Effort::Max));
}

#[test]
fn the_older_place_of_the_format_is_read() {
    let format = json!({"type": "json_schema", "schema": {"type": "object"}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "a"}], "output_format": format});
    let (request, losses) = read(body.clone());
    assert!(losses.is_empty());
    assert!(matches!(request.output, OutputFormat::Schema(_)));
    let mut both = body;
    both["output_config"] = json!({"format": format});
    assert_eq!(lost(&read(both).1), ["output_format"]);
}

#[test]
fn foreign_signatures_are_recognized_and_joined_with_their_sealed_form() {
    let (request, _) = read(json!({"model": "m", "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "own", "signature": "AbC="},
            {"type": "thinking", "thinking": "", "signature": "plasma.gemini.Zz.1"},
            {"type": "thinking", "thinking": "summary", "signature": ""},
            {"type": "redacted_thinking", "data": "plasma.responses.gAAA"},
            {"type": "redacted_thinking", "data": "plasma.responses.gBBB"},
            {"type": "redacted_thinking", "data": "own"},
        ]},
    ]}));
    let joined = Part::new(Content::Reasoning(Reasoning {
        text: "summary".to_owned(),
        encrypted: Some(signature(Protocol::OpenAiResponses, "gAAA")),
        ..Reasoning::default()
    }));
    assert_eq!(
        request.messages[1].parts,
        [
            thoughts("own", Some(signature(Protocol::Anthropic, "AbC="))),
            thoughts("", Some(signature(Protocol::Gemini, "Zz.1"))),
            joined,
            sealed(Protocol::OpenAiResponses, "gBBB"),
            sealed(Protocol::Anthropic, "own"),
        ]
    );
}

#[test]
fn what_only_anthropic_has_is_refused_with_a_remedy() {
    let hi = json!([{"role": "user", "content": "Hi"}]);
    let block = |block: Value| json!({"model": "m", "messages": [{"role": "user", "content": [block]}]});
    let cases = [
        (
            json!({"model": "m", "messages": hi, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            "tools[0].type",
        ),
        (json!({"model": "m", "messages": hi, "mcp_servers": [{"url": "https://example.com"}]}), "mcp_servers"),
        (block(json!({"type": "server_tool_use", "id": "s"})), "messages[0].content[0].type"),
        (block(json!({"type": "image", "source": {"type": "hologram"}})), "messages[0].content[0].source.type"),
    ];
    for (body, field) in cases {
        let error = read_request(body, &mut Losses::default()).unwrap_err();
        assert_eq!(error.field_name(), Some(field));
        assert!(error.remedy_text().is_some(), "{error}");
    }
}

#[test]
fn wrong_requests_name_the_field() {
    let hi = json!([{"role": "user", "content": "Hi"}]);
    let with = |name: &str, value: Value| {
        let mut body = json!({"model": "m", "messages": hi});
        body[name] = value;
        body
    };
    let block = |block: Value| with("messages", json!([{"role": "user", "content": [block]}]));
    let cases = [
        (json!([]), "body"),
        (json!({"messages": hi}), "model"),
        (with("messages", json!([])), "messages"),
        (with("messages", json!("Hi")), "messages"),
        (with("messages", json!(["Hi"])), "messages[0]"),
        (with("messages", json!([{"role": "robot", "content": "a"}])), "messages[0].role"),
        (with("messages", json!([{"role": "user"}])), "messages[0].content"),
        (with("messages", json!([{"role": "user", "content": 7}])), "messages[0].content"),
        (with("system", json!([{"type": "redacted_thinking", "data": "x"}])), "system[0]"),
        (with("max_tokens", json!("many")), "max_tokens"),
        (with("max_tokens", json!(-1)), "max_tokens"),
        (with("temperature", json!("hot")), "temperature"),
        (with("thinking", json!({"type": "enabled"})), "thinking.budget_tokens"),
        (with("thinking", json!({"type": "enabled", "budget_tokens": 0})), "thinking.budget_tokens"),
        (with("output_config", json!({"effort": "heroic"})), "output_config.effort"),
        (with("output_config", json!({"format": {"type": "xml"}})), "output_config.format.type"),
        (with("output_config", json!({"format": {"type": "json_schema"}})), "output_config.format.schema"),
        (with("tool_choice", json!({"type": "some"})), "tool_choice.type"),
        (with("tool_choice", json!({"type": "tool"})), "tool_choice.name"),
        (with("tools", json!([{"name": "f", "input_schema": []}])), "tools[0].input_schema"),
        (with("tools", json!([{"input_schema": {}}])), "tools[0].name"),
        (block(json!({"text": "a"})), "messages[0].content[0].type"),
        (block(json!({"type": "text"})), "messages[0].content[0].text"),
        (block(json!({"type": "image"})), "messages[0].content[0].source"),
        (
            block(json!({"type": "image", "source": {"type": "base64", "data": "a"}})),
            "messages[0].content[0].source.media_type",
        ),
        (block(json!({"type": "tool_use", "id": "t", "name": "f", "input": "{}"})), "messages[0].content[0].input"),
        (block(json!({"type": "tool_use", "id": "t", "name": "f"})), "messages[0].content[0].input"),
        (block(json!({"type": "tool_result", "content": "x"})), "messages[0].content[0].tool_use_id"),
        (
            block(json!({"type": "tool_result", "tool_use_id": "t", "content": [7]})),
            "messages[0].content[0].content[0]",
        ),
    ];
    for (body, field) in cases {
        assert_eq!(refused(body).0, field);
    }
}
