//! Models whose circuit is open are looked after in the background, so that no caller has to find out that they are back.

use std::{sync::Arc, time::Duration};

use plasma_kernel::{Ctx, Permission, Result, TenantId};
use tokio::time::Instant;

use crate::{Models, catalog::RemoteModel};

/// How often the provider of a model whose circuit is open is asked for its list of models.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// A provider that stays away for longer is found again by the requests that try it.
const PROBES_MAX: u32 = 120;

/// How a model at a provider has been doing lately, as this process saw it.
#[derive(Clone, Debug)]
pub struct ModelHealth {
    /// The model's name.
    pub model: String,
    /// Whether routes ask it last, because it failed several times in a row.
    pub circuit_open: bool,
    /// How long that lasts yet; 0 when the next request tries it. `None` when the circuit is closed.
    pub open_for_ms: Option<u64>,
    /// Failures since its last answer.
    pub failures_in_a_row: u32,
    /// The 95th percentile of the time to the first token; `None` without an answer.
    pub first_token_p95_ms: Option<u32>,
    /// Answers that the percentile is taken from, at most the last 128.
    pub samples: usize,
}

impl Models {
    /// How the tenant's chat models at providers have been doing in the last hour, as this process saw it; models that it has not
    /// called are absent.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn health(&self, ctx: &Ctx) -> Result<Vec<ModelHealth>> {
        ctx.require(Permission::ModelsRead)?;
        let (tenant, now) = (ctx.tenant()?, Instant::now());
        let models = self.chat_models(ctx).await?;
        let health = models.iter().filter_map(|model| {
            let condition = self.inner.health.look(tenant, &model.id, now)?;
            Some(ModelHealth {
                model: model.id.clone(),
                circuit_open: condition.open_for.is_some(),
                open_for_ms: condition.open_for.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
                failures_in_a_row: condition.failures_in_a_row,
                first_token_p95_ms: condition.first_token_p95_ms,
                samples: condition.samples,
            })
        });
        Ok(health.collect())
    }

    /// The circuit of `remote` has opened: its provider is asked for its list of models until it answers. That costs
    /// nothing; whether the model works too the next request finds out, alone.
    pub(super) fn probe(&self, tenant: TenantId, remote: &Arc<RemoteModel>) {
        let (models, remote) = (self.clone(), Arc::clone(remote));
        tokio::spawn(async move {
            for _ in 0..PROBES_MAX {
                tokio::time::sleep(PROBE_INTERVAL).await;
                let health = &models.inner.health;
                let still_open = |now| health.look(tenant, &remote.id, now).is_some_and(|seen| seen.open_for.is_some());
                if !still_open(Instant::now()) {
                    return;
                }
                if models.inner.client.list_models(&remote.endpoint).await.is_ok() {
                    health.may_be_tried(tenant, &remote.id, Instant::now());
                    return;
                }
            }
        });
    }
}
