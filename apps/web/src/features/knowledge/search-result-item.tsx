"use client";

import type { SearchDuplicate, SearchHit, SearchMode } from "@plasma/client/types";
import Link from "next/link";
import type { ReactNode } from "react";

import { formatCount, ordinal, plural } from "@/lib/format";
import { HighlightedText } from "@/ui/highlighted-text";
import { Message } from "@/ui/message";

import { documentHref } from "./document-state";
import { showValue } from "./metadata";
import { ScoreTable } from "./search-explanation";

export function SearchResultItem({ hit, rank, mode }: { hit: SearchHit; rank: number; mode: SearchMode }) {
  const metadata = Object.entries(hit.metadata);
  return (
    <li className="grid gap-x-5 border-b border-rule py-5 sm:grid-cols-[1.75rem_minmax(0,1fr)]">
      <span aria-hidden className="figure hidden pt-1 text-[0.875rem] text-faint sm:block">{rank}</span>
      <article className="min-w-0">
        <h3 className="leading-snug">
          <Link href={documentHref(hit.collection_id, hit.document_id, hit.passage_id)} className="font-medium hover:text-accent hover:underline">{hit.title}</Link>
          {hit.heading && <span className="text-soft"> / {hit.heading}</span>}
        </h3>
        <p className="mt-1.5 max-w-[72ch] font-serif text-[1.0625rem] leading-relaxed whitespace-pre-line">
          <HighlightedText text={hit.text} spans={hit.highlights} />
        </p>
        {metadata.length > 0 && (
          <p className="mt-1.5 flex flex-wrap gap-x-4 text-[0.8125rem] text-faint">
            {metadata.map(([name, value]) => <span key={name}>{name}: <span className="text-soft">{showValue(value)}</span></span>)}
          </p>
        )}
        <Duplicates collection={hit.collection_id} duplicates={hit.duplicates} />
        <Why hit={hit} mode={mode} />
      </article>
    </li>
  );
}

/** Passages that say the same and are not shown. */
function Duplicates({ collection, duplicates }: { collection: string; duplicates: SearchDuplicate[] }) {
  if (duplicates.length === 0) return null;
  return (
    <details className="group mt-2">
      <summary className="inline-flex w-fit list-none items-center gap-1.5 text-[0.8125rem] text-soft hover:text-ink [&::-webkit-details-marker]:hidden">
        <span aria-hidden className="transition-transform group-open:rotate-90">›</span> {plural(duplicates.length, "passage")} more {duplicates.length === 1 ? "says" : "say"} the same
      </summary>
      <ul className="mt-1.5 border-l-2 border-rule-strong pl-4 text-[0.875rem]">
        {duplicates.map((duplicate) => (
          <li key={duplicate.passage_id}>
            <Link href={documentHref(collection, duplicate.document_id, duplicate.passage_id)} className="hover:text-accent hover:underline">{duplicate.title}</Link>
            <span className="text-faint">, passage {formatCount(duplicate.ordinal + 1)}{duplicate.similarity !== null && <>, cosine {duplicate.similarity.toFixed(3)}</>}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

/** Every figure behind the rank, so that it can be argued with. */
function Why({ hit, mode }: { hit: SearchHit; mode: SearchMode }) {
  const { why } = hit;
  return (
    <details className="group mt-2.5">
      <summary className="inline-flex w-fit list-none items-center gap-1.5 text-[0.8125rem] font-medium text-accent [&::-webkit-details-marker]:hidden">
        <span aria-hidden className="transition-transform group-open:rotate-90">›</span> Why this ranks here
      </summary>
      <div className="mt-2 max-w-[72ch] border-l-2 border-rule-strong pl-4 text-[0.875rem]">
        <p><Message text={why.summary} /></p>
        <ScoreTable hit={hit} />
        <dl className="mt-2 grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 text-soft">
          <Reason name="Meaning">
            {why.vector ? <>{ordinal(why.vector.rank)}, cosine similarity <b className="figure font-medium text-ink">{why.vector.similarity.toFixed(3)}</b></> : mode === "text" ? "not looked at" : "not among the nearest"}
          </Reason>
          <Reason name="Words">
            {why.text ? (
              <>
                {ordinal(why.text.rank)}, BM25 <b className="figure font-medium text-ink">{why.text.bm25.toFixed(2)}</b>
                {why.text.terms.length > 0 && <> for {why.text.terms.join(", ")}</>}
              </>
            ) : (
              mode === "vector" ? "not looked at" : "no word in common"
            )}
          </Reason>
          <Reason name="Joined">
            <span className="figure text-[0.8125rem] break-words">{why.fusion.formula}</span> = <b className="figure font-medium text-ink">{why.fusion.score.toFixed(4)}</b>
          </Reason>
          <Reason name="Place">passage {formatCount(hit.ordinal + 1)}, characters {formatCount(hit.start)} to {formatCount(hit.end)} of the document</Reason>
        </dl>
      </div>
    </details>
  );
}

function Reason({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-faint">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </>
  );
}
