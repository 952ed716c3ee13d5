import type { ReactNode } from "react";

import { cx } from "./cx";

export type Tone = "plain" | "good" | "warn" | "bad" | "accent";

const tones: Record<Tone, string> = {
  plain: "text-soft bg-sunken",
  good: "text-good bg-good-soft",
  warn: "text-warn bg-warn-soft",
  bad: "text-bad bg-bad-soft",
  accent: "text-accent bg-accent-soft",
};

/** A state in a word. The word carries the meaning; the colour only repeats it. */
export function Badge({ tone = "plain", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span className={cx("inline-flex items-center rounded-[4px] px-1.5 py-px text-[0.8125rem] font-medium whitespace-nowrap", tones[tone])}>
      {children}
    </span>
  );
}
