"use client";

import type { AskCitation, AskPassage } from "@plasma/client/types";
import Link from "next/link";
import { useMemo } from "react";

import { linkCitations } from "@/lib/citations";
import { formatCount, formatDuration, formatMoney } from "@/lib/format";
import { cx } from "@/ui/cx";
import { Markdown } from "@/ui/markdown";

import type { OpenSource } from "./source-panel";
import type { AnswerState } from "./use-answer-stream";

/** The answer so far, its references linked. */
export function AnswerText({ state, onOpen }: { state: AnswerState; onOpen: (source: OpenSource) => void }) {
  const { text, citations, passages } = state;
  const linked = useMemo(
    () =>
      linkCitations(
        text,
        citations.map((citation) => ({ number: citation.number, start: citation.answer_start, end: citation.answer_end })),
        new Set(passages.map((passage) => passage.number)),
      ),
    [text, citations, passages],
  );
  const passage = (number: number) => passages.find((candidate) => candidate.number === number);
  return (
    <div aria-busy={state.phase === "running"} data-answer className={cx(state.phase === "running" && text !== "" && "after:ml-1 after:inline-block after:h-4 after:w-2 after:animate-breathe after:bg-accent")}>
      <Markdown
        text={linked}
        citationTitle={(number) => passage(number)?.title}
        onCitation={(number, index) => {
          const found = passage(number);
          if (found) onOpen(openSource(found, index === null ? undefined : citations[index]));
        }}
      />
    </div>
  );
}

export function openSource(passage: AskPassage, citation: AskCitation | undefined): OpenSource {
  return {
    number: passage.number,
    title: passage.title,
    heading: passage.heading,
    text: passage.text,
    highlight: citation ? { start: citation.start, end: citation.end } : null,
    collectionId: passage.collection_id,
    documentId: passage.document_id,
    passageId: passage.passage_id,
  };
}

/** The passages that the model was given, with those that the answer cites first in weight. */
export function SourceList({ state, onOpen }: { state: AnswerState; onOpen: (source: OpenSource) => void }) {
  if (state.passages.length === 0) return null;
  return (
    <section aria-labelledby="sources">
      <h2 id="sources" className="eyebrow mb-2">Passages given to the model</h2>
      <ol className="border-t border-rule">
        {state.passages.map((passage) => {
          const citation = state.citations.find((candidate) => candidate.number === passage.number);
          return (
            <li key={passage.passage_id} className="border-b border-rule">
              <button type="button" onClick={() => onOpen(openSource(passage, citation))} className="group grid w-full grid-cols-[1.5rem_minmax(0,1fr)] gap-x-2 py-3 text-left">
                <span className={cx("figure text-[0.8125rem] leading-6", citation ? "font-medium text-accent" : "text-faint")}>{passage.number}</span>
                <span className="min-w-0">
                  <span className="block leading-snug font-medium group-hover:text-accent">{passage.title}</span>
                  <span className="line-clamp-2 text-[0.875rem] leading-snug text-soft">{passage.heading ?? passage.text}</span>
                  <span className="mt-0.5 block text-[0.8125rem] text-faint">{citation ? "cited" : "not cited"}, score {passage.score.toFixed(3)}</span>
                </span>
              </button>
            </li>
          );
        })}
      </ol>
    </section>
  );
}

/** What the answer took: for a person who pays or waits. */
export function AnswerFacts({ state }: { state: AnswerState }) {
  const { done } = state;
  if (!done) return null;
  if (!done.call_id) return <p className="mt-6 text-[0.875rem] text-faint">No model was called: nothing relevant was found.</p>;
  const facts = [
    done.model,
    `${formatCount(done.usage.input_tokens)} tokens read${done.usage.cached_input_tokens > 0 ? ` (${formatCount(done.usage.cached_input_tokens)} from cache)` : ""}`,
    `${formatCount(done.usage.output_tokens)} written`,
    done.first_token_ms !== null && `first word after ${formatDuration(done.first_token_ms)}`,
    `${formatDuration(done.duration_ms)} in all`,
    done.cost && formatMoney(done.cost),
  ].filter(Boolean);
  return (
    <p className="mt-6 border-t border-rule pt-3 text-[0.875rem] text-faint">
      {facts.join(", ")}.{" "}
      <Link href={`/models/call/?id=${encodeURIComponent(done.call_id)}`} className="link">See the model call</Link>
      {done.finish_reason === "length" && <span className="block text-warn">The answer was cut off at the model’s limit.</span>}
    </p>
  );
}
