use serde_json::json;

use crate::{
    bedrock::testing::{assistant, call, lossless, message, refused, request, result, tool, user, write},
    chat::{Part, Role, Tool, ToolChoice},
};

#[test]
fn choices_of_tools() {
    let mut request = request(vec![user("hi")]);
    request.tools = vec![tool("f"), tool("g")];
    let mut choice = |choice: ToolChoice| {
        request.tool_choice = Some(choice);
        lossless(&request).get("toolConfig").map(|config| config["toolChoice"].clone())
    };
    assert_eq!(choice(ToolChoice::Required), Some(json!({ "any": {} })));
    assert_eq!(choice(ToolChoice::Named(vec!["f".to_owned()])), Some(json!({ "tool": { "name": "f" } })));
    // Without the tools, none can be called.
    assert_eq!(choice(ToolChoice::None), None);
    for names in [vec![], vec!["f".to_owned(), "g".to_owned()]] {
        request.tool_choice = Some(ToolChoice::Named(names));
        assert_eq!(refused(&request).0, "tool_choice");
    }
    request.tool_choice = None;
    request.parallel_tool_calls = Some(false);
    assert_eq!(write(&request).1, ["parallel_tool_calls"]);
    request.tools.clear();
    assert_eq!(lossless(&request).get("toolConfig"), None);
    request.tool_choice = Some(ToolChoice::Required);
    assert_eq!(refused(&request), ("tool_choice".to_owned(), "give `tools`".to_owned()));
    request.tool_choice = None;
    request.tools = vec![Tool { parameters: Some(json!([])), ..tool("f") }];
    assert_eq!(refused(&request).0, "tools[0].parameters");
}

#[test]
fn calls_in_the_conversation_need_the_tools() {
    let mut request = request(vec![
        user("a"),
        assistant(vec![call("1", "{}")]),
        message(Role::User, vec![result("1", vec![Part::text("x")], false)]),
    ]);
    assert_eq!(refused(&request).0, "tools");
    request.tools = vec![tool("weather")];
    request.tool_choice = Some(ToolChoice::None);
    assert_eq!(refused(&request).0, "tool_choice");
    request.tool_choice = None;
    lossless(&request);
    for arguments in ["{\"cut", "[]", "null", "7"] {
        request.messages[1] = assistant(vec![call("1", arguments)]);
        assert_eq!(refused(&request).0, "messages[1].parts[0].arguments");
    }
}
