#![doc = include_str!("../README.md")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test that cannot be set up must fail loudly

use std::{env, ops::Deref, pin::Pin};

use plasma_kernel::{Actor, Clock, Ctx, Permissions, Random, Secret, TenantId, UserId};
use plasma_store::{Store, StoreConfig, VaultConfig, VaultToken};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

/// A fresh database and data directory. SQLite's are removed when it is dropped; Postgres's stays on the private server.
pub struct TestStore {
    store: Store,
    config: StoreConfig,
    // Keeps the folder until the test ends.
    _folder: TempDir,
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl TestStore {
    /// On SQLite.
    pub async fn sqlite() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self::open(StoreConfig::sqlite(folder.path()), folder).await
    }

    /// On a new database of the Postgres server that `PLASMA_TEST_POSTGRES_URL` names.
    pub async fn postgres() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut config = StoreConfig::sqlite(folder.path());
        config.database_url = Some(fresh_postgres_database().await);
        Self::open(config, folder).await
    }

    async fn open(config: StoreConfig, folder: TempDir) -> Self {
        let store = Store::open(config.clone()).await.expect("the store opens");
        Self { store, config, _folder: folder }
    }

    /// On SQLite, opened as `change` says.
    pub async fn sqlite_with(change: impl FnOnce(&mut StoreConfig)) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut config = StoreConfig::sqlite(folder.path());
        change(&mut config);
        Self::open(config, folder).await
    }

    /// The store itself, to hand to a domain.
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// Opens the same database once more, as another process would.
    pub async fn open_again(&self) -> Store {
        Store::open(self.config.clone()).await.expect("the store opens again")
    }

    /// How it was opened, for tests that start the real program on it.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }
}

/// Makes a database on the test server and returns its URL.
pub async fn fresh_postgres_database() -> String {
    let server = env::var("PLASMA_TEST_POSTGRES_URL").unwrap_or_else(|_| {
        panic!(
            "PLASMA_TEST_POSTGRES_URL is not set: run the tests with `make test`, or `scripts/postgres.sh start` first"
        )
    });
    fresh_database_on(&server).await
}

/// The Postgres servers of `PLASMA_TEST_SEARCH_NODES`, which only hold vectors. The last is killed by a test: no other uses it.
pub fn search_node_servers() -> Vec<String> {
    let servers = env::var("PLASMA_TEST_SEARCH_NODES").unwrap_or_else(|_| {
        panic!(
            "PLASMA_TEST_SEARCH_NODES is not set: run the tests with `make test`, or start two servers with \
             `PLASMA_TEST_POSTGRES_PORT=… scripts/postgres.sh start` and name their URLs with a space between"
        )
    });
    let servers: Vec<String> = servers.split_whitespace().map(str::to_owned).collect();
    assert!(servers.len() >= 2, "PLASMA_TEST_SEARCH_NODES must name two servers");
    servers
}

/// Makes a database on a server and returns its URL.
pub async fn fresh_database_on(server: &str) -> String {
    let name = format!("plasma_{}", TenantId::new(&system()));
    let mut connection = PgConnection::connect(server).await.expect("the test Postgres answers");
    // The name is ours: letters, digits and underscores.
    connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))).await.expect("a new database");
    let mut url = url::Url::parse(server).expect("a Postgres URL");
    url.set_path(&name);
    url.to_string()
}

/// A new key in the transit engine of the Vault that `PLASMA_TEST_VAULT` names, as in `http://TOKEN@127.0.0.1:18200`.
pub async fn fresh_vault_key() -> VaultConfig {
    let server = env::var("PLASMA_TEST_VAULT").unwrap_or_else(|_| {
        panic!("PLASMA_TEST_VAULT is not set: run the tests with `make test`, or `scripts/openbao.sh start` first")
    });
    let mut url = url::Url::parse(&server).expect("a URL with the token before the host");
    let token = url.username().to_owned();
    url.set_username("").expect("a URL with a host");
    let config = VaultConfig {
        url: url.to_string(),
        token: VaultToken::Text(Secret::new(token)),
        mount: "transit".to_owned(),
        key: format!("plasma-{}", TenantId::new(&system())),
        ca_file: None,
    };
    vault_call(&config, "POST", &format!("transit/keys/{}", config.key), "{}").await;
    config
}

/// Tells the test's Vault something under `/v1/` that must succeed.
pub async fn vault_call(config: &VaultConfig, method: &str, path: &str, body: &str) -> String {
    let VaultToken::Text(token) = &config.token else { panic!("the test's token is a text") };
    let method = method.parse().expect("a method");
    let request = reqwest::Client::new().request(method, format!("{}v1/{path}", config.url));
    let request = request.header("X-Vault-Token", token.expose()).body(body.to_owned());
    let response = request.send().await.expect("the test Vault answers");
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    assert!(status.is_success(), "Vault answered {status} to {path}: {text}");
    text
}

/// A context that works across tenants, on the machine's clock.
pub fn system() -> Ctx {
    Ctx::system("test", Clock::system(), Random::system())
}

/// A context of a new tenant: a user with every permission of the tenant, on the machine's clock.
pub fn tenant() -> Ctx {
    let system = system();
    let tenant = TenantId::new(&system);
    Ctx::new(tenant, Actor::User { id: UserId::new(&system) }, Permissions::all(), Clock::system(), Random::system())
}

/// The same tenant with other permissions.
pub fn with_permissions(ctx: &Ctx, permissions: Permissions) -> Ctx {
    let tenant = ctx.tenant().expect("a tenant's context");
    Ctx::new(tenant, ctx.actor().clone(), permissions, ctx.clock().clone(), ctx.random().clone()).with_team(ctx.team())
}

/// Runs each body on SQLite and on Postgres, as two tests in a module of the body's name.
///
/// ```ignore
/// on_each_database! {
///     async fn a_collection_is_found_again(test: TestStore) { … }
/// }
/// ```
#[macro_export]
macro_rules! on_each_database {
    ($(async fn $name:ident($test:ident: TestStore) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn run($test: $crate::TestStore) $body

            #[test]
            fn sqlite() {
                $crate::run(|| Box::pin(async { run($crate::TestStore::sqlite().await).await }));
            }

            #[test]
            fn postgres() {
                $crate::run(|| Box::pin(async { run($crate::TestStore::postgres().await).await }));
            }
        }
    )*};
}

/// Runs a test body on a runtime of its own. The body is boxed, so that tokio is compiled once here and not again for every
/// test: that takes most of the time of building a test program.
pub fn run(body: fn() -> Pin<Box<dyn Future<Output = ()>>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the test");
    runtime.block_on(body());
}
