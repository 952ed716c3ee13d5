use std::{io::IsTerminal as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{ServerArgs, api::Api, printable, table};

/// How often a run is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(700);
/// Bytes of a suite's file: the server takes less.
const SUITE_BYTES_MAX: u64 = 2 << 20;

/// `plasma models bench`
#[derive(Debug, Args)]
#[command(
    after_help = "Example: plasma models bench --models local/qwen2.5-coder-0.5b-instruct,acme/large --suite mine.json\n\
                  Exit codes: 0 every case was asked, 1 the benchmark failed or was cancelled."
)]
pub struct BenchArgs {
    /// Names of chat models, routes or aliases, separated by commas (1 to 10)
    #[arg(short, long, required = true, value_delimiter = ',')]
    models: Vec<String>,
    /// File with the cases, as docs/benchmarks.md describes it [default: the suite that is part of the program]
    #[arg(short, long, value_name = "FILE")]
    suite: Option<PathBuf>,
    /// Name of the run [default: the suite's name]
    #[arg(long)]
    name: Option<String>,
    /// Cases that one model is asked at the same time (1 to 16)
    #[arg(short, long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    concurrency: u32,
    /// Leave the temperature to the model instead of asking for 0, for those that refuse the field
    #[arg(long)]
    default_temperature: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl BenchArgs {
    fn body(&self) -> Result<Value> {
        let mut body = Map::new();
        body.insert("models".to_owned(), json!(self.models));
        body.insert("concurrency".to_owned(), json!(self.concurrency));
        body.insert("greedy".to_owned(), json!(!self.default_temperature));
        if let Some(name) = &self.name {
            body.insert("name".to_owned(), json!(name));
        }
        if let Some(path) = &self.suite {
            let shown = path.display();
            let size = std::fs::metadata(path).with_context(|| format!("{shown} cannot be read"))?.len();
            if size > SUITE_BYTES_MAX {
                bail!("{shown} has {size} bytes, the limit is {SUITE_BYTES_MAX}");
            }
            let text = std::fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
            let suite: Value = serde_json::from_str(&text).with_context(|| format!("{shown} is not JSON"))?;
            body.insert("suite".to_owned(), suite);
        }
        Ok(Value::Object(body))
    }
}

/// Runs a benchmark on the server, shows how far it is, and prints what came out. When the program is interrupted the run
/// goes on at the server.
///
/// # Errors
/// What the server or the connection says, or that the suite cannot be read.
pub async fn bench(arguments: BenchArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let body = arguments.body()?;
    let begun: Value = api.json(Method::POST, &["api", "v1", "models", "benchmarks"], Some(&body)).await?;
    let id = begun.get("id").and_then(Value::as_str).context("the answer names no benchmark")?.to_owned();
    let path = ["api", "v1", "models", "benchmarks", id.as_str()];
    let quiet = arguments.server.json || !std::io::stderr().is_terminal();
    if !arguments.server.json {
        eprintln!("{id}: it goes on at the server when this program is stopped");
    }
    let ended = loop {
        let now: Value = api.json(Method::GET, &path, None).await?;
        if !quiet {
            eprint!("\r\u{1b}[K{}", progress_line(&now));
        }
        if now.get("ended_at").is_some_and(|at| !at.is_null()) {
            break now;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    };
    if !quiet {
        eprint!("\r\u{1b}[K");
    }
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(&ended)?);
    } else {
        print!("{}", report_text(&ended));
    }
    let text = |name: &str| ended.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("state") != "succeeded" {
        eprintln!("the benchmark is {}: {}", printable(text("state")), printable(text("error")));
        return Ok(false);
    }
    Ok(true)
}

fn progress_line(benchmark: &Value) -> String {
    let number = |name: &str| benchmark.get(name).and_then(Value::as_u64).unwrap_or(0);
    let models = benchmark.get("models").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let (done, total) = (number("done"), number("case_count").saturating_mul(models).max(1));
    let filled = usize::try_from(done.saturating_mul(30) / total).unwrap_or(0).min(30);
    format!("[{}{}] {done} of {total} answers", "#".repeat(filled), ".".repeat(30 - filled))
}

fn report_text(benchmark: &Value) -> String {
    let rows_of = |name: &str| benchmark.pointer(&format!("/report/{name}")).and_then(Value::as_array);
    let models: Vec<&Value> = rows_of("models").into_iter().flatten().collect();
    let mut rows = vec![
        ["MODEL", "QUALITY", "95% CI", "TO FIRST TOKEN", "TOKENS/S", "COST/CASE", "ANSWERED", "FAILED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for model in &models {
        let count = |name: &str| model.get(name).and_then(Value::as_u64).unwrap_or(0).to_string();
        let quality = Estimate::of(model, "quality");
        let speed = |name: &str, digits: usize, unit: &str| match Estimate::of(model, name) {
            Some(Estimate { value, low, high }) => format!("{value:.digits$}{unit} ({low:.digits$}-{high:.digits$})"),
            None => "-".to_owned(),
        };
        rows.push(vec![
            model.get("model").and_then(Value::as_str).map(printable).unwrap_or_default(),
            quality.as_ref().map_or("-".to_owned(), |quality| format!("{:.1}%", quality.value * 100.0)),
            quality
                .as_ref()
                .map_or("-".to_owned(), |quality| format!("{:.1}-{:.1}%", quality.low * 100.0, quality.high * 100.0)),
            speed("first_token_ms", 0, " ms"),
            speed("tokens_per_second", 1, ""),
            cost(model),
            count("answered"),
            count("failed"),
        ]);
    }
    let mut text = table(&rows);
    for pair in rows_of("comparisons").into_iter().flatten() {
        text.push_str(&comparison_line(pair, &models));
    }
    text
}

struct Estimate {
    value: f64,
    low: f64,
    high: f64,
}

impl Estimate {
    fn of(object: &Value, name: &str) -> Option<Self> {
        let number = |part: &str| object.get(name)?.get(part)?.as_f64();
        Some(Self { value: number("value")?, low: number("low")?, high: number("high")? })
    }
}

fn cost(model: &Value) -> String {
    let micros = model.get("cost_micros_per_case").and_then(Value::as_f64);
    let currency = model.pointer("/cost/currency").and_then(Value::as_str);
    match micros.zip(currency) {
        Some((micros, currency)) => format!("{:.6} {}", micros / 1e6, printable(currency)),
        None => "-".to_owned(),
    }
}

fn comparison_line(pair: &Value, models: &[&Value]) -> String {
    let name = |place: &str| {
        let index = pair.get(place).and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        let model = index.and_then(|index| models.get(index)).and_then(|model| model.get("model"));
        printable(model.and_then(Value::as_str).unwrap_or("?"))
    };
    let count = |name: &str| pair.get(name).and_then(Value::as_u64).unwrap_or(0);
    let Some(difference) = Estimate::of(pair, "difference") else { return String::new() };
    format!(
        "{} - {}: {:+.1} points (95% CI {:+.1} to {:+.1}); alone right {} and {}; McNemar p = {:.3}\n",
        name("one"),
        name("other"),
        difference.value * 100.0,
        difference.low * 100.0,
        difference.high * 100.0,
        count("only_one"),
        count("only_other"),
        pair.get("p_value").and_then(Value::as_f64).unwrap_or(1.0),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_table_and_a_line_for_each_pair() {
        let estimate = |value: f64| json!({ "value": value, "low": value - 0.1, "high": value + 0.1, "count": 10 });
        let model = |name: &str, quality: f64| {
            json!({ "model": name, "quality": estimate(quality), "first_token_ms": estimate(120.0), "tokens_per_second": null,
                    "cost_micros_per_case": 121.0, "cost": { "amount_micros": 1205, "currency": "USD" }, "answered": 10, "failed": 0 })
        };
        let pair = json!({ "one": 0, "other": 1, "difference": estimate(0.4), "only_one": 4, "only_other": 0, "p_value": 0.125 });
        let benchmark = json!({ "report": { "models": [model("acme/large", 0.9), model("acme/small", 0.5)], "comparisons": [pair] } });
        let text = report_text(&benchmark);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines.first().unwrap().starts_with("MODEL       QUALITY  95% CI"), "{text}");
        assert!(
            lines.get(1).unwrap().contains("90.0%    80.0-100.0%  120 ms (120-120)  -         0.000121 USD"),
            "{text}"
        );
        assert_eq!(
            *lines.get(3).unwrap(),
            "acme/large - acme/small: +40.0 points (95% CI +30.0 to +50.0); alone right 4 and 0; McNemar p = 0.125"
        );
    }

    #[test]
    fn progress_is_a_bar() {
        let line = progress_line(&json!({ "done": 5, "case_count": 5, "models": ["a", "b"] }));
        assert_eq!(line, format!("[{}{}] 5 of 10 answers", "#".repeat(15), ".".repeat(15)));
    }
}
