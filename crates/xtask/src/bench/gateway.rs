//! Plasma as a gateway, beside LiteLLM and Portkey: what each adds to a call, what it can carry, and what it costs.
//! `benches/gateway/README.md` says how to read the numbers.

mod install;
mod loads;
mod report;
mod servers;
mod tables;

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum, value_parser};

use self::{
    loads::{LOADS, Load},
    report::{Cores, Report, Row, SoakRow},
    servers::{Places, Target},
};
use super::{
    load::{self, Outcome, Pace, Plan, http::Connection, interrupt},
    machine::{Machine, busy},
    process::{Ticks, anonymous_mb, machine_time, resident_mb, time},
    servers::Server,
};

/// Connections that send as fast as they can.
const SATURATING_CONNECTIONS: usize = 64;
/// Before each load: connections are made, code is compiled and caches are filled by then.
const WARM_UP: Duration = Duration::from_secs(2);
const WARM_UP_CONNECTIONS: usize = 8;
/// Parts of a soak, after each of which memory is shown.
const SOAK_PARTS: u64 = 10;
/// The longest time for one part of a soak.
const SOAK_PART_MAX: Duration = Duration::from_secs(3_600);

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// Which gateways
    #[arg(long, value_enum, value_delimiter = ',', default_value = "plasma,litellm,portkey")]
    only: Vec<Gateway>,
    /// How long each load runs at each rate
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Requests a second of the loads at fixed rates
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000", value_parser = value_parser!(u32).range(1..=100_000))]
    rates: Vec<u32>,
    /// Instead of the comparison: so many requests to Plasma, to see whether its memory grows
    #[arg(long, value_parser = value_parser!(u64).range(1_000..=100_000_000))]
    soak: Option<u64>,
    /// Worker processes of LiteLLM; each has its own copy of everything
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=64))]
    litellm_workers: u32,
    /// Measure this program instead of the one that the sources give
    #[arg(long, value_name = "FILE")]
    pub plasma: Option<PathBuf>,
    /// Write the numbers into this file as well, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// A program that stands between clients and providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gateway {
    /// This repository's
    Plasma,
    /// litellm[proxy] from PyPI
    Litellm,
    /// @portkey-ai/gateway from npm
    Portkey,
}

/// Runs the measurement with the programs `plasma` and `mock_provider`.
pub fn run(options: &Options, plasma: &Path, mock_provider: &Path) -> Result<()> {
    interrupt::listen()?;
    load::exact_sleep();
    let gateways = if options.soak.is_some() { vec![Gateway::Plasma] } else { options.only.clone() };
    let installed = install::folder()?;
    for gateway in &gateways {
        install::install(*gateway, &installed)?;
    }
    // Not in the system's folder for temporary files: that may lie in memory, where a durable write costs nothing.
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&installed).context("a temporary folder")?;
    let places = Places { plasma, folder: folder.path(), installed: &installed };
    let provider = servers::start_provider(mock_provider, folder.path())?;
    let mut report = Report::new(Machine::read(busy()?, folder.path())?);
    println!("{}", report.machine);
    if let Some(requests) = options.soak {
        let target = servers::start_gateway(Gateway::Plasma, &places, &provider, 1)?;
        soak(&target, requests, &mut report)?;
        println!("{}", report.soak_summary());
    } else {
        Comparison { options, provider: &provider, report: &mut report }.target(&Target::direct(&provider))?;
        for gateway in gateways {
            let target = servers::start_gateway(gateway, &places, &provider, options.litellm_workers)?;
            Comparison { options, provider: &provider, report: &mut report }.target(&target)?;
        }
        report.compare();
        print!("{report}");
    }
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if !report.failures.is_empty() {
        bail!("{} loads could not be measured", report.failures.len());
    }
    Ok(())
}

struct Comparison<'a> {
    options: &'a Options,
    provider: &'a Server,
    report: &'a mut Report,
}

impl Comparison<'_> {
    /// Drives one target with every load.
    fn target(&mut self, target: &Target) -> Result<()> {
        println!("\n{}", target.introduction());
        for load in LOADS {
            interrupt::check()?;
            let request = target.request(load);
            if let Err(what) = try_once(target, load, &request) {
                println!("{} cannot answer {}: {what}", target.name, load.name);
                self.report.fail(target.name, load.name, what);
                continue;
            }
            drive(target, load, &request, Pace::Saturation(WARM_UP_CONNECTIONS), WARM_UP, u64::MAX)?;
            let time = Duration::from_secs(self.options.seconds.into());
            let rates = load.rate.map_or_else(|| self.options.rates.clone(), |rate| vec![rate]);
            let mut paces: Vec<Pace> = rates.into_iter().map(Pace::Rate).collect();
            if load.rate.is_none() {
                paces.push(Pace::Saturation(SATURATING_CONNECTIONS));
            }
            for pace in paces {
                let row = self.measure(target, load, &request, pace, time)?;
                println!("{}", row.line());
                self.report.rows.push(row);
            }
        }
        Ok(())
    }

    fn measure(&self, target: &Target, load: &Load, request: &[u8], pace: Pace, time: Duration) -> Result<Row> {
        let gateway = target.server.as_ref().map(Server::id);
        let before = Meters::read(gateway, self.provider.id())?;
        let outcome = drive(target, load, request, pace, time, u64::MAX)?;
        let after = Meters::read(gateway, self.provider.id())
            .with_context(|| target.server.as_ref().map(Server::log_end).unwrap_or_default())?;
        let resident_mb = gateway.map(resident_mb).transpose()?;
        let used = after.since(before);
        let cores = Cores {
            gateway: used.gateway.map(|ticks| ticks.seconds() / outcome.took.as_secs_f64()),
            provider: used.provider.seconds() / outcome.took.as_secs_f64(),
            generator: used.generator.seconds() / outcome.took.as_secs_f64(),
            others: used.others.seconds() / outcome.took.as_secs_f64(),
        };
        Ok(Row::new(target.name, load, pace, outcome, cores, resident_mb))
    }
}

/// Processor time used so far.
#[derive(Clone, Copy)]
struct Meters {
    gateway: Option<Ticks>,
    provider: Ticks,
    generator: Ticks,
    /// By everybody else.
    others: Ticks,
}

impl Meters {
    fn read(gateway: Option<u32>, provider: u32) -> Result<Self> {
        let (gateway, provider) = (gateway.map(time).transpose()?, time(provider)?);
        // Without the children: the servers are.
        let all = machine_time()?;
        let ours = super::process::own_time(process::id())?;
        Ok(Self { gateway, provider, generator: ours, others: all - gateway.unwrap_or_default() - provider - ours })
    }

    fn since(self, before: Self) -> Self {
        Self {
            gateway: self.gateway.zip(before.gateway).map(|(after, before)| after - before),
            provider: self.provider - before.provider,
            generator: self.generator - before.generator,
            others: self.others - before.others,
        }
    }
}

/// One request, whose answer is shown when it is wrong.
fn try_once(target: &Target, load: &Load, request: &[u8]) -> Result<(), String> {
    let mut connection = Connection::open(target.address).map_err(|error| error.to_string())?;
    let answer = connection.exchange(request).map_err(|error| error.to_string())?;
    load.check(answer.status, &connection.body).map_err(|what| {
        let body: String = String::from_utf8_lossy(&connection.body).chars().take(500).collect();
        format!("{what}: {body}")
    })
}

fn drive(
    target: &Target,
    load: &Load,
    request: &[u8],
    pace: Pace,
    time: Duration,
    requests_max: u64,
) -> Result<Outcome> {
    let check = |status: u16, body: &[u8]| load.check(status, body);
    load::run(&Plan { address: target.address, requests: &[request], check: &check, pace, time, requests_max })
}

/// Many small chats, and how much memory Plasma has after each tenth of them.
fn soak(target: &Target, requests: u64, report: &mut Report) -> Result<()> {
    let load = LOADS.first().context("there are no loads")?;
    let server = target.server.as_ref().context("only a gateway can be soaked")?;
    let request = target.request(load);
    try_once(target, load, &request).map_err(anyhow::Error::msg)?;
    println!("{}", target.introduction());
    println!("{}", SoakRow::HEADER);
    for part in 1..=SOAK_PARTS {
        let count = requests * part / SOAK_PARTS - requests * (part - 1) / SOAK_PARTS;
        let pace = Pace::Saturation(SATURATING_CONNECTIONS);
        let outcome = drive(target, load, &request, pace, SOAK_PART_MAX, count)?;
        let resident_mb = resident_mb(server.id()).with_context(|| server.log_end())?;
        let row = SoakRow::new(requests * part / SOAK_PARTS, &outcome, resident_mb, anonymous_mb(server.id())?);
        println!("{row}");
        report.soak.push(row);
    }
    Ok(())
}
