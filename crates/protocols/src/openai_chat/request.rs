//! Reading a caller's request.

use plasma_kernel::{Error, Result};
use serde_json::Value;

use super::{CHOICES_MAX, UNKNOWN, effort::effort_of_word, messages::Conversation, tools};
use crate::{
    Losses,
    chat::{Effort, OutputFormat, OutputSchema, ReasoningRequest, Request},
    read::Fields,
};

/// Fields that bind the model's words to a grammar or a list, as vLLM and llama.cpp have them.
const CONSTRAINTS: [&str; 8] = [
    "grammar",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "guided_decoding_backend",
    "structured_outputs",
    "json_schema",
];

/// Reads a request as a client of the OpenAI API sends it.
///
/// # Errors
/// `invalid`, naming the caller's field, when it does not follow the protocol or asks for what only its own providers
/// have: audio answers, built-in and custom tools, token biases, grammars.
pub fn read_request(body: Value, losses: &mut Losses) -> Result<Request> {
    let mut body = Fields::of(body, "")?;
    let model = body.text("model")?;
    let model = body.need("model", model)?;
    refuse(&mut body)?;
    let messages = body.list("messages")?;
    if messages.is_empty() {
        return Err(Error::invalid("messages", "must hold at least one message"));
    }
    let Conversation { system, messages, .. } = Conversation::read(messages, losses)?;
    let tools = tools::read_tools(&mut body, losses)?;
    let (tools, tool_choice) = tools::read_choice(&mut body, tools, losses)?;
    // `max_tokens` is the older name; where both stand, it is not a second limit.
    let older_limit = body.count("max_tokens")?;
    let user = body.text("user")?;
    let mut request = Request {
        model,
        system,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: body.flag("parallel_tool_calls")?,
        output: read_output(&mut body, losses)?,
        max_output_tokens: body.count("max_completion_tokens")?.or(older_limit),
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: read_top_k(&mut body)?,
        frequency_penalty: body.number("frequency_penalty")?,
        presence_penalty: body.number("presence_penalty")?,
        seed: body.integer("seed")?,
        stop: body.texts("stop")?,
        choices: read_choices(&mut body)?,
        logprobs: read_logprobs(&mut body)?,
        reasoning: read_reasoning(&mut body, losses)?,
        user: body.text("safety_identifier")?.or(user),
        stream: body.flag("stream")?.unwrap_or_default(),
        stream_usage: false,
    };
    if let Some(mut options) = body.object("stream_options")? {
        request.stream_usage = options.flag("include_usage")?.unwrap_or_default();
        // Padding against eavesdroppers: no other protocol has it, and false asks for nothing.
        if options.flag("include_obfuscation")? == Some(true) {
            losses.note(options.place("include_obfuscation"), UNKNOWN);
        }
        options.finish(UNKNOWN, losses);
    }
    body.finish(UNKNOWN, losses);
    Ok(request)
}

/// What changes the answer and cannot be said to a provider of another protocol.
fn refuse(body: &mut Fields) -> Result<()> {
    let biases = body.take("logit_bias");
    if biases.is_some_and(|biases| biases.as_object().is_none_or(|biases| !biases.is_empty())) {
        return Err(Error::invalid("logit_bias", "biases of tokens cannot be said to this model's provider")
            .remedy("leave it out, or use a model of an OpenAI-compatible provider"));
    }
    if body.texts("modalities")?.iter().any(|modality| modality != "text") {
        return Err(Error::invalid("modalities", "this model's provider cannot be asked for more than text")
            .remedy("leave it out, or use a model of an OpenAI-compatible provider"));
    }
    for name in ["web_search_options", "plugins"] {
        let wanted = body.take(name);
        if wanted.is_some_and(|wanted| wanted.as_array().is_none_or(|list| !list.is_empty())) {
            return Err(Error::invalid(name, "this model's provider cannot run tools that another provider built in")
                .remedy("leave it out, or use a model of the provider that has them"));
        }
    }
    match CONSTRAINTS.into_iter().find(|name| body.has(name)) {
        Some(name) => Err(Error::invalid(name, "this model's provider cannot be bound to it")
            .remedy("say the form of the answer with `response_format`")),
        None => Ok(()),
    }
}

/// vLLM and llama.cpp read -1 and 0 as no limit.
fn read_top_k(body: &mut Fields) -> Result<Option<u64>> {
    Ok(body.integer("top_k")?.and_then(|count| u64::try_from(count).ok()).filter(|count| *count > 0))
}

fn read_choices(body: &mut Fields) -> Result<Option<u32>> {
    let Some(count) = body.count("n")? else { return Ok(None) };
    match u32::try_from(count) {
        Ok(count @ 1..=CHOICES_MAX) => Ok(Some(count)),
        _ => Err(Error::invalid("n", format!("must be 1 to {CHOICES_MAX}"))),
    }
}

fn read_logprobs(body: &mut Fields) -> Result<Option<u32>> {
    let wanted = body.flag("logprobs")?.unwrap_or_default();
    let alternatives = body.count("top_logprobs")?.unwrap_or_default();
    let alternatives = u32::try_from(alternatives)
        .map_err(|_| Error::invalid("top_logprobs", "is too large").remedy("ask for 20 or fewer"))?;
    match (wanted, alternatives) {
        (true, alternatives) => Ok(Some(alternatives)),
        (false, 0) => Ok(None),
        (false, _) => Err(Error::invalid("top_logprobs", "needs `logprobs`").remedy("set `logprobs` to true")),
    }
}

fn read_output(body: &mut Fields, losses: &mut Losses) -> Result<OutputFormat> {
    let Some(mut format) = body.object("response_format")? else { return Ok(OutputFormat::Text) };
    let kind = format.text("type")?;
    let output = match format.need("type", kind)?.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => match format.take("schema") {
            // llama.cpp's way to say a schema.
            Some(schema) => OutputFormat::Schema(OutputSchema { name: None, description: None, schema, strict: None }),
            None => OutputFormat::Json,
        },
        "json_schema" => {
            let object = format.object("json_schema")?;
            let mut object = format.need("json_schema", object)?;
            let schema = object.take("schema");
            let output = OutputFormat::Schema(OutputSchema {
                name: object.text("name")?,
                description: object.text("description")?,
                schema: object.need("schema", schema)?,
                strict: object.flag("strict")?,
            });
            object.finish(UNKNOWN, losses);
            output
        }
        other => {
            return Err(Error::invalid("response_format.type", format!("`{other}` cannot be said to this provider"))
                .remedy("use `text`, `json_object` or `json_schema`"));
        }
    };
    format.finish(UNKNOWN, losses);
    Ok(output)
}

/// OpenAI's `reasoning_effort`, OpenRouter's `reasoning` and `include_reasoning`, and `thinking` of DeepSeek and
/// LiteLLM.
fn read_reasoning(body: &mut Fields, losses: &mut Losses) -> Result<Option<ReasoningRequest>> {
    let mut wanted = ReasoningRequest::default();
    if let Some(mut thinking) = body.object("thinking")? {
        if thinking.text("type")?.as_deref() == Some("disabled") {
            wanted.effort = Some(Effort::None);
        }
        wanted.budget_tokens = thinking.count("budget_tokens")?;
        thinking.finish(UNKNOWN, losses);
    }
    wanted.visible = body.flag("include_reasoning")?;
    if let Some(mut reasoning) = body.object("reasoning")? {
        if reasoning.flag("enabled")? == Some(false) {
            wanted.effort = Some(Effort::None);
        }
        if let Some(effort) = reasoning.text("effort")? {
            wanted.effort = Some(read_effort(&reasoning.place("effort"), &effort)?);
        }
        if let Some(budget) = reasoning.count("max_tokens")? {
            wanted.budget_tokens = Some(budget);
        }
        if let Some(exclude) = reasoning.flag("exclude")? {
            wanted.visible = Some(!exclude);
        }
        reasoning.finish(UNKNOWN, losses);
    }
    if let Some(effort) = body.text("reasoning_effort")? {
        wanted.effort = Some(read_effort("reasoning_effort", &effort)?);
    }
    Ok((wanted != ReasoningRequest::default()).then_some(wanted))
}

fn read_effort(field: &str, effort: &str) -> Result<Effort> {
    effort_of_word(effort).ok_or_else(|| {
        Error::invalid(field, format!("`{effort}` is not an effort"))
            .remedy("use `none`, `minimal`, `low`, `medium`, `high` or `xhigh`")
    })
}
