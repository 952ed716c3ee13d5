use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{ServerArgs, api::Api, printable};

/// `plasma access explain`
#[derive(Debug, Args)]
#[command(
    after_help = "Example: plasma access explain content:write --principal usr_… --resource doc_… --address 192.0.2.1\n\
                  Exit codes: 0 it is allowed, 1 it is not, or the question could not be answered."
)]
pub struct ExplainArgs {
    /// The permission, such as content:write
    action: String,
    /// The id of a user or an API key [default: the one whose key is used]
    #[arg(short, long, value_name = "ID")]
    principal: Option<String>,
    /// The id of the thing that it is about
    #[arg(short, long, value_name = "ID")]
    resource: Option<String>,
    /// The id of a thing that this thing is in, such as a document's collection; may be repeated, the outermost first
    #[arg(long, value_name = "ID")]
    within: Vec<String>,
    /// The path of the request
    #[arg(long)]
    path: Option<String>,
    /// Where the request comes from [default: from here]
    #[arg(long, value_name = "IP")]
    address: Option<std::net::IpAddr>,
    /// When, in microseconds since 1970 UTC [default: now]
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    at: Option<i64>,
    /// The method of the request
    #[arg(long)]
    method: Option<String>,
    /// Whether the person logged in with two factors
    #[arg(long, value_name = "BOOL")]
    multi_factor: Option<bool>,
    #[command(flatten)]
    server: ServerArgs,
}

impl ExplainArgs {
    /// The question as the API takes it: only what was given.
    fn question(&self) -> Value {
        let given = |fields: Vec<(&str, Option<Value>)>| -> Map<String, Value> {
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        };
        let resource = given(vec![
            ("id", self.resource.as_ref().map(|id| json!(id))),
            ("within", (!self.within.is_empty()).then(|| json!(self.within))),
            ("path", self.path.as_ref().map(|path| json!(path))),
        ]);
        let context = given(vec![
            ("address", self.address.map(|address| json!(address))),
            ("at", self.at.map(|at| json!(at))),
            ("method", self.method.as_ref().map(|method| json!(method))),
            ("multi_factor", self.multi_factor.map(|multi_factor| json!(multi_factor))),
        ]);
        Value::Object(given(vec![
            ("principal", self.principal.as_ref().map(|principal| json!(principal))),
            ("action", Some(json!(self.action))),
            ("resource", (!resource.is_empty()).then(|| json!(resource))),
            ("context", (!context.is_empty()).then(|| json!(context))),
        ]))
    }
}

/// Asks and prints the answer in words, with the statements that decided. `Ok(false)` when it is not allowed.
///
/// # Errors
/// What the server or the connection says.
pub async fn explain(arguments: ExplainArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let question = arguments.question();
    let answer: Value = api.json(Method::POST, &["api", "v1", "access", "explain"], Some(&question)).await?;
    let allowed =
        answer.get("allowed").and_then(Value::as_bool).context("the answer does not say whether it is allowed")?;
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(allowed);
    }
    println!("{}", text(&answer, "text"));
    for policy in answer.get("policies").and_then(Value::as_array).into_iter().flatten() {
        let number = policy.get("statement").and_then(Value::as_u64).unwrap_or(0);
        println!("\n{} {} (statement {number}):", text(policy, "policy"), text(policy, "name"));
        for line in text(policy, "text").lines() {
            println!("  {line}");
        }
    }
    Ok(allowed)
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map(printable).unwrap_or_default()
}
