//! Search through HTTP with an API key over real passages: how many hybrid searches a second one program carries, with the load
//! generator on the same machine, and how long they take at half of that. `benches/search/README.md` says how to read the numbers.

mod collection;
mod corpus;
mod loads;
mod report;
mod wrk;

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, value_parser};

use self::{
    corpus::Corpus,
    loads::{Load, check},
    report::{Cores, Memory, Report, Row, Sample},
};
use super::{
    load::{self, Outcome, Pace, Plan, http::Connection, interrupt},
    machine::{Machine, Quantiles, busy},
    process::{Ticks, anonymous_mb, machine_time, resident_mb, time},
    servers::Server,
};

/// A key that only the measured server knows.
const API_KEY: &str = "plk_bench0000000000000000000000000000000000000000000000";
/// Connections by which caches are filled.
const WARM_UP_CONNECTIONS: usize = 8;
/// How long it may take until the collection answers: it is loaded, and its index made where it is not there.
const LOADING_MAX: Duration = Duration::from_secs(600);
/// How often that is tried.
const LOOK: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// Passages of the collection
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(1_000..=120_000))]
    passages: u32,
    /// How long each load runs at each pace
    #[arg(long, default_value_t = 15, value_parser = value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Connections that send as fast as they can
    #[arg(long, default_value_t = 32, value_parser = value_parser!(u16).range(2..=256))]
    connections: u16,
    /// Bring the passages in anew instead of taking the collection of the run before
    #[arg(long)]
    fresh: bool,
    /// Measure this program instead of the one that the sources give
    #[arg(long, value_name = "FILE")]
    pub plasma: Option<PathBuf>,
    /// Write the numbers into this file as well, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the measurement with the program `plasma`.
pub fn run(root: &Path, options: &Options, plasma: &Path) -> Result<()> {
    wrk::check()?;
    interrupt::listen()?;
    load::exact_sleep();
    // It is started in another folder.
    let plasma = fs::canonicalize(plasma).with_context(|| format!("there is no {}", plasma.display()))?;
    let corpus = Corpus::read(root, options.passages as usize)?;
    let folder = collection::folder(&corpus, options.fresh)?;
    let machine = Machine::read(busy()?, &folder)?;
    println!("{machine}");
    let server = collection::start(&plasma, &folder)?;
    let collection = collection::bring(&server, &folder, &corpus)?;
    println!("{} passages in {} documents", collection.passages, collection.documents);
    if let Some(seconds) = collection.ingest_seconds {
        println!("brought in within {seconds:.0} s: {:.0} passages/s", collection.passages as f64 / seconds);
    }
    let loads = loads::all(&corpus, &collection.id);
    let mut report = Report { machine, collection, rows: Vec::new() };
    let bench = Bench { options, script: root.join("benches/search/wrk.lua"), folder, server };
    bench.wait_until_loaded(&loads)?;
    for load in &loads {
        println!("\n{}: {}", load.name, load.title);
        println!("{}", report::head());
        bench.load(load, &mut report).with_context(|| bench.server.log_end())?;
    }
    print!("\n{report}");
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

struct Bench<'a> {
    options: &'a Options,
    script: PathBuf,
    folder: PathBuf,
    server: Server,
}

impl Bench<'_> {
    /// Searches until an answer is as it should be.
    fn wait_until_loaded(&self, loads: &[Load]) -> Result<()> {
        let body = loads.first().and_then(|load| load.warm_up.first()).context("there are no queries")?;
        let begun = Instant::now();
        loop {
            interrupt::check()?;
            let outcome = self.try_once(body);
            match outcome {
                Ok(()) => break,
                Err(what) if begun.elapsed() > LOADING_MAX => bail!("{what}\n{}", self.server.log_end()),
                Err(_) => interrupt::sleep(LOOK)?,
            }
        }
        println!("the collection answers after {:.1} s", begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// One request, whose answer is shown when it is wrong.
    fn try_once(&self, body: &str) -> Result<(), String> {
        let mut connection = Connection::open(self.server.address).map_err(|error| error.to_string())?;
        let request = loads::request(self.server.address, body);
        let answer = connection.exchange(&request).map_err(|error| error.to_string())?;
        check(answer.status, &connection.body).map_err(|what| {
            let body: String = String::from_utf8_lossy(&connection.body).chars().take(500).collect();
            format!("{what}: {body}")
        })
    }

    /// A load to saturation, and at half of the rate that it reached.
    fn load(&self, load: &Load, report: &mut Report) -> Result<()> {
        let warm_up = Pace::Saturation(WARM_UP_CONNECTIONS);
        self.drive(&load.warm_up, warm_up, load.warm_up_max, load.warm_up.len() as u64)?;
        let time = Duration::from_secs(self.options.seconds.into());
        let connections = self.options.connections;
        let saturated = self.measure(load.name, None, Some(connections), || {
            let (script, folder) = (self.script.as_path(), self.folder.as_path());
            let (address, bodies) = (self.server.address, load.saturating.as_slice());
            wrk::Run { script, folder, address, bodies, connections, time }.run()
        })?;
        println!("{}", saturated.line(report.machine.cores));
        let rate = ((saturated.per_second / 2.0) as u32).max(1);
        let paced = self.measure(load.name, Some(rate), None, || {
            let outcome = self.drive(&load.paced, Pace::Rate(rate), time, u64::MAX)?;
            Ok(sample(outcome, rate))
        })?;
        println!("{}", paced.line(report.machine.cores));
        report.rows.extend([saturated, paced]);
        Ok(())
    }

    fn drive(&self, bodies: &[String], pace: Pace, time: Duration, requests_max: u64) -> Result<Outcome> {
        let address = self.server.address;
        let requests: Vec<Vec<u8>> = bodies.iter().map(|body| loads::request(address, body)).collect();
        let requests: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
        load::run(&Plan { address, requests: &requests, check: &check, pace, time, requests_max })
    }

    /// Runs a load and adds what it took of the machine.
    fn measure(
        &self,
        load: &'static str,
        rate: Option<u32>,
        connections: Option<u16>,
        run: impl FnOnce() -> Result<Sample>,
    ) -> Result<Row> {
        let before = Meters::read(self.server.id())?;
        let begun = Instant::now();
        let sample = run()?;
        let took = begun.elapsed();
        let cores = Meters::read(self.server.id())?.since(before, took);
        let id = self.server.id();
        let memory = Memory { resident_mb: resident_mb(id)?, anonymous_mb: anonymous_mb(id)? };
        Ok(Row::new(load, rate, connections, sample, cores, memory))
    }
}

fn sample(outcome: Outcome, rate: u32) -> Sample {
    Sample {
        answers: outcome.latencies.len() as u64,
        seconds: outcome.took.as_secs_f64(),
        latency_ms: Quantiles::of(&outcome.latencies),
        late_ms: Quantiles::of(&outcome.late),
        held: outcome.is_held(rate),
        errors: outcome.errors,
    }
}

/// Processor time used so far.
#[derive(Clone, Copy)]
struct Meters {
    server: Ticks,
    generator: Ticks,
    others: Ticks,
}

impl Meters {
    fn read(server: u32) -> Result<Self> {
        let server = time(server)?;
        // Of this program and all that it started: the server, which lives, and wrk, which has ended.
        let ours = time(process::id())?;
        Ok(Self { server, generator: ours - server, others: machine_time()? - ours })
    }

    fn since(self, before: Self, over: Duration) -> Cores {
        let cores = |after: Ticks, before: Ticks| (after - before).seconds() / over.as_secs_f64();
        Cores {
            server: cores(self.server, before.server),
            generator: cores(self.generator, before.generator),
            others: cores(self.others, before.others),
        }
    }
}
