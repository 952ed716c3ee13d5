"use client";

import { asProblem } from "@plasma/client/problem";
import type { Budget, BudgetSubject } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useAddBudget, useChangeBudget } from "@/data/budgets/mutations";
import { parseMoneyMicros } from "@/lib/format";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { SubjectField, type SubjectKind } from "./subject-field";

export const PERIODS: Record<Budget["period"], string> = { day: "a day", month: "a month", total: "in all" };

export function BudgetDialog({ budget, onClose }: { budget: Budget | "new" | null; onClose: () => void }) {
  return (
    <Dialog open={budget !== null} onOpenChange={(open) => !open && onClose()} title={budget === "new" ? "Set a budget" : "Change the budget"}>
      {budget && <BudgetForm budget={budget === "new" ? null : budget} onClose={onClose} />}
    </Dialog>
  );
}

function subjectOf(kind: SubjectKind, which: string): BudgetSubject {
  switch (kind) {
    case "user": return { kind, id: which };
    case "api_key": return { kind, id: which };
    case "team": return { kind, id: which };
    case "route": return { kind, name: which };
    default: return { kind: "tenant" };
  }
}

function BudgetForm({ budget, onClose }: { budget: Budget | null; onClose: () => void }) {
  const add = useAddBudget();
  const change = useChangeBudget();
  const [subject, setSubject] = useState<{ kind: SubjectKind; which: string }>({ kind: "tenant", which: "" });
  const [period, setPeriod] = useState<Budget["period"]>("month");
  const [amount, setAmount] = useState(budget ? String(budget.limit.amount_micros / 1_000_000) : "");
  const [currency, setCurrency] = useState(budget?.limit.currency ?? "USD");
  const error = add.error ?? change.error;
  const problem = error ? asProblem(error) : null;
  const fieldError = (field: string) => (problem?.field?.startsWith(field) ? problem.detail : null);
  const micros = parseMoneyMicros(amount);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (micros === null) return;
    if (budget) change.mutate({ id: budget.id, limit_micros: micros }, { onSuccess: onClose });
    else add.mutate({ subject: subjectOf(subject.kind, subject.which), period, limit_micros: micros, currency }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={error} /> : null}
      {!budget && (
        <>
          <SubjectField kinds={["tenant", "team", "user", "api_key", "route"]} {...subject} error={fieldError("subject")} onChange={(kind, which) => setSubject({ kind, which })} />
          <SelectField label="Period" value={period} onChange={(event) => setPeriod(event.target.value as Budget["period"])} hint="Days and months by the UTC calendar.">
            {Object.entries(PERIODS).map(([value, label]) => <option key={value} value={value}>{label}</option>)}
          </SelectField>
        </>
      )}
      <div className="flex gap-4">
        <TextField className="grow" label="Limit" required inputMode="decimal" value={amount} onChange={(event) => setAmount(event.target.value)} error={fieldError("limit_micros") ?? (amount !== "" && micros === null ? "must be an amount such as 50 or 0.25" : null)} />
        <TextField className="w-24" label="Currency" required disabled={budget !== null} pattern="[A-Z]{3}" maxLength={3} value={currency} onChange={(event) => setCurrency(event.target.value.toUpperCase())} error={fieldError("currency")} />
      </div>
      <DialogActions>
        <Button type="submit" variant="primary" busy={add.isPending || change.isPending}>{budget ? "Save changes" : "Set budget"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
