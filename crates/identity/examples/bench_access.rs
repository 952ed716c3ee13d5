//! Measures what every request pays: the check of an API key, and the decision whether it may do what it asks for.
//!
//! `cargo run --release -p plasma-identity --example bench_access -- [--requests N]`
//!
//! Everything runs in this process, from memory, as it does for the second request of a caller within five seconds. A decision is
//! the whole of `Identity::authorize`: the permission that the operation needs, and every other one that a verb might ask for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::{error::Error, hint::black_box, net::IpAddr, sync::Arc, time::Instant};

use plasma_identity::{AccessRequest, Bootstrap, Identity, IdentityConfig, Login, NewApiKey, NewPolicy, Secret};
use plasma_kernel::{Clock, Ctx, Origin, Permission, Random, Role};
use plasma_testkit::TestStore;

const EMAIL: &str = "owner@example.org";
const PASSWORD: &str = "correct horse battery";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn requests() -> Outcome<usize> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => Ok(200_000),
        (Some("--requests"), Some(number)) => Ok(number.parse()?),
        _ => Err("usage: bench_access [--requests N]".into()),
    }
}

/// Prints the percentiles of the times, in microseconds.
fn report(what: &str, mut nanoseconds: Vec<u64>) {
    nanoseconds.sort_unstable();
    let at = |share: f64| {
        let place = ((nanoseconds.len() - 1) as f64 * share).round() as usize;
        nanoseconds[place] as f64 / 1_000.0
    };
    println!("{what:58} p50 {:7.2}  p90 {:7.2}  p99 {:7.2}  p99.9 {:7.2} µs", at(0.5), at(0.9), at(0.99), at(0.999));
}

/// A set of rules as a workspace may have them; `statements` of them in all.
fn rules(statements: usize) -> String {
    let kinds = [
        "forbid (principal in Role::\"viewer\", action, resource)\n  unless { context.address.isInRange(ip(\"10.0.0.0/8\")) };",
        "forbid (principal in Team::\"team_0000000000000000000000000N\", action == Action::\"content:write\", resource)\n  when { context.hour < 6 || context.weekday > 5 };",
        "forbid (principal, action in [Action::\"models:write\", Action::\"users:write\"], resource)\n  unless { principal.role == \"owner\" || principal.role == \"admin\" || principal.multi_factor };",
        "permit (principal, action == Action::\"users:read\", resource)\n  when { principal.email_domain == \"help.example.org\" };",
        "forbid (principal is ApiKey, action == Action::\"collections:write\", resource in Resource::\"col_secret\")\n  unless { context.network == \"private\" };",
    ];
    let rule = |number: usize| kinds[number % kinds.len()].replace('N', &(number % 10).to_string());
    (0..statements).map(rule).collect::<Vec<_>>().join("\n")
}

/// Makes policies of fifty statements at most until there are so many.
async fn put_rules(identity: &Identity, owner: &Ctx, from: usize, to: usize) -> Outcome<()> {
    let all = rules(to);
    let all: Vec<&str> = all.split_inclusive(";\n").collect();
    for (number, part) in all[from..].chunks(40).enumerate() {
        let policy = NewPolicy {
            name: format!("rules {from} {number}"),
            description: String::new(),
            text: part.concat(),
            enabled: true,
        };
        identity.create_policy(owner, policy).await?;
    }
    Ok(())
}

async fn decisions(identity: &Identity, token: &str, what: &str, requests: usize) -> Outcome<()> {
    let address: IpAddr = "10.1.2.3".parse()?;
    let ctx = identity.authenticate_from(token, Some(address)).await?.ctx;
    let ctx = ctx.with_origin(Arc::new(Origin { address: Some(address), user_agent: None }));
    // A thousand different documents of ten collections: nothing of an answer can be kept for the next request.
    let things: Vec<(String, Vec<String>, String)> = (0..1_000)
        .map(|number| {
            let (collection, document) = (format!("col_{}", number % 10), format!("kdoc_{number}"));
            let path = format!("/api/v1/collections/{collection}/documents/{document}");
            (document, vec![collection], path)
        })
        .collect();
    let mut times = Vec::with_capacity(requests);
    for number in 0..requests + requests / 10 {
        let (id, within, path) = &things[number % things.len()];
        let action = if number % 2 == 0 { Permission::CollectionsRead } else { Permission::CollectionsWrite };
        let request = AccessRequest { action: Some(action), id: Some(id), within, path, method: "GET" };
        let caller = ctx.clone();
        let begun = Instant::now();
        let decided = identity.authorize(caller, &request).await;
        let took = begun.elapsed();
        black_box(decided?);
        // The first ones warm up.
        if number >= requests / 10 {
            times.push(u64::try_from(took.as_nanos())?);
        }
    }
    report(what, times);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let requests = requests()?;
    let store = TestStore::sqlite().await;
    let (clock, random) = (Clock::system(), Random::system());
    let identity = Identity::new(store.store(), clock.clone(), random.clone(), IdentityConfig::default());
    let bootstrap =
        Bootstrap { owner_email: Some(EMAIL.to_owned()), owner_password: Some(Secret::new(PASSWORD)), api_key: None };
    identity.bootstrap(bootstrap).await?;
    let login = Login { email: EMAIL.to_owned(), password: Secret::new(PASSWORD), origin: Origin::default() };
    let step = identity.login(&Ctx::system("bench", clock, random), login).await?;
    let session = step.into_logged_in().ok_or("the owner must be able to log in by password alone")?.token;
    let owner = identity.authenticate(session.expose()).await?.ctx;
    let new = NewApiKey {
        name: "bench".to_owned(),
        role: Role::Editor.into(),
        scopes: None,
        addresses: vec!["10.0.0.0/8".to_owned(), "192.0.2.0/24".to_owned()],
        expires_at: None,
        team: None,
    };
    let key = identity.create_api_key(&owner, new).await?.key;
    let address: IpAddr = "10.1.2.3".parse()?;

    println!("{requests} requests each, one after another, in one thread");
    let mut times = Vec::with_capacity(requests);
    for number in 0..requests + requests / 10 {
        let begun = Instant::now();
        let known = identity.authenticate_from(key.expose(), Some(address)).await;
        let took = begun.elapsed();
        black_box(known?);
        // Every five seconds the key is read anew, which is not what is measured; it shows in the last percentiles.
        if number >= requests / 10 {
            times.push(u64::try_from(took.as_nanos())?);
        }
    }
    report("check of an API key", times);
    decisions(&identity, key.expose(), "decision by role (no policy)", requests).await?;
    let mut before = 0;
    for statements in [5, 20, 100] {
        put_rules(&identity, &owner, before, statements).await?;
        before = statements;
        let what = format!("decision with {statements} statements in force");
        decisions(&identity, key.expose(), &what, requests).await?;
    }
    identity.flush().await?;
    Ok(())
}
