//! An installation with audit logs, on a clock that the test moves.

use std::{sync::Arc, time::Duration};

use plasma_governance::{Governance, GovernanceConfig, INSTALLATION, verify};
use plasma_http::outbound::Outbound;
use plasma_kernel::{Actor, Clock, Ctx, Origin, Permissions, Random, TenantId, UserId};
use plasma_store::{NewEvent, Store};
use plasma_testkit::TestStore;
use serde_json::{Value, json};

pub const DAY: Duration = Duration::from_secs(24 * 3_600);

pub struct World {
    pub store: Store,
    pub clock: Clock,
    pub governance: Governance,
    /// An owner of a workspace who manages the installation too.
    pub owner: Ctx,
}

impl World {
    pub async fn new(test: &TestStore) -> Self {
        Self::on(test, Clock::manual(1_800_000_000_000_000)).await
    }

    pub async fn on(test: &TestStore, clock: Clock) -> Self {
        let governance = open(test.store(), &clock, test).await;
        let random = Random::system();
        let system = Ctx::system("test", clock.clone(), random.clone());
        let (tenant, user) = (TenantId::new(&system), UserId::new(&system));
        let owner = Ctx::new(tenant, Actor::User { id: user }, Permissions::all(), clock.clone(), random)
            .with_access_of(user, Arc::default())
            .with_origin(Arc::new(Origin {
                address: Some([203, 0, 113, 7].into()),
                user_agent: Some("test".to_owned()),
            }));
        Self { store: test.store(), clock, governance, owner }
    }

    /// The same installation as another process would see it.
    pub async fn other_process(&self, test: &TestStore) -> Governance {
        open(test.open_again().await, &self.clock, test).await
    }

    pub fn system(&self) -> Ctx {
        Ctx::system("test", self.clock.clone(), Random::system())
    }

    pub fn tenant(&self) -> TenantId {
        self.owner.tenant().unwrap()
    }

    /// Another workspace's owner.
    pub fn stranger(&self) -> Ctx {
        let (tenant, user) = (TenantId::new(&self.system()), UserId::new(&self.system()));
        Ctx::new(tenant, Actor::User { id: user }, Permissions::all(), self.clock.clone(), Random::system())
            .with_access_of(user, Arc::default())
    }

    /// Another person of the owner's workspace.
    pub fn colleague(&self) -> (UserId, Ctx) {
        let user = UserId::new(&self.system());
        let actor = Actor::User { id: user };
        let ctx = Ctx::new(self.tenant(), actor, Permissions::all(), self.clock.clone(), Random::system());
        (user, ctx.with_access_of(user, Arc::default()))
    }

    /// Something happens.
    pub async fn emit(&self, ctx: &Ctx, kind: &'static str, subject: &str, data: Value) {
        let mut tx = self.store.begin(ctx).await.unwrap();
        tx.emit(NewEvent::new(kind, subject, data)).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// `count` things happen to the owner's workspace and are appended; then there is a checkpoint.
    pub async fn fill(&self, count: usize) {
        let mut tx = self.store.begin(&self.owner).await.unwrap();
        for number in 0..count {
            let data = json!({ "number": number, "name": format!("thing{number}") });
            tx.emit(NewEvent::new("test.thing.made", format!("thing_{number}"), data)).await.unwrap();
        }
        tx.commit().await.unwrap();
        self.catch_up().await;
        self.governance.checkpoint_all().await.unwrap();
    }

    /// Appends every event that there is by now, and returns how many. On Postgres an event is seen once every older transaction of
    /// the server has ended, those of other tests too: so this waits for it.
    pub async fn catch_up(&self) -> u64 {
        let mut appended = 0;
        loop {
            appended += self.governance.catch_up().await.unwrap();
            let mut tx = self.store.read(&self.system()).await.unwrap();
            let left = "SELECT COUNT(*) AS number FROM events WHERE (transaction_id, sequence) >
                        (COALESCE((SELECT transaction_id FROM event_consumers WHERE name = 'audit'), 0),
                         COALESCE((SELECT sequence FROM event_consumers WHERE name = 'audit'), 0))";
            if tx.fetch_one(left, []).await.unwrap().get::<i64>("number").unwrap() == 0 {
                return appended;
            }
            drop(tx);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Runs a statement whose first parameter is the owner's tenant, as somebody who rules the database would.
    pub async fn execute(&self, statement: &'static str) {
        let mut tx = self.store.begin(&self.system()).await.unwrap();
        tx.execute(statement, [self.tenant().into()]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The newest checkpoint of the owner's log.
    pub async fn newest_note(&self) -> String {
        let log = plasma_governance::Log::Workspace;
        self.governance.log_state(&self.owner, log).await.unwrap().checkpoint.unwrap().note
    }

    /// What a verification of the owner's log says.
    pub async fn verify(&self, anchors: &[&str]) -> verify::LogReport {
        let anchors = anchors.iter().flat_map(|note| verify::Anchor::read_all("anchor", note).unwrap()).collect();
        let trust = verify::Trust { key: None, anchors };
        let mut tx = self.store.read(&self.system()).await.unwrap();
        verify::verify_logs(&mut tx, Some(self.tenant()), &trust).await.unwrap().remove(0)
    }

    /// How many records each log has.
    pub async fn records(&self, log: TenantId) -> i64 {
        let sql = "SELECT COUNT(*) AS records FROM audit_records WHERE tenant_id = $1";
        let mut tx = self.store.read(&self.system()).await.unwrap();
        tx.fetch_one(sql, [log.into()]).await.unwrap().get("records").unwrap()
    }

    pub fn installation(&self) -> TenantId {
        INSTALLATION
    }
}

async fn open(store: Store, clock: &Clock, test: &TestStore) -> Governance {
    let ctx = Ctx::system("audit", clock.clone(), Random::system());
    let config =
        GovernanceConfig { anchor_dir: test.data_dir().join("anchors"), outbound: Outbound::guarded(Vec::new()) };
    Governance::open(store, ctx, config).await.unwrap()
}
