//! `generationConfig`: limits, sampling, the form of the answer, thinking.

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};

use super::{is_before_gemini_3, proto::ProtoFields, schema::to_json_schema, short_name};
use crate::{
    Losses,
    chat::{Effort, OutputFormat, OutputSchema, ReasoningRequest, Request},
};

/// Reads `generationConfig` into the request.
pub(super) fn read(mut config: ProtoFields, request: &mut Request, losses: &mut Losses) -> Result<()> {
    for modality in config.texts("responseModalities")? {
        if !matches!(modality.to_ascii_uppercase().as_str(), "TEXT" | "MODALITY_UNSPECIFIED") {
            let field = config.place("responseModalities");
            return Err(Error::invalid(field, format!("asks for {modality}, which cannot be translated"))
                .remedy("ask for TEXT only, or ask a Gemini model"));
        }
    }
    request.max_output_tokens = config.count("maxOutputTokens")?;
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    // Some clients write it as 40.0.
    request.top_k = config.count("topK")?;
    request.stop = config.texts("stopSequences")?;
    let choices_place = config.place("candidateCount");
    request.choices = config
        .count("candidateCount")?
        .map(|count| u32::try_from(count).map_err(|_| Error::invalid(choices_place, "is too large")))
        .transpose()?;
    request.seed = config.integer("seed")?;
    request.presence_penalty = config.number("presencePenalty")?;
    request.frequency_penalty = config.number("frequencyPenalty")?;
    let logprobs_place = config.place("logprobs");
    let alternatives = config.count("logprobs")?;
    if config.flag("responseLogprobs")? == Some(true) {
        let alternatives = u32::try_from(alternatives.unwrap_or(0));
        request.logprobs = Some(alternatives.map_err(|_| Error::invalid(logprobs_place, "is too large"))?);
    } else if alternatives.is_some() {
        losses.note(logprobs_place, "means nothing without responseLogprobs");
    }
    request.output = read_output(&mut config, losses)?;
    request.reasoning = config.object("thinkingConfig")?.map(|thinking| read_thinking(thinking, losses)).transpose()?;
    request.reasoning.take_if(|reasoning| *reasoning == ReasoningRequest::default());
    config.finish(losses);
    Ok(())
}

fn read_output(config: &mut ProtoFields, losses: &mut Losses) -> Result<OutputFormat> {
    let place = config.place("responseMimeType");
    let mut media_type = config.text("responseMimeType")?.unwrap_or_default();
    let mut schema = config.take("responseSchema").map(to_json_schema);
    // The documentation of v1beta has both names.
    for name in ["responseJsonSchema", "_responseJsonSchema"] {
        schema = config.take(name).or(schema);
    }
    // The newer form of the same: {"text": {"mimeType": "APPLICATION_JSON", "schema": …}}.
    if let Some(mut format) = config.object("responseFormat")? {
        if let Some(mut text) = format.object("text")? {
            if let Some(word) = text.word("mimeType")? {
                media_type = word.to_ascii_lowercase().replacen('_', "/", 1);
            }
            schema = text.take("schema").or(schema);
            text.finish(losses);
        }
        format.finish(losses);
    }
    match (media_type.as_str(), schema) {
        ("" | "application/json", Some(schema)) => {
            Ok(OutputFormat::Schema(OutputSchema { name: None, description: None, schema, strict: None }))
        }
        ("application/json", None) => Ok(OutputFormat::Json),
        ("" | "text/plain", None) => Ok(OutputFormat::Text),
        ("text/plain", Some(_)) => Err(Error::invalid(place, "must be application/json where there is a schema")),
        (other, _) => Err(Error::invalid(place, format!("is {other}, which cannot be translated"))
            .remedy("use text/plain or application/json, or ask a Gemini model")),
    }
}

fn read_thinking(mut thinking: ProtoFields, losses: &mut Losses) -> Result<ReasoningRequest> {
    let place = thinking.place("thinkingBudget");
    let budget_tokens = match thinking.integer("thinkingBudget")? {
        // The model decides.
        None | Some(-1) => None,
        Some(tokens) => {
            Some(u64::try_from(tokens).map_err(|_| Error::invalid(place, "must be -1, 0 or a number of tokens"))?)
        }
    };
    let place = thinking.place("thinkingLevel");
    let effort = match thinking.word("thinkingLevel")?.as_deref() {
        None => None,
        Some("MINIMAL") => Some(Effort::Minimal),
        Some("LOW") => Some(Effort::Low),
        Some("MEDIUM") => Some(Effort::Medium),
        Some("HIGH") => Some(Effort::High),
        Some(_) => return Err(Error::invalid(place, "must be MINIMAL, LOW, MEDIUM or HIGH")),
    };
    let visible = thinking.flag("includeThoughts")?;
    thinking.finish(losses);
    Ok(ReasoningRequest { effort, budget_tokens, visible })
}

/// `generationConfig`, empty when the request asks for nothing special.
pub(super) fn write(request: &Request, losses: &mut Losses) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    };
    set("maxOutputTokens", request.max_output_tokens.map(Value::from));
    set("temperature", request.temperature.map(Value::from));
    set("topP", request.top_p.map(Value::from));
    set("topK", request.top_k.map(Value::from));
    set("stopSequences", (!request.stop.is_empty()).then(|| json!(request.stop)));
    set("candidateCount", request.choices.map(Value::from));
    // Gemini's seeds have 32 bits. A longer one is cut, always in the same way: answers can still be repeated.
    let seed = |seed: i64| i32::try_from(seed).map_or(seed & i64::from(i32::MAX), i64::from);
    set("seed", request.seed.map(seed).map(Value::from));
    set("presencePenalty", request.presence_penalty.map(Value::from));
    set("frequencyPenalty", request.frequency_penalty.map(Value::from));
    set("responseLogprobs", request.logprobs.map(|_| Value::Bool(true)));
    set("logprobs", request.logprobs.filter(|alternatives| *alternatives > 0).map(Value::from));
    match &request.output {
        OutputFormat::Text => {}
        OutputFormat::Json => set("responseMimeType", Some("application/json".into())),
        // Its name is only a label, and Gemini always follows the schema.
        OutputFormat::Schema(output) => {
            if output.description.is_some() {
                losses.note("output.description", "Gemini has no description of the answer beside its schema");
            }
            set("responseMimeType", Some("application/json".into()));
            set("responseJsonSchema", Some(output.schema.clone()));
        }
    }
    if let Some(reasoning) = &request.reasoning {
        let thinking = write_thinking(&request.model, reasoning, losses);
        set("thinkingConfig", (!thinking.is_empty()).then(|| thinking.into()));
    }
    config
}

fn write_thinking(model: &str, reasoning: &ReasoningRequest, losses: &mut Losses) -> Map<String, Value> {
    let mut thinking = Map::new();
    if is_before_gemini_3(model) {
        if let Some(budget) = budget(model, reasoning, losses) {
            thinking.insert("thinkingBudget".to_owned(), budget.into());
        }
    } else if let Some(level) = level(reasoning, losses) {
        thinking.insert("thinkingLevel".to_owned(), level.into());
    }
    if let Some(visible) = reasoning.visible {
        thinking.insert("includeThoughts".to_owned(), visible.into());
    }
    thinking
}

/// Tokens for thinking, as Gemini 2.5 takes them: pro 128 to 32,768 and never none, flash-lite none or 512 to 24,576, flash 0 to
/// 24,576 ("Gemini thinking"). Efforts are the numbers of "OpenAI compatibility".
fn budget(model: &str, reasoning: &ReasoningRequest, losses: &mut Losses) -> Option<u64> {
    let name = short_name(model);
    let (least, most, can_stop) = match name {
        _ if name.contains("-pro") => (128, 32_768, false),
        _ if name.contains("-lite") => (512, 24_576, true),
        _ => (1, 24_576, true),
    };
    let (field, wanted) = match reasoning.budget_tokens {
        Some(tokens) => ("reasoning.budget_tokens", tokens),
        None => {
            let tokens = match reasoning.effort? {
                Effort::None => 0,
                Effort::Minimal => 512,
                Effort::Low => 1_024,
                Effort::Medium => 8_192,
                Effort::High => 24_576,
                Effort::Max => most,
            };
            ("reasoning.effort", tokens)
        }
    };
    let given = if wanted == 0 && can_stop { 0 } else { wanted.clamp(least, most) };
    if given != wanted {
        losses.note(field, format!("{name} thinks with {least} to {most} tokens: {given} are asked for"));
    }
    Some(given)
}

/// The level of thinking, as Gemini 3 and later take it. `MINIMAL` is not among the levels of all models, so `LOW` is the least.
fn level(reasoning: &ReasoningRequest, losses: &mut Losses) -> Option<&'static str> {
    const LEAST: &str = "thinking cannot be switched off in Gemini: the level LOW is asked for";
    if let Some(effort) = reasoning.effort {
        return Some(match effort {
            Effort::None | Effort::Minimal => {
                losses.note("reasoning.effort", LEAST);
                "LOW"
            }
            Effort::Low => "LOW",
            Effort::Medium => "MEDIUM",
            Effort::High | Effort::Max => "HIGH",
        });
    }
    let level = match reasoning.budget_tokens? {
        0 => {
            losses.note("reasoning.budget_tokens", LEAST);
            return Some("LOW");
        }
        1..=1_024 => "LOW",
        1_025..=8_192 => "MEDIUM",
        _ => "HIGH",
    };
    losses
        .note("reasoning.budget_tokens", format!("Gemini takes a level, not a number of tokens: {level} is asked for"));
    Some(level)
}
