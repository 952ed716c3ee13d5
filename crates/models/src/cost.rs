//! What a call costs, in integers only.

use plasma_kernel::Money;

use crate::{ModelKind, Price, Rates, TokenUsage};

const TOKENS_PER_PRICE: u128 = 1_000_000;
/// Calls are priced by the thousand; sums are in millionths of a millionth.
const CALL_SCALE: u128 = TOKENS_PER_PRICE / 1_000;

/// The price of what nothing is paid for: calls that run in this process, and models that an administrator marks as free.
pub(crate) fn free() -> Price {
    Price { rates: Rates { input: Some(0), output: Some(0), ..Rates::default() }, free: true, ..Price::default() }
}

/// The cost of `usage`, rounded up to the next millionth once. `None` when a price that is needed is unknown. Tokens read from
/// or written to a cache count as full input tokens where they have no price of their own, and thoughts as full output tokens.
pub(crate) fn cost(price: Option<&Price>, usage: &TokenUsage) -> Option<Money> {
    let price = price?;
    total(price, usage).map(|total| price.rounded_up(total))
}

/// The same for a call that the provider's own batch API ran: by the price of batches where one is known, else less the discount
/// that the administrator states, else in full.
pub(crate) fn batch_cost(price: Option<&Price>, usage: &TokenUsage) -> Option<Money> {
    let price = price?;
    if price.batch.is_some() {
        return cost(price.batch.as_deref(), usage);
    }
    let percent = price.batch_discount_percent.unwrap_or(0);
    total(price, usage).map(|total| price.rounded_up(less(total, percent)))
}

/// The total less so many percent, rounded up.
fn less(total: u128, percent: u32) -> u128 {
    let left = u128::from(100_u32.saturating_sub(percent));
    // Divided before it is multiplied: a total may be as large as its type allows.
    total / 100 * left + (total % 100 * left).div_ceil(100)
}

/// The cost in millionths of a millionth.
fn total(price: &Price, usage: &TokenUsage) -> Option<u128> {
    if price.free {
        return Some(0);
    }
    let rates = price.rates_of(usage.input_tokens);
    let own = |tokens: u64, rate: Option<i64>| rate.map_or(0, |_| tokens);
    let cached = own(usage.cached_input_tokens, rates.cached_input);
    let written = own(usage.cache_write_tokens, rates.cache_write);
    let thoughts = own(usage.reasoning_tokens, rates.reasoning);
    let parts = [
        (usage.input_tokens.saturating_sub(cached.saturating_add(written)), rates.input),
        (cached, rates.cached_input),
        (written, rates.cache_write),
        (usage.output_tokens.saturating_sub(thoughts), rates.output),
        (thoughts, rates.reasoning),
    ];
    let mut total = price.call_total();
    for (tokens, rate) in parts {
        total = total.saturating_add(product(tokens, rate)?);
    }
    Some(total)
}

/// `None` when there are tokens and no price for them.
fn product(tokens: u64, rate: Option<i64>) -> Option<u128> {
    match (tokens, rate) {
        (0, _) => Some(0),
        // Below 2^64 * 2^63.
        (tokens, Some(rate)) => Some(u128::from(tokens) * u128::from(rate.unsigned_abs())),
        (_, None) => None,
    }
}

impl Price {
    /// The most that a call can cost which reads and writes at most so many tokens, whatever a cache does and whatever is
    /// thought: no [`cost`] within these limits is higher. `None` when a price that may be needed is unknown.
    pub(crate) fn worst_case(&self, input_tokens_max: u64, output_tokens_max: u64) -> Option<Money> {
        if self.free {
            return Some(self.money(0));
        }
        let tiers = self.tiers.iter().filter(|tier| tier.above_input_tokens < input_tokens_max);
        let mut input = Some(0);
        let mut output = Some(0);
        for rates in std::iter::once(self.rates).chain(tiers.map(|tier| tier.rates)) {
            let read = rates.input.map(|rate| rate.max(rates.cached_input.max(rates.cache_write).unwrap_or(0)));
            let written = rates.output.map(|rate| rate.max(rates.reasoning.unwrap_or(0)));
            input = input.zip(read).map(|(dearest, rate)| rate.max(dearest));
            output = output.zip(written).map(|(dearest, rate)| rate.max(dearest));
        }
        let total = product(input_tokens_max, input)?.saturating_add(product(output_tokens_max, output)?);
        Some(self.rounded_up(total.saturating_add(self.call_total())))
    }

    /// Whether every call of a model of this kind has a cost.
    pub(crate) fn is_complete(&self, kind: ModelKind) -> bool {
        let only_reads = matches!(kind, ModelKind::Embedding | ModelKind::Rerank);
        let complete = |rates: Rates| rates.input.is_some() && (only_reads || rates.output.is_some());
        let by_tokens = complete(self.rates) && self.tiers.iter().all(|tier| complete(tier.rates));
        match kind {
            ModelKind::Chat | ModelKind::Embedding => self.free || by_tokens,
            // Some providers count the tokens of a reranker's call, others only the call.
            ModelKind::Rerank => {
                let by_the_call = self.rates.input.is_none() && self.call_micros_per_thousand.is_some();
                self.free || by_tokens || by_the_call
            }
            // Their pictures, minutes and characters are not counted: such a call has a price for itself.
            ModelKind::Image | ModelKind::Transcription | ModelKind::Speech => {
                self.free || self.call_micros_per_thousand.is_some()
            }
        }
    }

    /// The prices of a call that reads so many tokens: those of the highest tier that it is above.
    pub(crate) fn rates_of(&self, input_tokens: u64) -> Rates {
        let reached = self.tiers.iter().rev().find(|tier| input_tokens > tier.above_input_tokens);
        reached.map_or(self.rates, |tier| tier.rates)
    }

    fn call_total(&self) -> u128 {
        u128::from(self.call_micros_per_thousand.unwrap_or(0).unsigned_abs()) * CALL_SCALE
    }

    fn rounded_up(&self, total: u128) -> Money {
        self.money(i64::try_from(total.div_ceil(TOKENS_PER_PRICE)).unwrap_or(i64::MAX))
    }

    /// An amount in this price's currency.
    pub(crate) fn money(&self, amount_micros: i64) -> Money {
        Money { amount_micros, currency: self.currency.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PriceTier;

    fn price(input: Option<i64>, output: Option<i64>) -> Price {
        Price { rates: Rates { input, output, ..Rates::default() }, currency: "EUR".to_owned(), ..Price::default() }
    }

    fn micros(price: &Price, input_tokens: u64, output_tokens: u64) -> Option<i64> {
        cost_of(price, TokenUsage { input_tokens, output_tokens, ..TokenUsage::default() })
    }

    fn cost_of(price: &Price, usage: TokenUsage) -> Option<i64> {
        cost(Some(price), &usage).map(|money| money.amount_micros)
    }

    #[test]
    fn tokens_are_multiplied_and_rounded_up_once() {
        // 2.50 and 10.00 a million.
        let price = price(Some(2_500_000), Some(10_000_000));
        assert_eq!(micros(&price, 1_000_000, 1_000_000), Some(12_500_000));
        assert_eq!(micros(&price, 1, 0), Some(3)); // 2.5
        assert_eq!(micros(&price, 1, 1), Some(13)); // 12.5, not 3 + 10 rounded each
        assert_eq!(micros(&price, 2, 0), Some(5));
        assert_eq!(micros(&price, 0, 0), Some(0));
    }

    #[test]
    fn an_unknown_price_is_no_cost_rather_than_zero() {
        assert_eq!(cost(None, &TokenUsage::default()), None);
        assert_eq!(micros(&price(Some(1), None), 10, 1), None);
        // An embedding writes no tokens, so it needs no output price.
        assert_eq!(micros(&price(Some(1_000_000), None), 10, 0), Some(10));
        assert_eq!(micros(&free(), 10, 10), Some(0));
        assert_eq!(price(Some(1), None).worst_case(10, 1), None);
        assert_eq!(price(None, Some(1)).worst_case(1, 1), None);
        assert!(price(Some(1), None).is_complete(ModelKind::Embedding));
        assert!(!price(Some(1), None).is_complete(ModelKind::Chat));
        assert!(free().is_complete(ModelKind::Chat));
    }

    #[test]
    fn cached_tokens_have_their_own_prices_or_the_full_one() {
        let usage = TokenUsage {
            input_tokens: 100,
            cached_input_tokens: 60,
            cache_write_tokens: 30,
            output_tokens: 10,
            reasoning_tokens: 4,
        };
        let mut price = price(Some(1_000_000), Some(5_000_000));
        assert_eq!(cost_of(&price, usage), Some(100 + 50));
        price.rates.cached_input = Some(100_000);
        assert_eq!(cost_of(&price, usage), Some(40 + 6 + 50));
        price.rates.cache_write = Some(1_250_000);
        assert_eq!(cost_of(&price, usage), Some(10 + 6 + 38 + 50)); // 37.5, rounded up in the sum
        price.rates.reasoning = Some(2_000_000);
        assert_eq!(cost_of(&price, usage), Some(10 + 6 + 38 + 30 + 8));
        // 12 for a thousand calls: 0.012 for one.
        price.call_micros_per_thousand = Some(12_000_000);
        assert_eq!(cost_of(&price, usage), Some(92 + 12_000));
        assert_eq!(cost_of(&price, TokenUsage::default()), Some(12_000));
        // A provider that counts cached tokens beside the others instead of among them does not make the rest negative.
        price.call_micros_per_thousand = None;
        let beside = TokenUsage { input_tokens: 10, cached_input_tokens: 60, ..TokenUsage::default() };
        assert_eq!(cost_of(&price, beside), Some(6));
    }

    #[test]
    fn a_batch_costs_less_by_its_discount_or_its_own_price() {
        let usage = TokenUsage { input_tokens: 3, output_tokens: 1, ..TokenUsage::default() };
        let batch = |price: &Price| batch_cost(Some(price), &usage).map(|money| (money.amount_micros, money.currency));
        let euros = |micros: i64| Some((micros, "EUR".to_owned()));
        // 2.50 and 10.00 a million: 17.5, and 8.75 of it.
        let mut price = price(Some(2_500_000), Some(10_000_000));
        assert_eq!(batch(&price), euros(18));
        price.batch_discount_percent = Some(50);
        assert_eq!(batch(&price), euros(9));
        assert_eq!(micros(&price, 3, 1), Some(18), "other calls cost what they did");
        // Budgets are told the worst case, whoever runs the call.
        assert_eq!(price.worst_case(3, 1).map(|money| money.amount_micros), Some(18));
        price.batch_discount_percent = Some(33);
        assert_eq!(batch(&price), euros(12)); // 11.725
        price.batch_discount_percent = Some(100);
        assert_eq!(batch(&price), euros(0));
        price.call_micros_per_thousand = Some(1_000_000);
        price.batch_discount_percent = Some(20);
        assert_eq!(batch(&price), euros(814)); // 17.5 and 1,000, less a fifth
        price.batch = Some(Box::new(self::price(Some(1_000_000), Some(1_000_000))));
        assert_eq!(batch(&price), euros(4));
        assert_eq!(batch_cost(Some(&free()), &usage).map(|money| money.amount_micros), Some(0));
        assert_eq!(batch_cost(None, &usage), None);
        assert_eq!([less(u128::MAX, 0), less(u128::MAX, 100), less(1, 99)], [u128::MAX, 0, 1]);
    }

    fn tiered() -> Price {
        let rates = |input, output| Rates { input: Some(input), output: Some(output), ..Rates::default() };
        let mut price = price(Some(1_000_000), Some(3_000_000));
        price.tiers = vec![
            PriceTier { above_input_tokens: 100, rates: rates(2_000_000, 4_000_000) },
            PriceTier { above_input_tokens: 1_000, rates: rates(500_000, 9_000_000) },
        ];
        price
    }

    #[test]
    fn a_tier_holds_for_all_tokens_of_a_call_above_it() {
        let price = tiered();
        assert_eq!(micros(&price, 100, 1), Some(103));
        assert_eq!(micros(&price, 101, 1), Some(206));
        assert_eq!(micros(&price, 1_000, 1), Some(2_004));
        assert_eq!(micros(&price, 1_001, 0), Some(501)); // 500.5
    }

    #[test]
    fn the_worst_case_is_the_dearest_tier_that_can_apply() {
        let price = tiered();
        let worst = |input, output| price.worst_case(input, output).map(|money| money.amount_micros);
        assert_eq!(worst(100, 1), Some(103));
        assert_eq!(worst(101, 1), Some(206));
        // The highest tier reads for less, but a call of 1,000 tokens would not reach it.
        assert_eq!(worst(1_001, 1), Some(2_002 + 9));
        assert_eq!(free().worst_case(u64::MAX, u64::MAX).map(|money| money.amount_micros), Some(0));
    }

    #[test]
    fn absurd_numbers_stop_at_the_maximum() {
        let mut price = price(Some(i64::MAX), Some(i64::MAX));
        price.rates.cached_input = Some(i64::MAX);
        price.rates.cache_write = Some(i64::MAX);
        price.rates.reasoning = Some(i64::MAX);
        price.call_micros_per_thousand = Some(i64::MAX);
        let all = u64::MAX;
        assert_eq!(micros(&price, all, all), Some(i64::MAX));
        let usage = TokenUsage {
            input_tokens: all,
            cached_input_tokens: all,
            cache_write_tokens: all,
            output_tokens: all,
            reasoning_tokens: all,
        };
        assert_eq!(cost_of(&price, usage), Some(i64::MAX));
        assert_eq!(price.worst_case(all, all).map(|money| money.amount_micros), Some(i64::MAX));
    }
}
