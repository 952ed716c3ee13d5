import type { DiffHunk } from "@plasma/client/types";

import { diffRows, type DiffRow } from "@/lib/word-diff";

import { cx } from "./cx";

/** The places where two texts differ, down to the word. Never by colour alone. */
export function DiffHunks({ hunks, mono }: { hunks: DiffHunk[]; mono?: boolean }) {
  return hunks.map((hunk, index) => (
    <div key={index} className={cx("border-b border-rule", index === 0 && "border-t")}>
      <p className="figure bg-sunken px-3 py-1 text-xs text-faint">line {hunk.from_line === hunk.to_line ? hunk.from_line : `${hunk.from_line}, now ${hunk.to_line}`}</p>
      {diffRows(hunk.lines).map((row, place) => <DiffLineRow key={place} row={row} mono={mono} />)}
    </div>
  ));
}

const SIGNS = { same: " ", removed: "−", added: "+" } as const;
const NAMES = { same: "", removed: "Removed: ", added: "Added: " } as const;

export function DiffLineRow({ row, mono }: { row: DiffRow; mono?: boolean | undefined }) {
  const Element = row.kind === "added" ? "ins" : row.kind === "removed" ? "del" : "div";
  return (
    <Element
      className={cx(
        "grid grid-cols-[1.5rem_minmax(0,1fr)] px-1 py-0.5 leading-relaxed no-underline",
        mono ? "figure text-[0.875rem]" : "font-serif text-[1.0625rem]",
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
