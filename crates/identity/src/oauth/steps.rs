//! What the authorization server does by itself, once an hour.

use std::time::Duration;

use plasma_kernel::{Ctx, Result};
use plasma_workflows::{Queue, Run, Step, Workflows};
use serde::{Deserialize, Serialize};

use super::{CODE_MICROS, GRACE_MICROS, REFRESH_TOKEN_MICROS};
use crate::{Identity, store};

const INTERVAL: Duration = Duration::from_secs(3_600);
/// A code that has ended is remembered for a day, so that a second use of it is noticed.
const CODES_KEPT_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// Renews the keys that sign ID tokens, and removes codes and tokens that have ended.
#[derive(Serialize, Deserialize)]
pub(crate) struct MaintainOAuth {}

impl Step for MaintainOAuth {
    type Domain = Identity;
    const KIND: &'static str = "identity.oauth.maintain";
    const QUEUE: Queue = Queue { name: "maintenance", concurrency: 1 };

    async fn run(self, domain: Identity, run: Run) -> Result<()> {
        Box::pin(domain.maintain_oauth(run.ctx())).await
    }
}

impl Identity {
    /// Registers the hourly work of the authorization server.
    pub fn register_oauth_steps(&self, workflows: &Workflows) {
        workflows.register::<MaintainOAuth>(self.clone());
        workflows.every("identity.oauth.maintain", INTERVAL, || MaintainOAuth {});
    }

    /// Renews the keys that sign ID tokens when the newest is 90 days old, and removes codes and tokens that have ended. Doing it
    /// again changes nothing.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn maintain_oauth(&self, ctx: &Ctx) -> Result<()> {
        let ctx = self.across_tenants(ctx);
        self.maintain_signing_keys(&ctx).await?;
        let now = ctx.now();
        let mut tx = self.inner.store.begin(&ctx).await?;
        let mut removed =
            store::oauth_tokens::purge(&mut tx, now, now - GRACE_MICROS, now - REFRESH_TOKEN_MICROS).await?;
        removed += store::oauth_codes::purge(&mut tx, now - CODE_MICROS - CODES_KEPT_MICROS).await?;
        removed += store::oauth_devices::purge(&mut tx, now).await?;
        tx.commit().await?;
        tracing::debug!(removed, "removed codes and tokens that have ended");
        Ok(())
    }
}
