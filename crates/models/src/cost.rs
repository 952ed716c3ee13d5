//! What a call costs, in integers only.

use plasma_kernel::Money;

use crate::{Price, TokenUsage};

const TOKENS_PER_PRICE: u128 = 1_000_000;

/// The price of calls that run in this process: nothing is paid for them.
pub(crate) fn free() -> Price {
    Price { input_micros_per_million: Some(0), output_micros_per_million: Some(0), currency: "USD".to_owned() }
}

/// The cost of `usage`, rounded up to the next millionth once. `None` when a price that is needed is unknown. Cached tokens
/// count as full input tokens: without a price of their own the result is an upper bound.
pub(crate) fn cost(price: Option<&Price>, usage: &TokenUsage) -> Option<Money> {
    let price = price?;
    let part = |tokens: u64, micros_per_million: Option<i64>| match (tokens, micros_per_million) {
        (0, _) => Some(0),
        (tokens, Some(micros)) => Some(u128::from(tokens) * u128::from(micros.unsigned_abs())),
        (_, None) => None,
    };
    // Each product is below 2^64 * 2^63, so the sum fits.
    let total = part(usage.input_tokens, price.input_micros_per_million)?
        + part(usage.output_tokens, price.output_micros_per_million)?;
    let amount_micros = i64::try_from(total.div_ceil(TOKENS_PER_PRICE)).unwrap_or(i64::MAX);
    Some(Money { amount_micros, currency: price.currency.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: Option<i64>, output: Option<i64>) -> Price {
        Price { input_micros_per_million: input, output_micros_per_million: output, currency: "EUR".to_owned() }
    }

    fn micros(price: &Price, input_tokens: u64, output_tokens: u64) -> Option<i64> {
        let usage = TokenUsage { input_tokens, cached_input_tokens: 0, output_tokens };
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
    }

    #[test]
    fn absurd_numbers_stop_at_the_maximum() {
        assert_eq!(micros(&price(Some(i64::MAX), Some(i64::MAX)), u64::MAX, u64::MAX), Some(i64::MAX));
    }
}
