"use client";

import type { ModelCacheUsage } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";

import { modelCacheUsageQuery } from "@/data/model-cache/queries";
import { formatCount, formatMoneyList } from "@/lib/format";
import { EmptyState, QueryView } from "@/ui/query-view";

/** What the cache answered in the last days, and what that saved. Of an embedding model the same question is the same texts. */
export function CacheUsageSection({ days }: { days: number }) {
  const usage = useQuery(modelCacheUsageQuery(days));
  return (
    <section aria-labelledby="by-cache" className="mt-12">
      <h2 id="by-cache" className="mb-2 font-serif text-[1.375rem] font-medium tracking-tight">Answered by the cache</h2>
      <QueryView
        query={usage}
        isEmpty={(data) => data.every((model) => hits(model) + model.partial_hits === 0)}
        empty={<EmptyState title="No answer was given again">Switch the cache on for named models or for a route, under Routes.</EmptyState>}
      >
        {(data) => (
          <table className="ledger stack">
            <thead>
              <tr><th>Model</th><th className="num">Calls</th><th className="num">Same question</th><th className="num">Similar question</th><th className="num">Some texts</th><th className="num">Share</th><th className="num">Saved</th></tr>
            </thead>
            <tbody>
              {data.filter((model) => hits(model) + model.partial_hits > 0).map((model) => (
                <tr key={model.model}>
                  <td className="figure font-medium break-all">{model.model}</td>
                  <td className="num" data-label="Calls">{formatCount(model.calls)}</td>
                  <td className="num" data-label="Same question">{formatCount(model.exact_hits)}</td>
                  <td className="num" data-label="Similar question">{formatCount(model.semantic_hits)}</td>
                  <td className="num" data-label="Some texts">{formatCount(model.partial_hits)}</td>
                  <td className="num" data-label="Share">{((hits(model) / Math.max(1, model.calls)) * 100).toFixed(1)}%</td>
                  <td className="num" data-label="Saved">{formatMoneyList(model.saved)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </QueryView>
    </section>
  );
}

function hits({ exact_hits, semantic_hits }: ModelCacheUsage): number {
  return exact_hits + semantic_hits;
}
