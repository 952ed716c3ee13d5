//! How much a model thinks, and what that rules out. Only Anthropic's models are told: their fields go in
//! `additionalModelRequestFields` ("Anthropic Claude Messages API", "Extended thinking", "Adaptive thinking").

use serde_json::{Map, Value, json};

use super::messages::Turn;
use crate::{
    Losses,
    chat::{Effort, ReasoningRequest, Request, Role, ToolChoice},
};

/// The least budget for thoughts.
const BUDGET_TOKENS_MIN: u64 = 1_024;
/// With thoughts, `top_p` must not be less.
const TOP_P_MIN: f64 = 0.95;
/// The highest temperature (`InferenceConfiguration`).
const TEMPERATURE_MAX: f64 = 1.0;

/// What is sent about thinking and sampling.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// `thinking` of Anthropic's models.
    pub(super) thinking: Option<Value>,
    /// `outputConfig.effort`.
    pub(super) effort: Option<&'static str>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    /// `top_k` of Anthropic's models.
    pub(super) top_k: Option<u64>,
}

/// Whether the model's name says that it is Anthropic's. The address of an inference profile may not.
pub(super) fn is_anthropic(model: &str) -> bool {
    model.contains("anthropic")
}

pub(super) fn plan(request: &Request, turns: &[Turn], losses: &mut Losses) -> Plan {
    let mut plan =
        Plan { temperature: request.temperature, top_p: request.top_p, top_k: request.top_k, ..Plan::default() };
    if let Some(temperature) = &mut plan.temperature
        && *temperature > TEMPERATURE_MAX
    {
        losses.note("temperature", "lowered to 1, the highest that Bedrock takes");
        *temperature = TEMPERATURE_MAX;
    }
    if !is_anthropic(&request.model) {
        let why = "the model's name does not say that it is Anthropic's; at Bedrock, only such models are told";
        if plan.top_k.take().is_some() {
            losses.note("top_k", why);
        }
        if request.reasoning.is_some() {
            losses.note("reasoning", why);
        }
        return plan;
    }
    if let Some(reasoning) = &request.reasoning {
        think(reasoning, request, turns, &mut plan, losses);
    }
    if plan.thinking.as_ref().is_some_and(|thinking| thinking.get("type") != Some(&Value::from("disabled"))) {
        sample_with_thoughts(&mut plan, losses);
    } else if plan.effort == Some("max") {
        losses.note("reasoning.effort", "lowered to `high`, the highest without thoughts");
        plan.effort = Some("high");
    }
    if let (Some(temperature), Some(top_p)) = (plan.temperature, plan.top_p) {
        // A temperature of 1 and a `top_p` of 1 are the defaults: leaving them out changes nothing.
        if temperature == TEMPERATURE_MAX {
            plan.temperature = None;
        } else {
            plan.top_p = None;
            if top_p < 1.0 {
                losses.note("top_p", "left out: recent models of Anthropic take either it or a temperature");
            }
        }
    }
    plan
}

fn think(reasoning: &ReasoningRequest, request: &Request, turns: &[Turn], plan: &mut Plan, losses: &mut Losses) {
    plan.effort = reasoning.effort.and_then(|effort| effort_name(effort, losses));
    if reasoning.budget_tokens == Some(0) || reasoning.effort == Some(Effort::None) {
        plan.thinking = Some(json!({ "type": "disabled" }));
        return;
    }
    if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
        losses.note("reasoning", "Anthropic's models do not think when they must call a tool");
        return;
    }
    let mut thinking = Map::new();
    match reasoning.budget_tokens {
        None => {
            thinking.insert("type".to_owned(), "adaptive".into());
        }
        Some(_) if is_unsigned_tool_loop(turns) => {
            losses.note("reasoning", "the tool calls in progress carry no thoughts that a model at Bedrock has signed");
            return;
        }
        Some(wanted) => {
            let Some(budget) = budget(wanted, request.max_output_tokens, losses) else { return };
            thinking.insert("type".to_owned(), "enabled".into());
            thinking.insert("budget_tokens".to_owned(), budget.into());
        }
    }
    if let Some(visible) = reasoning.visible {
        thinking.insert("display".to_owned(), if visible { "summarized" } else { "omitted" }.into());
    }
    plan.thinking = Some(Value::Object(thinking));
}

fn effort_name(effort: Effort, losses: &mut Losses) -> Option<&'static str> {
    match effort {
        Effort::None => None,
        Effort::Minimal => {
            losses.note("reasoning.effort", "Bedrock's least is `low`");
            Some("low")
        }
        Effort::Low => Some("low"),
        Effort::Medium => Some("medium"),
        Effort::High => Some("high"),
        Effort::Max => Some("max"),
    }
}

/// A budget of at least 1,024 and below the limit of tokens, which is the model's own when the caller sets none; `None`
/// when the limit leaves no room.
fn budget(wanted: u64, limit: Option<u64>, losses: &mut Losses) -> Option<u64> {
    let field = "reasoning.budget_tokens";
    let mut budget = wanted;
    if budget < BUDGET_TOKENS_MIN {
        losses.note(field, format!("raised to Anthropic's least, {BUDGET_TOKENS_MIN}"));
        budget = BUDGET_TOKENS_MIN;
    }
    let Some(limit) = limit.filter(|limit| *limit <= budget) else { return Some(budget) };
    if limit <= BUDGET_TOKENS_MIN {
        losses.note("reasoning", format!("thinking needs a limit of more than {BUDGET_TOKENS_MIN} tokens"));
        return None;
    }
    // Half of it, so that an answer has room as well.
    budget = (limit / 2).max(BUDGET_TOKENS_MIN);
    losses.note(field, format!("lowered to {budget}: it must be less than the limit of tokens"));
    Some(budget)
}

fn sample_with_thoughts(plan: &mut Plan, losses: &mut Losses) {
    if plan.temperature.take_if(|temperature| *temperature != 1.0).is_some() {
        losses.note("temperature", "left out: with thoughts, Anthropic takes only 1");
    }
    if plan.top_k.take().is_some() {
        losses.note("top_k", "left out: with thoughts, Anthropic takes none");
    }
    if plan.top_p.take_if(|top_p| *top_p < TOP_P_MIN).is_some() {
        losses.note("top_p", "left out: with thoughts, Anthropic takes none below 0.95");
    }
}

/// Whether the turns end in results of tools, and no turn of the assistant since the user last spoke begins with
/// thoughts: Anthropic refuses to think by a budget then.
fn is_unsigned_tool_loop(turns: &[Turn]) -> bool {
    let mut backwards = turns.iter().rev();
    let mut in_loop = false;
    while let Some(user) = backwards.next()
        && user.role == Role::User
        && !user.results.is_empty()
        && let Some(assistant) = backwards.next()
    {
        if assistant.blocks.first().is_some_and(|block| block.get("reasoningContent").is_some()) {
            return false;
        }
        in_loop = true;
    }
    in_loop
}

#[cfg(test)]
mod tests;
