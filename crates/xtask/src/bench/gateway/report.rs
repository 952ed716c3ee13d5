//! The numbers, and what they mean beside each other.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{install, loads::Load};
use crate::bench::{
    load::{Outcome, Pace},
    machine::{Machine, Quantiles},
};

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Versions of the other gateways.
    versions: BTreeMap<&'static str, &'static str>,
    /// A row for each target, load and pace, in the order in which they were measured.
    pub rows: Vec<Row>,
    /// Loads that a target could not answer at all.
    pub failures: Vec<Failure>,
    /// Plasma's memory in the course of a soak.
    pub soak: Vec<SoakRow>,
}

/// A load that a target cannot answer.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Who.
    pub target: &'static str,
    /// What.
    pub load: &'static str,
    /// Why.
    pub error: String,
}

/// What a gateway adds, in milliseconds: its percentile less the one that the provider has without a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Added {
    /// At the median.
    pub p50: f64,
    /// At the 99th of 100.
    pub p99: f64,
}

/// A gateway's numbers divided by Plasma's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratios {
    /// Of the added median. None when one of them is not above zero, which the difference of two percentiles may be.
    pub added_p50: Option<f64>,
    /// Of the added 99th percentile.
    pub added_p99: Option<f64>,
    /// Of the answers a second.
    pub per_second: Option<f64>,
    /// Of the processor time for a request.
    pub cpu: Option<f64>,
    /// Of the resident memory.
    pub memory: Option<f64>,
}

/// Processors' time that each took while a row was measured: 1 is a whole core.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cores {
    /// The gateway, all its processes.
    pub gateway: Option<f64>,
    /// The mock provider.
    pub provider: f64,
    /// The load generator.
    pub generator: f64,
    /// Programs that have nothing to do with the measurement, and the host for other machines.
    pub others: f64,
}

/// One target under one load at one pace.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Who.
    pub target: &'static str,
    /// What was asked.
    pub load: &'static str,
    /// Requests a second, at a fixed rate.
    pub rate: Option<u32>,
    /// Connections, to saturation.
    pub connections: Option<usize>,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Good answers.
    pub answers: u64,
    /// Requests without a good answer.
    pub failed: u64,
    /// What was wrong with them, and how often.
    pub errors: BTreeMap<String, u64>,
    /// Good answers a second.
    pub per_second: f64,
    /// Whether a fixed rate was held; always true to saturation.
    pub held: bool,
    /// Until the last byte. At a fixed rate from the time at which the request was to be sent.
    pub latency_ms: Option<Quantiles>,
    /// Until the first byte of a stream.
    pub first_ms: Option<Quantiles>,
    /// How late the generator itself sent, at a fixed rate.
    pub late_ms: Option<Quantiles>,
    /// What the gateway adds, at a rate that is held.
    pub added_ms: Option<Added>,
    /// The same until the first byte of a stream.
    pub added_first_ms: Option<Added>,
    /// User and kernel time of the gateway's processes for each request, in microseconds.
    pub cpu_us_per_request: Option<f64>,
    /// Memory of the gateway's processes after the load, in MB.
    pub resident_mb: Option<f64>,
    /// Who took the processors.
    pub cores: Cores,
    /// Beside Plasma's row.
    pub to_plasma: Option<Ratios>,
}

/// Plasma after a part of a soak.
#[derive(Debug, Serialize)]
pub struct SoakRow {
    requests: u64,
    failed: u64,
    per_second: f64,
    latency_ms: Option<Quantiles>,
    resident_mb: f64,
    /// Without pages of files.
    anonymous_mb: f64,
}

/// Percentile by percentile.
fn above(value: Quantiles, base: Quantiles) -> Added {
    Added { p50: value.p50 - base.p50, p99: value.p99 - base.p99 }
}

impl Row {
    /// Of what was measured.
    pub fn new(
        target: &'static str,
        load: &Load,
        pace: Pace,
        outcome: Outcome,
        cores: Cores,
        resident_mb: Option<f64>,
    ) -> Self {
        let answers = outcome.latencies.len() as u64;
        let failed = outcome.failed();
        let seconds = outcome.took.as_secs_f64();
        let (rate, connections) = match pace {
            Pace::Rate(rate) => (Some(rate), None),
            Pace::Saturation(connections) => (None, Some(connections)),
        };
        let requests = answers + failed;
        let cpu = cores.gateway.filter(|_| requests > 0).map(|cores| cores * seconds * 1e6 / requests as f64);
        Self {
            target,
            load: load.name,
            rate,
            connections,
            seconds,
            answers,
            failed,
            per_second: answers as f64 / seconds,
            held: rate.is_none_or(|rate| outcome.is_held(rate)),
            latency_ms: Quantiles::of(&outcome.latencies),
            first_ms: load.streamed.then(|| Quantiles::of(&outcome.first)).flatten(),
            late_ms: rate.and_then(|_| Quantiles::of(&outcome.late)),
            errors: outcome.errors,
            added_ms: None,
            added_first_ms: None,
            cpu_us_per_request: cpu,
            resident_mb,
            cores,
            to_plasma: None,
        }
    }

    fn is_beside(&self, other: &Self) -> bool {
        (self.load, self.rate, self.connections) == (other.load, other.rate, other.connections)
    }

    fn ratios(&self, plasma: &Self) -> Ratios {
        let added = |row: &Self| row.added_ms;
        Ratios {
            added_p50: ratio(added(self).map(|added| added.p50), added(plasma).map(|added| added.p50)),
            added_p99: ratio(added(self).map(|added| added.p99), added(plasma).map(|added| added.p99)),
            per_second: ratio(Some(self.per_second), Some(plasma.per_second)),
            cpu: ratio(self.cpu_us_per_request, plasma.cpu_us_per_request),
            memory: ratio(self.resident_mb, plasma.resident_mb),
        }
    }
}

fn ratio(value: Option<f64>, base: Option<f64>) -> Option<f64> {
    let (value, base) = (value?, base?);
    (value > 0.0 && base > 0.0).then(|| value / base)
}

impl SoakRow {
    /// Stands above the rows.
    pub const HEADER: &str = "  requests  failed  answers/s  p50 ms  p99 ms  resident MB  of it anonymous";

    /// After `requests` in all, of which `outcome` is the last part.
    pub fn new(requests: u64, outcome: &Outcome, resident_mb: f64, anonymous_mb: f64) -> Self {
        Self {
            requests,
            failed: outcome.failed(),
            per_second: outcome.latencies.len() as f64 / outcome.took.as_secs_f64(),
            latency_ms: Quantiles::of(&outcome.latencies),
            resident_mb,
            anonymous_mb,
        }
    }
}

impl fmt::Display for SoakRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, failed, per_second, latency_ms, resident_mb, anonymous_mb } = self;
        let (p50, p99) = latency_ms.map_or((f64::NAN, f64::NAN), |latency| (latency.p50, latency.p99));
        write!(
            formatter,
            "{requests:>10}  {failed:>6}  {per_second:>9.0}  {p50:>6.2}  {p99:>6.2}  {resident_mb:>11.1}  {anonymous_mb:>15.1}"
        )
    }
}

impl Report {
    /// Without rows yet.
    pub fn new(machine: Machine) -> Self {
        let versions = BTreeMap::from([("litellm", install::LITELLM), ("portkey", install::PORTKEY)]);
        Self { machine, versions, rows: Vec::new(), failures: Vec::new(), soak: Vec::new() }
    }

    /// Notes a load that a target cannot answer.
    pub fn fail(&mut self, target: &'static str, load: &'static str, error: String) {
        self.failures.push(Failure { target, load, error });
    }

    /// Computes what follows from the rows together: what each gateway adds, and how it stands beside Plasma.
    pub fn compare(&mut self) {
        let added: Vec<_> = self.rows.iter().map(|row| self.added(row)).collect();
        for (row, (added, added_first)) in self.rows.iter_mut().zip(added) {
            (row.added_ms, row.added_first_ms) = (added, added_first);
        }
        let ratios: Vec<_> = self
            .rows
            .iter()
            .map(|row| (row.target != "direct").then(|| Some(row.ratios(self.beside("plasma", row)?))).flatten())
            .collect();
        for (row, ratios) in self.rows.iter_mut().zip(ratios) {
            row.to_plasma = ratios;
        }
    }

    /// Only at a rate that both hold: an overloaded server's latencies grow for as long as one waits, and at saturation they
    /// follow from the number of connections.
    fn added(&self, row: &Row) -> (Option<Added>, Option<Added>) {
        let direct = self.beside("direct", row).filter(|direct| direct.held && row.held && row.rate.is_some());
        let Some(direct) = direct.filter(|_| row.target != "direct") else { return (None, None) };
        let added = |value: Option<Quantiles>, base: Option<Quantiles>| Some(above(value?, base?));
        (added(row.latency_ms, direct.latency_ms), added(row.first_ms, direct.first_ms))
    }

    fn beside(&self, target: &str, row: &Row) -> Option<&Row> {
        self.rows.iter().find(|other| other.target == target && other.is_beside(row))
    }

    /// What the soak says in a sentence.
    pub fn soak_summary(&self) -> String {
        let (Some(first), Some(last)) = (self.soak.first(), self.soak.last()) else { return String::new() };
        let failed: u64 = self.soak.iter().map(|row| row.failed).sum();
        format!(
            "from {} to {} requests the resident memory went from {:.1} to {:.1} MB; {failed} requests failed",
            first.requests, last.requests, first.resident_mb, last.resident_mb
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::gateway::loads::LOADS;

    fn row(target: &'static str, pace: Pace, micros: u32, answers: usize) -> Row {
        let outcome = Outcome {
            latencies: vec![micros; answers],
            took: Duration::from_secs(1),
            scheduled: matches!(pace, Pace::Rate(_)).then_some(100),
            ..Outcome::default()
        };
        let cores = Cores { gateway: Some(0.5), provider: 0.0, generator: 0.0, others: 0.0 };
        Row::new(target, &LOADS[0], pace, outcome, cores, Some(f64::from(micros)))
    }

    #[test]
    fn added_latency_and_ratios_follow_from_the_rows() {
        let machine = Machine::read(0.0, &std::env::temp_dir()).unwrap();
        let mut report = Report::new(machine);
        report.rows = vec![
            row("direct", Pace::Rate(100), 100, 100),
            row("plasma", Pace::Rate(100), 300, 100),
            row("litellm", Pace::Rate(100), 4_100, 100),
            row("portkey", Pace::Rate(100), 9_000, 50),
            row("litellm", Pace::Saturation(64), 4_100, 100),
        ];
        report.compare();
        let added = |index: usize| report.rows[index].added_ms;
        assert_eq!(added(0), None);
        assert!((added(1).unwrap().p50 - 0.2).abs() < 1e-9);
        assert!((added(2).unwrap().p99 - 4.0).abs() < 1e-9);
        assert!(!report.rows[3].held);
        assert_eq!((added(3), added(4)), (None, None));
        let ratios = report.rows[2].to_plasma.unwrap();
        assert!((ratios.added_p50.unwrap() - 20.0).abs() < 1e-6);
        assert_eq!(ratios.cpu, Some(1.0));
        // 50 answers with the same processor time: twice as much for each.
        let ratios = report.rows[3].to_plasma.unwrap();
        assert_eq!(
            (ratios.added_p50, ratios.per_second, ratios.cpu, ratios.memory),
            (None, Some(0.5), Some(2.0), Some(30.0))
        );
        assert_eq!(report.rows[4].to_plasma, None);
    }
}
