//! What routes think of their candidates by the quality of earlier answers.

use std::collections::HashMap;

use plasma_kernel::Ctx;

use super::plan::{ANSWER_TOKENS, Demand, excluded};
use crate::{
    Model, Models, Route, Strategy, TokenUsage, cost,
    quality::{Arm, Rated},
};

/// Ratings by the model's name; empty where the strategy does not look at quality.
pub(super) struct QualityRatings(HashMap<String, Rated>);

impl QualityRatings {
    pub(super) fn of(&self, model: &str) -> Rated {
        self.0.get(model).cloned().unwrap_or_else(|| (f64::INFINITY, "not rated".to_owned()))
    }
}

impl Models {
    /// Rates those of a route's candidates that may be asked. Scores that cannot be read stop no call: then nothing is measured.
    pub(super) async fn quality_ratings(
        &self,
        ctx: &Ctx,
        route: &Route,
        task: &str,
        listed: &[(Model, u32)],
        demand: &Demand,
    ) -> QualityRatings {
        let strategy = route.settings.strategy;
        if !matches!(strategy, Strategy::Bandit | Strategy::HighestQuality) {
            return QualityRatings(HashMap::new());
        }
        let book = self.inner.quality.book(ctx).await.unwrap_or_else(|error| {
            tracing::warn!(?error, "the quality of models could not be read");
            Default::default()
        });
        let usage = TokenUsage { input_tokens: demand.tokens, output_tokens: ANSWER_TOKENS, ..TokenUsage::default() };
        let arms: Vec<Arm<'_>> = listed
            .iter()
            .filter(|(model, _)| excluded(&route.settings, model, demand).is_none())
            .map(|(model, _)| Arm {
                model: &model.id,
                cost_micros: cost::cost(model.price.as_ref(), &usage).map(|cost| cost.amount_micros),
            })
            .collect();
        let rated = book.rate(strategy, &route.name, task, &arms, ctx.random());
        QualityRatings(arms.iter().map(|arm| arm.model.to_owned()).zip(rated).collect())
    }
}
