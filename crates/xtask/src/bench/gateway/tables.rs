//! The report as people read it.

use std::fmt;

use super::{
    loads::LOADS,
    report::{Added, Report, Row},
};
use crate::bench::machine::Quantiles;

/// Above this share of the machine, other programs are a warning: the row is only a hint then.
const OTHERS_PERCENT_MAX: f64 = 5.0;

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for load in LOADS {
            let mut paces: Vec<(Option<u32>, Option<usize>)> = Vec::new();
            for row in self.rows.iter().filter(|row| row.load == load.name) {
                if !paces.contains(&(row.rate, row.connections)) {
                    paces.push((row.rate, row.connections));
                }
            }
            for (rate, connections) in paces {
                let pace = match (rate, connections) {
                    (Some(rate), _) => format!("{rate} requests a second"),
                    (None, connections) => format!("{} connections to saturation", connections.unwrap_or_default()),
                };
                writeln!(formatter, "\n{}: {pace}", load.title)?;
                let rows = self.rows.iter().filter(|row| row.load == load.name && row.rate == rate);
                let rows: Vec<&Row> = rows.filter(|row| row.connections == connections).collect();
                let table = if rate.is_some() { self.at_a_rate(&rows, load.streamed) } else { self.saturated(&rows) };
                write_table(formatter, &table)?;
            }
        }
        self.notes(formatter)
    }
}

impl Report {
    fn at_a_rate(&self, rows: &[&Row], streamed: bool) -> Vec<Vec<String>> {
        let mut header = vec!["", "p50 ms", "p99 ms", "added p50", "added p99"];
        if streamed {
            header.extend(["first +p50", "first +p99"]);
        }
        header.extend(["answers/s", "CPU us", "MB", "others %", "| added p50", "added p99", "CPU", "MB"]);
        let mut table = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
        for row in rows {
            let mut cells = vec![row.target.to_owned()];
            cells.extend(quantiles(row.latency_ms.filter(|_| row.held)));
            cells.extend(added(row.added_ms));
            if streamed {
                cells.extend(added(row.added_first_ms));
            }
            let rate = if row.held { "" } else { "not held: " };
            cells.push(format!("{rate}{:.0}", row.per_second));
            cells.extend(self.costs(row));
            let ratios = row.to_plasma;
            cells.push(format!("| {}", times(ratios.and_then(|ratios| ratios.added_p50))));
            cells.push(times(ratios.and_then(|ratios| ratios.added_p99)));
            cells.push(times(ratios.and_then(|ratios| ratios.cpu)));
            cells.push(times(ratios.and_then(|ratios| ratios.memory)));
            table.push(cells);
        }
        table
    }

    fn saturated(&self, rows: &[&Row]) -> Vec<Vec<String>> {
        let header = ["", "answers/s", "p50 ms", "p99 ms", "CPU us", "MB", "others %", "| answers/s", "CPU", "MB"];
        let mut table = vec![header.map(str::to_owned).to_vec()];
        for row in rows {
            let mut cells = vec![row.target.to_owned(), format!("{:.0}", row.per_second)];
            cells.extend(quantiles(row.latency_ms));
            cells.extend(self.costs(row));
            let ratios = row.to_plasma;
            cells.push(format!("| {}", times(ratios.and_then(|ratios| ratios.per_second))));
            cells.push(times(ratios.and_then(|ratios| ratios.cpu)));
            cells.push(times(ratios.and_then(|ratios| ratios.memory)));
            table.push(cells);
        }
        table
    }

    fn costs(&self, row: &Row) -> [String; 3] {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
        let others = self.others_percent(row);
        let mark = if others > OTHERS_PERCENT_MAX { "! " } else { "" };
        [number(row.cpu_us_per_request), number(row.resident_mb), format!("{mark}{others:.0}")]
    }

    fn others_percent(&self, row: &Row) -> f64 {
        row.cores.others / self.machine.cores * 100.0
    }

    fn notes(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "\nRight of the bar: divided by Plasma's number. `benches/gateway/README.md` explains the columns."
        )?;
        if self.rows.iter().any(|row| self.others_percent(row) > OTHERS_PERCENT_MAX) {
            writeln!(
                formatter,
                "Other programs were busy (rows with `!`): these numbers are only a hint. Measure again on a quiet machine."
            )?;
        }
        for row in self.rows.iter().filter(|row| row.failed > 0) {
            for (error, count) in &row.errors {
                writeln!(
                    formatter,
                    "{}: {count} of {} requests failed: {error}",
                    row.name(),
                    row.answers + row.failed
                )?;
            }
        }
        for failure in &self.failures {
            writeln!(formatter, "{} cannot answer {}: {}", failure.target, failure.load, failure.error)?;
        }
        Ok(())
    }
}

impl Row {
    fn name(&self) -> String {
        match (self.rate, self.connections) {
            (Some(rate), _) => format!("{} {} at {rate}/s", self.target, self.load),
            (None, connections) => {
                format!("{} {} on {} connections", self.target, self.load, connections.unwrap_or_default())
            }
        }
    }

    /// The row by itself, shown as soon as it is measured.
    pub fn line(&self) -> String {
        let [p50, p99] = quantiles(self.latency_ms);
        let mut line = format!("{:<38} {:>8.1} answers/s, p50 {p50} ms, p99 {p99} ms", self.name(), self.per_second);
        if let Some(first) = self.first_ms {
            line.push_str(&format!(", first p50 {:.2} ms", first.p50));
        }
        if let Some(late) = self.late_ms {
            line.push_str(&format!(", sent late by p50 {:.3} p99 {:.3} ms", late.p50, late.p99));
        }
        line.push_str(&format!(
            "; cores: gateway {:.2}, provider {:.2}, generator {:.2}, others {:.2}",
            self.cores.gateway.unwrap_or_default(),
            self.cores.provider,
            self.cores.generator,
            self.cores.others
        ));
        if !self.held {
            line.push_str("; the rate is not held");
        }
        if self.failed > 0 {
            line.push_str(&format!("; {} failed", self.failed));
        }
        line
    }
}

fn quantiles(value: Option<Quantiles>) -> [String; 2] {
    value.map_or_else(
        || ["-".to_owned(), "-".to_owned()],
        |value| [format!("{:.3}", value.p50), format!("{:.3}", value.p99)],
    )
}

fn added(value: Option<Added>) -> [String; 2] {
    value.map_or_else(
        || ["-".to_owned(), "-".to_owned()],
        |value| [format!("{:.3}", value.p50), format!("{:.3}", value.p99)],
    )
}

fn times(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 10.0 => format!("{value:.2}x"),
        Some(value) => format!("{value:.0}x"),
    }
}

/// Columns as wide as their widest cell; the first is a name.
fn write_table(formatter: &mut fmt::Formatter<'_>, table: &[Vec<String>]) -> fmt::Result {
    let columns = table.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| table.iter().filter_map(|row| row.get(column)).map(|cell| cell.len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in table {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => write!(formatter, "  {cell:<width$}")?,
                _ => write!(formatter, "  {cell:>width$}")?,
            }
        }
        writeln!(formatter)?;
    }
    Ok(())
}
