//! Changes of keys while everything runs: a tenant's data key, the installation's, and the master key that wraps them. The store does
//! the single steps; here are who may ask for them and the durable jobs that carry them through.

use std::collections::BTreeSet;

use plasma_kernel::{Code, Ctx, Error, Permission, Result};
use plasma_store::{
    DataKeyVersion, Destruction, KeyRotation, MasterKeyKind, MasterKeyUse, NewEvent, ResealPlace, RotationState, Store,
    Tx,
};
use plasma_workflows::{Queue, Run, Step, Workflows, enqueue};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Whoever read a sealed value opens it within this time: so long the old key stays after the last value left it.
const GRACE_MICROS: i64 = 10 * 1_000_000;
const QUEUE: Queue = Queue { name: "encryption", concurrency: 2 };
/// A start that was killed is an attempt too, and nothing is lost by many.
const ATTEMPTS_MAX: u32 = 20;

const ROTATION_STARTED: &str = "encryption.rotation.started";
const ROTATION_STUCK: &str = "encryption.rotation.stuck";
const ROTATION_FINISHED: &str = "encryption.rotation.finished";
const MASTER_KEY_ROTATED: &str = "encryption.master_key.rotated";
const MASTER_KEYS_FORGOTTEN: &str = "encryption.master_key.forgotten";
const REWRAP_STARTED: &str = "encryption.rewrap.started";
const REWRAP_FINISHED: &str = "encryption.rewrap.finished";

/// The keys of one owner.
pub(crate) struct Status {
    pub(crate) versions: Vec<DataKeyVersion>,
    /// The newest first.
    pub(crate) rotations: Vec<KeyRotation>,
    pub(crate) master_key: MasterKeyKind,
}

/// The keys of the whole installation.
pub(crate) struct InstallationStatus {
    /// Its own data key.
    pub(crate) own: Status,
    pub(crate) uses: Vec<MasterKeyUse>,
    /// Why it is not known which master key is the current one.
    pub(crate) error: Option<Error>,
    /// The keys in the key file, by name.
    pub(crate) file_keys: Vec<String>,
}

/// Keys, for those who may change them.
#[derive(Clone)]
pub struct Encryption {
    store: Store,
}

/// The context of work for the whole installation, which says for whom it is done.
fn for_installation(ctx: &Ctx, what: &str) -> Ctx {
    let actor = serde_json::to_string(ctx.actor()).unwrap_or_default();
    let reason = format!("{what}, asked for by {actor}");
    Ctx::system(reason, ctx.clock().clone(), ctx.random().clone()).with_request(ctx.request()).with_origin_of(ctx)
}

/// What events and jobs of an owner's keys are about.
fn subject_of(ctx: &Ctx) -> String {
    ctx.tenant_scope().map_or_else(|| "installation".to_owned(), |tenant| tenant.to_string())
}

impl Encryption {
    /// Makes this process able to carry changes of keys through.
    pub fn new(store: Store, workflows: &Workflows) -> Self {
        workflows.register::<Reseal>(store.clone());
        workflows.register::<Destroy>(store.clone());
        workflows.register::<Rewrap>(store.clone());
        Self { store }
    }

    /// The tenant's data keys.
    pub(crate) async fn status(&self, ctx: &Ctx) -> Result<Status> {
        ctx.require(Permission::EncryptionWrite)?;
        self.status_of(&mut self.store.read(ctx).await?).await
    }

    async fn status_of(&self, tx: &mut Tx) -> Result<Status> {
        Ok(Status {
            versions: self.store.data_key_versions(tx).await?,
            rotations: self.store.key_rotations(tx).await?,
            master_key: self.store.master_key_kind(),
        })
    }

    /// Gives the tenant a new data key, and begins to seal everything again.
    pub(crate) async fn rotate(&self, ctx: &Ctx) -> Result<KeyRotation> {
        ctx.require(Permission::EncryptionWrite)?;
        ctx.require_recent_authentication()?;
        self.begin_rotation(ctx, ctx).await
    }

    /// The same for what belongs to no tenant.
    pub(crate) async fn rotate_installation(&self, ctx: &Ctx) -> Result<KeyRotation> {
        ctx.require(Permission::InstallationManage)?;
        ctx.require_recent_authentication()?;
        let system = for_installation(ctx, "rotate the installation's data key");
        self.begin_rotation(&system, ctx).await
    }

    async fn begin_rotation(&self, ctx: &Ctx, caller: &Ctx) -> Result<KeyRotation> {
        let mut tx = self.store.begin(ctx).await?;
        let rotation = Box::pin(self.store.rotate_data_key(&mut tx)).await?;
        let (subject, version) = (subject_of(ctx), rotation.version);
        enqueue(&mut tx, &Reseal { version }, &subject, None).await?;
        tx.emit(NewEvent::new(ROTATION_STARTED, subject, json!({ "version": version })).by(caller)).await?;
        tx.commit().await?;
        Ok(rotation)
    }

    /// Master keys, and how many data keys each wraps.
    pub(crate) async fn installation_status(&self, ctx: &Ctx) -> Result<InstallationStatus> {
        ctx.require(Permission::InstallationRead)?;
        self.master_keys(ctx).await
    }

    async fn master_keys(&self, ctx: &Ctx) -> Result<InstallationStatus> {
        let mut tx = self.store.read(&for_installation(ctx, "look at the master keys")).await?;
        let own = self.status_of(&mut tx).await?;
        let (uses, error) = Box::pin(self.store.master_key_uses(&mut tx)).await?;
        Ok(InstallationStatus { own, uses, error, file_keys: self.store.master_key_file_names() })
    }

    /// Makes a new master key, and begins to wrap every data key with it.
    pub(crate) async fn rotate_master(&self, ctx: &Ctx) -> Result<InstallationStatus> {
        ctx.require(Permission::InstallationManage)?;
        ctx.require_recent_authentication()?;
        let system = for_installation(ctx, "rotate the master key");
        let mut tx = self.store.begin(&system).await?;
        self.store.rotate_master_key(&mut tx).await?;
        let kind = self.store.master_key_kind().as_str();
        tx.emit(NewEvent::new(MASTER_KEY_ROTATED, "installation", json!({ "kind": kind })).by(ctx)).await?;
        enqueue(&mut tx, &Rewrap {}, "installation", None).await?;
        tx.commit().await?;
        self.master_keys(ctx).await
    }

    /// Begins to wrap every data key with the current master key: after another kind was configured, or a key was added by hand.
    pub(crate) async fn rewrap(&self, ctx: &Ctx) -> Result<InstallationStatus> {
        ctx.require(Permission::InstallationManage)?;
        ctx.require_recent_authentication()?;
        let system = for_installation(ctx, "wrap all data keys anew");
        let mut tx = self.store.begin(&system).await?;
        let kind = self.store.master_key_kind().as_str();
        tx.emit(NewEvent::new(REWRAP_STARTED, "installation", json!({ "kind": kind })).by(ctx)).await?;
        enqueue(&mut tx, &Rewrap {}, "installation", None).await?;
        tx.commit().await?;
        self.master_keys(ctx).await
    }

    /// Removes master keys of the key file that wrap nothing any more.
    pub(crate) async fn forget_old(&self, ctx: &Ctx) -> Result<Vec<String>> {
        ctx.require(Permission::InstallationManage)?;
        ctx.require_recent_authentication()?;
        let system = for_installation(ctx, "forget old master keys");
        let mut tx = self.store.begin(&system).await?;
        let forgotten = self.store.forget_master_keys(&mut tx).await?;
        if !forgotten.is_empty() {
            let data = json!({ "keys": forgotten });
            tx.emit(NewEvent::new(MASTER_KEYS_FORGOTTEN, "installation", data).by(ctx)).await?;
        }
        tx.commit().await?;
        Ok(forgotten)
    }
}

/// Seals everything of an owner under its newest data key. Killed, it goes on with what is not sealed anew yet.
#[derive(Serialize, Deserialize)]
struct Reseal {
    version: u32,
}

impl Step for Reseal {
    type Domain = Store;
    const KIND: &'static str = "encryption.reseal";
    const QUEUE: Queue = QUEUE;
    const ATTEMPTS_MAX: u32 = ATTEMPTS_MAX;

    async fn run(self, store: Store, run: Run) -> Result<()> {
        let ctx = run.ctx();
        let mut tx = store.begin(ctx).await?;
        let newest = store.key_rotations(&mut tx).await?.into_iter().next();
        // A later rotation, or none at all: the tenant was shredded.
        if !newest.is_some_and(|newest| newest.version == self.version && newest.state == RotationState::Resealing) {
            run.complete(&mut tx).await?;
            return tx.commit().await.map(drop);
        }
        let total = store.begin_resealing(&mut tx).await?;
        tx.commit().await?;
        let (mut place, mut done, mut unreadable, mut columns) = (ResealPlace::default(), 0, 0, BTreeSet::new());
        loop {
            if run.cancellation().is_cancelled() {
                return Err(Run::interrupted());
            }
            let batch = Box::pin(store.reseal_batch(ctx, &place)).await?;
            done += batch.resealed;
            unreadable += batch.unreadable;
            if batch.unreadable > 0 {
                columns.insert(batch.column);
            }
            run.progress(done.min(total), total).await?;
            match batch.next {
                Some(next) => place = next,
                None => break,
            }
        }
        let mut tx = store.begin(ctx).await?;
        let columns: Vec<String> = columns.into_iter().collect();
        let state = store.end_resealing(&mut tx, unreadable, &columns.join(", ")).await?;
        let subject = subject_of(ctx);
        if state == RotationState::Destroying {
            let at = ctx.now().saturating_add(GRACE_MICROS);
            enqueue(&mut tx, &Destroy { version: self.version }, &subject, Some(at)).await?;
        } else {
            let data = json!({ "version": self.version, "unreadable": unreadable, "columns": columns });
            tx.emit(NewEvent::new(ROTATION_STUCK, subject, data)).await?;
        }
        run.complete(&mut tx).await?;
        tx.commit().await.map(drop)
    }

    async fn failed(&self, store: &Store, ctx: &Ctx, tx: &mut Tx, error: &Error) -> Result<()> {
        stuck(store, ctx, tx, self.version, error).await
    }
}

/// Destroys the older data keys of an owner, when nothing is sealed under them any more.
#[derive(Serialize, Deserialize)]
struct Destroy {
    version: u32,
}

impl Step for Destroy {
    type Domain = Store;
    const KIND: &'static str = "encryption.destroy";
    const QUEUE: Queue = QUEUE;
    const ATTEMPTS_MAX: u32 = ATTEMPTS_MAX;

    async fn run(self, store: Store, run: Run) -> Result<()> {
        let ctx = run.ctx();
        let mut tx = store.begin(ctx).await?;
        let (subject, version) = (subject_of(ctx), self.version);
        match store.destroy_retired_keys(&mut tx).await? {
            Destruction::Destroyed(keys) => {
                let data = json!({ "version": version, "destroyed": keys });
                tx.emit(NewEvent::new(ROTATION_FINISHED, subject, data)).await?;
            }
            // A transaction that began before the rotation ended after it.
            Destruction::Remaining(_) => {
                enqueue(&mut tx, &Reseal { version }, &subject, None).await?;
            }
        }
        run.complete(&mut tx).await?;
        tx.commit().await.map(drop)
    }

    async fn failed(&self, store: &Store, ctx: &Ctx, tx: &mut Tx, error: &Error) -> Result<()> {
        stuck(store, ctx, tx, self.version, error).await
    }
}

async fn stuck(store: &Store, ctx: &Ctx, tx: &mut Tx, version: u32, error: &Error) -> Result<()> {
    store.fail_rotation(tx, &error.to_string()).await?;
    let data = json!({ "version": version, "reason": error.reason() });
    tx.emit(NewEvent::new(ROTATION_STUCK, subject_of(ctx), data)).await.map(drop)
}

/// Wraps every data key of the installation with the current master key.
#[derive(Serialize, Deserialize)]
struct Rewrap {}

impl Step for Rewrap {
    type Domain = Store;
    const KIND: &'static str = "encryption.rewrap";
    const QUEUE: Queue = QUEUE;
    const ATTEMPTS_MAX: u32 = ATTEMPTS_MAX;

    async fn run(self, store: Store, run: Run) -> Result<()> {
        let ctx = run.ctx();
        let (mut after, mut rewrapped, mut failed) = ((String::new(), 0), 0, 0);
        let mut why = None;
        loop {
            if run.cancellation().is_cancelled() {
                return Err(Run::interrupted());
            }
            let batch = Box::pin(store.rewrap_batch(ctx, &after)).await?;
            rewrapped += batch.rewrapped;
            failed += batch.failed;
            why = batch.error.or(why);
            match batch.next {
                Some(next) => after = next,
                None => break,
            }
        }
        let mut tx = store.begin(ctx).await?;
        let data = json!({ "rewrapped": rewrapped, "failed": failed });
        tx.emit(NewEvent::new(REWRAP_FINISHED, "installation", data)).await?;
        match why {
            None => run.complete(&mut tx).await?,
            // What could be done stays done; the job tells of the rest.
            Some(why) => {
                tx.commit().await?;
                return Err(Error::new(
                    Code::Conflict,
                    "data_keys_left",
                    format!("{failed} data keys could not be wrapped anew: {}", why.message()),
                ));
            }
        }
        tx.commit().await.map(drop)
    }
}
