"use client";

import type { ContentCitation, ContentDocument } from "@plasma/client/types";
import { useDeferredValue, useMemo, useState } from "react";

import { SourcePanel, type OpenSource } from "@/features/ask/source-panel";
import { codePointLength } from "@/lib/code-points";
import { linkCitations } from "@/lib/citations";
import { cx } from "@/ui/cx";
import { Markdown } from "@/ui/markdown";
import { Segmented } from "@/ui/segmented";

import type { EditorState } from "./use-editor";

const PANES = [
  { value: "write" as const, label: "Text" },
  { value: "preview" as const, label: "Preview" },
];

/** Markdown and what it looks like, side by side; on a narrow screen one at a time. */
export function EditorPanes({ editor, document, denied }: { editor: EditorState; document: ContentDocument; denied: string | null }) {
  const [pane, setPane] = useState<"write" | "preview">(denied ? "preview" : "write");
  const [source, setSource] = useState<OpenSource | null>(null);
  const body = useDeferredValue(editor.body);
  const { citations } = document;
  const linked = useMemo(() => {
    // Places in the text are those of the stored body; after an edit only the written marks can still be told apart.
    const anchors = body === document.body ? citations.map((citation) => ({ number: citation.number, start: citation.body_start, end: citation.body_end })) : [];
    return linkCitations(body, anchors, new Set(citations.map((citation) => citation.number)));
  }, [body, document.body, citations]);

  const openCitation = (number: number, index: number | null) => {
    const citation = (index === null ? undefined : citations[index]) ?? citations.find((candidate) => candidate.number === number);
    if (!citation) return;
    // Beside the panel there is room for one pane only: the one that the reference stands in.
    setPane("preview");
    setSource(citationSource(citation));
  };

  return (
    <>
      <div className="mb-4 @3xl:hidden">
        <Segmented small label="Show" value={pane} options={PANES} onChange={setPane} />
      </div>
      <div className="grid gap-x-10 @3xl:grid-cols-2">
        <div className={cx("min-w-0", pane === "preview" && "hidden @3xl:block")}>
          <label htmlFor="body" className="eyebrow mb-2 hidden @3xl:block">Markdown</label>
          <textarea
            id="body"
            aria-label="Text, in Markdown"
            value={editor.body}
            readOnly={denied !== null}
            spellCheck
            onChange={(event) => editor.setBody(event.target.value)}
            className="field-sizing-content min-h-[60dvh] w-full resize-y rounded-[5px] border border-rule-strong bg-raised p-4 font-mono text-[0.875rem] leading-[1.7] outline-offset-0 sm:p-5"
          />
        </div>
        <div className={cx("min-w-0", pane === "write" && "hidden @3xl:block")}>
          <p className="eyebrow mb-2 hidden @3xl:block">Preview</p>
          <div className="@3xl:border-t @3xl:border-rule @3xl:pt-5">
            {body.trim() === "" ? <p className="text-faint">Nothing written yet.</p> : <Markdown text={linked} citationTitle={(number) => citations.find((citation) => citation.number === number)?.title} onCitation={openCitation} />}
          </div>
        </div>
      </div>
      <SourcePanel source={source} onClose={() => setSource(null)} />
    </>
  );
}

export function citationSource(citation: ContentCitation): OpenSource {
  return {
    number: citation.number,
    title: citation.title,
    heading: null,
    text: citation.quote,
    highlight: { start: 0, end: codePointLength(citation.quote) },
    collectionId: citation.collection_id,
    documentId: citation.document_id,
    passageId: citation.passage_id,
  };
}
