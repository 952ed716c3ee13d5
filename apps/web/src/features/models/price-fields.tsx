"use client";

import type { ModelKind } from "@plasma/client/types";

import { CheckField, TextField } from "@/ui/field";

import { amountError, amountsOf, discountError, hasBatches, type PriceDraft } from "./price-draft";

interface PriceFieldsProps {
  price: PriceDraft;
  kind: ModelKind;
  onChange: (price: PriceDraft) => void;
  fieldError: (...fields: string[]) => string | null;
}

/** A price of one's own. */
export function PriceFields({ price, kind, onChange, fieldError }: PriceFieldsProps) {
  const hasTokens = kind === "chat" || kind === "embedding";
  return (
    <fieldset className="flex flex-col gap-4 border-t border-rule pt-4">
      <legend className="sr-only">Prices</legend>
      <p className="text-[0.875rem] text-soft">{hasTokens ? "Prices per million tokens. Leave them empty to use the public price, where one is known." : "Such a model is called only with a price for its calls, or when it is free. There are no prices by the picture, the minute or the character."}</p>
      <CheckField label="Free" hint="Its calls cost nothing, as with a server of your own." checked={price.free} onChange={(event) => onChange({ ...price, free: event.target.checked })} />
      <div className="grid gap-4 sm:grid-cols-2 md:grid-cols-3">
        {amountsOf(kind).map(({ part, field, label, example }) => (
          <TextField
            key={part}
            label={label}
            optional
            inputMode="decimal"
            placeholder={example}
            disabled={price.free}
            value={price[part]}
            onChange={(event) => onChange({ ...price, [part]: event.target.value })}
            error={price.free ? null : (amountError(price[part]) ?? fieldError(field))}
            hint={part === "cachedInput" || part === "cacheWrite" ? "As tokens read when empty." : undefined}
          />
        ))}
        {hasBatches(kind) && (
          <TextField
            label="Less in batches, %"
            optional
            inputMode="numeric"
            placeholder="50"
            disabled={price.free}
            value={price.batchDiscount}
            onChange={(event) => onChange({ ...price, batchDiscount: event.target.value })}
            error={price.free ? null : (discountError(price.batchDiscount) ?? fieldError("batch_discount_percent"))}
            hint="When the provider’s own batch API runs the calls."
          />
        )}
        <TextField label="Currency" maxLength={3} disabled={price.free} value={price.currency} onChange={(event) => onChange({ ...price, currency: event.target.value })} error={fieldError("currency")} />
      </div>
      {fieldError("free") && <p className="text-[0.8125rem] text-bad">{fieldError("free")}</p>}
    </fieldset>
  );
}
