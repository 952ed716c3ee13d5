import type { CacheHit } from "@plasma/client/types";
import Link from "next/link";

import { formatCount, formatDuration, formatMoney } from "@/lib/format";

/** Where an answer of the cache comes from, or the vectors of texts. */
export function CacheHitNote({ hit }: { hit: CacheHit }) {
  const age = formatDuration(hit.age_seconds * 1_000);
  const call = <Link className="link" href={`/models/call/?id=${encodeURIComponent(hit.call_id)}`}>that call</Link>;
  return (
    <p className="mb-8 rounded-[5px] border-l-3 border-accent bg-raised px-4 py-3">
      {hit.texts
        ? <>{known(hit.texts)} had been embedded before, the oldest {age} before by {call}.</>
        : <>{about(hit)} {age} before: this is the answer of {call}.</>}{" "}
      {hit.saved ? `It saved ${formatMoney(hit.saved)}.` : "What it saved is not known."}
    </p>
  );
}

function about({ kind, similarity }: CacheHit): string {
  return kind === "semantic" ? `A similar question had been asked (similarity ${(similarity ?? 0).toFixed(3)})` : "The same question had been asked";
}

function known({ known: count, all }: NonNullable<CacheHit["texts"]>): string {
  if (count < all) return `${formatCount(count)} of ${formatCount(all)} texts`;
  return all === 1 ? "The text" : `All ${formatCount(all)} texts`;
}
