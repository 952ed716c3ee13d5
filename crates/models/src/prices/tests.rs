use std::time::Instant;

use plasma_kernel::day_of_date;

use super::*;
use crate::{ModelKind, Rates, TokenUsage, calls::DAY_MICROS, cost};

/// Rows as `scripts/price_samples.py` describes them.
type Sample = (String, String, i64, u64, u64, u64, u64, u64, Option<String>, Option<i64>);

fn samples() -> Vec<Sample> {
    serde_json::from_str(include_str!("samples.json")).unwrap()
}

fn at(year: i64, month: i64, day: i64, minutes: i64) -> i64 {
    day_of_date(year, month, day).unwrap() * DAY_MICROS + minutes * 60_000_000
}

fn hint<'a>(kind: &'a str, base_url: &'a str) -> ProviderHint<'a> {
    ProviderHint { kind, base_url }
}

#[test]
fn costs_are_those_that_genai_prices_computes() {
    let samples = samples();
    assert!(samples.len() >= 300, "{}", samples.len());
    let mut costs = 0;
    for sample in samples {
        let (base_url, model, at, read, cached, written, output, thoughts, expected_model, expected_cost) = &sample;
        let found = find(&hint("openai", base_url), model, *at);
        assert_eq!(found.map(|found| &*found.snapshot.model), expected_model.as_deref(), "{sample:?}");
        let usage = TokenUsage {
            input_tokens: *read,
            cached_input_tokens: *cached,
            cache_write_tokens: *written,
            output_tokens: *output,
            reasoning_tokens: *thoughts,
        };
        let cost = cost::cost(found.map(|found| &found.price), &usage).map(|money| money.amount_micros);
        assert_eq!(cost, *expected_cost, "{sample:?}, {found:?}");
        let Some((found, cost)) = found.zip(cost) else { continue };
        costs += 1;
        if let Some(worst) = found.price.worst_case(*read, *output) {
            assert!(worst.amount_micros >= cost, "{sample:?}: {worst:?}");
        }
    }
    assert!(costs >= 300, "only {costs} samples have a cost");
}

#[test]
fn every_pattern_of_the_book_compiles_and_its_facts_are_stated() {
    let mut prices = 0;
    for provider in &BOOK.providers {
        assert!(provider.address.compiled().is_some());
        for model in &provider.models {
            assert!(!model.prices.is_empty());
            assert!(model.clause.patterns().iter().all(|pattern| pattern.compiled().is_some()));
            prices += model.prices.len();
        }
    }
    assert!(prices > 2_000, "{prices}");
}

/// The first call of a process reads the book: about 8 ms where this was written. Only a disaster fails here, because a busy
/// machine is slower.
#[test]
fn the_book_is_read_quickly() {
    let text = include_str!("../../../../models/prices.json");
    let quickest = (0..5)
        .map(|_| {
            let started = Instant::now();
            Book::parse(text).unwrap();
            started.elapsed()
        })
        .min()
        .unwrap();
    println!("models/prices.json, {} bytes, is read in {quickest:?}", text.len());
    assert!(quickest.as_millis() < 100, "{quickest:?}");
}

#[test]
fn providers_are_found_by_address_and_services_also_by_kind() {
    let now = at(2026, 11, 20, 0);
    let provider = |kind, base_url, model: &str| {
        find(&hint(kind, base_url), model, now).map(|found| found.snapshot.provider.to_string())
    };
    assert_eq!(provider("openai", "https://api.openai.com/v1", "gpt-4o").as_deref(), Some("openai"));
    assert_eq!(provider("openai", "https://api.groq.com/openai/v1", "openai/gpt-oss-120b").as_deref(), Some("groq"));
    // Azure's own price list comes first, then those of the vendors that it offers.
    let azure = "https://acme.openai.azure.com/openai/v1";
    assert_eq!(provider("openai", azure, "claude-sonnet-4-5").as_deref(), Some("anthropic"));
    assert_eq!(provider("azure", "https://models.internal/v1", "gpt-4o").as_deref(), Some("openai"));
    assert_eq!(provider("bedrock", "https://vpce-1.example", "amazon.nova-pro-v1:0").as_deref(), Some("aws"));
    assert_eq!(provider("gemini", "https://gateway.internal", "gemini-2.5-flash").as_deref(), Some("google"));
    // A server that speaks a protocol is not the company that made the protocol.
    assert_eq!(provider("openai", "http://127.0.0.1:8000/v1", "gpt-4o"), None);
    assert_eq!(provider("anthropic", "http://127.0.0.1:8000", "claude-sonnet-4-5"), None);
    assert_eq!(provider("openai", "https://proxy.example/?to=https://api.openai.com", "gpt-4o"), None);
    assert_eq!(provider("openai", "", ""), None);
}

fn book(models: &str) -> Result<Book, String> {
    Book::parse(&format!(
        r#"{{"header":{{"version":"1"}},"providers":[{{"id":"p","address":"https://p/","models":[{models}]}}]}}"#
    ))
}

fn input_at(book: &Book, model: &str, at: i64) -> Option<i64> {
    book.find(&hint("openai", "https://p/v1"), model, at)?.price.rates.input
}

#[test]
fn the_last_price_that_holds_counts_and_else_the_first() {
    let book = book(
        r#"{"id":"m","match":"m","prices":[{"from":"2026-03-01","input":1},{"from":"2026-04-01","input":2},
            {"between":["22:00","02:30"],"input":3}]},
           {"id":"day","match":"day","prices":[{"input":5},{"between":["09:00","17:00"],"input":6}]}"#,
    )
    .unwrap();
    let input = |at| input_at(&book, "m", at);
    assert_eq!(input(at(2025, 1, 1, 12 * 60)), Some(1));
    assert_eq!(input(at(2026, 4, 1, 0) - 1), Some(3));
    assert_eq!(input(at(2026, 3, 31, 22 * 60) - 1), Some(1));
    assert_eq!(input(at(2026, 4, 1, 0)), Some(3));
    assert_eq!(input(at(2026, 4, 1, 150) - 1), Some(3));
    assert_eq!(input(at(2026, 4, 1, 150)), Some(2));
    assert_eq!(input(-1), Some(3));
    assert_eq!([i64::MIN, i64::MAX].map(|time| input(time).is_some()), [true, true]);
    let input = |minutes| input_at(&book, "day", at(2026, 4, 1, minutes));
    assert_eq!([9 * 60 - 1, 9 * 60, 17 * 60 - 1, 17 * 60].map(input), [Some(5), Some(6), Some(6), Some(5)]);
    let found = book.find(&hint("", "https://p/"), "m", at(2026, 5, 1, 600)).unwrap();
    assert_eq!(found.snapshot.effective_date.as_deref(), Some("2026-04-01"));
}

#[test]
fn a_batch_costs_what_its_variant_names_and_else_what_other_calls_cost() {
    let book = book(
        r#"{"id":"m","match":"m","prices":[{"input":100,"cache_read":10,"output":300,"requests_kcount":7},
             {"from":"2027-01-01","input":200,"output":600}],
            "variants":[{"when":{"processing":"batch","speed":"fast"},"input":1},{"when":{"service_tier":"flex"},"input":2},
             {"when":{"processing":"batch"},"audio_hours":3},{"when":{"processing":"batch"},"from":"2027-01-01","input":90},
             {"when":{"processing":"batch"},"from":"2026-10-14","input":50,"output":150}]},
           {"id":"t","match":"t","prices":[{"input":100,"output":300,"tiers":[{"above":1000,"input":200,"output":450}]}],
            "variants":[{"when":{"processing":"batch"},"input":50,"output":150,"tiers":[{"above":2000,"input":100,"output":225}]}]}"#,
    )
    .unwrap();
    let batch =
        |model: &str, time: i64| book.find(&hint("openai", "https://p/v1"), model, time).unwrap().at(time).batch;
    let rates = |model: &str, time: i64| {
        let price = batch(model, time).unwrap();
        let rates = price.rates;
        (rates.input, rates.cached_input, rates.output, price.call_micros_per_thousand)
    };
    assert_eq!(batch("m", at(2026, 10, 14, 0) - 1), None);
    assert_eq!(rates("m", at(2026, 10, 14, 0)), (Some(50), Some(10), Some(150), Some(7)));
    assert_eq!(rates("m", at(2027, 1, 1, 0) - 1), (Some(50), Some(10), Some(150), Some(7)));
    assert_eq!(rates("m", at(2027, 1, 1, 0)), (Some(90), None, Some(600), None));
    let tiers = batch("t", 0).unwrap().tiers;
    let tiers: Vec<_> =
        tiers.iter().map(|tier| (tier.above_input_tokens, tier.rates.input, tier.rates.output)).collect();
    assert_eq!(tiers, [(1_000, Some(50), Some(150)), (2_000, Some(100), Some(225))]);
}

#[test]
fn the_snapshot_knows_prices_of_batches() {
    let now = at(2026, 11, 20, 0);
    let (price, _) = effective(None, &hint("openai", "https://api.openai.com/v1"), "gpt-4o", now).unwrap();
    let usage = TokenUsage { input_tokens: 1_000_000, output_tokens: 1_000_000, ..TokenUsage::default() };
    let micros = |money: Option<plasma_kernel::Money>| money.map(|money| money.amount_micros);
    // OpenAI's published prices: half of 2.50 and of 10.00 USD.
    assert_eq!(micros(cost::cost(Some(&price), &usage)), Some(12_500_000));
    assert_eq!(micros(cost::batch_cost(Some(&price), &usage)), Some(6_250_000));
    let known = BOOK
        .providers
        .iter()
        .flat_map(|provider| &provider.models)
        .filter(|model| model.prices.iter().any(|conditional| conditional.tiered.at(now).batch.is_some()));
    assert!(known.count() > 90);
}

#[test]
fn the_first_clause_that_matches_counts() {
    let book = book(
        r#"{"id":"a","match":"exact","prices":[{"input":1}]},
           {"id":"b","match":[{"starts_with":"pre-"},{"all":[{"contains":"mid"},{"not":{"ends_with":"-tts"}}]}],"prices":[{"input":2}]},
           {"id":"c","match":{"regex":"^v\\d+$"},"prices":[{"input":3}]},
           {"id":"d","match":{"regex":"("},"prices":[{"input":4}]},
           {"id":"e","match":{"contains":"2025-12-11"},"prices":[{"input":5}]},
           {"id":"f","match":"unpriced","prices":[{"input_audio":9}]},
           {"id":"g","match":{"contains":"x"},"prices":[{"input":6}]}"#,
    )
    .unwrap();
    let input = |model: &str| input_at(&book, model, 0);
    for (model, expected) in [
        ("EXACT", Some(1)),
        ("pre-x", Some(2)),
        ("a-mid-z", Some(2)),
        ("a-mid-tts", None),
        ("v12", Some(3)),
        ("v12x", Some(6)),
        ("(", None),
        ("m-20251211", Some(5)),
        ("m-20251211:batch", Some(5)),
        ("m-20251211-20251212", Some(5)),
        ("m-202512111", None),
        ("m-20251311", None),
        ("m-2025-12-11", Some(5)),
        ("m-2025121é", None),
        ("unpriced", None),
        ("", None),
    ] {
        assert_eq!(input(model), expected, "{model}");
    }
}

#[test]
fn a_hostile_book_is_refused_and_breaks_nothing() {
    for wrong in [
        r#"{"id":"m","match":"m","prices":[{"input":-1}]}"#,
        r#"{"id":"m","match":"m","prices":[{"input":1.5}]}"#,
        r#"{"id":"m","match":"m","prices":[{"output":9223372036854775807}]}"#,
        r#"{"id":"m","match":"m","prices":[{"input":99999999999999999999}]}"#,
        r#"{"id":"m","match":"m","prices":[{"input":1,"tiers":[{"above":2,"input":-1}]}]}"#,
        r#"{"id":"m","match":"m","prices":[{"input":1,"tiers":[{"above":2,"input":1},{"above":2,"input":1}]}]}"#,
        r#"{"id":"m","match":"m","prices":[{"input":1,"tiers":[{"input":1}]}]}"#,
        r#"{"id":"m","match":"m","prices":[{"from":"2026-02-30","input":1}]}"#,
        r#"{"id":"m","match":"m","prices":[{"from":"2026-2-3","input":1}]}"#,
        r#"{"id":"m","match":"m","prices":[{"from":"é","input":1}]}"#,
        r#"{"id":"m","match":"m","prices":[{"between":["24:00","01:00"],"input":1}]}"#,
        r#"{"id":"m","match":"m","prices":[{"between":["00:60","01:00"],"input":1}]}"#,
        r#"{"id":"m","match":"m","prices":[{"between":["+1:00","01:00"],"input":1}]}"#,
        r#"{"id":"m","match":"m","prices":[{"between":["01:00"],"input":1}]}"#,
        r#"{"id":"m","match":"m","prices":[{"from":"2026-01-01","between":["01:00","02:00"],"input":1}]}"#,
        r#"{"id":"m","match":{"unknown":"m"},"prices":[]}"#,
        r#"{"id":"m","match":7,"prices":[]}"#,
        r#"{"id":"m","match":"m"}"#,
        r#"{"id":"m","match":"m","prices":[{"input":1}],"variants":[{"when":{"processing":"batch"},"input":-1}]}"#,
        r#"{"id":"m","match":"m","prices":[{"input":1}],"variants":[{"when":"batch","input":1}]}"#,
    ] {
        assert!(book(wrong).is_err(), "{wrong}");
    }
    assert!(Book::parse("").is_err());
    assert!(Book::parse(&"[".repeat(100_000)).is_err());
    let deep = format!(r#"{{"id":"m","match":{}"m"{},"prices":[]}}"#, "[".repeat(50_000), "]".repeat(50_000));
    assert!(book(&deep).is_err());
    // No price at all, and a pattern that would take gigabytes: nothing is found.
    let odd = book(
        r#"{"id":"m","match":"m","prices":[]},{"id":"n","match":{"regex":"(?:\\w{1000}){1000}"},"prices":[{"input":1}]}"#,
    )
    .unwrap();
    assert_eq!((input_at(&odd, "m", 0), input_at(&odd, "n", 0)), (None, None));
}

#[test]
fn an_administrators_price_comes_before_the_snapshot() {
    let openai = hint("openai", "https://api.openai.com/v1");
    let now = at(2026, 11, 20, 0);
    let own = Price { rates: Rates { input: Some(1), ..Rates::default() }, ..Price::default() };
    assert_eq!(effective(Some(own.clone()), &openai, "gpt-4o", now), Some((own, PriceSource::Administrator)));
    let free = Price { free: true, ..Price::default() };
    assert_eq!(effective(Some(free), &openai, "gpt-4o", now), Some((cost::free(), PriceSource::Administrator)));
    let (price, source) = effective(None, &openai, "gpt-4o", now).unwrap();
    assert!(price.is_complete(ModelKind::Chat) && matches!(source, PriceSource::Snapshot(_)));
    assert_eq!(effective(None, &openai, "gpt-none", now), None);
    // An embedding model has a price for tokens read only, a transcription model has one for hours only.
    let (price, _) = effective(None, &openai, "text-embedding-3-small", now).unwrap();
    assert_eq!([ModelKind::Embedding, ModelKind::Chat].map(|kind| price.is_complete(kind)), [true, false]);
    assert_eq!(effective(None, &openai, "gpt-realtime-whisper", now), None);
}

#[test]
fn no_call_within_its_limits_costs_more_than_the_worst_case() {
    let mut compared = 0;
    let prices = BOOK.providers.iter().flat_map(|provider| &provider.models).flat_map(|model| &model.prices);
    for price in prices.map(|conditional| &conditional.tiered.price) {
        for (read_max, written_max) in [(0, 0), (1, 1), (200_000, 7), (272_001, 30_000), (1_000_000, 1)] {
            let Some(worst) = price.worst_case(read_max, written_max) else { continue };
            for read in [0, 1, read_max / 2, read_max] {
                for (cached, written) in [(0, 0), (read, 0), (0, read), (read / 3, read / 2)] {
                    let usage = TokenUsage {
                        input_tokens: read.min(read_max),
                        cached_input_tokens: cached.min(read_max),
                        cache_write_tokens: written.min(read_max),
                        output_tokens: written_max,
                        reasoning_tokens: written_max / 2,
                    };
                    let cost = cost::cost(Some(price), &usage).unwrap();
                    assert!(cost.amount_micros <= worst.amount_micros, "{price:?} {usage:?} {cost:?} {worst:?}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 100_000, "{compared}");
}
