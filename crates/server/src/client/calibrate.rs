use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ServerArgs, api::Api, printable};

/// The pairs that come with the program.
const SHIPPED_PAIRS: &str = include_str!("../../../../models/cache-pairs.jsonl");
/// A larger file has more pairs than the server takes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// `plasma models cache-calibrate`
#[derive(Debug, Args)]
#[command(after_help = "Each line of the file is a JSON object: {\"a\": \"…\", \"b\": \"…\", \"same\": true}.\n\
    Exit codes: 0 a threshold was found, 1 no threshold keeps within the target or the pairs are too few to show it.")]
pub struct CalibrateArgs {
    /// The route whose threshold is wanted
    #[arg(long)]
    route: String,
    /// The share of hits that may be false, above 0 and below 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    target_false_hit_rate: f64,
    /// Pairs of messages of which a person has said whether they ask the same [default: those of this program]
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// Write the threshold into the route's settings
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Finds how similar two questions must be for the semantic cache, and prints what each threshold would do.
///
/// # Errors
/// A file that cannot be read; what the server or the connection says.
pub async fn calibrate(arguments: CalibrateArgs) -> Result<bool> {
    let pairs = match &arguments.pairs {
        None => parse_pairs(SHIPPED_PAIRS)?,
        Some(path) => {
            let shown = path.display();
            let bytes = std::fs::metadata(path).with_context(|| format!("cannot read {shown}"))?.len();
            if bytes > FILE_BYTES_MAX {
                bail!("{shown} has {bytes} bytes, the limit is {FILE_BYTES_MAX}");
            }
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
            parse_pairs(&text).with_context(|| shown.to_string())?
        }
    };
    let api = Api::new(&arguments.server)?;
    // Before the work: a wrong name is told at once.
    let mut settings = route_settings(&api, &arguments.route).await?;
    let body = json!({ "pairs": pairs, "target_false_hit_rate": arguments.target_false_hit_rate });
    let path = ["api", "v1", "models", "cache", "calibrate"];
    let answer: Value = api.json(Method::POST, &path, Some(&body)).await?;
    let threshold = answer.get("threshold").and_then(Value::as_f64);
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print_table(&answer, threshold);
    }
    let Some(threshold) = threshold else {
        eprintln!(
            "no threshold keeps the share of false hits surely within {}: give more pairs, or a higher target",
            arguments.target_false_hit_rate
        );
        return Ok(false);
    };
    if !arguments.apply {
        eprintln!("threshold {threshold:.2}; --apply writes it into the route {}", printable(&arguments.route));
        return Ok(true);
    }
    let cache = settings.get_mut("cache").and_then(Value::as_object_mut).context("the route has no cache settings")?;
    cache.insert("similarity_min".to_owned(), json!(threshold));
    let is_semantic = cache.get("mode").and_then(Value::as_str) == Some("semantic");
    let _: Value = api.json(Method::PUT, &["api", "v1", "routes", &arguments.route], Some(&settings)).await?;
    eprintln!("the route {} now wants a similarity of {threshold:.2}", printable(&arguments.route));
    if !is_semantic {
        eprintln!("its semantic cache is off: switch it on in the dashboard or with the setting cache.mode");
    }
    Ok(true)
}

async fn route_settings(api: &Api, name: &str) -> Result<Value> {
    let routes: Value = api.json(Method::GET, &["api", "v1", "routes"], None).await?;
    let routes = routes.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    let named = |route: &Value| route.get("name").and_then(Value::as_str) == Some(name);
    let route = routes.into_iter().find(named).ok_or_else(|| anyhow!("there is no route `{}`", printable(name)))?;
    route.get("settings").cloned().context("the route has no settings")
}

/// One JSON object a line; empty lines are skipped.
fn parse_pairs(text: &str) -> Result<Vec<Value>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let pair: Value = serde_json::from_str(line).with_context(|| format!("line {}", index + 1))?;
            if !pair.is_object() {
                bail!("line {} is no JSON object", index + 1);
            }
            Ok(pair)
        })
        .collect()
}

fn print_table(answer: &Value, threshold: Option<f64>) {
    let number = |row: &Value, name: &str| row.get(name).and_then(Value::as_f64);
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0));
    println!("model {}", answer.get("model").and_then(Value::as_str).map(printable).unwrap_or_default());
    println!("{:>9}  {:>5}  {:>5}  {:>7}  {:>8}  {:>7}", "THRESHOLD", "HITS", "FALSE", "RATE", "AT MOST", "FOUND");
    for row in answer.get("rows").and_then(Value::as_array).into_iter().flatten() {
        let count = |name: &str| number(row, name).unwrap_or(0.0);
        let tried = count("threshold");
        let mark = if threshold == Some(tried) { "  <" } else { "" };
        println!(
            "{tried:>9.2}  {:>5}  {:>5}  {:>7}  {:>8}  {:>7}{mark}",
            count("hits"),
            count("false_hits"),
            percent(number(row, "false_hit_rate")),
            percent(number(row, "false_hit_rate_max")),
            percent(number(row, "found")),
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_pairs_are_pairs_and_a_wrong_line_is_named() {
        let pairs = parse_pairs(SHIPPED_PAIRS).unwrap();
        let is = |same: bool| pairs.iter().filter(|pair| pair["same"] == same).count();
        assert!(is(true) > 200 && is(false) > 200 && is(true) + is(false) == pairs.len());
        assert!(pairs.iter().all(|pair| pair["a"].is_string() && pair["b"].is_string()));
        let error = parse_pairs("{\"a\": 1}\n\n[]").unwrap_err();
        assert_eq!(error.to_string(), "line 3 is no JSON object");
        assert!(parse_pairs("{").unwrap_err().to_string().starts_with("line 1"));
    }
}
