//! How much a model thinks, and what that rules out. The rules stand in the module's documentation.

use serde_json::{Value, json};

use super::read_request::BUDGET_TOKENS_MIN;
use crate::{
    Losses,
    chat::{Effort, Request, ToolChoice},
};

/// Tokens of an answer when the caller sets no limit. Every model can write so many.
const ANSWER_TOKENS: u64 = 4_096;
/// Tokens for thoughts in addition, when the caller sets neither a limit nor a budget: as much as `high` needs for most
/// questions, and less than what models that think adaptively can write.
const ADAPTIVE_TOKENS: u64 = 16_384;
/// With thoughts, `top_p` must not be less.
const TOP_P_MIN: f64 = 0.95;

/// What is sent about thinking.
#[derive(Debug)]
pub(super) struct Plan {
    /// The field `thinking`.
    pub(super) config: Option<Value>,
    /// `output_config.effort`.
    pub(super) effort: Option<&'static str>,
    pub(super) max_tokens: u64,
    /// Whether the model is asked to think.
    pub(super) on: bool,
}

/// `unsigned_tool_loop`: the conversation ends in results of tools whose calls carry no thoughts of Anthropic's. The
/// servers refuse to think by a budget then.
pub(super) fn plan(request: &Request, unsigned_tool_loop: bool, losses: &mut Losses) -> Plan {
    let max_tokens = request.max_output_tokens.unwrap_or(ANSWER_TOKENS);
    let mut plan = Plan { config: None, effort: None, max_tokens, on: false };
    let Some(reasoning) = &request.reasoning else { return plan };
    plan.effort = reasoning.effort.and_then(|effort| effort_name(effort, losses));
    if reasoning.budget_tokens == Some(0) || reasoning.effort == Some(Effort::None) {
        plan.config = Some(json!({ "type": "disabled" }));
        return plan;
    }
    if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
        losses.note("reasoning", "Anthropic's models do not think when they must call a tool");
        return plan;
    }
    let mut config = match reasoning.budget_tokens {
        None => {
            if request.max_output_tokens.is_none() {
                plan.max_tokens += ADAPTIVE_TOKENS;
            }
            json!({ "type": "adaptive" })
        }
        Some(_) if unsigned_tool_loop => {
            losses.note("reasoning", "the tool calls in progress carry no thoughts that Anthropic has signed");
            return plan;
        }
        Some(wanted) => {
            let Some(budget) = budget(wanted, &mut plan, request.max_output_tokens.is_some(), losses) else {
                return plan;
            };
            json!({ "type": "enabled", "budget_tokens": budget })
        }
    };
    if let (Some(visible), Some(config)) = (reasoning.visible, config.as_object_mut()) {
        config.insert("display".to_owned(), if visible { "summarized" } else { "omitted" }.into());
    }
    plan.config = Some(config);
    plan.on = true;
    plan
}

fn effort_name(effort: Effort, losses: &mut Losses) -> Option<&'static str> {
    match effort {
        Effort::None => None,
        Effort::Minimal => {
            losses.note("reasoning.effort", "Anthropic's least is `low`");
            Some("low")
        }
        Effort::Low => Some("low"),
        Effort::Medium => Some("medium"),
        Effort::High => Some("high"),
        Effort::Max => Some("max"),
    }
}

/// A budget of at least 1,024 and below the limit of tokens; `None` when the limit leaves no room.
fn budget(wanted: u64, plan: &mut Plan, limited: bool, losses: &mut Losses) -> Option<u64> {
    let field = "reasoning.budget_tokens";
    let mut budget = wanted;
    if budget < BUDGET_TOKENS_MIN {
        losses.note(field, format!("raised to Anthropic's least, {BUDGET_TOKENS_MIN}"));
        budget = BUDGET_TOKENS_MIN;
    }
    if !limited {
        plan.max_tokens = plan.max_tokens.saturating_add(budget);
    }
    if budget < plan.max_tokens {
        return Some(budget);
    }
    if plan.max_tokens <= BUDGET_TOKENS_MIN {
        losses.note("reasoning", format!("thinking needs a limit of more than {BUDGET_TOKENS_MIN} tokens"));
        return None;
    }
    // Half of it, so that an answer has room as well.
    budget = (plan.max_tokens / 2).max(BUDGET_TOKENS_MIN);
    losses.note(field, format!("lowered to {budget}: it must be less than the limit of tokens"));
    Some(budget)
}

/// What of the sampling is sent.
#[derive(Debug, Default)]
pub(super) struct Sampling {
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<u64>,
}

pub(super) fn sampling(request: &Request, thinking: bool, losses: &mut Losses) -> Sampling {
    let mut sampling = Sampling { temperature: request.temperature, top_p: request.top_p, top_k: request.top_k };
    if let Some(temperature) = sampling.temperature
        && temperature > 1.0
    {
        losses.note("temperature", "lowered to 1, the highest that Anthropic takes");
        sampling.temperature = Some(1.0);
    }
    if thinking {
        if sampling.temperature.take_if(|temperature| *temperature != 1.0).is_some() {
            losses.note("temperature", "left out: with thoughts, Anthropic takes only 1");
        }
        if sampling.top_k.take().is_some() {
            losses.note("top_k", "left out: with thoughts, Anthropic takes none");
        }
        if sampling.top_p.take_if(|top_p| *top_p < TOP_P_MIN).is_some() {
            losses.note("top_p", "left out: with thoughts, Anthropic takes none below 0.95");
        }
    }
    if let (Some(temperature), Some(top_p)) = (sampling.temperature, sampling.top_p) {
        // A temperature of 1 and a `top_p` of 1 are the defaults: leaving them out changes nothing.
        if temperature == 1.0 {
            sampling.temperature = None;
        } else {
            sampling.top_p = None;
            if top_p < 1.0 {
                losses.note("top_p", "left out: recent models of Anthropic take either it or a temperature");
            }
        }
    }
    sampling
}
