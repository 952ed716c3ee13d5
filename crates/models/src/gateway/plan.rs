//! Who may answer a question, and how persistently they are asked.

use plasma_kernel::{Ctx, Result};

use crate::{
    ModelKind, Models, Purpose,
    catalog::Target,
    cost,
    running_call::CallStart,
};

/// The candidates for a question, best first.
pub(crate) struct Plan {
    /// The route that chose them; `None` when the caller named a model.
    pub(crate) route: Option<String>,
    pub(crate) candidates: Vec<Target>,
    pub(crate) policy: Policy,
}

/// How persistently candidates are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Attempts at one candidate, the first included.
    pub(crate) attempts_max: u32,
}

impl Models {
    /// The plan for the name that a caller gave, or for the default chat model.
    ///
    /// # Errors
    /// `not_found` (`model_not_found`), `invalid` for a model that cannot chat.
    pub(crate) async fn plan_chat(&self, ctx: &Ctx, name: Option<&str>) -> Result<Plan> {
        let target = self.resolve(ctx, name, ModelKind::Chat).await?;
        let policy = Policy { attempts_max: self.inner.config.attempts_max };
        Ok(Plan { route: None, candidates: vec![target], policy })
    }
}

impl Target {
    /// What a call's record says of this candidate.
    pub(super) fn call_start(&self, purpose: Purpose, streamed: bool, route: Option<String>) -> CallStart {
        let price = match self {
            Self::Local(_) => Some(cost::free()),
            Self::Remote(remote) => remote.price.clone(),
        };
        CallStart { model: self.id().to_owned(), kind: ModelKind::Chat, purpose, streamed, price, route }
    }
}
