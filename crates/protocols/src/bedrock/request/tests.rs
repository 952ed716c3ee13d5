use serde_json::json;

use crate::{
    bedrock::{
        path,
        testing::{LLAMA, bytes, lossless, message, refused, request, user, write},
    },
    chat::{Content, OutputFormat, OutputSchema, Part, Request, Role},
};

#[test]
fn a_plain_request() {
    let mut request = request(vec![user("hi")]);
    request.system = vec![Part::text("Be kind."), Part::text(" \n")];
    request.max_output_tokens = Some(100);
    request.temperature = Some(0.5);
    request.stop = vec!["END".to_owned(), String::new()];
    request.stream = true;
    request.stream_usage = true;
    let expected = json!({
        "system": [{ "text": "Be kind." }],
        "messages": [{ "role": "user", "content": [{ "text": "hi" }] }],
        "inferenceConfig": { "maxTokens": 100, "temperature": 0.5, "stopSequences": ["END"] },
        "additionalModelResponseFieldPaths": ["/stop_sequence", "/delta/stop_sequence"],
    });
    assert_eq!(lossless(&request), expected);
    request.model = LLAMA.to_owned();
    request.top_p = Some(0.9);
    let body = lossless(&request);
    assert_eq!(body["inferenceConfig"]["topP"], 0.9);
    assert_eq!(body.get("additionalModelResponseFieldPaths"), None);
}

#[test]
fn the_path_names_the_model() {
    assert_eq!(path(LLAMA, false), "/model/meta.llama3-1-70b-instruct-v1%3A0/converse");
    assert_eq!(path("arn:aws:bedrock:eu-west-1::foundation-model/x.y", true).matches("%2F").count(), 1);
}

#[test]
fn what_bedrock_cannot_say_is_refused_or_lost() {
    let plain = request(vec![user("hi")]);
    assert_eq!(refused(&Request { choices: Some(2), ..plain.clone() }).0, "choices");
    assert_eq!(refused(&Request { logprobs: Some(0), ..plain.clone() }).0, "logprobs");
    assert_eq!(refused(&Request { output: OutputFormat::Json, ..plain.clone() }).0, "output");
    let lost = Request {
        choices: Some(1),
        frequency_penalty: Some(0.1),
        presence_penalty: Some(0.1),
        seed: Some(1),
        user: Some("u".to_owned()),
        temperature: Some(1.5),
        ..plain
    };
    let (body, losses) = write(&lost);
    assert_eq!(losses, ["frequency_penalty", "presence_penalty", "seed", "user", "temperature"]);
    assert_eq!(body["inferenceConfig"], json!({ "temperature": 1.0 }));
    let mut picture = bytes("image/png");
    picture.detail = Some("high".to_owned());
    picture.name = Some("a.png".to_owned());
    let (_, losses) = write(&request(vec![message(Role::User, vec![Part::new(Content::Image(picture))])]));
    assert_eq!(losses, ["messages[0].parts[0].detail", "messages[0].parts[0].name"]);
}

#[test]
fn an_answer_that_follows_a_schema() {
    let mut request = request(vec![user("hi")]);
    request.output = OutputFormat::Schema(OutputSchema {
        name: Some("person".to_owned()),
        description: Some("A person.".to_owned()),
        schema: json!({ "type": "object", "properties": { "z": {}, "a": {} } }),
        strict: Some(true),
    });
    let expected = json!({ "textFormat": { "type": "json_schema", "structure": { "jsonSchema": {
        "schema": r#"{"type":"object","properties":{"z":{},"a":{}}}"#,
        "name": "person",
        "description": "A person.",
    } } } });
    assert_eq!(lossless(&request)["outputConfig"], expected);
    let OutputFormat::Schema(schema) = &mut request.output else { unreachable!() };
    schema.strict = Some(false);
    assert_eq!(write(&request).1, ["output.strict"]);
}
