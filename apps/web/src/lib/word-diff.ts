import type { DiffLine } from "@plasma/client/types";

export interface WordPiece {
  text: string;
  changed: boolean;
}

export interface DiffRow {
  kind: DiffLine["kind"];
  pieces: WordPiece[];
}

/** Comparing words costs their product: longer lines are shown as changed as a whole. */
const WORDS_MAX = 800;
/** Below this share of common words two lines are different lines, not a line and its edit. */
const SIMILARITY_MIN = 0.25;

/**
 * The rows to show for a hunk: within a run of removed lines followed by added ones, the first removed line is compared
 * with the first added one and so on, and only the words that differ are marked. Prose has a paragraph on a line, so a
 * line-by-line diff alone would hide what was edited.
 */
export function diffRows(lines: readonly DiffLine[]): DiffRow[] {
  const rows: DiffRow[] = [];
  let index = 0;
  while (index < lines.length) {
    const removed = takeRun(lines, index, "removed");
    const added = takeRun(lines, index + removed.length, "added");
    if (removed.length > 0 && added.length > 0) {
      rows.push(...pairedRows(removed, added));
      index += removed.length + added.length;
      continue;
    }
    const line = lines[index];
    if (line) rows.push({ kind: line.kind, pieces: [{ text: line.text, changed: false }] });
    index += 1;
  }
  return rows;
}

function takeRun(lines: readonly DiffLine[], from: number, kind: DiffLine["kind"]): string[] {
  const run: string[] = [];
  for (let index = from; lines[index]?.kind === kind; index += 1) run.push(lines[index]?.text ?? "");
  return run;
}

function pairedRows(removed: string[], added: string[]): DiffRow[] {
  const pairs = removed.map((text, index) => {
    const counterpart = added[index];
    return counterpart === undefined ? null : diffWords(text, counterpart);
  });
  const whole = (text: string): WordPiece[] => [{ text, changed: false }];
  return [
    ...removed.map((text, index): DiffRow => ({ kind: "removed", pieces: pairs[index]?.removed ?? whole(text) })),
    ...added.map((text, index): DiffRow => ({ kind: "added", pieces: pairs[index]?.added ?? whole(text) })),
  ];
}

/** The two sides of an edited line with the changed words marked, or null when they have too little in common. */
export function diffWords(before: string, after: string): { removed: WordPiece[]; added: WordPiece[] } | null {
  const left = words(before);
  const right = words(after);
  if (left.length > WORDS_MAX || right.length > WORDS_MAX) return null;
  const { leftKept, rightKept, common } = longestCommonWords(left, right);
  const visible = (list: string[]) => list.filter((word) => word.trim() !== "").length;
  if (common < SIMILARITY_MIN * Math.max(visible(left), visible(right))) return null;
  return { removed: join(left, leftKept), added: join(right, rightKept) };
}

function words(text: string): string[] {
  return text.match(/\s+|[\p{L}\p{N}\p{M}_'’]+|[^\s\p{L}\p{N}\p{M}_'’]/gu) ?? [];
}

function longestCommonWords(left: string[], right: string[]) {
  const width = right.length + 1;
  const lengths = new Uint16Array((left.length + 1) * width);
  const at = (row: number, column: number) => lengths[row * width + column] ?? 0;
  for (let row = left.length - 1; row >= 0; row -= 1) {
    for (let column = right.length - 1; column >= 0; column -= 1) {
      lengths[row * width + column] =
        left[row] === right[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const leftKept = new Set<number>();
  const rightKept = new Set<number>();
  let common = 0;
  for (let row = 0, column = 0; row < left.length && column < right.length; ) {
    if (left[row] === right[column]) {
      leftKept.add(row);
      rightKept.add(column);
      if (left[row]?.trim() !== "") common += 1;
      row += 1;
      column += 1;
    } else if (at(row + 1, column) >= at(row, column + 1)) row += 1;
    else column += 1;
  }
  return { leftKept, rightKept, common };
}

function join(list: string[], kept: Set<number>): WordPiece[] {
  const pieces: WordPiece[] = [];
  list.forEach((text, index) => {
    const changed = !kept.has(index);
    const last = pieces.at(-1);
    if (last?.changed === changed) last.text += text;
    else pieces.push({ text, changed });
  });
  return pieces;
}
