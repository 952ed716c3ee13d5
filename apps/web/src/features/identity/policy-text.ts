import type { DiffLine, PolicyProblem, TextPlace } from "@plasma/client/types";

import { utf16Offsets } from "@/lib/code-points";

/** A rule to begin with, and what it is for. */
export const EXAMPLES: { label: string; text: string }[] = [
  {
    label: "Only from the office",
    text: 'forbid (principal, action, resource)\nunless {\n  context.address.isInRange(ip("192.0.2.0/24")) ||\n  principal in Role::"owner"\n};\n',
  },
  {
    label: "Changes only in working hours",
    text: 'forbid (principal in Role::"editor", action == Action::"content:write", resource)\nwhen { context.weekday > 5 || context.hour < 7 || context.hour >= 18 };\n',
  },
  {
    label: "Two factors for dangerous things",
    text: 'forbid (\n  principal is User,\n  action in [Action::"users:write", Action::"api_keys:write", Action::"models:write"],\n  resource\n)\nunless { principal.multi_factor };\n',
  },
  {
    label: "A collection for one team",
    text: 'forbid (principal, action, resource in Resource::"col_…")\nunless { principal in Team::"team_…" || principal in Role::"owner" };\n',
  },
  {
    label: "A team may see users",
    text: 'permit (principal in Team::"team_…", action == Action::"users:read", resource);\n',
  },
];

/** A place of the server's as an offset into the text; clamped to its line and to the text. */
export function offsetOf(text: string, place: TextPlace): number {
  let start = 0;
  for (let line = 1; line < place.line; line += 1) {
    const end = text.indexOf("\n", start);
    if (end < 0) return text.length;
    start = end + 1;
  }
  const end = text.indexOf("\n", start);
  const line = text.slice(start, end < 0 ? text.length : end);
  return start + utf16Offsets(line)(place.column - 1);
}

/** The part of the text that a problem is about; at least the place itself. */
export function rangeOf(text: string, problem: Pick<PolicyProblem, "start" | "end">): [start: number, end: number] {
  const start = offsetOf(text, problem.start);
  return [start, Math.max(start, offsetOf(text, problem.end))];
}

/** The worst that is said about each line. */
export function markedLines(problems: readonly PolicyProblem[]): Map<number, "error" | "warning"> {
  const lines = new Map<number, "error" | "warning">();
  for (const problem of problems) {
    if (problem.is_error || !lines.has(problem.start.line)) lines.set(problem.start.line, problem.is_error ? "error" : "warning");
  }
  return lines;
}

/** More lines than this are not compared but shown as replaced: the comparison costs their product. */
const LINES_MAX = 600;

/** How two texts differ, line by line; none when they are the same. */
export function lineDiff(before: string, after: string): DiffLine[] {
  if (before === after) return [];
  const [old, now] = [before.split("\n"), after.split("\n")];
  const removed = (text: string): DiffLine => ({ kind: "removed", text });
  const added = (text: string): DiffLine => ({ kind: "added", text });
  if (old.length > LINES_MAX || now.length > LINES_MAX) return [...old.map(removed), ...now.map(added)];
  const common = commonLengths(old, now);
  const at = (row: number, column: number) => common[row]?.[column] ?? 0;
  const lines: DiffLine[] = [];
  let [row, column] = [0, 0];
  while (row < old.length || column < now.length) {
    const [left, right] = [old[row], now[column]];
    if (left !== undefined && left === right) {
      lines.push({ kind: "same", text: left });
      row += 1;
      column += 1;
    } else if (left !== undefined && (right === undefined || at(row + 1, column) >= at(row, column + 1))) {
      lines.push(removed(left));
      row += 1;
    } else {
      lines.push(added(right ?? ""));
      column += 1;
    }
  }
  return lines;
}

/** For each pair of places, how many lines the rests of both texts have in common, in order. */
function commonLengths(old: readonly string[], now: readonly string[]): number[][] {
  const lengths = Array.from({ length: old.length + 1 }, () => new Array<number>(now.length + 1).fill(0));
  for (let row = old.length - 1; row >= 0; row -= 1) {
    for (let column = now.length - 1; column >= 0; column -= 1) {
      const [here, below] = [lengths[row], lengths[row + 1]];
      if (!here || !below) continue;
      here[column] = old[row] === now[column] ? (below[column + 1] ?? 0) + 1 : Math.max(below[column] ?? 0, here[column + 1] ?? 0);
    }
  }
  return lengths;
}
