//! What providers charge, from the snapshot of genai-prices in `models/prices.json` (made by `scripts/refresh_prices.py`).

mod batch;
mod book;
mod clause;
mod required;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use plasma_kernel::Timestamp;

pub(crate) use self::required::require_price;
use self::{batch::BatchPrice, book::Book};
use crate::{Price, PriceSnapshot, PriceSource, cost};

static BOOK: LazyLock<Book> = LazyLock::new(|| {
    Book::parse(include_str!("../../../models/prices.json")).unwrap_or_else(|error| {
        // A test excludes it. Without the book prices are unknown, which is not zero.
        tracing::error!(error, "models/prices.json is malformed: no public price is known");
        Book::default()
    })
});

/// What is known of a provider when its prices are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProviderHint<'a> {
    /// The word of its kind.
    pub(crate) kind: &'a str,
    /// Its address.
    pub(crate) base_url: &'a str,
}

/// A price of the snapshot, in US dollars.
#[derive(Debug)]
pub(crate) struct TieredPrice {
    pub(crate) price: Price,
    /// Where it comes from.
    pub(crate) snapshot: PriceSnapshot,
    /// The prices of calls that the provider's own batch API runs; the first that holds counts.
    batches: Vec<BatchPrice>,
}

impl TieredPrice {
    /// The price with that of batches at a time.
    pub(crate) fn at(&self, at: Timestamp) -> Price {
        let batch = self.batches.iter().find(|batch| batch.condition.holds(at));
        Price { batch: batch.map(|batch| Box::new(batch.price.clone())), ..self.price.clone() }
    }
}

/// The public price of a provider's model at a time. The provider is found by its address, or by its kind where that names one
/// service; servers that merely speak a protocol of OpenAI or Anthropic at another address have no public price. `None` too
/// when the snapshot knows neither what tokens read cost nor what tokens written cost.
pub(crate) fn find(provider_hint: &ProviderHint, upstream_model: &str, at: Timestamp) -> Option<&'static TieredPrice> {
    BOOK.find(provider_hint, upstream_model, at)
}

/// The price that counts for a model, and who says it: the administrator's own, as a whole, before the snapshot's.
pub(crate) fn effective(
    own: Option<Price>,
    provider_hint: &ProviderHint,
    upstream_model: &str,
    at: Timestamp,
) -> Option<(Price, PriceSource)> {
    match own {
        Some(price) if price.free => Some((cost::free(), PriceSource::Administrator)),
        Some(price) => Some((price, PriceSource::Administrator)),
        None => find(provider_hint, upstream_model, at)
            .map(|found| (found.at(at), PriceSource::Snapshot(found.snapshot.clone()))),
    }
}
