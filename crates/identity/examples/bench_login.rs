//! Measures logins by password: hashing, the throttle, the policy, the session and its event, on SQLite in a temporary folder.
//!
//! `cargo run --release -p plasma-identity --example bench_login [SECONDS]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a measurement that cannot be taken must fail loudly

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use plasma_identity::{Bootstrap, Identity, IdentityConfig, Login, NewUser, Secret};
use plasma_kernel::{Actor, Clock, Ctx, Origin, Permissions, Random, Role};
use plasma_testkit::TestStore;

const PASSWORD: &str = "correct horse battery";
/// More people than log in at once, so that nobody's throttle is in the way.
const PEOPLE: usize = 64;

struct Bench {
    identity: Identity,
    system: Ctx,
    // Keeps the database until the end.
    _store: TestStore,
}

impl Bench {
    async fn new() -> Self {
        let store = TestStore::sqlite().await;
        let (clock, random) = (Clock::system(), Random::system());
        let identity = Identity::new(store.store(), clock.clone(), random.clone(), IdentityConfig::default());
        let owner_password = Some(Secret::new(PASSWORD));
        let bootstrap = Bootstrap { owner_email: Some("user0@example.org".to_owned()), owner_password, api_key: None };
        let owner = identity.bootstrap(bootstrap).await.unwrap().owner.unwrap();
        let ctx =
            Ctx::new(owner.tenant, Actor::User { id: owner.user }, Permissions::all(), clock.clone(), random.clone());
        for number in 1..PEOPLE {
            let email = format!("user{number}@example.org");
            let new = NewUser { email, name: "User".to_owned(), role: Role::Viewer, password: Secret::new(PASSWORD) };
            identity.create_user(&ctx, new).await.unwrap();
        }
        Self { identity, system: Ctx::system("bench", clock, random), _store: store }
    }

    async fn login(&self, number: usize) {
        let login = Login {
            email: format!("user{}@example.org", number % PEOPLE),
            password: Secret::new(PASSWORD),
            origin: Origin::default(),
        };
        let step = self.identity.login(&self.system, login).await.unwrap();
        assert!(step.into_logged_in().is_some());
    }
}

/// Logins a second, with so many people logging in at the same time.
async fn measure(bench: &Arc<Bench>, at_once: usize, time: Duration) -> f64 {
    let done = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let people: Vec<_> = (0..at_once)
        .map(|first| {
            let (bench, done) = (Arc::clone(bench), Arc::clone(&done));
            tokio::spawn(async move {
                let mut number = first;
                while started.elapsed() < time {
                    bench.login(number).await;
                    done.fetch_add(1, Ordering::Relaxed);
                    number += at_once;
                }
            })
        })
        .collect();
    for person in people {
        person.await.unwrap();
    }
    done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

fn main() {
    let seconds = std::env::args().nth(1).map_or(10, |text| text.parse().expect("a number of seconds"));
    let time = Duration::from_secs(seconds);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bench = Arc::new(Bench::new().await);
        // The first ones warm caches and the allocator up.
        measure(&bench, 1, Duration::from_secs(1)).await;
        let alone = measure(&bench, 1, time).await;
        let together = measure(&bench, cores * 2, time).await;
        println!("argon2id: 19 MiB, 2 passes, 1 lane; {cores} cores");
        println!("one after another: {alone:.1} logins/s, which is one core's");
        println!("{} at once: {together:.1} logins/s, {:.1} for each core", cores * 2, together / cores as f64);
    });
}
