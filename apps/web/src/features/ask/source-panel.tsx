"use client";

import type { Span } from "@/lib/code-points";
import { documentHref } from "@/features/knowledge/document-state";
import { ButtonLink } from "@/ui/button";
import { SidePanel } from "@/ui/dialog";
import { HighlightedText } from "@/ui/highlighted-text";

export interface OpenSource {
  number: number;
  title: string;
  heading: string | null;
  text: string;
  highlight: Span | null;
  collectionId: string;
  documentId: string;
  passageId: string;
}

/** The passage behind a numbered reference, with the part that supports the statement marked. */
export function SourcePanel({ source, onClose }: { source: OpenSource | null; onClose: () => void }) {
  return (
    <SidePanel open={source !== null} onOpenChange={(open) => !open && onClose()} eyebrow={source ? `Source ${source.number}` : undefined} title={source?.title ?? ""}>
      {source && (
        <>
          {source.heading && <p className="mb-3 font-medium text-soft">{source.heading}</p>}
          <p className="font-serif text-[1.0625rem] leading-relaxed whitespace-pre-wrap">
            <HighlightedText text={source.text} spans={source.highlight ? [source.highlight] : []} />
          </p>
          {!source.highlight && <p className="mt-4 text-[0.875rem] text-faint">The answer names this passage, but no single part of it could be matched to the statement.</p>}
          <div className="mt-6">
            <ButtonLink href={documentHref(source.collectionId, source.documentId, source.passageId)}>Open in the document</ButtonLink>
          </div>
        </>
      )}
    </SidePanel>
  );
}
