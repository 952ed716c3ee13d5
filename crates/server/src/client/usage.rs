use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::Value;

use super::{ServerArgs, api::Api, printable};

/// `plasma usage`
#[derive(Debug, Args)]
#[command(
    after_help = "Example: plasma usage --from 2026-11-01 --to 2026-11-30 --group-by model,key --csv > november.csv"
)]
pub struct UsageArgs {
    /// The first day (UTC) [default: 29 days before the last]
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// The last day, included [default: today]
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// What lines are told apart by, separated by commas: day, model, provider, key, user, team, route
    #[arg(short, long, value_name = "WORDS", default_value = "day")]
    group_by: String,
    /// Only calls of this model
    #[arg(long)]
    model: Option<String>,
    /// Only calls of this provider's models
    #[arg(long)]
    provider: Option<String>,
    /// Only calls with the API key of this id
    #[arg(long)]
    key: Option<String>,
    /// Only calls of the person of this id
    #[arg(long)]
    user: Option<String>,
    /// Only calls that are counted to the team of this id
    #[arg(long)]
    team: Option<String>,
    /// Only calls that named this route
    #[arg(long)]
    route: Option<String>,
    /// Lines at most (1 to 10000)
    #[arg(short, long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Print CSV instead of text
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl UsageArgs {
    fn query(&self) -> Vec<(&'static str, String)> {
        let format = if self.csv { "csv" } else { "json" };
        let mut query =
            vec![("group_by", self.group_by.clone()), ("limit", self.limit.to_string()), ("format", format.to_owned())];
        for (name, value) in [
            ("from", &self.from),
            ("to", &self.to),
            ("model", &self.model),
            ("provider", &self.provider),
            ("key", &self.key),
            ("user", &self.user),
            ("team", &self.team),
            ("route", &self.route),
        ] {
            query.extend(value.iter().map(|value| (name, value.clone())));
        }
        query
    }
}

/// Prints what calls used.
///
/// # Errors
/// What the server or the connection says.
pub async fn usage(arguments: UsageArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let query = arguments.query();
    let response = api.send(|api| api.get(&["api", "v1", "usage"], &query)).await?;
    if arguments.csv {
        print!("{}", response.text().await.context("the answer broke off")?);
        return Ok(true);
    }
    let usage: Value = response.json().await.context("the answer is not JSON")?;
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(&usage)?);
        return Ok(true);
    }
    print_table(&usage);
    Ok(true)
}

const SUMS: [&str; 8] = ["CALLS", "FAILED", "READ", "WRITTEN", "P50 MS", "P95 MS", "COST", "UNPRICED"];

fn print_table(usage: &Value) {
    let dimensions: Vec<&str> =
        usage.get("group_by").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut rows = vec![dimensions.iter().map(|name| name.to_uppercase()).chain(SUMS.map(str::to_owned)).collect()];
    for line in usage.get("data").and_then(Value::as_array).into_iter().flatten() {
        rows.push(dimensions.iter().map(|dimension| member(line, dimension)).chain(sums(line)).collect());
    }
    if let Some(total) = usage.get("total") {
        let empty = dimensions.iter().enumerate().map(|(place, _)| if place == 0 { "total" } else { "" }.to_owned());
        rows.push(empty.chain(sums(total)).collect());
    }
    print_columns(&rows, dimensions.len());
    if usage.get("has_more").and_then(Value::as_bool) == Some(true) {
        eprintln!("note: there are more lines; --limit shows more of them");
    }
}

/// What a line says of a dimension: the name of a key, person or team where it is known, else the id.
fn member(line: &Value, dimension: &str) -> String {
    let text = |name: &str| line.get(name).and_then(Value::as_str).map(printable);
    text(&format!("{dimension}_name")).or_else(|| text(dimension)).unwrap_or_else(|| "-".to_owned())
}

fn sums(line: &Value) -> [String; SUMS.len()] {
    let number = |name: &str| match line.get(name).and_then(Value::as_u64) {
        Some(number) => number.to_string(),
        None => "-".to_owned(),
    };
    let cost = line.get("cost").and_then(Value::as_array).into_iter().flatten().filter_map(|money| {
        let micros = money.get("amount_micros")?.as_i64()?;
        let (sign, amount) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
        Some(format!("{sign}{}.{:06} {}", amount / 1_000_000, amount % 1_000_000, money.get("currency")?.as_str()?))
    });
    let cost = cost.collect::<Vec<_>>().join(" + ");
    [
        number("calls"),
        number("failed"),
        number("input_tokens"),
        number("output_tokens"),
        number("duration_ms_p50"),
        number("duration_ms_p95"),
        if cost.is_empty() { "-".to_owned() } else { printable(&cost) },
        number("unpriced_calls"),
    ]
}

/// Names to the left, numbers to the right.
fn print_columns(rows: &[Vec<String>], names: usize) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column < names { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
