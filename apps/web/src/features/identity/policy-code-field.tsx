"use client";

import type { PolicyProblem } from "@plasma/client/types";
import { useId, useState, type Ref } from "react";

import { cx } from "@/ui/cx";
import { Message } from "@/ui/message";

import { markedLines } from "./policy-text";

interface CodeFieldProps {
  ref: Ref<HTMLTextAreaElement>;
  label: string;
  value: string;
  readOnly: boolean;
  onChange: (text: string) => void;
  problems: readonly PolicyProblem[];
  error: string | null;
  /** Puts the cursor where a problem is. */
  onShow: (problem: PolicyProblem) => void;
}

const LINES_MIN = 10;

/** Text with numbered lines. Lines with mistakes are marked, and each mistake leads to its place. */
export function CodeField({ ref, label, value, readOnly, onChange, problems, error, onShow }: CodeFieldProps) {
  const id = useId();
  const [scroll, setScroll] = useState(0);
  const lines = value.split("\n").length;
  const marks = markedLines(problems);
  const wrong = error !== null || problems.some((problem) => problem.is_error);
  return (
    <div className="flex min-w-0 flex-col gap-1.5">
      <label htmlFor={id} className="text-[0.875rem] font-medium">{label}</label>
      <div className={cx("grid grid-cols-[auto_minmax(0,1fr)] overflow-hidden rounded-[5px] border bg-raised focus-within:outline-2 focus-within:outline-accent", wrong ? "border-bad" : "border-rule-strong")}>
        <div aria-hidden className="figure overflow-hidden border-r border-rule bg-sunken text-right text-[0.8125rem] leading-6 text-faint select-none">
          <div className="px-2 py-2" style={{ transform: `translateY(${-scroll}px)` }}>
            {Array.from({ length: lines }, (_, index) => {
              const mark = marks.get(index + 1);
              return <div key={index} data-mark={mark} className={cx(mark === "error" && "font-semibold text-bad", mark === "warning" && "font-semibold text-warn")}>{index + 1}</div>;
            })}
          </div>
        </div>
        <textarea
          ref={ref}
          id={id}
          rows={Math.min(28, Math.max(LINES_MIN, lines + 1))}
          wrap="off"
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          readOnly={readOnly}
          maxLength={10_000}
          aria-invalid={wrong || undefined}
          aria-describedby={problems.length > 0 || error ? `${id}-problems` : undefined}
          value={value}
          onChange={(event) => onChange(event.target.value)}
          onScroll={(event) => setScroll(event.currentTarget.scrollTop)}
          className="figure w-full resize-y bg-transparent px-3 py-2 text-[0.8125rem] leading-6 text-ink outline-none"
        />
      </div>
      <div id={`${id}-problems`} aria-live="polite">
        {error && problems.length === 0 && <p className="text-[0.8125rem] text-bad"><Message text={error} /></p>}
        {problems.length > 0 && (
          <ul className="flex flex-col gap-1.5 text-[0.875rem]">
            {problems.map((problem, index) => (
              <li key={index} data-problem={problem.is_error ? "error" : "warning"}>
                <button type="button" className="link" onClick={() => onShow(problem)}>Line {problem.start.line}, column {problem.start.column}</button>
                <span className={problem.is_error ? "text-bad" : "text-warn"}> {problem.is_error ? "" : "Look again: "}<Message text={problem.message} /></span>
                {problem.help && <span className="block text-soft"><Message text={problem.help} /></span>}
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}
