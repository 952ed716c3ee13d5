"use client";

import type { MetadataValue, SearchFacet, SearchRequest } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";

import { searchQuery } from "@/data/search/queries";
import { formatCount } from "@/lib/format";
import { cx } from "@/ui/cx";

const VALUES_SHOWN = 8;

interface Props {
  request: SearchRequest;
  /** Fields to count; none: nothing is asked for. */
  fields: readonly string[];
  isChosen: (field: string, value: MetadataValue) => boolean;
  onToggle: (field: string, value: MetadataValue) => void;
}

/** How many documents have which values; choosing one filters by it. Counted apart, so that results do not wait for it. */
export function SearchFacets({ request, fields, isChosen, onToggle }: Props) {
  // What only orders results changes no count, and a reranker costs.
  const query = searchQuery({ ...request, limit: 1, explain: false, rerank: { top: 0 }, facets: [...fields] });
  const counted = useQuery({ ...query, enabled: fields.length > 0 && (request.query ?? "").trim() !== "" });
  const facets = counted.data?.facets.filter((facet) => facet.values.length > 0) ?? [];
  if (facets.length === 0) return null;
  return (
    <aside aria-label="Documents by metadata" className="flex flex-col gap-5 text-[0.875rem]">
      {facets.map((facet) => <FacetValues key={facet.field} facet={facet} isChosen={isChosen} onToggle={onToggle} />)}
    </aside>
  );
}

function FacetValues({ facet, isChosen, onToggle }: { facet: SearchFacet } & Pick<Props, "isChosen" | "onToggle">) {
  return (
    <section aria-label={facet.field}>
      <h3 className="mb-1.5 font-medium">{facet.field}</h3>
      <ul>
        {facet.values.slice(0, VALUES_SHOWN).map(({ value, count }) => {
          const chosen = isChosen(facet.field, value as MetadataValue);
          return (
            <li key={JSON.stringify(value)}>
              <button
                type="button"
                aria-pressed={chosen}
                onClick={() => onToggle(facet.field, value as MetadataValue)}
                className={cx("flex min-h-8 w-full items-baseline justify-between gap-3 text-left text-soft hover:text-ink", chosen && "font-semibold text-ink")}
              >
                <span className="truncate">{String(value)}</span>
                <span className="figure text-[0.8125rem] text-faint">{formatCount(count)}</span>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
