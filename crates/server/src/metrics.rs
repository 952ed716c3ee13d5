//! What the program counts, for Prometheus. Names begin with `plasma_` and end in their unit.

use std::{collections::HashSet, fs, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use plasma_store::Event;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::{store, system::System, tail::EventTail};

/// Seconds: from a small read to a long answer of a model.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Samples are folded into their histograms this often; until then each takes memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Models, and routes, that have series of their own.
const NAMES_MAX: usize = 200;

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder and names everything that is counted. Once in a process.
    ///
    /// # Errors
    /// When another recorder is installed.
    pub fn install() -> Result<Self> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
            .context("metrics")?
            .install_recorder()
            .context("metrics")?;
        describe();
        gauge!("plasma_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
        Ok(Self { handle })
    }

    /// Keeps the metrics' memory small, and counts model calls as the event log tells of them.
    pub fn follow(&self, tail: &EventTail, stop: CancellationToken) {
        let handle = self.handle.clone();
        let mut events = tail.subscribe();
        tokio::spawn(async move {
            let (mut models, mut routes) = (HashSet::new(), HashSet::new());
            let mut upkeep = tokio::time::interval(UPKEEP_INTERVAL);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = upkeep.tick() => handle.run_upkeep(),
                    event = events.recv() => match event {
                        Ok(event) => count_event(&event, &mut models, &mut routes),
                        Err(RecvError::Lagged(missed)) => counter!("plasma_events_not_counted_total").increment(missed),
                        Err(RecvError::Closed) => return,
                    },
                }
            }
        });
    }
}

fn describe() {
    describe_counter!("plasma_http_requests_total", "Requests that were answered.");
    describe_histogram!(
        "plasma_http_request_duration_seconds",
        Unit::Seconds,
        "Time until the answer's head; the rest of a streamed answer is not counted."
    );
    describe_gauge!("plasma_http_requests_in_flight", "Requests that are being worked on.");
    describe_counter!("plasma_tls_handshakes_total", "TLS connections that were made, by version and key exchange.");
    describe_counter!("plasma_tls_handshakes_failed_total", "TLS connections that did not come about.");
    describe_gauge!(
        "plasma_tls_certificate_expiry_seconds",
        Unit::Seconds,
        "When the certificate that is shown expires, in seconds since 1970 UTC."
    );
    describe_gauge!("plasma_build_info", "Always 1; the label tells the version.");
    describe_counter!(
        "plasma_events_total",
        "Events of the whole installation since this process started: take the maximum over processes, not the sum."
    );
    describe_counter!("plasma_events_not_counted_total", "Events that came faster than they could be counted.");
    describe_counter!(
        "plasma_model_calls_total",
        "Ended model calls of the whole installation since this process started: take the maximum over processes."
    );
    describe_counter!("plasma_model_tokens_total", "Tokens of those calls.");
    describe_histogram!("plasma_model_call_duration_seconds", Unit::Seconds, "Time of those calls.");
    describe_histogram!("plasma_model_first_token_seconds", Unit::Seconds, "Time to the first token of those calls.");
    describe_counter!(
        "plasma_model_cost_micros_total",
        "Millionths of the currency that those calls are known to have cost."
    );
    describe_counter!("plasma_route_calls_total", "Those of them for which a route chose the model.");
    describe_gauge!("plasma_jobs", "Background jobs of the whole installation by state.");
    describe_gauge!("plasma_live_connections", "Open WebSockets of /api/v1/live.");
    describe_gauge!("plasma_process_resident_memory_bytes", Unit::Bytes, "Memory of this process that is in RAM.");
    describe_gauge!("plasma_process_open_files", "Open files and sockets of this process.");
    describe_gauge!("plasma_process_uptime_seconds", Unit::Seconds, "How long this process has been running.");
}

fn count_event(event: &Arc<Event>, models: &mut HashSet<String>, routes: &mut HashSet<String>) {
    counter!("plasma_events_total", "type" => event.kind.clone()).increment(1);
    if event.kind != plasma_models::events::CALL_COMPLETED {
        return;
    }
    let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or("unknown").to_owned();
    let number = |name: &str| event.data.get(name).and_then(Value::as_u64).unwrap_or(0);
    let model = known_or_other(models, &text("model"));
    counter!(
        "plasma_model_calls_total",
        "model" => model.clone(), "kind" => text("kind"), "purpose" => text("purpose"), "status" => text("status")
    )
    .increment(1);
    for (direction, name) in [("input", "input_tokens"), ("output", "output_tokens")] {
        counter!("plasma_model_tokens_total", "model" => model.clone(), "direction" => direction)
            .increment(number(name));
    }
    histogram!("plasma_model_call_duration_seconds", "model" => model.clone())
        .record(Duration::from_millis(number("duration_ms")));
    if let Some(milliseconds) = event.data.get("first_token_ms").and_then(Value::as_u64) {
        histogram!("plasma_model_first_token_seconds", "model" => model.clone())
            .record(Duration::from_millis(milliseconds));
    }
    if let Some(cost) = event.data.get("cost").filter(|cost| !cost.is_null()) {
        let currency = cost.get("currency").and_then(Value::as_str).unwrap_or("unknown").to_owned();
        let micros = cost.get("amount_micros").and_then(Value::as_u64).unwrap_or(0);
        counter!("plasma_model_cost_micros_total", "model" => model.clone(), "currency" => currency).increment(micros);
    }
    if let Some(route) = event.data.pointer("/decision/route").and_then(Value::as_str) {
        let route = known_or_other(routes, route);
        counter!("plasma_route_calls_total", "route" => route, "model" => model, "status" => text("status"))
            .increment(1);
    }
}

/// Names are made by users: beyond [`NAMES_MAX`] they are counted as `other`.
fn known_or_other(known: &mut HashSet<String>, name: &str) -> String {
    if known.contains(name) || (known.len() < NAMES_MAX && known.insert(name.to_owned())) {
        name.to_owned()
    } else {
        "other".to_owned()
    }
}

/// Everything in Prometheus's text format. What is cheap to look up is looked up now.
pub async fn render(system: &System) -> String {
    let parts = system.parts();
    // An unreachable database must not hide the rest.
    match store::jobs_by_state(&parts.store).await {
        Ok(jobs) => {
            // Also those with none, or the last number would stay.
            for state in ["queued", "running", "succeeded", "failed"] {
                let number = jobs.iter().find(|(known, _)| known == state).map_or(0, |(_, number)| *number);
                gauge!("plasma_jobs", "state" => state).set(number as f64);
            }
        }
        Err(error) => tracing::warn!(?error, "jobs could not be counted"),
    }
    gauge!("plasma_process_uptime_seconds").set(parts.started.elapsed().as_secs_f64());
    if let Some(bytes) = resident_bytes() {
        gauge!("plasma_process_resident_memory_bytes").set(bytes as f64);
    }
    let open_files = fs::read_dir("/proc/self/fd").map(Iterator::count);
    if let Ok(number) = open_files {
        gauge!("plasma_process_open_files").set(number as f64);
    }
    let mut text = parts.metrics.handle.render();
    // The recorder's counters are whole numbers; this one is not.
    if let Some(seconds) = cpu_seconds() {
        text.push_str(&format!(
            "# HELP plasma_process_cpu_seconds_total Processor time of this process.\n\
             # TYPE plasma_process_cpu_seconds_total counter\nplasma_process_cpu_seconds_total {seconds}\n"
        ));
    }
    text
}

/// `VmRSS:   12345 kB` of Linux; elsewhere unknown.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The times in user and kernel mode, which Linux counts in hundredths of a second.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in parentheses and may hold spaces; the fields after it are counted from 3.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) as f64 / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_can_be_measured() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1_000_000));
        assert!(cpu_seconds().is_some_and(|seconds| seconds >= 0.0));
    }
}
