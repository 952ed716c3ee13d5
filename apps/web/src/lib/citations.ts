import { utf16Offsets } from "./code-points";

/** Where in a text a citation belongs: `start..end` in code points is the statement that the passage supports. */
export interface CitationAnchor {
  number: number;
  start: number;
  end: number;
}

export const CITATION_HREF = "#citation-";

/**
 * Turns `[1]` marks and citation anchors into Markdown links (`[1](#citation-1-0)`), which the Markdown view renders as
 * numbered references. The last figure is the anchor's index, absent for a mark that no citation stands behind.
 *
 * A model writes `[1]` itself; an anchor then covers that mark or the statement before it. Where an anchor has no mark at
 * its end, one is put there, so that every citation can be opened.
 */
export function linkCitations(text: string, anchors: readonly CitationAnchor[], numbers: ReadonlySet<number>): string {
  const at = utf16Offsets(text);
  const marks = findMarks(text, numbers);
  const inserts: { position: number; index: number; number: number }[] = [];
  anchors.forEach((anchor, index) => {
    const start = at(anchor.start);
    const end = at(anchor.end);
    const mark = marks.find(
      (candidate) =>
        candidate.number === anchor.number &&
        candidate.index === null &&
        candidate.start >= start &&
        (candidate.end <= end || text.slice(end, candidate.start).replace(/\[\d+\]|[\s.,;:!?]/g, "") === ""),
    );
    if (mark) mark.index = index;
    else inserts.push({ position: wordEnd(text, end), index, number: anchor.number });
  });

  const edits = [
    ...marks.map((mark) => ({ from: mark.start, to: mark.end, link: reference(mark.number, mark.index) })),
    ...inserts.map((insert) => ({ from: insert.position, to: insert.position, link: reference(insert.number, insert.index) })),
  ].sort((a, b) => a.from - b.from || a.to - b.to);
  let result = "";
  let position = 0;
  for (const edit of edits) {
    if (edit.from < position) continue;
    result += text.slice(position, edit.from) + edit.link;
    position = edit.to;
  }
  return result + text.slice(position);
}

/** An anchor that no longer fits its text, because it was edited since, must at least not cut a word in two. */
function wordEnd(text: string, position: number): number {
  if (!/[\p{L}\p{N}]$/u.test(text.slice(Math.max(0, position - 2), position))) return position;
  return position + (/^[\p{L}\p{N}]*/u.exec(text.slice(position))?.[0].length ?? 0);
}

function reference(number: number, index: number | null): string {
  return `[${number}](${CITATION_HREF}${number}${index === null ? "" : `-${index}`})`;
}

interface Mark {
  start: number;
  end: number;
  number: number;
  index: number | null;
}

/** `[1]` of a known passage, unless it is a link already, a link's definition, or inside code. */
function findMarks(text: string, numbers: ReadonlySet<number>): Mark[] {
  const code = [...text.matchAll(/```[\s\S]*?(?:```|$)|`[^`\n]*`/g)].map((match) => [match.index, match.index + match[0].length] as const);
  return [...text.matchAll(/(?<!^[ ]{0,3}(?=\[\d+\]:))\[(\d{1,2})\](?!\()/gm)]
    .map((match) => ({ start: match.index, end: match.index + match[0].length, number: Number(match[1]), index: null }))
    .filter((mark) => numbers.has(mark.number) && !code.some(([from, to]) => mark.start >= from && mark.end <= to));
}

/** The passage number and citation index of a reference's address; null for any other link. */
export function parseCitationHref(href: string | undefined): { number: number; index: number | null } | null {
  const match = /^#citation-(\d+)(?:-(\d+))?$/.exec(href ?? "");
  return match ? { number: Number(match[1]), index: match[2] === undefined ? null : Number(match[2]) } : null;
}
