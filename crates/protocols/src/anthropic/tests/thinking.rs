use serde_json::json;

use super::*;
use crate::chat::{Effort, Message, ReasoningRequest, Role, Tool, ToolChoice, ToolResult};

fn request(reasoning: ReasoningRequest, max_output_tokens: Option<u64>) -> Request {
    Request {
        model: "m".to_owned(),
        messages: vec![Message { role: Role::User, name: None, parts: vec![Part::text("Hi")] }],
        reasoning: Some(reasoning),
        max_output_tokens,
        ..Request::default()
    }
}

fn effort(effort: Effort) -> ReasoningRequest {
    ReasoningRequest { effort: Some(effort), ..ReasoningRequest::default() }
}

fn budget(tokens: u64) -> ReasoningRequest {
    ReasoningRequest { budget_tokens: Some(tokens), ..ReasoningRequest::default() }
}

#[test]
fn an_effort_lets_the_model_choose_how_much_it_thinks() {
    for (asked, sent, told) in [
        (Effort::Minimal, "low", true),
        (Effort::Low, "low", false),
        (Effort::Medium, "medium", false),
        (Effort::High, "high", false),
        (Effort::Max, "max", false),
    ] {
        let (body, losses) = write(&request(effort(asked), Some(8_000)));
        assert_eq!(body["thinking"], json!({"type": "adaptive"}));
        assert_eq!(body["output_config"], json!({"effort": sent}));
        assert_eq!(!losses.is_empty(), told);
    }
    let (body, _) = write(&request(effort(Effort::High), None));
    assert_eq!(body["max_tokens"], 4_096 + 16_384);
    let (body, losses) = write(&request(effort(Effort::None), Some(100)));
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    assert_eq!(body.get("output_config"), None);
    assert!(losses.is_empty());
}

#[test]
fn a_budget_is_held_between_its_least_and_the_limit() {
    let sent = |tokens, limit| {
        let (body, losses) = write(&request(budget(tokens), limit));
        let lost: Vec<String> = lost(&losses).into_iter().map(str::to_owned).collect();
        (body["thinking"]["budget_tokens"].as_u64(), body["max_tokens"].as_u64().unwrap(), lost.join(" "))
    };
    let field = "reasoning.budget_tokens";
    assert_eq!(sent(2_000, Some(3_000)), (Some(2_000), 3_000, String::new()));
    assert_eq!(sent(10, Some(3_000)), (Some(1_024), 3_000, field.to_owned()));
    assert_eq!(sent(3_000, Some(3_000)), (Some(1_500), 3_000, field.to_owned()));
    assert_eq!(sent(3_000, Some(1_025)), (Some(1_024), 1_025, field.to_owned()));
    assert_eq!(sent(3_000, Some(1_024)), (None, 1_024, "reasoning".to_owned()));
    assert_eq!(sent(30_000, None), (Some(30_000), 34_096, "max_output_tokens".to_owned()));
    assert!(sent(u64::MAX, None).0.is_some());
}

#[test]
fn thoughts_rule_out_sampling_and_forced_tools() {
    let sampled = |thoughts| Request {
        temperature: Some(0.3),
        top_k: Some(5),
        top_p: Some(0.5),
        ..request(thoughts, Some(8_000))
    };
    let (body, losses) = write(&sampled(effort(Effort::Low)));
    assert_eq!(lost(&losses), ["temperature", "top_k", "top_p"]);
    for absent in ["temperature", "top_k", "top_p"] {
        assert_eq!(body.get(absent), None, "{absent}");
    }
    let (body, _) = write(&sampled(budget(0)));
    assert_eq!((body["temperature"].as_f64(), body["top_k"].as_u64()), (Some(0.3), Some(5)));
    let (body, losses) = write(&Request { temperature: Some(1.0), ..request(effort(Effort::Low), Some(8_000)) });
    assert_eq!(body["temperature"], 1.0);
    assert!(losses.is_empty());

    let tool = Tool { name: "f".to_owned(), description: None, parameters: None, strict: None, cache: None };
    for (choice, thinks) in [
        (ToolChoice::Required, false),
        (ToolChoice::Named(vec!["f".to_owned()]), false),
        (ToolChoice::Auto, true),
        (ToolChoice::None, true),
    ] {
        let tools = vec![tool.clone()];
        let (body, losses) =
            write(&Request { tools, tool_choice: Some(choice), ..request(effort(Effort::Low), Some(8_000)) });
        assert_eq!(body.get("thinking").is_some(), thinks);
        assert_eq!(losses.is_empty(), thinks);
    }
}

#[test]
fn a_budget_is_left_out_while_calls_without_signed_thoughts_are_answered() {
    let turn = |role, parts| Message { role, name: None, parts };
    let result = || {
        let result =
            ToolResult { call_id: "t".to_owned(), name: None, parts: vec![Part::text("done")], is_error: false };
        Part::new(Content::ToolResult(result))
    };
    let own = || thoughts("a", Some(signature(Protocol::Anthropic, "s")));
    let thinks = |reasoning, first: Vec<Part>| {
        let messages = vec![
            turn(Role::User, vec![Part::text("Hi")]),
            turn(Role::Assistant, first),
            turn(Role::User, vec![result()]),
            turn(Role::Assistant, vec![call("t", "f", "{}")]),
            turn(Role::User, vec![result()]),
        ];
        let (body, _) = write(&Request { messages, ..request(reasoning, Some(8_000)) });
        body.get("thinking").is_some()
    };
    assert!(thinks(budget(2_000), vec![own(), call("t", "f", "{}")]));
    assert!(!thinks(budget(2_000), vec![call("t", "f", "{}")]));
    assert!(!thinks(budget(2_000), vec![thoughts("a", None), call("t", "f", "{}")]));
    // Adaptive thinking takes it.
    assert!(thinks(effort(Effort::Low), vec![call("t", "f", "{}")]));
}
