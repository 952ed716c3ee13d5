import type { Model, ModelPrice, Money } from "@plasma/client/types";

import { formatCount, formatMoney } from "@/lib/format";

type Rates = Pick<ModelPrice, "input_per_million" | "cached_input_per_million" | "cache_write_per_million" | "output_per_million" | "reasoning_per_million">;

/** What a model costs, and who says so. */
export function ModelPriceText({ model }: { model: Model }) {
  const { price } = model;
  if (price === null) return <>not known: set one, or mark the model as free</>;
  if (price.free) return <>free{source(model)}</>;
  const rates = ratesText(price);
  const calls = price.per_thousand_calls && `${formatMoney(price.per_thousand_calls)} a thousand calls`;
  return (
    <>
      {[rates, calls].filter(Boolean).join(", ")}{source(model)}
      {price.tiers.map((tier) => (
        <span key={tier.above_input_tokens} className="block text-soft">above {formatCount(tier.above_input_tokens)} tokens read: {ratesText(tier)}</span>
      ))}
      {price.batch && <span className="block text-soft">in the provider’s batches: {ratesText(price.batch)}</span>}
      {price.batch_discount_percent !== null && <span className="block text-soft">in the provider’s batches: {price.batch_discount_percent} % less</span>}
    </>
  );
}

function ratesText(rates: Rates): string {
  const part = (money: Money | null, what: string) => money && `${formatMoney(money)} ${what}`;
  return [
    part(rates.input_per_million, "read"),
    part(rates.cached_input_per_million, "from cache"),
    part(rates.cache_write_per_million, "to cache"),
    part(rates.output_per_million, "written"),
    part(rates.reasoning_per_million, "thought"),
  ].filter(Boolean).join(", ");
}

function source({ price_source, price_snapshot }: Model) {
  if (price_source === "administrator") return <span className="text-faint"> · set here</span>;
  if (price_snapshot === null) return null;
  const since = price_snapshot.effective_date ? `, since ${price_snapshot.effective_date}` : "";
  return <span className="text-faint"> · public price (genai-prices {price_snapshot.version}{since})</span>;
}
