import type { CacheHit } from "@plasma/client/types";
import Link from "next/link";

import { formatDuration, formatMoney } from "@/lib/format";

/** Where an answer of the cache comes from. */
export function CacheHitNote({ hit }: { hit: CacheHit }) {
  return (
    <p className="mb-8 rounded-[5px] border-l-3 border-accent bg-raised px-4 py-3">
      {hit.kind === "exact" ? "The same question had been asked" : `A similar question had been asked (similarity ${(hit.similarity ?? 0).toFixed(3)})`}{" "}
      {formatDuration(hit.age_seconds * 1_000)} before: this is the answer of <Link className="link" href={`/models/call/?id=${encodeURIComponent(hit.call_id)}`}>that call</Link>.{" "}
      {hit.saved ? `It saved ${formatMoney(hit.saved)}.` : "What it saved is not known."}
    </p>
  );
}
