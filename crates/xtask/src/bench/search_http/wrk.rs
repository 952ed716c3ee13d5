//! Load to saturation by wrk, whose few threads leave more of a small machine to the server than a thread for each connection would.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{API_KEY, report::Sample};
use crate::bench::{machine::Quantiles, servers::Group};

/// Threads of wrk.
const THREADS: u16 = 2;
/// Seconds after which wrk counts an answer as missing.
const TIMEOUT_SECONDS: u32 = 10;

/// What `benches/search/wrk.lua` prints last.
#[derive(Debug, Deserialize)]
struct Summary {
    /// Answers, whatever their status.
    requests: u64,
    /// How long it ran.
    micros: u64,
    p50: f64,
    p99: f64,
    max: f64,
    connect: u64,
    read: u64,
    write: u64,
    /// Answers with a status of 400 or more.
    status: u64,
    timeout: u64,
}

/// What is sent, and how.
pub struct Run<'a> {
    /// `benches/search/wrk.lua`.
    pub script: &'a Path,
    /// A folder for the requests and the output.
    pub folder: &'a Path,
    /// Who is asked.
    pub address: SocketAddr,
    /// Bodies of the requests, without line breaks.
    pub bodies: &'a [String],
    /// Connections, at least 2.
    pub connections: u16,
    /// How long.
    pub time: Duration,
}

/// Whether wrk is there.
///
/// # Errors
/// When it is not, with what to do.
pub fn check() -> Result<()> {
    // It answers `--version` with a status of failure; that it answers is enough.
    let mut command = Command::new("wrk");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map(drop).context("cannot run wrk: install it (Debian: apt-get install wrk)")
}

impl Run<'_> {
    /// Runs wrk.
    ///
    /// # Errors
    /// When it fails, or when nobody answers it.
    pub fn run(&self) -> Result<Sample> {
        let (bodies, output) = (self.folder.join("wrk-bodies.txt"), self.folder.join("wrk.log"));
        fs::write(&bodies, self.bodies.join("\n")).with_context(|| format!("cannot write {}", bodies.display()))?;
        let file = fs::File::create(&output).with_context(|| format!("cannot write {}", output.display()))?;
        let mut command = Command::new("wrk");
        command
            .args(["--threads", &THREADS.to_string(), "--connections", &self.connections.to_string()])
            .args(["--duration", &format!("{}s", self.time.as_secs()), "--timeout", &format!("{TIMEOUT_SECONDS}s")])
            .arg("--script")
            .arg(self.script)
            .arg(format!("http://{}/api/v1/search", self.address))
            .arg("--")
            .arg(&bodies)
            .args([API_KEY, &THREADS.to_string()])
            .stdout(file.try_clone()?)
            .stderr(file);
        let status = Group::start(&mut command)?.wait()?;
        let said = fs::read_to_string(&output).with_context(|| format!("cannot read {}", output.display()))?;
        fs::remove_file(&bodies).with_context(|| format!("cannot remove {}", bodies.display()))?;
        if !status.success() {
            bail!("wrk failed: {said}");
        }
        sample(&said).with_context(|| format!("wrk said nothing of use: {said}"))
    }
}

fn sample(said: &str) -> Result<Sample> {
    let line = said.lines().rev().find(|line| line.starts_with('{')).context("no summary")?;
    let summary: Summary = serde_json::from_str(line).context("the summary is not as expected")?;
    let Summary { requests, micros, p50, p99, max, connect, read, write, status, timeout } = summary;
    if requests == 0 {
        bail!("there were no answers");
    }
    let counts = [
        ("no connection", connect),
        ("a broken answer", read),
        ("a broken request", write),
        ("a status of 400 or more", status),
        ("no answer in time", timeout),
    ];
    let errors: BTreeMap<String, u64> =
        counts.into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| (what.to_owned(), count)).collect();
    let milliseconds = |micros: f64| micros / 1_000.0;
    Ok(Sample {
        answers: requests.saturating_sub(status),
        errors,
        seconds: micros as f64 / 1e6,
        latency_ms: Some(Quantiles { p50: milliseconds(p50), p99: milliseconds(p99), max: milliseconds(max) }),
        late_ms: None,
        held: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_behind_what_wrk_prints_itself() {
        let said = "Running 5s test @ http://127.0.0.1:1\n  2 threads\n\
                    {\"requests\":1000,\"micros\":5000000,\"p50\":1500,\"p99\":9000,\"max\":20000,\"connect\":0,\"read\":0,\
                    \"write\":0,\"status\":10,\"timeout\":2}\n";
        let sample = sample(said).unwrap();
        assert_eq!((sample.answers, sample.errors.len()), (990, 2));
        assert_eq!(sample.errors.get("no answer in time"), Some(&2));
        assert_eq!(sample.latency_ms.map(|latency| latency.p99), Some(9.0));
        assert!((sample.per_second() - 198.0).abs() < 1e-9);
    }

    #[test]
    fn no_answers_are_an_error() {
        assert!(sample("unable to connect").is_err());
        let none = r#"{"requests":0,"micros":1,"p50":0,"p99":0,"max":0,"connect":8,"read":0,"write":0,"status":0,"timeout":0}"#;
        assert!(sample(none).is_err());
    }
}
