import type { Model, ModelPrice } from "@plasma/client/types";
import { expect, test } from "vitest";

import { draftOf, EMPTY_PRICE, givenPrice, hasWrongAmount } from "./price-draft";

const usd = (amount_micros: number) => ({ amount_micros, currency: "USD" });
const noPrice: ModelPrice = {
  input_per_million: null,
  cached_input_per_million: null,
  cache_write_per_million: null,
  output_per_million: null,
  reasoning_per_million: null,
  per_thousand_calls: null,
  tiers: [],
  batch_discount_percent: null,
  batch: null,
  free: false,
};

function model(price: Partial<ModelPrice> | null, source: Model["price_source"]): Model {
  return {
    id: "acme/large",
    kind: "chat",
    provider: { id: "prv_1", name: "acme", kind: "openai" },
    state: "remote",
    remedy: null,
    context_length: null,
    dimensions: null,
    precision: null,
    license: null,
    size_bytes: null,
    memory_bytes: null,
    price: price && { ...noPrice, ...price },
    price_source: source,
    price_snapshot: null, capabilities: null, domain: null, description: null, custom: false,
    default: false,
  };
}

test("what is sent has only the amounts that are written", () => {
  expect(givenPrice(EMPTY_PRICE, "chat")).toEqual({});
  expect(givenPrice({ ...EMPTY_PRICE, free: true, input: "1" }, "chat")).toEqual({ free: true });
  expect(givenPrice({ ...EMPTY_PRICE, input: "2,5", cachedInput: "0", output: "10", currency: " eur" }, "chat")).toEqual({
    input_price_micros_per_million: 2_500_000,
    cached_input_price_micros_per_million: 0,
    output_price_micros_per_million: 10_000_000,
    currency: "EUR",
  });
  // What an embedding model does not have is not sent, though it was written before the kind was changed.
  expect(givenPrice({ ...EMPTY_PRICE, output: "10" }, "embedding")).toEqual({});
  // A discount is one on a price; pictures have no batches.
  expect(givenPrice({ ...EMPTY_PRICE, input: "1", batchDiscount: " 50" }, "embedding")).toEqual({ input_price_micros_per_million: 1_000_000, batch_discount_percent: 50, currency: "USD" });
  expect(givenPrice({ ...EMPTY_PRICE, batchDiscount: "50" }, "chat")).toEqual({ batch_discount_percent: 50 });
  expect(givenPrice({ ...EMPTY_PRICE, calls: "1", batchDiscount: "50" }, "image")).toEqual({ call_price_micros_per_thousand: 1_000_000, currency: "USD" });
  // Pictures have a price for the calls, and none for tokens.
  expect(givenPrice({ ...EMPTY_PRICE, input: "1", calls: "40" }, "image")).toEqual({ call_price_micros_per_thousand: 40_000_000, currency: "USD" });
});

test("a wrong amount is noticed where it counts", () => {
  const wrong = { ...EMPTY_PRICE, output: "-1" };
  expect(hasWrongAmount(wrong, "chat")).toBe(true);
  expect(hasWrongAmount(wrong, "embedding")).toBe(false);
  expect(hasWrongAmount({ ...wrong, free: true }, "chat")).toBe(false);
  for (const [text, isWrong] of [["", false], ["0", false], ["100", false], ["101", true], ["-1", true], ["5.5", true], ["half", true]] as const) {
    expect(hasWrongAmount({ ...EMPTY_PRICE, batchDiscount: text }, "chat")).toBe(isWrong);
  }
  expect(hasWrongAmount({ ...EMPTY_PRICE, batchDiscount: "101" }, "image")).toBe(false);
});

test("a price is written back as it was given, and a public one is not taken for one's own", () => {
  const price = { input_per_million: usd(2_500_000), cached_input_per_million: usd(1), cache_write_per_million: usd(0), output_per_million: usd(12_000_000), batch_discount_percent: 50 };
  const draft = draftOf(model(price, "administrator"));
  expect(draft).toEqual({ free: false, input: "2.5", cachedInput: "0.000001", cacheWrite: "0", output: "12", calls: "", batchDiscount: "50", currency: "USD" });
  expect(givenPrice(draft, "chat")).toMatchObject({ input_price_micros_per_million: 2_500_000, cached_input_price_micros_per_million: 1, cache_write_price_micros_per_million: 0, batch_discount_percent: 50 });
  expect(draftOf(model(price, "snapshot"))).toEqual(EMPTY_PRICE);
  expect(draftOf(model(null, null))).toEqual(EMPTY_PRICE);
  expect(draftOf(model({ free: true, input_per_million: usd(0) }, "administrator"))).toEqual({ ...EMPTY_PRICE, free: true });
});
