use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ServerArgs, api::Api, printable};

/// `plasma search`
#[derive(Debug, Args)]
#[command(after_help = "Example: plasma search -c handbook \"notice period\" --filter '{\"year\": {\"gte\": 2024}}'")]
pub struct SearchArgs {
    /// What to look for
    query: String,
    /// The collection's name or id
    #[arg(short, long)]
    collection: String,
    /// Results at most (1 to 100)
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// How to rank: by meaning and words together, by meaning, or by words
    #[arg(long, value_parser = ["hybrid", "vector", "text"], default_value = "hybrid")]
    mode: String,
    /// Only documents with this metadata, as JSON
    #[arg(long, value_name = "JSON", value_parser = parse_filter)]
    filter: Option<Value>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn parse_filter(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(filter @ Value::Object(_)) => Ok(filter),
        Ok(_) => Err("must be a JSON object such as {\"year\": 2024}".to_owned()),
        Err(error) => Err(format!("is not JSON: {error}")),
    }
}

/// Searches and prints the hits.
///
/// # Errors
/// What the server or the connection says.
pub async fn search(arguments: SearchArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let mut body = json!({
        "collection": arguments.collection, "query": arguments.query, "limit": arguments.limit, "mode": arguments.mode
    });
    if let (Some(filter), Some(fields)) = (arguments.filter, body.as_object_mut()) {
        fields.insert("filter".to_owned(), filter);
    }
    let answer: Value = api.json(Method::POST, &["api", "v1", "search"], Some(&body)).await?;
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(true);
    }
    for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("note: {}", printable(warning));
    }
    let results = answer.get("results").and_then(Value::as_array).context("the answer holds no results")?;
    for (index, hit) in results.iter().enumerate() {
        print_hit(index + 1, hit);
    }
    let total = answer.pointer("/took_ms/total").map_or_else(String::new, |took| format!(" in {took} ms"));
    println!("{} of {} passages{total}", results.len(), answer.get("total_passages").unwrap_or(&Value::Null));
    Ok(true)
}

fn print_hit(number: usize, hit: &Value) {
    let text = |pointer: &str| hit.pointer(pointer).and_then(Value::as_str).map(printable).unwrap_or_default();
    let heading = match text("/heading") {
        heading if heading.is_empty() => String::new(),
        heading => format!(" > {heading}"),
    };
    println!("{number}. {}{heading}", text("/title"));
    for line in text("/text").lines().filter(|line| !line.trim().is_empty()) {
        println!("   {line}");
    }
    println!("   [{}]\n", text("/why/summary"));
}
