import type { GivenPrice, Model, ModelKind, Money } from "@plasma/client/types";

import { parseMoneyMicros } from "@/lib/format";

/** A price as it is being written. */
export interface PriceDraft {
  free: boolean;
  input: string;
  cachedInput: string;
  cacheWrite: string;
  output: string;
  calls: string;
  /** Percent that a call costs less in a provider's own batch. */
  batchDiscount: string;
  currency: string;
}

const BATCHES: readonly ModelKind[] = ["chat", "embedding"];
const TOKENS: readonly ModelKind[] = ["chat", "embedding", "rerank"];
const CHAT: readonly ModelKind[] = ["chat"];
const CALLS: readonly ModelKind[] = ["image", "transcription", "speech", "rerank"];

/** The amounts of a draft: where each stands in a request, and which kinds of models have it. */
export const AMOUNTS = [
  { part: "input", field: "input_price_micros_per_million", label: "Tokens read", example: "2.50", kinds: TOKENS },
  { part: "cachedInput", field: "cached_input_price_micros_per_million", label: "Read from cache", example: "0.25", kinds: CHAT },
  { part: "cacheWrite", field: "cache_write_price_micros_per_million", label: "Written to cache", example: "3.125", kinds: CHAT },
  { part: "output", field: "output_price_micros_per_million", label: "Tokens written", example: "10.00", kinds: CHAT },
  { part: "calls", field: "call_price_micros_per_thousand", label: "A thousand calls", example: "40.00", kinds: CALLS },
] as const satisfies readonly { part: keyof PriceDraft; field: keyof GivenPrice; label: string; example: string; kinds: readonly ModelKind[] }[];

export const EMPTY_PRICE: PriceDraft = { free: false, input: "", cachedInput: "", cacheWrite: "", output: "", calls: "", batchDiscount: "", currency: "USD" };

export function amountsOf(kind: ModelKind) {
  return AMOUNTS.filter((amount) => amount.kinds.includes(kind));
}

export function amountError(text: string): string | null {
  return text.trim() !== "" && parseMoneyMicros(text) === null ? "Write an amount such as 0.15, with at most six decimals." : null;
}

/** Kinds whose models a provider's own batch API can run. */
export function hasBatches(kind: ModelKind): boolean {
  return BATCHES.includes(kind);
}

export function discountError(text: string): string | null {
  return text.trim() === "" || (/^\d{1,3}$/.test(text.trim()) && Number(text) <= 100) ? null : "Write a whole number from 0 to 100.";
}

export function hasWrongAmount(draft: PriceDraft, kind: ModelKind): boolean {
  if (draft.free) return false;
  return amountsOf(kind).some(({ part }) => amountError(draft[part]) !== null) || (hasBatches(kind) && discountError(draft.batchDiscount) !== null);
}

/** What is sent: nothing at all where no amount is written, so that the public price counts. */
export function givenPrice(draft: PriceDraft, kind: ModelKind): GivenPrice {
  if (draft.free) return { free: true };
  const amounts = amountsOf(kind).flatMap(({ part, field }) => {
    const micros = parseMoneyMicros(draft[part]);
    return micros === null ? [] : [[field, micros] as const];
  });
  const discount: GivenPrice = hasBatches(kind) && draft.batchDiscount.trim() !== "" ? { batch_discount_percent: Number(draft.batchDiscount) } : {};
  // The server refuses a discount on no price, so that it is not lost in silence.
  if (amounts.length === 0) return discount;
  return { ...Object.fromEntries(amounts), ...discount, currency: draft.currency.trim().toUpperCase() };
}

/** The administrator's price of a model, to be changed; empty when the price is not the administrator's. */
export function draftOf(model: Model): PriceDraft {
  const { price } = model;
  if (price === null || model.price_source !== "administrator") return EMPTY_PRICE;
  if (price.free) return { ...EMPTY_PRICE, free: true };
  const amounts = [price.input_per_million, price.cached_input_per_million, price.cache_write_per_million, price.output_per_million, price.per_thousand_calls];
  const [input, cachedInput, cacheWrite, output, calls] = amounts.map(amountText);
  return {
    free: false,
    input: input ?? "",
    cachedInput: cachedInput ?? "",
    cacheWrite: cacheWrite ?? "",
    output: output ?? "",
    calls: calls ?? "",
    batchDiscount: price.batch_discount_percent === null ? "" : String(price.batch_discount_percent),
    currency: amounts.find((amount) => amount !== null)?.currency ?? EMPTY_PRICE.currency,
  };
}

/** An amount as it is typed: 2500000 millionths are "2.5". */
function amountText(money: Money | null): string {
  if (money === null) return "";
  const micros = BigInt(money.amount_micros);
  const fraction = (micros % 1_000_000n).toString().padStart(6, "0").replace(/0+$/, "");
  return `${micros / 1_000_000n}${fraction && `.${fraction}`}`;
}
