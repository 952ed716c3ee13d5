//! Measures the audit on this machine: entries a second that are appended, sustained, and what searches, proofs and a verification
//! take then. `cargo run --release -p plasma-governance --example bench_audit -- --entries 1000000 [--postgres]`

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::Parser;
use plasma_governance::{
    Governance, GovernanceConfig, Log, RecordFilter,
    verify::{Trust, verify_logs},
};
use plasma_http::outbound::Outbound;
use plasma_kernel::{Actor, Clock, Ctx, Origin, PageRequest, Permissions, Random, TenantId, UserId};
use plasma_store::{NewEvent, Store};
use plasma_testkit::TestStore;
use serde_json::json;

/// Events of one transaction while the log is filled.
const BATCH: u64 = 1_000;
/// Entries of one measured slice.
const SLICE: u64 = 20_000;
/// What issue 5 asks for.
const RATE_MIN: f64 = 5_000.0;

#[derive(Parser)]
struct Options {
    /// Entries to append
    #[arg(long, default_value_t = 200_000)]
    entries: u64,
    /// Postgres of PLASMA_TEST_POSTGRES_URL instead of SQLite
    #[arg(long)]
    postgres: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(Box::pin(measure(options)))
}

async fn measure(options: Options) -> Result<()> {
    let test = if options.postgres { TestStore::postgres().await } else { TestStore::sqlite().await };
    let store = test.store();
    let system = Ctx::system("bench", Clock::system(), Random::system());
    let config =
        GovernanceConfig { anchor_dir: test.data_dir().join("anchors"), outbound: Outbound::guarded(Vec::new()) };
    let governance = Governance::open(store.clone(), system.clone(), config).await?;
    let people: Vec<Ctx> = {
        let tenant = TenantId::new(&system);
        (0..50).map(|number| person(&system, tenant, number)).collect()
    };
    println!("database {}, {} entries", store.dialect().as_str(), options.entries);
    let mut slices = Vec::new();
    let mut appended = 0;
    let mut spent = Duration::ZERO;
    while appended < options.entries {
        // The events are written first: what is measured is the audit's own work.
        fill(&store, &people, appended, SLICE).await?;
        let begun = Instant::now();
        let read = governance.catch_up().await?;
        let took = begun.elapsed();
        ensure!(read == SLICE, "{read} of {SLICE} events were read");
        spent += took;
        appended += read;
        slices.push(read as f64 / took.as_secs_f64());
    }
    governance.checkpoint_all().await?;
    let rate = appended as f64 / spent.as_secs_f64();
    let slowest = slices.iter().copied().fold(f64::INFINITY, f64::min);
    println!("appended {rate:.0} entries/s sustained, {slowest:.0} in the slowest {SLICE}");
    let verdict = if slowest >= RATE_MIN { "reached" } else { "missed" };
    println!("the asked-for {RATE_MIN:.0} entries/s are {verdict} ({:.1} times)", rate / RATE_MIN);
    let owner = people.first().cloned().ok_or_else(|| anyhow::anyhow!("nobody"))?;
    searches(&governance, &owner, appended).await?;
    verification(&store, &system).await
}

fn person(system: &Ctx, tenant: TenantId, number: u8) -> Ctx {
    let actor = Actor::User { id: UserId::new(system) };
    let origin = Origin { address: Some([10, 0, 0, number].into()), user_agent: Some("bench/1.0".to_owned()) };
    Ctx::new(tenant, actor, Permissions::all(), system.clock().clone(), system.random().clone())
        .with_origin(Arc::new(origin))
}

async fn fill(store: &Store, people: &[Ctx], from: u64, count: u64) -> Result<()> {
    for batch in 0..count / BATCH {
        let first = from + batch * BATCH;
        let place = usize::try_from(first / BATCH)? % people.len();
        let Some(ctx) = people.get(place) else { continue };
        let mut tx = store.begin(ctx).await?;
        for number in first..first + BATCH {
            let subject = UserId::new(ctx);
            let data = json!({ "changed": ["role"], "role": "editor", "disabled": false, "number": number });
            let event = NewEvent::new("identity.user.updated", subject, data);
            let (before, after) =
                (json!({ "role": "viewer", "name": "Ada" }), json!({ "role": "editor", "name": "Ada" }));
            tx.emit(event.changed(before, after)).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

async fn searches(governance: &Governance, owner: &Ctx, entries: u64) -> Result<()> {
    let page = PageRequest::default();
    let none = RecordFilter::default;
    let newest = governance.records(owner, Log::Workspace, none(), &page).await?;
    let subject = newest.data.last().map(|record| record.subject.clone());
    let Actor::User { id } = owner.actor() else { return Ok(()) };
    for (name, filter) in [
        ("everything", none()),
        ("one subject", RecordFilter { subject, ..none() }),
        (
            "one actor and action",
            RecordFilter { actor: Some(id.to_string()), action: Some("identity.*".to_owned()), ..none() },
        ),
        ("one address", RecordFilter { address: Some("10.0.0.7".to_owned()), ..none() }),
        ("a word that is nowhere", RecordFilter { text: Some("zzyzx".to_owned()), ..none() }),
    ] {
        let begun = Instant::now();
        let found = governance.records(owner, Log::Workspace, filter, &page).await?;
        let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
        println!("search of {entries}: {name}: {} rows in {milliseconds:.1} ms", found.data.len());
    }
    let begun = Instant::now();
    for record in &newest.data {
        governance.record(owner, Log::Workspace, record.id).await?;
    }
    let each = begun.elapsed().as_secs_f64() * 1e3 / newest.data.len().max(1) as f64;
    println!("record with its proof: {each:.2} ms");
    Ok(())
}

async fn verification(store: &Store, system: &Ctx) -> Result<()> {
    let begun = Instant::now();
    let mut tx = store.read(system).await?;
    let reports = verify_logs(&mut tx, None, &Trust::default()).await?;
    let records: u64 = reports.iter().map(|report| report.records).sum();
    ensure!(reports.iter().all(|report| report.intact), "the log is not intact: {reports:#?}");
    println!("verified {records} records in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}
