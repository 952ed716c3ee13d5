"use client";

import type { Budget } from "@plasma/client/types";

import { formatMoney } from "@/lib/format";
import { ProgressBar } from "@/ui/progress-bar";
import { Time } from "@/ui/time";

import { PERIODS } from "./budget-dialog";
import { SubjectName } from "./subject-name";

/** Whose budget it is, and how far it is spent. */
export function BudgetBar({ budget }: { budget: Budget }) {
  const { limit, spent, reserved } = budget;
  return (
    <>
      <p className="text-[1.0625rem] font-medium first-letter:uppercase"><SubjectName subject={budget.subject} /> <span className="font-normal text-soft">{PERIODS[budget.period]}</span></p>
      <ProgressBar label={`Spent of ${formatMoney(limit)}`} done={spent.amount_micros} total={Math.max(1, limit.amount_micros)} className="mt-3 max-w-md" />
      <p className="mt-2 text-[0.875rem] text-soft tabular-nums">
        {formatMoney(spent)} of {formatMoney(limit)} spent
        {reserved.amount_micros > 0 && <>, {formatMoney(reserved)} set aside for running calls</>}
        {budget.resets_at !== null && <>, starts anew <Time at={budget.resets_at} /></>}
      </p>
    </>
  );
}
