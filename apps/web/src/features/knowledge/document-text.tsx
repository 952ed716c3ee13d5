"use client";

import type { DocumentText as Content, Passage } from "@plasma/client/types";
import { useEffect, useMemo, useRef, type RefObject } from "react";

import { formatCount } from "@/lib/format";
import { useSetParams } from "@/lib/use-param";
import { cx } from "@/ui/cx";
import { HighlightedText } from "@/ui/highlighted-text";

import { coveredPart, passageBlocks, type TextBlock } from "./passage-blocks";

/** The text as the search sees it, with its passages numbered in the margin; the named one is marked and scrolled to. */
export function DocumentText({ content, passage }: { content: Content; passage: string | null }) {
  const blocks = useMemo(() => passageBlocks(content), [content]);
  const target = content.passages.find((candidate) => candidate.id === passage) ?? null;
  const targetRef = useRef<HTMLDivElement>(null);
  const setParams = useSetParams();

  useEffect(() => {
    if (!target) return;
    targetRef.current?.scrollIntoView({ block: "center" });
    targetRef.current?.focus({ preventScroll: true });
  }, [target]);

  return (
    <>
      {passage && !target && (
        <p role="status" className="mb-5 rounded-[5px] bg-warn-soft px-4 py-2.5 text-warn">
          The passage that this address names is no longer part of the document: it was probably replaced since.
        </p>
      )}
      <div className="border-t border-rule pt-6">
        {blocks.map((block) => (
          <Block
            key={block.key}
            block={block}
            target={target}
            targetRef={block.passage && block.passage.id === target?.id ? targetRef : null}
            onSelect={(id) => setParams({ passage: id })}
          />
        ))}
      </div>
    </>
  );
}

interface BlockProps {
  block: TextBlock;
  target: Passage | null;
  targetRef: RefObject<HTMLDivElement | null> | null;
  onSelect: (id: string) => void;
}

function Block({ block, target, targetRef, onSelect }: BlockProps) {
  const covered = target && coveredPart(block, target);
  const { passage } = block;
  return (
    <div
      ref={targetRef}
      tabIndex={targetRef ? -1 : undefined}
      data-passage={passage?.id}
      data-current={targetRef ? true : undefined}
      className="group grid grid-cols-[2.25rem_minmax(0,1fr)] gap-x-3 outline-none sm:grid-cols-[3rem_minmax(0,1fr)] sm:gap-x-5"
    >
      {passage ? (
        <button
          type="button"
          aria-label={`Passage ${passage.ordinal + 1}: mark it and put it in the address`}
          aria-pressed={targetRef !== null}
          onClick={() => onSelect(passage.id)}
          className={cx("figure min-h-7 self-start border-t pt-1 text-right text-xs", targetRef ? "border-accent font-medium text-accent" : "border-rule text-faint group-hover:border-ink hover:text-ink")}
        >
          {formatCount(passage.ordinal + 1)}
        </button>
      ) : (
        <span />
      )}
      <p className="max-w-[72ch] font-serif text-[1.0625rem] leading-relaxed break-words whitespace-pre-wrap">
        {covered ? <HighlightedText text={block.text} spans={[covered]} /> : block.text}
      </p>
    </div>
  );
}
