import type { Diff } from "@plasma/client/types";

import { plural } from "@/lib/format";
import { diffRows, type DiffRow } from "@/lib/word-diff";
import { DiffHunks, DiffLineRow } from "@/ui/diff-hunks";

/** Two revisions as one text: what went and what came, down to the word. */
export function DiffView({ diff }: { diff: Diff }) {
  const retitled = diff.title.from !== diff.title.to;
  if (diff.hunks.length === 0 && !retitled) return <p className="text-soft">Revisions {diff.from} and {diff.to} are the same.</p>;
  const title: DiffRow[] = retitled
    ? diffRows([{ kind: "removed", text: diff.title.from }, { kind: "added", text: diff.title.to }])
    : [];
  return (
    <div data-diff>
      <p className="mb-3 text-[0.875rem] text-soft">
        <span className="font-medium text-good">{plural(diff.added, "line")} added</span>, <span className="font-medium text-bad">{plural(diff.removed, "line")} removed</span>
      </p>
      {retitled && (
        <div className="mb-5 border-y border-rule">
          <p className="eyebrow pt-2">Title</p>
          {title.map((row, index) => <DiffLineRow key={index} row={row} />)}
        </div>
      )}
      <DiffHunks hunks={diff.hunks} />
    </div>
  );
}
