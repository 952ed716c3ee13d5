//! The features of requests one by one: configuration, tools, media.

use super::*;
use crate::chat::{Effort, Media, MediaSource, OutputFormat, OutputSchema, ReasoningRequest, Tool, ToolChoice};

fn with_config(config: Value) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}], "generationConfig": config})
}

#[test]
fn the_whole_configuration_makes_the_round_trip() {
    let mut request = asked(vec![Part::text("a")]);
    request.max_output_tokens = Some(100);
    request.temperature = Some(0.5);
    request.top_p = Some(0.9);
    request.top_k = Some(40);
    request.stop = vec!["END".to_owned()];
    request.choices = Some(2);
    request.seed = Some(-7);
    request.presence_penalty = Some(0.25);
    request.frequency_penalty = Some(-0.25);
    request.logprobs = Some(3);
    request.output = OutputFormat::Schema(OutputSchema {
        name: None,
        description: None,
        schema: json!({"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": ["integer", "null"]}}}),
        strict: None,
    });
    request.reasoning = Some(ReasoningRequest { effort: Some(Effort::High), budget_tokens: None, visible: Some(true) });
    let body = write(&request);
    assert_eq!(
        body["generationConfig"],
        json!({
            "maxOutputTokens": 100, "temperature": 0.5, "topP": 0.9, "topK": 40, "stopSequences": ["END"], "candidateCount": 2,
            "seed": -7, "presencePenalty": 0.25, "frequencyPenalty": -0.25, "responseLogprobs": true, "logprobs": 3,
            "responseMimeType": "application/json",
            "responseJsonSchema":
                {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": ["integer", "null"]}}},
            "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": true},
        })
    );
    request.model.clear();
    assert_eq!(read(body), request);
    request.logprobs = Some(0);
    request.output = OutputFormat::Json;
    request.reasoning = None;
    let body = write(&request);
    assert_eq!(body["generationConfig"].get("logprobs"), None);
    assert_eq!(read(body), request);
}

#[test]
fn a_long_seed_is_cut_to_32_bits() {
    let mut request = asked(vec![Part::text("a")]);
    for (seed, written) in [(i64::from(i32::MAX), i64::from(i32::MAX)), (1 << 40, 0), ((1 << 40) + 5, 5)] {
        request.seed = Some(seed);
        assert_eq!(write(&request)["generationConfig"]["seed"], json!(written));
    }
}

#[test]
fn every_spelling_of_a_schema_is_read() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    for config in [
        json!({"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}}),
        json!({"response_mime_type": "application/json", "response_json_schema": schema}),
        json!({"responseMimeType": "application/json", "_responseJsonSchema": schema}),
        json!({"responseJsonSchema": schema}),
        json!({"responseFormat": {"text": {"mimeType": "APPLICATION_JSON", "schema": schema}}}),
    ] {
        let OutputFormat::Schema(output) = read(with_config(config.clone())).output else { panic!("{config}") };
        assert_eq!(output.schema, schema, "{config}");
    }
    assert_eq!(read(with_config(json!({"responseMimeType": "application/json"}))).output, OutputFormat::Json);
    assert_eq!(read(with_config(json!({"responseMimeType": "text/plain"}))).output, OutputFormat::Text);
    for (config, field) in [
        (
            json!({"responseMimeType": "text/x.enum", "responseSchema": {"enum": ["a"]}}),
            "generationConfig.responseMimeType",
        ),
        (json!({"responseMimeType": "text/plain", "responseSchema": {}}), "generationConfig.responseMimeType"),
        (json!({"responseModalities": ["TEXT", "IMAGE"]}), "generationConfig.responseModalities"),
        (json!({"thinkingConfig": {"thinkingBudget": -2}}), "generationConfig.thinkingConfig.thinkingBudget"),
        (json!({"thinkingConfig": {"thinkingLevel": "WILD"}}), "generationConfig.thinkingConfig.thinkingLevel"),
        (json!({"candidateCount": 1e12}), "generationConfig.candidateCount"),
        (json!({"temperature": "hot"}), "generationConfig.temperature"),
    ] {
        assert_eq!(refused(with_config(config.clone())).0, field, "{config}");
    }
}

#[test]
fn a_schema_of_openapi_becomes_one_of_json_schema() {
    let (request, losses) = read_losing(json!({
        "contents": {"parts": {"text": "a"}},
        "tools": {"function_declarations": [{"name": "f", "description": "d", "parameters": {
            "type": "OBJECT",
            "property_ordering": ["type", "missing", "b"],
            "required": ["b"],
            "properties": {
                "b": {"type": "ARRAY", "min_items": "1", "maxItems": 3, "items": {"type": "INTEGER", "format": "int64"}},
                "c": {"any_of": [{"type": "STRING"}, {"type": "NUMBER"}], "nullable": true},
                "type": {"type": "STRING", "format": "enum", "enum": ["x", "y"], "nullable": true},
                "d": {"type": "TYPE_UNSPECIFIED"}
            }
        }}]}
    }));
    assert!(losses.is_empty());
    let parameters = request.tools[0].parameters.as_ref().unwrap().to_string();
    let expected = json!({
        "type": "object",
        "required": ["b"],
        "properties": {
            "type": {"type": ["string", "null"], "enum": ["x", "y", null]},
            "b": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "integer", "format": "int64"}},
            "c": {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]},
            "d": {}
        }
    });
    assert_eq!(parameters, expected.to_string());
}

#[test]
fn tools_and_their_choice_make_the_round_trip() {
    let mut request = asked(vec![Part::text("a")]);
    let tool = |name: &str, parameters| Tool {
        name: name.to_owned(),
        description: Some("does it".to_owned()),
        parameters,
        strict: None,
        cache: None,
    };
    request.tools =
        vec![tool("f", Some(json!({"type": "object", "$defs": {"x": {}}, "z": 1, "a": 2}))), tool("g", None)];
    for (choice, written) in [
        (None, Value::Null),
        (Some(ToolChoice::Auto), json!({"functionCallingConfig": {"mode": "AUTO"}})),
        (Some(ToolChoice::None), json!({"functionCallingConfig": {"mode": "NONE"}})),
        (Some(ToolChoice::Required), json!({"functionCallingConfig": {"mode": "ANY"}})),
        (
            Some(ToolChoice::Named(vec!["f".to_owned(), "g".to_owned()])),
            json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}}),
        ),
    ] {
        request.tool_choice = choice;
        let body = write(&request);
        assert_eq!(body["toolConfig"], written);
        assert_eq!(
            body["tools"],
            json!([{"functionDeclarations": [
                {"name": "f", "description": "does it",
                    "parametersJsonSchema": {"type": "object", "$defs": {"x": {}}, "z": 1, "a": 2}},
                {"name": "g", "description": "does it"},
            ]}])
        );
        assert_eq!(read(body), Request { model: String::new(), ..request.clone() });
    }
    request.parallel_tool_calls = Some(false);
    request.tools[1].strict = Some(true);
    let mut losses = Losses::default();
    write_request(&request, &mut losses).unwrap();
    assert_eq!(lost(&losses), ["tools[1].strict", "parallel_tool_calls"]);
}

#[test]
fn tools_of_geminis_own_are_refused() {
    let with_tools = |tools: Value, config: Value| {
        json!({
            "contents": {"parts": {"text": "a"}}, "tools": tools, "toolConfig": {"functionCallingConfig": config},
        })
    };
    for (tools, field) in [
        (json!([{"functionDeclarations": []}, {"googleSearch": {}}]), "tools[1].googleSearch"),
        (json!([{"url_context": {}}]), "tools[0].url_context"),
        (json!({"codeExecution": {}}), "tools.codeExecution"),
        (json!([{"functionDeclarations": [{"description": "no name"}]}]), "tools[0].functionDeclarations[0].name"),
    ] {
        let (refused_field, text) = refused(with_tools(tools, json!({})));
        assert_eq!(refused_field, field, "{text}");
    }
    let (request, losses) =
        read_losing(with_tools(json!([]), json!({"mode": "validated", "allowedFunctionNames": ["f"]})));
    assert_eq!(request.tool_choice, Some(ToolChoice::Auto));
    assert_eq!(
        lost(&losses),
        ["toolConfig.functionCallingConfig.allowedFunctionNames", "toolConfig.functionCallingConfig.mode"]
    );
    assert_eq!(read(with_tools(json!([]), json!({"mode": "MODE_UNSPECIFIED"}))).tool_choice, None);
    assert_eq!(refused(with_tools(json!([]), json!({"mode": "MAYBE"}))).0, "toolConfig.functionCallingConfig.mode");
}

#[test]
fn thinking_is_asked_for_as_the_model_takes_it() {
    let effort = |effort| ReasoningRequest { effort: Some(effort), ..ReasoningRequest::default() };
    let budget = |tokens| ReasoningRequest { budget_tokens: Some(tokens), ..ReasoningRequest::default() };
    let level = |level: &str| json!({"thinkingLevel": level});
    let tokens = |tokens: u64| json!({"thinkingBudget": tokens});
    let lossless = [
        ("gemini-2.5-flash", effort(Effort::None), tokens(0)),
        ("gemini-2.5-flash", effort(Effort::Minimal), tokens(512)),
        ("gemini-2.5-flash", effort(Effort::Low), tokens(1_024)),
        ("gemini-2.5-flash", effort(Effort::Medium), tokens(8_192)),
        ("models/gemini-2.5-flash", effort(Effort::High), tokens(24_576)),
        ("gemini-2.5-pro", effort(Effort::Max), tokens(32_768)),
        ("gemini-2.5-flash-lite", budget(0), tokens(0)),
        ("gemini-2.5-pro", budget(5_000), tokens(5_000)),
        ("gemini-3-pro", effort(Effort::Low), level("LOW")),
        ("gemini-3-flash", effort(Effort::Medium), level("MEDIUM")),
        ("gemini-flash-latest", effort(Effort::Max), level("HIGH")),
        (
            "gemini-3-pro",
            ReasoningRequest { visible: Some(false), ..Default::default() },
            json!({"includeThoughts": false}),
        ),
        ("gemini-3-pro", ReasoningRequest::default(), Value::Null),
    ];
    let lossy = [
        ("gemini-2.5-pro", effort(Effort::None), tokens(128), "reasoning.effort"),
        ("gemini-2.5-pro", budget(0), tokens(128), "reasoning.budget_tokens"),
        ("gemini-2.5-flash", budget(60_000), tokens(24_576), "reasoning.budget_tokens"),
        ("gemini-2.5-flash-lite", budget(5), tokens(512), "reasoning.budget_tokens"),
        ("gemini-3-flash", effort(Effort::None), level("LOW"), "reasoning.effort"),
        ("gemini-3-flash", budget(0), level("LOW"), "reasoning.budget_tokens"),
        ("gemini-3-flash", budget(1_000), level("LOW"), "reasoning.budget_tokens"),
        ("gemini-3-flash", budget(8_192), level("MEDIUM"), "reasoning.budget_tokens"),
        ("gemini-3-flash", budget(u64::MAX), level("HIGH"), "reasoning.budget_tokens"),
    ];
    let lossless = lossless.into_iter().map(|(model, reasoning, written)| (model, reasoning, written, None));
    let lossy = lossy.into_iter().map(|(model, reasoning, written, field)| (model, reasoning, written, Some(field)));
    for (model, reasoning, written, field) in lossless.chain(lossy) {
        let mut request = asked(vec![Part::text("a")]);
        request.model = model.to_owned();
        request.reasoning = Some(reasoning.clone());
        let mut losses = Losses::default();
        let body = write_request(&request, &mut losses).unwrap();
        assert_eq!(body["generationConfig"]["thinkingConfig"], written, "{model} {reasoning:?}");
        assert_eq!(lost(&losses), Vec::from_iter(field), "{model} {reasoning:?}");
    }
    let thinking = |config: Value| read(with_config(json!({"thinkingConfig": config}))).reasoning;
    assert_eq!(thinking(json!({"thinkingBudget": -1})), None);
    assert_eq!(thinking(json!({"thinking_budget": 0})), Some(budget(0)));
    assert_eq!(thinking(json!({"thinkingLevel": "minimal"})), Some(effort(Effort::Minimal)));
}

#[test]
fn what_has_no_field_is_lost_with_a_word() {
    let mut request = asked(vec![Part::text("a")]);
    request.output = OutputFormat::Schema(OutputSchema {
        name: Some("answer".to_owned()),
        description: Some("the answer".to_owned()),
        schema: json!({}),
        strict: Some(true),
    });
    request.messages.push(said(Role::Assistant, vec![Part::new(Content::Refusal("no".to_owned()))]));
    let mut losses = Losses::default();
    let body = write_request(&request, &mut losses).unwrap();
    assert_eq!(body["contents"][1]["parts"], json!([{"text": "no"}]));
    assert_eq!(lost(&losses), ["messages[1].parts[0]", "output.description"]);
}

fn media(media_type: Option<&str>, source: MediaSource) -> Media {
    Media { media_type: media_type.map(str::to_owned), source, name: None, detail: None }
}

#[test]
fn media_make_the_round_trip() {
    let stored = "https://generativelanguage.googleapis.com/v1beta/files/abc";
    let cases = [
        (
            media(Some("image/png"), MediaSource::Base64("aGk=".to_owned())),
            json!({"inlineData": {"mimeType": "image/png", "data": "aGk="}}),
        ),
        (
            media(Some("audio/wav"), MediaSource::Base64("aGk=".to_owned())),
            json!({"inlineData": {"mimeType": "audio/wav", "data": "aGk="}}),
        ),
        (
            media(Some("application/pdf"), MediaSource::Url("https://example.com/a?b=c.png".to_owned())),
            json!({"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.com/a?b=c.png"}}),
        ),
        (
            media(Some("video/mp4"), MediaSource::File(stored.to_owned())),
            json!({"fileData": {"fileUri": stored, "mimeType": "video/mp4"}}),
        ),
        (media(None, MediaSource::File(stored.to_owned())), json!({"fileData": {"fileUri": stored}})),
        (
            media(None, MediaSource::Url("https://youtu.be/x".to_owned())),
            json!({"fileData": {"fileUri": "https://youtu.be/x"}}),
        ),
    ];
    for (medium, part) in cases {
        let is_video = matches!(&medium.source, MediaSource::Url(url) if url.contains("youtu"));
        let content = if is_video { Content::Video(medium) } else { medium.into_content() };
        let mut request = asked(vec![Part::new(content)]);
        let body = write(&request);
        assert_eq!(body["contents"][0]["parts"][0], part);
        request.model.clear();
        assert_eq!(read(body), request);
    }
}

#[test]
fn media_that_gemini_could_not_read_are_refused() {
    let written = |content: Content| {
        let mut losses = Losses::default();
        let body = write_request(&asked(vec![Part::new(content)]), &mut losses);
        let fields: Vec<String> = lost(&losses).into_iter().map(str::to_owned).collect();
        (body.map(|body| body["contents"][0]["parts"][0].clone()), fields)
    };
    let guessed =
        written(Content::Image(media(None, MediaSource::Url("https://example.com/a.b/photo.JPEG?size=1".to_owned()))));
    assert_eq!(guessed.0.unwrap()["fileData"]["mimeType"], "image/jpeg");
    let text = written(Content::Document(Media {
        name: Some("a.txt".to_owned()),
        detail: Some("low".to_owned()),
        ..media(None, MediaSource::Text("hi".to_owned()))
    }));
    assert_eq!(text.0.unwrap(), json!({"inlineData": {"mimeType": "text/plain", "data": "aGk="}}));
    assert_eq!(text.1, ["messages[0].parts[0].name", "messages[0].parts[0].detail"]);
    let short = written(Content::Document(media(None, MediaSource::File("files/abc".to_owned()))));
    assert_eq!(short.0.unwrap()["fileData"]["fileUri"], "https://generativelanguage.googleapis.com/v1beta/files/abc");
    for source in [
        MediaSource::Url("https://example.com/photo".to_owned()),
        MediaSource::Url("http://example.com/a.png".to_owned()),
        MediaSource::Url("data:text/plain,hi".to_owned()),
        MediaSource::Base64("aGk=".to_owned()),
        MediaSource::File("file-abc123".to_owned()),
    ] {
        let error = written(Content::Image(media(None, source))).0.unwrap_err();
        assert_eq!(error.field_name(), Some("messages[0].parts[0]"));
        assert!(error.remedy_text().is_some());
    }
}

#[test]
fn base64_of_either_alphabet_is_read() {
    let request = read(with_part(json!({"inlineData": {"mimeType": "image/png", "data": "-_-_YQ"}})));
    let Content::Image(media) = &request.messages[0].parts[0].content else { panic!() };
    assert_eq!(media.source, MediaSource::Base64("+/+/YQ==".to_owned()));
}
