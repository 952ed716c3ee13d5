//! A model without a price is not called.

use plasma_kernel::{Error, Result};

use crate::{ModelKind, Price, catalog::RemoteModel};

/// The price of a model that may be called: one by which every call of it has a cost.
///
/// # Errors
/// `conflict` (`price_unknown`): an unpriced model is refused, because its calls would count as nothing.
pub(crate) fn require_price(remote: &RemoteModel) -> Result<&Price> {
    match &remote.price {
        Some(price) if price.is_complete(remote.kind) => Ok(price),
        _ => Err(price_unknown(&remote.id, remote.kind)),
    }
}

fn price_unknown(id: &str, kind: ModelKind) -> Error {
    if matches!(kind, ModelKind::Image | ModelKind::Transcription | ModelKind::Speech) {
        let message = format!("what a call of `{id}` costs is not known");
        return Error::conflict("price_unknown", message).field("model").remedy(
            "an administrator sets what a thousand calls cost (`call_price_micros_per_thousand`) or marks it as free with PUT \
             /api/v1/models/{id}/price, or in the dashboard under Models; there are no prices by the picture, the minute or \
             the character",
        );
    }
    let message = format!("what `{id}` costs is not known");
    if kind == ModelKind::Rerank {
        return Error::conflict("price_unknown", message).field("model").remedy(
            "an administrator sets what its input tokens or a thousand calls cost, or marks it as free, with PUT \
             /api/v1/models/{id}/price, or in the dashboard under Models",
        );
    }
    Error::conflict("price_unknown", message).field("model").remedy(
        "an administrator sets its price or marks it as free with PUT /api/v1/models/{id}/price, or in the dashboard under Models",
    )
}

#[cfg(test)]
mod tests {
    use plasma_kernel::{Code, ProviderId};

    use super::*;
    use crate::{
        ProviderKind, ProviderOptions, Rates,
        prices::{self, ProviderHint},
        upstream::Endpoint,
    };

    fn remote(kind: ModelKind, own: Option<Price>, upstream_name: &str) -> RemoteModel {
        let base_url = "https://api.openai.com/v1";
        let hint = ProviderHint { kind: "openai", base_url };
        // 2026-11-20.
        let price = prices::effective(own, &hint, upstream_name, 20_777 * 86_400_000_000).map(|(price, _)| price);
        RemoteModel {
            id: "acme/model".to_owned(),
            kind,
            upstream_name: upstream_name.to_owned(),
            dimensions: None,
            price,
            provider_id: ProviderId::from_bits(1),
            added_at: 0,
            endpoint: Endpoint::new("acme", ProviderKind::Openai, base_url, None, ProviderOptions::default()).unwrap(),
        }
    }

    #[test]
    fn a_model_without_a_whole_price_is_refused_until_it_is_priced_or_free() {
        let half = Price { rates: Rates { input: Some(1), ..Rates::default() }, ..Price::default() };
        for refused in [
            remote(ModelKind::Chat, None, "no-such-model"),
            remote(ModelKind::Chat, Some(half.clone()), "gpt-4o"),
            remote(ModelKind::Chat, None, "text-embedding-3-small"),
        ] {
            let error = require_price(&refused).unwrap_err();
            assert_eq!((error.code(), error.reason()), (Code::Conflict, "price_unknown"));
            assert_eq!(error.field_name(), Some("model"));
            assert!(error.remedy_text().is_some_and(|remedy| remedy.contains("PUT /api/v1/models/")));
        }
        let whole = Price { rates: Rates { output: Some(0), ..half.rates }, ..half.clone() };
        let free = Price { free: true, ..Price::default() };
        for allowed in [
            remote(ModelKind::Chat, Some(whole), "no-such-model"),
            remote(ModelKind::Chat, Some(free), "no-such-model"),
            remote(ModelKind::Embedding, Some(half), "no-such-model"),
            remote(ModelKind::Chat, None, "gpt-4o"),
            remote(ModelKind::Embedding, None, "text-embedding-3-small"),
        ] {
            assert!(require_price(&allowed).unwrap().is_complete(allowed.kind));
        }
    }
}
