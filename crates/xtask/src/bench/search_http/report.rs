//! The numbers, a table of them, and whether they reach what was set out.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::collection::Collection;
use crate::bench::machine::{Machine, Quantiles};

/// Searches a second to reach with embeddings in the cache …
const CACHED_MIN: f64 = 1_500.0;
/// … and when each query has to be embedded.
const EMBEDDING_MIN: f64 = 100.0;
/// The p99 to stay below at half of [`CACHED_MIN`] at least, in milliseconds.
const P99_MS_MAX: f64 = 20.0;
/// Above this share of the machine, other programs are a warning: the row is only a hint then.
const OTHERS_PERCENT_MAX: f64 = 5.0;

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// In what.
    pub collection: Collection,
    /// A row for each load and pace.
    pub rows: Vec<Row>,
}

/// What came of one load at one pace.
#[derive(Debug)]
pub struct Sample {
    /// Good answers.
    pub answers: u64,
    /// What else happened, and how often.
    pub errors: BTreeMap<String, u64>,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Until the last byte. At a fixed rate from the time at which the request was to be sent.
    pub latency_ms: Option<Quantiles>,
    /// How late the generator itself sent, at a fixed rate.
    pub late_ms: Option<Quantiles>,
    /// Whether a fixed rate was held; always true to saturation.
    pub held: bool,
}

impl Sample {
    /// Good answers a second.
    pub fn per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.answers as f64 / self.seconds } else { 0.0 }
    }
}

/// Processors' time that each took: 1 is a whole core.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cores {
    /// Plasma.
    pub server: f64,
    /// wrk, or this program.
    pub generator: f64,
    /// Programs that have nothing to do with the measurement, and the host for other machines.
    pub others: f64,
}

/// Plasma's memory after a load, in MB (2^20 bytes).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// All that is resident, with pages of mapped files.
    pub resident_mb: f64,
    /// Without pages of files.
    pub anonymous_mb: f64,
}

/// One load at one pace.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was asked.
    pub load: &'static str,
    /// Requests a second, at a fixed rate.
    pub rate: Option<u32>,
    /// Connections, to saturation.
    pub connections: Option<u16>,
    /// Good answers.
    pub answers: u64,
    /// Good answers a second.
    pub per_second: f64,
    /// Whether a fixed rate was held; always true to saturation.
    pub held: bool,
    /// Milliseconds of a search.
    pub latency_ms: Option<Quantiles>,
    /// How late the generator itself sent, at a fixed rate.
    pub late_ms: Option<Quantiles>,
    /// Requests without a good answer.
    pub failed: u64,
    /// What was wrong with them, and how often.
    pub errors: BTreeMap<String, u64>,
    /// Who took the processors.
    pub cores: Cores,
    /// What Plasma holds.
    pub memory: Memory,
}

impl Row {
    /// Of what was measured.
    pub fn new(
        load: &'static str,
        rate: Option<u32>,
        connections: Option<u16>,
        sample: Sample,
        cores: Cores,
        memory: Memory,
    ) -> Self {
        let per_second = sample.per_second();
        let Sample { answers, errors, latency_ms, late_ms, held, .. } = sample;
        let failed = errors.values().sum();
        Self { load, rate, connections, answers, per_second, held, latency_ms, late_ms, failed, errors, cores, memory }
    }

    fn pace(&self) -> String {
        match (self.rate, self.connections) {
            (Some(rate), _) => format!("{rate}/s{}", if self.held { "" } else { ", not held" }),
            (None, connections) => format!("saturation, {} connections", connections.unwrap_or_default()),
        }
    }

    fn cells(&self, machine_cores: f64) -> Vec<String> {
        let milliseconds = |pick: fn(Quantiles) -> f64| {
            self.latency_ms.map_or_else(|| "-".to_owned(), |latency| format!("{:.2}", pick(latency)))
        };
        let others = self.cores.others / machine_cores * 100.0;
        let mark = if others > OTHERS_PERCENT_MAX { "! " } else { "" };
        vec![
            self.load.to_owned(),
            self.pace(),
            format!("{:.0}", self.per_second),
            milliseconds(|latency| latency.p50),
            milliseconds(|latency| latency.p99),
            milliseconds(|latency| latency.max),
            self.failed.to_string(),
            format!("{:.2}", self.cores.server),
            format!("{:.2}", self.cores.generator),
            format!("{mark}{others:.0}"),
            format!("{:.0} / {:.0}", self.memory.anonymous_mb, self.memory.resident_mb),
        ]
    }

    /// The row by itself, shown as soon as it is measured.
    pub fn line(&self, machine_cores: f64) -> String {
        format!("| {} |", self.cells(machine_cores).join(" | "))
    }
}

/// Heads of the table's columns.
pub const HEADS: [&str; 11] = [
    "searches",
    "pace",
    "good answers/s",
    "p50 ms",
    "p99 ms",
    "max ms",
    "failed",
    "cores: Plasma",
    "cores: generator",
    "others %",
    "MB anonymous / resident",
];

/// The table's first two lines.
pub fn head() -> String {
    format!("| {} |\n|{}", HEADS.join(" | "), " --- |".repeat(HEADS.len()))
}

impl Report {
    fn row(&self, load: &str, paced: bool) -> Option<&Row> {
        self.rows.iter().find(|row| row.load == load && row.rate.is_some() == paced)
    }

    /// What was set out to be reached, what was reached, and whether that is enough.
    pub fn conclusions(&self) -> Vec<String> {
        let rate = |load: &str| self.row(load, false).map_or(0.0, |row| row.per_second);
        let reached = |is: bool| if is { "reached" } else { "not reached" };
        let (cached, embedding) = (rate("cached"), rate("embedding"));
        let mut lines = vec![
            format!(
                "at least {CACHED_MIN:.0} searches/s with the query's embedding cached: {cached:.0}, {}",
                reached(cached >= CACHED_MIN)
            ),
            format!(
                "at least {EMBEDDING_MIN:.0} searches/s when each query is embedded: {embedding:.0}, {}",
                reached(embedding >= EMBEDDING_MIN)
            ),
        ];
        if let Some(row) = self.row("cached", true) {
            let p99 = row.latency_ms.map_or(f64::INFINITY, |latency| latency.p99);
            // Half of a smaller rate than was to be reached would say less.
            let is_enough =
                row.held && p99 < P99_MS_MAX && row.rate.is_some_and(|rate| f64::from(rate) >= CACHED_MIN / 2.0);
            lines.push(format!(
                "p99 below {P99_MS_MAX:.0} ms at half of the first rate and at least {:.0}/s: {p99:.2} ms at {}/s, {}",
                CACHED_MIN / 2.0,
                row.rate.unwrap_or_default(),
                reached(is_enough)
            ));
        }
        lines
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", head())?;
        for row in &self.rows {
            writeln!(formatter, "{}", row.line(self.machine.cores))?;
        }
        writeln!(formatter)?;
        for line in self.conclusions() {
            writeln!(formatter, "{line}")?;
        }
        for row in self.rows.iter().filter(|row| row.failed > 0) {
            for (error, count) in &row.errors {
                writeln!(formatter, "{} at {}: {count} requests failed: {error}", row.load, row.pace())?;
            }
        }
        if self.rows.iter().any(|row| row.cores.others / self.machine.cores * 100.0 > OTHERS_PERCENT_MAX) {
            writeln!(
                formatter,
                "Other programs were busy (rows with `!`): these numbers are only a hint. Measure again on a quiet machine."
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(load: &'static str, rate: Option<u32>, per_second: u64, p99: f64, held: bool) -> Row {
        let sample = Sample {
            answers: per_second * 10,
            errors: BTreeMap::new(),
            seconds: 10.0,
            latency_ms: Some(Quantiles { p50: 1.0, p99, max: 50.0 }),
            late_ms: None,
            held,
        };
        let connections = rate.is_none().then_some(32);
        let cores = Cores { server: 1.5, generator: 0.4, others: 0.0 };
        Row::new(load, rate, connections, sample, cores, Memory { resident_mb: 500.0, anonymous_mb: 300.0 })
    }

    fn report(rows: Vec<Row>) -> Report {
        let collection = Collection { id: "col_1".to_owned(), documents: 1, passages: 16, ingest_seconds: None };
        Report { machine: Machine::read(0.0, &std::env::temp_dir()).unwrap(), collection, rows }
    }

    #[test]
    fn targets_are_reached_only_where_the_numbers_say_so() {
        let mut report = report(vec![
            row("cached", None, 1_600, 30.0, true),
            row("cached", Some(800), 800, 12.0, true),
            row("embedding", None, 90, 400.0, true),
        ]);
        let lines = report.conclusions();
        assert!(lines[0].ends_with("1600, reached"), "{}", lines[0]);
        assert!(lines[1].ends_with("90, not reached"), "{}", lines[1]);
        assert!(lines[2].ends_with("12.00 ms at 800/s, reached"), "{}", lines[2]);
        let shown = report.to_string();
        assert!(shown.contains("| cached | 800/s | 800 | 1.00 | 12.00 |"), "{shown}");
        // A small p99 at a small rate, or at a rate that was not held, is not what was set out.
        report.rows[1] = row("cached", Some(400), 400, 5.0, true);
        assert!(report.conclusions()[2].ends_with("not reached"));
        report.rows[1] = row("cached", Some(800), 700, 5.0, false);
        assert!(report.conclusions()[2].ends_with("not reached"));
    }
}
