"use client";

import type { ScoreComponent, SearchExplanation, SearchHit } from "@plasma/client/types";

import { formatCount } from "@/lib/format";
import { cx } from "@/ui/cx";
import { Message } from "@/ui/message";

const SOURCES: Record<ScoreComponent["source"], string> = {
  vector: "Meaning",
  text: "Words",
  rerank: "Reranker",
  recency: "Newness",
  popularity: "Popularity",
  diversity: "Variety",
};

const PLACES = [["title", "title"], ["heading", "headings"], ["text", "text"]] as const;

/** Scores of ranks are small: four digits after the first that counts are enough, and never an exponent. */
export function formatScore(value: number): string {
  const text = Math.abs(value) >= 1 ? value.toFixed(2) : value.toFixed(4);
  return text.replace("-", "−");
}

/** Every part of a score: in words, as a bar, and as a number; the numbers add up. */
export function ScoreTable({ hit }: { hit: SearchHit }) {
  const { explanation } = hit;
  if (!explanation) return null;
  const largest = Math.max(...explanation.components.map((component) => Math.abs(component.contribution)), Number.MIN_VALUE);
  return (
    <table className="mt-3 w-full border-collapse text-left text-[0.875rem]">
      <caption className="sr-only">What the score is made of</caption>
      <thead className="sr-only">
        <tr><th scope="col">Part</th><th scope="col">In words</th><th scope="col">Adds</th></tr>
      </thead>
      <tbody>
        {explanation.components.map((component) => (
          <tr key={component.source} className="border-t border-rule align-top">
            <th scope="row" className="py-2 pr-4 font-medium whitespace-nowrap">{SOURCES[component.source]}</th>
            <td className="w-full py-2 pr-4 text-soft">
              <Bar share={component.contribution / largest} />
              <Message text={component.summary} />
              {component.terms.length > 0 && <Terms terms={component.terms} />}
            </td>
            <td className={cx("figure py-2 text-right whitespace-nowrap", component.contribution < 0 ? "text-bad" : "text-ink")}>
              {component.contribution > 0 ? "+" : ""}{formatScore(component.contribution)}
            </td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr className="border-t border-rule-strong">
          <th scope="row" className="py-2 pr-4 font-medium">Score</th>
          <td />
          <td className="figure py-2 text-right font-medium">{formatScore(explanation.score)}</td>
        </tr>
      </tfoot>
    </table>
  );
}

/** What each word adds to BM25, and where it stands. */
function Terms({ terms }: { terms: ScoreComponent["terms"] }) {
  return (
    <ul className="mt-1 flex flex-wrap gap-x-4 text-[0.8125rem]">
      {terms.map(({ term, score, fields }) => {
        const places = fields ? PLACES.filter(([field]) => fields[field] > 0).map(([field, name]) => `${name} ${formatScore(fields[field])}`) : [];
        return (
          <li key={term}>
            {term} <span className="figure text-ink">{formatScore(score)}</span>
            {places.length > 0 && <span className="text-faint"> ({places.join(", ")})</span>}
          </li>
        );
      })}
    </ul>
  );
}

/** -1 to 1, as a length. */
function Bar({ share }: { share: number }) {
  return (
    <span aria-hidden className="mb-1 block h-1.5 w-full max-w-56 overflow-hidden rounded-[2px] bg-rule">
      <span className={cx("block h-full rounded-[2px]", share < 0 ? "bg-bad" : "bg-accent")} style={{ width: `${Math.min(100, Math.abs(share) * 100)}%` }} />
    </span>
  );
}

/** What a search looked at, for whoever wonders why something is not among the results. */
export function SearchStages({ explanation }: { explanation: SearchExplanation }) {
  const { candidates, filter } = explanation;
  return (
    <details className="group mt-2 text-[0.875rem]">
      <summary className="inline-flex w-fit list-none items-center gap-1.5 text-[0.8125rem] font-medium text-accent [&::-webkit-details-marker]:hidden">
        <span aria-hidden className="transition-transform group-open:rotate-90">›</span> What was looked at
      </summary>
      <div className="mt-2 max-w-[72ch] border-l-2 border-rule-strong pl-4 text-soft">
        <ol className="list-decimal space-y-0.5 pl-4">
          {explanation.stages.map((stage) => <li key={stage}><Message text={stage} /></li>)}
        </ol>
        <p className="mt-2">
          {formatCount(candidates.both)} passages were candidates of both halves.
          {filter.filtered && <> The filter lets {formatCount(filter.passages)} passages through, {Number((100 * filter.selectivity).toPrecision(2))}% of them.</>}
          {explanation.vector_effort && <> By meaning: {explanation.vector_effort}.</>}
        </p>
      </div>
    </details>
  );
}
