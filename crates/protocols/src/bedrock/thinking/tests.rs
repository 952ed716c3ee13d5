use serde_json::json;

use crate::{
    Protocol,
    bedrock::testing::{CLAUDE, LLAMA, assistant, call, lossless, message, request, result, signed, tool, user, write},
    chat::{Content, Effort, Part, ReasoningRequest, Role, ToolChoice},
};

#[test]
fn how_much_anthropics_models_think() {
    let think = |reasoning: ReasoningRequest, limit: Option<u64>| {
        let mut request = request(vec![user("hi")]);
        request.reasoning = Some(reasoning);
        request.max_output_tokens = limit;
        let (body, losses) = write(&request);
        let thinking = body.get("additionalModelRequestFields").map(|fields| fields["thinking"].clone());
        (thinking, body.get("outputConfig").map(|config| config["effort"].clone()), losses)
    };
    let budget = |tokens: u64| ReasoningRequest { budget_tokens: Some(tokens), ..ReasoningRequest::default() };
    let effort = |effort: Effort| ReasoningRequest { effort: Some(effort), ..ReasoningRequest::default() };
    let enabled = |tokens: u64| Some(json!({ "type": "enabled", "budget_tokens": tokens }));
    let none = Vec::<String>::new;

    assert_eq!(think(budget(2_000), None), (enabled(2_000), None, none()));
    assert_eq!(think(budget(2_000), Some(2_001)), (enabled(2_000), None, none()));
    assert_eq!(think(budget(9_000), Some(4_000)), (enabled(2_000), None, vec!["reasoning.budget_tokens".to_owned()]));
    assert_eq!(think(budget(1), None), (enabled(1_024), None, vec!["reasoning.budget_tokens".to_owned()]));
    assert_eq!(think(budget(5_000), Some(1_024)), (None, None, vec!["reasoning".to_owned()]));
    assert_eq!(think(budget(0), None), (Some(json!({ "type": "disabled" })), None, none()));
    assert_eq!(think(effort(Effort::None), None), (Some(json!({ "type": "disabled" })), None, none()));
    let adaptive = Some(json!({ "type": "adaptive" }));
    assert_eq!(think(effort(Effort::Max), None), (adaptive.clone(), Some(json!("max")), none()));
    assert_eq!(think(effort(Effort::Medium), None), (adaptive.clone(), Some(json!("medium")), none()));
    assert_eq!(
        think(effort(Effort::Minimal), None),
        (adaptive, Some(json!("low")), vec!["reasoning.effort".to_owned()])
    );
    let hidden = ReasoningRequest { visible: Some(false), ..budget(2_000) };
    let expected = json!({ "type": "enabled", "budget_tokens": 2_000, "display": "omitted" });
    assert_eq!(think(hidden, None).0, Some(expected));
}

#[test]
fn thoughts_rule_out_what_anthropic_says_they_do() {
    let mut request = request(vec![user("hi")]);
    request.top_k = Some(5);
    request.temperature = Some(0.3);
    request.top_p = Some(0.5);
    let (body, losses) = write(&request);
    assert_eq!(body["additionalModelRequestFields"], json!({ "top_k": 5 }));
    assert_eq!(body["inferenceConfig"], json!({ "temperature": 0.3 }));
    assert_eq!(losses, ["top_p"]);

    request.reasoning = Some(ReasoningRequest { budget_tokens: Some(2_000), ..ReasoningRequest::default() });
    let (body, losses) = write(&request);
    assert_eq!(body.get("inferenceConfig"), None);
    assert_eq!(losses, ["temperature", "top_k", "top_p"]);

    (request.top_k, request.temperature, request.top_p) = (None, None, Some(0.95));
    assert_eq!(lossless(&request)["inferenceConfig"], json!({ "topP": 0.95 }));
    (request.top_k, request.temperature, request.top_p) = (Some(5), Some(0.3), Some(0.5));

    request.model = LLAMA.to_owned();
    let (body, losses) = write(&request);
    assert_eq!(body.get("additionalModelRequestFields"), None);
    assert_eq!(body["inferenceConfig"], json!({ "temperature": 0.3, "topP": 0.5 }));
    assert_eq!(losses, ["top_k", "reasoning"]);

    request.model = CLAUDE.to_owned();
    (request.top_k, request.temperature, request.top_p) = (None, Some(1.0), Some(0.96));
    request.tools = vec![tool("f")];
    request.tool_choice = Some(ToolChoice::Required);
    request.reasoning = Some(ReasoningRequest { effort: Some(Effort::Max), ..ReasoningRequest::default() });
    let (body, losses) = write(&request);
    assert_eq!(body["outputConfig"], json!({ "effort": "high" }));
    assert_eq!(body["inferenceConfig"], json!({ "topP": 0.96 }));
    assert_eq!(losses, ["reasoning", "reasoning.effort"]);
}

#[test]
fn calls_in_progress_without_signed_thoughts_are_not_thought_about_by_a_budget() {
    let conversation = |maker: Protocol| {
        let mut request = request(vec![
            user("a"),
            assistant(vec![Content::Reasoning(signed("hm", maker)), call("1", "{}")]),
            message(Role::User, vec![result("1", vec![Part::text("x")], false)]),
        ]);
        request.tools = vec![tool("weather")];
        request.reasoning = Some(ReasoningRequest { budget_tokens: Some(2_000), ..ReasoningRequest::default() });
        request
    };
    assert!(lossless(&conversation(Protocol::Bedrock)).get("additionalModelRequestFields").is_some());
    let (body, losses) = write(&conversation(Protocol::Anthropic));
    assert_eq!(body.get("additionalModelRequestFields"), None);
    assert_eq!(losses, ["messages[1].parts[0]", "reasoning"]);
}
