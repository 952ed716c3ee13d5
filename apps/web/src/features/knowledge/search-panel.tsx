"use client";

import type { MetadataValue, RankingSettings, SearchMode, SearchRequest, SearchResult } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { searchQuery } from "@/data/search/queries";
import { useDenied } from "@/features/identity/session";
import { formatDuration, plural } from "@/lib/format";
import { useParam, useSetParams } from "@/lib/use-param";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Select, TextInput } from "@/ui/field";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Segmented } from "@/ui/segmented";

import { buildFilter, hasValue, toggleValue, type FilterMatch, type FilterRow } from "./metadata";
import { draftOf, requestOf } from "./ranking-draft";
import { SearchStages } from "./search-explanation";
import { SearchFacets } from "./search-facets";
import { SearchFilterRows } from "./search-filter";
import { SearchRanking } from "./search-ranking";
import { SearchResultItem } from "./search-result-item";

const MODES: { value: SearchMode; label: string }[] = [
  { value: "hybrid", label: "Both" },
  { value: "vector", label: "Meaning" },
  { value: "text", label: "Words" },
];

/** Fields of which values are counted: those that the results have. */
const FACETS_SHOWN = 4;

export function SearchPanel({ collection, ranking }: { collection: string; ranking: RankingSettings }) {
  const fromAddress = useParam("q") ?? "";
  const setParams = useSetParams();
  const denied = useDenied("search:query");
  const [text, setText] = useState(fromAddress);
  const [mode, setMode] = useState<SearchMode>("hybrid");
  const [limit, setLimit] = useState(10);
  const [rows, setRows] = useState<FilterRow[]>([]);
  const [match, setMatch] = useState<FilterMatch>("all");
  const [filter, setFilter] = useState<SearchRequest["filter"]>(undefined);
  // What is being set, and what the search that is shown was made with: a slider on its way is not worth a search at each step.
  const [draft, setDraft] = useState(() => draftOf(ranking));
  const [applied, setApplied] = useState(draft);

  const request: SearchRequest = {
    collection,
    query: fromAddress,
    mode,
    limit,
    explain: true,
    ...(filter && { filter }),
    ...requestOf(applied, ranking),
  };
  const result = useQuery(searchQuery(request));

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const nextFilter = buildFilter(rows, match);
    const unchanged = text.trim() === fromAddress && JSON.stringify([nextFilter, draft]) === JSON.stringify([filter, applied]);
    setFilter(nextFilter);
    setApplied(draft);
    setParams({ q: text.trim() });
    if (unchanged && fromAddress !== "") void result.refetch();
  };

  const fields = [...new Set(result.data?.results.flatMap((hit) => Object.keys(hit.metadata)))].sort().slice(0, FACETS_SHOWN);
  const toggle = (field: string, value: MetadataValue) => {
    const next = toggleValue(rows, field, value);
    setRows(next);
    setFilter(buildFilter(next, match));
  };

  if (denied) return <EmptyState title="Not open to your role">{denied}</EmptyState>;
  return (
    <>
      <form role="search" onSubmit={submit}>
        <div className="flex gap-2.5">
          <TextInput
            aria-label="Search this collection"
            type="search"
            data-hotkey-search
            placeholder="A phrase, or what you mean by it"
            maxLength={8000}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <Button type="submit" variant="primary" busy={result.isFetching}>Search</Button>
        </div>
        <div className="mt-3 flex flex-wrap items-center gap-x-5 gap-y-3">
          <Segmented small label="Rank by" value={mode} options={MODES} onChange={setMode} />
          <label htmlFor="search-limit" className="flex items-center gap-2 text-[0.875rem] text-soft">
            Show
            <Select id="search-limit" value={limit} onChange={(event) => setLimit(Number(event.target.value))} className="w-20">
              {[5, 10, 20, 50, 100].map((count) => <option key={count} value={count}>{count}</option>)}
            </Select>
          </label>
          <SearchFilterRows collection={collection} rows={rows} onChange={setRows} match={match} onMatchChange={setMatch} />
          <SearchRanking collection={collection} settings={ranking} draft={draft} onChange={setDraft} />
        </div>
      </form>
      <div aria-live="polite" className={cx("mt-7", result.isPlaceholderData && "opacity-60")}>
        {fromAddress === "" ? (
          <p className="border-t border-rule pt-5 text-soft">
            “Both” ranks by meaning and by words and joins the two. “Words” finds exact names and numbers, “Meaning” finds what is said differently.
            Quotes keep words together, <span className="figure">bud*</span> finds what begins so, <span className="figure">-word</span> leaves out, <span className="figure">+word</span> must be there.
          </p>
        ) : (
          <QueryView
            query={result}
            loading={<SkeletonRows tall />}
            isEmpty={(data) => data.results.length === 0}
            empty={
              <EmptyState title="Nothing found">
                {filter ? "Try without the filter, or with other words." : "Try other words, or rank by meaning. Documents that are still being read are not found yet."}
              </EmptyState>
            }
          >
            {(data) => (
              <div className="grid gap-x-8 gap-y-6 md:grid-cols-[minmax(0,1fr)_12rem]">
                <div className="min-w-0"><SearchResults data={data} /></div>
                <SearchFacets request={request} fields={fields} isChosen={(field, value) => hasValue(rows, field, value)} onToggle={toggle} />
              </div>
            )}
          </QueryView>
        )}
      </div>
    </>
  );
}

function SearchResults({ data }: { data: SearchResult }) {
  const { took_ms: took } = data;
  const parts = [
    took.embedding ? `embedding ${formatDuration(took.embedding)}` : null,
    took.vector ? `meaning ${formatDuration(took.vector)}` : null,
    took.text ? `words ${formatDuration(took.text)}` : null,
    took.ranking ? `ranking ${formatDuration(took.ranking)}` : null,
    took.rerank ? `reranker ${formatDuration(took.rerank)}` : null,
    took.cached ? "from memory" : null,
  ].filter(Boolean);
  return (
    <>
      <p className="text-[0.875rem] text-soft">
        {plural(data.results.length, "result")} among {plural(data.total_passages, "passage")} in{" "}
        <strong className="font-semibold text-ink">{formatDuration(took.total)}</strong>
        {parts.length > 0 && <span className="text-faint"> ({parts.join(", ")})</span>}
      </p>
      <Corrections data={data} />
      {data.explanation && <SearchStages explanation={data.explanation} />}
      {data.warnings.map((warning) => (
        <p key={warning} className="mt-2 rounded-[5px] bg-warn-soft px-3 py-2 text-warn">{warning}</p>
      ))}
      <ol aria-label="Results" className="mt-3 border-t border-rule-strong">
        {data.results.map((hit, index) => <SearchResultItem key={hit.passage_id} hit={hit} rank={index + 1} mode={data.mode} />)}
      </ol>
    </>
  );
}

/** What mistyped words were taken for, the likeliest word of each. */
function Corrections({ data }: { data: SearchResult }) {
  const words = new Map<string, string>();
  for (const { from, to } of data.corrections) if (!words.has(from)) words.set(from, to);
  if (words.size === 0) return null;
  return (
    <p className="mt-2">
      Showing results for <strong className="font-semibold">{[...words.values()].join(", ")}</strong>
      <span className="text-soft">. No passage has {[...words.keys()].join(", ")}.</span>
    </p>
  );
}
