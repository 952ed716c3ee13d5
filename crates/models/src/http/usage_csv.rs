//! Usage as CSV (RFC 4180), safe for spreadsheets.

use std::collections::BTreeSet;

use super::usage::{UsageBody, UsageLineBody};
use crate::UsageDimension;

/// A header, and a line for each group: the dimensions asked for, the sums, and a column for each currency.
pub(super) fn write(usage: &UsageBody) -> String {
    let currencies: BTreeSet<&str> = usage.total.cost.iter().map(|cost| cost.currency.as_str()).collect();
    let mut csv = String::new();
    let dimensions = usage.group_by.iter().flat_map(|dimension| dimension_names(*dimension));
    let costs = currencies.iter().map(|currency| format!("cost_{currency}"));
    push_row(&mut csv, dimensions.chain(SUMS).map(|name| (*name).to_owned()).chain(costs));
    for line in &usage.data {
        let texts = usage.group_by.iter().flat_map(|dimension| dimension_cells(*dimension, line));
        let cells = texts.map(|text| harmless(text.unwrap_or_default())).chain(sums(line));
        let costs = currencies.iter().map(|currency| {
            let cost = line.sums.cost.iter().find(|cost| cost.currency == *currency);
            cost.map(|cost| decimal(cost.amount_micros)).unwrap_or_default()
        });
        push_row(&mut csv, cells.chain(costs));
    }
    csv
}

fn dimension_names(dimension: UsageDimension) -> &'static [&'static str] {
    match dimension {
        UsageDimension::Day => &["day"],
        UsageDimension::Model => &["model"],
        UsageDimension::Provider => &["provider"],
        UsageDimension::Key => &["key", "key_name"],
        UsageDimension::User => &["user", "user_name"],
        UsageDimension::Team => &["team", "team_name"],
        UsageDimension::Route => &["route"],
    }
}

fn dimension_cells(dimension: UsageDimension, line: &UsageLineBody) -> Vec<Option<&str>> {
    match dimension {
        UsageDimension::Day => vec![line.day.as_deref()],
        UsageDimension::Model => vec![line.model.as_deref()],
        UsageDimension::Provider => vec![line.provider.as_deref()],
        UsageDimension::Key => vec![line.key.as_deref(), line.key_name.as_deref()],
        UsageDimension::User => vec![line.user.as_deref(), line.user_name.as_deref()],
        UsageDimension::Team => vec![line.team.as_deref(), line.team_name.as_deref()],
        UsageDimension::Route => vec![line.route.as_deref()],
    }
}

const SUMS: &[&str] = &[
    "calls",
    "failed",
    "cancelled",
    "cache_hits",
    "error_rate",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "unpriced_calls",
    "duration_ms_mean",
    "duration_ms_p50",
    "duration_ms_p95",
    "first_token_ms_p50",
    "first_token_ms_p95",
];

/// In the order of [`SUMS`].
fn sums(line: &UsageLineBody) -> Vec<String> {
    let sums = &line.sums;
    let maybe = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    vec![
        sums.calls.to_string(),
        sums.failed.to_string(),
        sums.cancelled.to_string(),
        sums.cache_hits.to_string(),
        sums.error_rate.map(|rate| format!("{rate:.6}")).unwrap_or_default(),
        sums.input_tokens.to_string(),
        sums.cached_input_tokens.to_string(),
        sums.cache_write_tokens.to_string(),
        sums.output_tokens.to_string(),
        sums.reasoning_tokens.to_string(),
        sums.unpriced_calls.to_string(),
        maybe(sums.duration_ms_mean),
        maybe(sums.duration_ms_p50),
        maybe(sums.duration_ms_p95),
        maybe(sums.first_token_ms_p50),
        maybe(sums.first_token_ms_p95),
    ]
}

/// Millionths as a decimal number.
fn decimal(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// A text that a spreadsheet would take for a formula gets an apostrophe before it.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        return format!("'{text}");
    }
    text.to_owned()
}

fn push_row(csv: &mut String, cells: impl Iterator<Item = String>) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            csv.push(',');
        }
        if cell.contains([',', '"', '\r', '\n']) {
            csv.push('"');
            csv.push_str(&cell.replace('"', "\"\""));
            csv.push('"');
        } else {
            csv.push_str(&cell);
        }
    }
    csv.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_and_no_formulas() {
        let mut csv = String::new();
        let cells = ["a", "b,c", "d\"e", "f\r\ng", "=1+1", "@x", "-2,5", "'q"].map(harmless);
        push_row(&mut csv, cells.into_iter());
        assert_eq!(csv, "a,\"b,c\",\"d\"\"e\",\"f\r\ng\",'=1+1,'@x,\"'-2,5\",'q\r\n");
    }

    #[test]
    fn amounts_are_decimal() {
        assert_eq!([0, 1, -1_500_000, 12_345_678].map(decimal), ["0.000000", "0.000001", "-1.500000", "12.345678"]);
    }
}
