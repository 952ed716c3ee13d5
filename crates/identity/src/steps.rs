//! The background steps that this crate offers.

use std::time::Duration;

use plasma_kernel::{Ctx, Error, ExportId, Result, TenantId};
use plasma_store::Tx;
use plasma_workflows::{Queue, Run, Step, Workflows};
use serde::{Deserialize, Serialize};

use crate::{Identity, erasure, exports};

/// How often ends are looked for: of grace periods, archives and invitations.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(600);
/// Work on whole tenants, which takes long and hurries nobody.
const TENANTS: Queue = Queue { name: "identity.tenants", concurrency: 2 };

impl Identity {
    /// Makes `workflows` able to run this crate's steps, and keeps their schedule. Before [`Workflows::start`].
    pub fn register_tenant_steps(&self, workflows: &Workflows) {
        workflows.register::<WriteExport>(self.clone());
        workflows.register::<EraseTenant>(self.clone());
        workflows.register::<TenantUpkeep>(self.clone());
        workflows.every("identity.tenant_upkeep", UPKEEP_INTERVAL, || TenantUpkeep {});
    }
}

/// Writes a copy of all that the job's tenant has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WriteExport {
    pub(crate) export: ExportId,
}

impl Step for WriteExport {
    type Domain = Identity;
    const KIND: &'static str = "identity.export";
    const QUEUE: Queue = TENANTS;
    // Taking one's data out is what is left to do in a closed tenant.
    const WHILE_SUSPENDED: bool = true;

    async fn run(self, identity: Identity, run: Run) -> Result<()> {
        exports::run(&identity, self.export, &run).await
    }

    async fn failed(&self, _identity: &Identity, _ctx: &Ctx, tx: &mut Tx, error: &Error) -> Result<()> {
        exports::fail(tx, self.export, error).await
    }
}

/// Erases a tenant whose grace period is over. A job of the installation: the tenant's own jobs are erased with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EraseTenant {
    pub(crate) tenant: TenantId,
}

impl Step for EraseTenant {
    type Domain = Identity;
    const KIND: &'static str = "identity.erase_tenant";
    const QUEUE: Queue = TENANTS;
    const ATTEMPTS_MAX: u32 = 12;

    async fn run(self, identity: Identity, run: Run) -> Result<()> {
        erasure::run(&identity, self.tenant, &run).await
    }

    async fn failed(&self, _identity: &Identity, _ctx: &Ctx, tx: &mut Tx, _error: &Error) -> Result<()> {
        erasure::try_again_later(tx, self.tenant).await
    }
}

/// Looks for what has come to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TenantUpkeep {}

impl Step for TenantUpkeep {
    type Domain = Identity;
    const KIND: &'static str = "identity.tenant_upkeep";
    const QUEUE: Queue = Queue { name: "maintenance", concurrency: 1 };

    async fn run(self, identity: Identity, run: Run) -> Result<()> {
        erasure::upkeep(&identity, &run).await
    }
}
