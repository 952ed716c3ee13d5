//! The machine that measures, as a report describes it.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::Path,
    process, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{
    load::{interrupt, percentile},
    process::{machine_time, time},
};

/// Writes by which the disk is measured.
const DURABLE_WRITES: usize = 200;

/// The machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    processor: String,
    /// Processors that the system shows.
    pub cores: f64,
    kernel: String,
    /// Share of the machine that other programs took before the measurement, in percent.
    busy_before_percent: f64,
    /// How long it takes until 8 KB are durable, where data are kept.
    durable_write_ms: Quantiles,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half of the requests took no longer.
    pub p50: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl Machine {
    /// What the system says of itself, what [`busy`] found, and how long durable writes into `folder` take.
    pub fn read(busy_before_percent: f64, folder: &Path) -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo").context("machines are described on Linux only")?;
        let name = processors.lines().find_map(|line| line.strip_prefix("model name"));
        Ok(Self {
            processor: name.unwrap_or_default().trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: cores(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            busy_before_percent,
            durable_write_ms: durable_writes(folder).context("the disk's speed cannot be measured")?,
        })
    }
}

/// As a database's log does it: append and sync, one after the other.
fn durable_writes(folder: &Path) -> io::Result<Quantiles> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut micros = Vec::with_capacity(DURABLE_WRITES);
    for _ in 0..DURABLE_WRITES {
        let begun = Instant::now();
        file.write_all(&[0; 8 << 10])?;
        file.sync_data()?;
        micros.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    micros.sort_unstable();
    Quantiles::of(&micros).ok_or_else(|| io::ErrorKind::Other.into())
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, kernel, busy_before_percent, durable_write_ms } = self;
        write!(
            formatter,
            "{processor}, {cores} cores, Linux {kernel}; other programs take {busy_before_percent:.0}% of it now. What is \
             measured and the load generator share these cores, and nothing is pinned. A durable write of 8 KB takes \
             {:.2} ms (p50), {:.2} ms (p99).",
            durable_write_ms.p50, durable_write_ms.p99
        )
    }
}

impl Quantiles {
    /// Of microseconds in ascending order; `None` when there are none.
    pub fn of(sorted_micros: &[u32]) -> Option<Self> {
        let part = |part| percentile(sorted_micros, part).map(|micros| f64::from(micros) / 1_000.0);
        Some(Self { p50: part(0.5)?, p99: part(0.99)?, max: part(1.0)? })
    }
}

/// The share of the machine that other programs take before anything is measured, in percent.
pub fn busy() -> Result<f64> {
    let over = Duration::from_secs(2);
    let before = machine_time()? - time(process::id())?;
    interrupt::sleep(over)?;
    let used = (machine_time()? - time(process::id())?) - before;
    Ok(used.seconds() / over.as_secs_f64() / cores() * 100.0)
}

/// Processors that this program may use.
fn cores() -> f64 {
    thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}
