"use client";

import type { ContentDocument } from "@plasma/client/types";
import Link from "next/link";

import { documentHref } from "@/features/knowledge/document-state";
import { sliceCodePoints } from "@/lib/code-points";
import { EmptyState } from "@/ui/query-view";

/** Each statement of the stored text that has a source, beside the words that support it. */
export function CitationList({ document }: { document: ContentDocument }) {
  if (document.citations.length === 0) {
    return <EmptyState title="No citations">Drafts written from a brief carry the passages that they rest on. This document has none.</EmptyState>;
  }
  return (
    <ol className="border-t border-rule-strong">
      {document.citations.map((citation, index) => {
        const statement = sliceCodePoints(document.body, citation.body_start, citation.body_end).replace(/\[\d+\]/g, "").trim();
        return (
          <li key={`${citation.number}-${index}`} className="grid gap-x-8 gap-y-2 border-b border-rule py-5 md:grid-cols-[2rem_minmax(0,1fr)_minmax(0,1fr)]">
            <span className="figure text-accent">{citation.number}</span>
            <p className="font-serif text-[1.0625rem] leading-relaxed">{statement || <span className="text-faint">(a reference on its own)</span>}</p>
            <div>
              <blockquote className="font-serif text-[1.0625rem] leading-relaxed"><mark>{citation.quote}</mark></blockquote>
              <p className="mt-2 text-[0.875rem]">
                <Link href={documentHref(citation.collection_id, citation.document_id, citation.passage_id)} className="link">{citation.title}</Link>
              </p>
            </div>
          </li>
        );
      })}
    </ol>
  );
}
