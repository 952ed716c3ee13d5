//! Requests of `Converse` and `ConverseStream`: both have the same body.

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};

use super::{
    answer::STOP_SEQUENCE_PATHS,
    messages::{Blocks, Turn},
    sigv4::percent_encode,
    thinking::{self, Plan, is_anthropic},
    tools::write_tools,
};
use crate::{
    Losses,
    chat::{OutputFormat, OutputSchema, Request},
};

/// The path of a call, percent-encoded. `model` is the id of a model or the ARN of an inference profile.
pub fn path(model: &str, stream: bool) -> String {
    let operation = if stream { "converse-stream" } else { "converse" };
    format!("/model/{}/{operation}", percent_encode(model, false))
}

/// Writes the body of a request. The model and whether the answer comes as a stream stand in its [`path`].
///
/// # Errors
/// `invalid`, naming the field, for what Bedrock cannot do.
pub fn write_request(request: &Request, losses: &mut Losses) -> Result<Value> {
    refuse_unsupported(request)?;
    note_unsupported(request, losses);
    let mut blocks = Blocks::new(&request.model, losses);
    // In the order in which a model reads them, so that the first cache points count.
    let tool_config = write_tools(request, &mut blocks)?;
    let system = blocks.system(request)?;
    let turns = blocks.turns(request)?;
    let plan = thinking::plan(request, &turns, losses);

    let mut body = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    set("system", (!system.is_empty()).then_some(Value::Array(system)));
    set("messages", Some(turns.into_iter().map(Turn::into_value).collect()));
    set("inferenceConfig", inference_config(request, &plan));
    set("toolConfig", tool_config);
    set("outputConfig", output_config(request, &plan, losses)?);
    set("additionalModelRequestFields", model_fields(&plan));
    if !request.stop.is_empty() && is_anthropic(&request.model) {
        set("additionalModelResponseFieldPaths", Some(json!(STOP_SEQUENCE_PATHS)));
    }
    Ok(Value::Object(body))
}

fn refuse_unsupported(request: &Request) -> Result<()> {
    if request.choices.is_some_and(|choices| choices > 1) {
        return Err(Error::invalid("choices", "Bedrock cannot give several answers to one request")
            .remedy("ask for one answer, or ask several times"));
    }
    if request.logprobs.is_some() {
        return Err(Error::invalid("logprobs", "Bedrock cannot tell the probabilities of tokens")
            .remedy("leave it out, or choose a model of another provider"));
    }
    Ok(())
}

fn note_unsupported(request: &Request, losses: &mut Losses) {
    let given = [
        ("frequency_penalty", request.frequency_penalty.is_some()),
        ("presence_penalty", request.presence_penalty.is_some()),
        ("seed", request.seed.is_some()),
        ("user", request.user.is_some()),
    ];
    for (field, _) in given.iter().filter(|(_, given)| *given) {
        losses.note(*field, "Bedrock has no such field");
    }
}

fn inference_config(request: &Request, plan: &Plan) -> Option<Value> {
    let mut config = Map::new();
    if let Some(tokens) = request.max_output_tokens {
        config.insert("maxTokens".to_owned(), tokens.into());
    }
    if let Some(temperature) = plan.temperature {
        config.insert("temperature".to_owned(), temperature.into());
    }
    if let Some(top_p) = plan.top_p {
        config.insert("topP".to_owned(), top_p.into());
    }
    // An empty one would end every answer at once, and is refused.
    let stop: Vec<&str> = request.stop.iter().map(String::as_str).filter(|stop| !stop.is_empty()).collect();
    if !stop.is_empty() {
        config.insert("stopSequences".to_owned(), stop.into());
    }
    (!config.is_empty()).then_some(Value::Object(config))
}

fn output_config(request: &Request, plan: &Plan, losses: &mut Losses) -> Result<Option<Value>> {
    let mut config = Map::new();
    match &request.output {
        OutputFormat::Text => {}
        OutputFormat::Json => {
            return Err(Error::invalid("output", "Bedrock cannot promise JSON without a schema")
                .remedy("give a JSON schema for the answer"));
        }
        OutputFormat::Schema(schema) => {
            if schema.strict == Some(false) {
                losses.note("output.strict", "Bedrock always follows the schema exactly");
            }
            config.insert("textFormat".to_owned(), text_format(schema));
        }
    }
    if let Some(effort) = plan.effort {
        config.insert("effort".to_owned(), effort.into());
    }
    Ok((!config.is_empty()).then_some(Value::Object(config)))
}

/// The schema stands there as a text ("Get validated JSON results from models").
fn text_format(output: &OutputSchema) -> Value {
    let mut schema = Map::new();
    schema.insert("schema".to_owned(), output.schema.to_string().into());
    for (name, value) in [("name", &output.name), ("description", &output.description)] {
        if let Some(value) = value {
            schema.insert(name.to_owned(), value.clone().into());
        }
    }
    json!({ "type": "json_schema", "structure": { "jsonSchema": schema } })
}

/// The fields of Anthropic's models.
fn model_fields(plan: &Plan) -> Option<Value> {
    let mut fields = Map::new();
    if let Some(thinking) = &plan.thinking {
        fields.insert("thinking".to_owned(), thinking.clone());
    }
    if let Some(top_k) = plan.top_k {
        fields.insert("top_k".to_owned(), top_k.into());
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}

#[cfg(test)]
mod tests;
