import type { DocumentText, Passage } from "@plasma/client/types";

import { utf16Offsets } from "@/lib/code-points";

/** A stretch of the document's text: a passage, or what lies between two. */
export interface TextBlock {
  key: string;
  text: string;
  passage: Passage | null;
}

/**
 * The whole text as blocks in reading order; put together they are the text again. Passages may overlap (each then starts
 * where the former ended) and may leave gaps, which become blocks without a passage.
 */
export function passageBlocks({ text, passages }: DocumentText): TextBlock[] {
  const at = utf16Offsets(text);
  const blocks: TextBlock[] = [];
  let position = 0;
  const sorted = [...passages].sort((a, b) => a.start - b.start || a.ordinal - b.ordinal);
  for (const passage of sorted) {
    const start = Math.max(at(passage.start), position);
    const end = Math.max(at(passage.end), start);
    if (start > position) blocks.push({ key: `gap-${position}`, text: text.slice(position, start), passage: null });
    blocks.push({ key: passage.id, text: text.slice(start, end), passage });
    position = end;
  }
  if (position < text.length) blocks.push({ key: `gap-${position}`, text: text.slice(position), passage: null });
  return blocks;
}

/** The blocks that a passage covers: its own, and the end of the one before where the two overlap. */
export function coveredPart(block: TextBlock, target: Passage): { start: number; end: number } | null {
  if (!block.passage) return null;
  if (block.passage.id === target.id) return { start: 0, end: Infinity };
  if (block.passage.start < target.start && block.passage.end > target.start) {
    return { start: Math.max(0, [...block.text].length - (block.passage.end - target.start)), end: Infinity };
  }
  return null;
}
