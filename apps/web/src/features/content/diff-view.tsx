import type { Diff, DiffHunk } from "@plasma/client/types";

import { plural } from "@/lib/format";
import { diffRows, type DiffRow } from "@/lib/word-diff";
import { cx } from "@/ui/cx";

/** Two revisions as one text: what went and what came, down to the word. Never by colour alone. */
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
          {title.map((row, index) => <Row key={index} row={row} />)}
        </div>
      )}
      {diff.hunks.map((hunk, index) => (
        <Hunk key={index} hunk={hunk} first={index === 0} />
      ))}
    </div>
  );
}

function Hunk({ hunk, first }: { hunk: DiffHunk; first: boolean }) {
  return (
    <div className={cx("border-b border-rule", first && "border-t")}>
      <p className="figure bg-sunken px-3 py-1 text-xs text-faint">line {hunk.from_line === hunk.to_line ? hunk.from_line : `${hunk.from_line}, now ${hunk.to_line}`}</p>
      {diffRows(hunk.lines).map((row, index) => <Row key={index} row={row} />)}
    </div>
  );
}

const SIGNS = { same: " ", removed: "−", added: "+" } as const;
const NAMES = { same: "", removed: "Removed: ", added: "Added: " } as const;

function Row({ row }: { row: DiffRow }) {
  const Element = row.kind === "added" ? "ins" : row.kind === "removed" ? "del" : "div";
  return (
    <Element
      className={cx(
        "grid grid-cols-[1.5rem_minmax(0,1fr)] px-1 py-0.5 font-serif text-[1.0625rem] leading-relaxed no-underline",
        row.kind === "added" && "bg-good-soft",
        row.kind === "removed" && "bg-bad-soft",
      )}
    >
      <span aria-hidden className={cx("figure text-center text-[0.875rem]", row.kind === "added" ? "text-good" : "text-bad")}>{SIGNS[row.kind]}</span>
      <span className="break-words whitespace-pre-wrap">
        {NAMES[row.kind] && <span className="sr-only">{NAMES[row.kind]}</span>}
        {row.pieces.map((piece, index) =>
          piece.changed ? (
            <span key={index} className={cx("rounded-[2px]", row.kind === "added" ? "bg-good/25 underline decoration-good decoration-2 underline-offset-3" : "bg-bad/20 line-through decoration-bad")}>{piece.text}</span>
          ) : (
            piece.text
          ),
        )}
        {row.pieces.every((piece) => piece.text === "") && " "}
      </span>
    </Element>
  );
}
