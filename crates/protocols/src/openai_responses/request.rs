use plasma_kernel::{Error, Result};
use serde_json::Value;

use super::{input, tools};
use crate::{
    Fields, Losses,
    chat::{Effort, OutputFormat, OutputSchema, ReasoningRequest, Request},
    openai_chat::effort::effort_of_word,
};

/// Why a field is lost on the way to another protocol.
pub(super) const NO_COUNTERPART: &str = "has no counterpart in other protocols";

/// A client's request.
///
/// # Errors
/// `invalid`, naming the field, for what is malformed and for what only the provider itself could do.
pub fn read_request(body: Value, losses: &mut Losses) -> Result<Request> {
    let mut fields = Fields::of(body, "")?;
    refuse_state(&mut fields)?;
    let model = fields.text("model")?;
    let model = fields.need("model", model)?;
    let (system, messages) = input::read(&mut fields, losses)?;
    let mut tools = tools::read(&mut fields, losses)?;
    let tool_choice = tools::read_choice(&mut fields, &mut tools, losses)?;
    let user = fields.text("user")?;
    let user = fields.text("safety_identifier")?.or(user);
    let stream = fields.flag("stream")?.unwrap_or(false);
    // Only chooses padding against those who watch the sizes of packets.
    fields.take("stream_options");
    if fields.flag("store")? == Some(true) {
        losses.note("store", "answers are not kept; send the whole input each time");
    }
    if fields.text("truncation")?.is_some_and(|truncation| truncation != "disabled") {
        losses.note("truncation", "other providers refuse an input that is too long");
    }
    let request = Request {
        model,
        system,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: fields.flag("parallel_tool_calls")?,
        output: read_text(&mut fields, losses)?,
        max_output_tokens: fields.count("max_output_tokens")?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        logprobs: read_logprobs(&mut fields, losses)?,
        reasoning: read_reasoning(&mut fields, losses)?,
        user,
        stream,
        // This protocol always tells them.
        stream_usage: stream,
        ..Request::default()
    };
    fields.finish(NO_COUNTERPART, losses);
    Ok(request)
}

fn refuse_state(fields: &mut Fields) -> Result<()> {
    for name in ["previous_response_id", "conversation", "prompt"] {
        if fields.take(name).is_some() {
            return Err(Error::invalid(name, "cannot be followed: it names what only its own provider has stored")
                .remedy("send the whole conversation in `input`"));
        }
    }
    if fields.flag("background")? == Some(true) {
        return Err(Error::invalid("background", "cannot be true: answers are not stored to be fetched later")
            .remedy("leave it out and wait for the answer, or set `stream`"));
    }
    Ok(())
}

fn read_text(fields: &mut Fields, losses: &mut Losses) -> Result<OutputFormat> {
    let Some(mut text) = fields.object("text")? else { return Ok(OutputFormat::Text) };
    let format = text.object("format")?.map(|format| read_format(format, losses)).transpose()?;
    text.finish(NO_COUNTERPART, losses);
    Ok(format.unwrap_or_default())
}

fn read_format(mut format: Fields, losses: &mut Losses) -> Result<OutputFormat> {
    let kind = format.text("type")?;
    let output = match format.need("type", kind)?.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::Json,
        "json_schema" => {
            let schema = format.take("schema");
            OutputFormat::Schema(OutputSchema {
                name: format.text("name")?,
                description: format.text("description")?,
                schema: format.need("schema", schema)?,
                strict: format.flag("strict")?,
            })
        }
        other => {
            let what = format!("cannot be `{other}`");
            return Err(Error::invalid(format.place("type"), what).remedy("use text, json_object or json_schema"));
        }
    };
    format.finish(NO_COUNTERPART, losses);
    Ok(output)
}

fn read_logprobs(fields: &mut Fields, losses: &mut Losses) -> Result<Option<u32>> {
    let mut wanted = false;
    for (index, include) in fields.texts("include")?.iter().enumerate() {
        match include.as_str() {
            "message.output_text.logprobs" => wanted = true,
            // Seals over thoughts are always given.
            "reasoning.encrypted_content" => {}
            _ => losses.note(format!("include[{index}]"), NO_COUNTERPART),
        }
    }
    let top = fields.count("top_logprobs")?;
    if !wanted {
        if top.is_some_and(|top| top > 0) {
            losses.note("top_logprobs", "means nothing without `message.output_text.logprobs` in `include`");
        }
        return Ok(None);
    }
    let top = u32::try_from(top.unwrap_or(0)).map_err(|_| Error::invalid("top_logprobs", "is too large"))?;
    Ok(Some(top))
}

fn read_reasoning(fields: &mut Fields, losses: &mut Losses) -> Result<Option<ReasoningRequest>> {
    let Some(mut reasoning) = fields.object("reasoning")? else { return Ok(None) };
    let effort = reasoning.text("effort")?;
    let effort = effort.map(|effort| read_effort(&effort, reasoning.place("effort"))).transpose()?;
    // The older name of `summary`.
    let summary = reasoning.text("generate_summary")?;
    let summary = reasoning.text("summary")?.or(summary);
    reasoning.finish(NO_COUNTERPART, losses);
    Ok(Some(ReasoningRequest { effort, budget_tokens: None, visible: summary.map(|_| true) }))
}

fn read_effort(effort: &str, place: String) -> Result<Effort> {
    effort_of_word(effort).ok_or_else(|| {
        Error::invalid(place, format!("cannot be `{effort}`")).remedy("use none, minimal, low, medium, high or xhigh")
    })
}
