//! What calls cost that a provider's own batch API runs, where the snapshot says it.

use super::book::Condition;
use crate::{Price, PriceTier, Rates};

/// A price of batches, with what must hold for it.
#[derive(Debug)]
pub(super) struct BatchPrice {
    pub(super) condition: Condition,
    pub(super) price: Price,
}

/// The price of a call in a batch: what `batch` says in the place of `standard`, part by part, as genai-prices has it. What
/// `batch` leaves out costs what it costs in other calls.
pub(super) fn overlaid(standard: &Price, batch: &Price) -> Price {
    let mut limits: Vec<u64> = standard.tiers.iter().chain(&batch.tiers).map(|tier| tier.above_input_tokens).collect();
    limits.sort_unstable();
    limits.dedup();
    let tier = |above_input_tokens: u64| {
        let first = above_input_tokens.saturating_add(1);
        PriceTier { above_input_tokens, rates: rates(standard.rates_of(first), batch.rates_of(first)) }
    };
    Price {
        rates: rates(standard.rates, batch.rates),
        call_micros_per_thousand: batch.call_micros_per_thousand.or(standard.call_micros_per_thousand),
        tiers: limits.into_iter().map(tier).collect(),
        currency: standard.currency.clone(),
        ..Price::default()
    }
}

fn rates(standard: Rates, batch: Rates) -> Rates {
    Rates {
        input: batch.input.or(standard.input),
        cached_input: batch.cached_input.or(standard.cached_input),
        cache_write: batch.cache_write.or(standard.cache_write),
        output: batch.output.or(standard.output),
        reasoning: batch.reasoning.or(standard.reasoning),
    }
}
