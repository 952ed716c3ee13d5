"use client";

import { asProblem } from "@plasma/client/problem";
import type { Limit, LimitSubject } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useAddLimit, useChangeLimit } from "@/data/limits/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { SubjectField, type SubjectKind } from "./subject-field";

const NUMBERS = [
  { field: "requests_per_minute", label: "Calls a minute", hint: "A minute's allowance may be used at once and comes back evenly." },
  { field: "tokens_per_minute", label: "Tokens a minute", hint: "Read and written together." },
  { field: "concurrency", label: "Calls at a time", hint: "Further ones wait up to 30 seconds, callers by turns." },
] as const;

type NumberField = (typeof NUMBERS)[number]["field"];

export function LimitDialog({ limit, onClose }: { limit: Limit | "new" | null; onClose: () => void }) {
  return (
    <Dialog open={limit !== null} onOpenChange={(open) => !open && onClose()} title={limit === "new" ? "Set a limit" : "Change the limit"}>
      {limit && <LimitForm limit={limit === "new" ? null : limit} onClose={onClose} />}
    </Dialog>
  );
}

function subjectOf(kind: SubjectKind, id: string): LimitSubject {
  switch (kind) {
    case "user": return { kind, id };
    case "api_key": return { kind, id };
    case "team": return { kind, id };
    case "provider": return { kind, id };
    default: return { kind: "tenant" };
  }
}

function LimitForm({ limit, onClose }: { limit: Limit | null; onClose: () => void }) {
  const add = useAddLimit();
  const change = useChangeLimit();
  const [subject, setSubject] = useState<{ kind: SubjectKind; which: string }>({ kind: "tenant", which: "" });
  const [texts, setTexts] = useState<Record<NumberField, string>>({
    requests_per_minute: limit?.requests_per_minute?.toString() ?? "",
    tokens_per_minute: limit?.tokens_per_minute?.toString() ?? "",
    concurrency: limit?.concurrency?.toString() ?? "",
  });
  const error = add.error ?? change.error;
  const problem = error ? asProblem(error) : null;
  const fieldError = (field: string) => (problem?.field?.startsWith(field) ? problem.detail : null);
  const number = (field: NumberField) => (texts[field] === "" ? null : Number(texts[field]));

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const numbers = {
      requests_per_minute: number("requests_per_minute"),
      tokens_per_minute: number("tokens_per_minute"),
      concurrency: number("concurrency"),
    };
    if (limit) change.mutate({ id: limit.id, change: numbers }, { onSuccess: onClose });
    else add.mutate({ subject: subjectOf(subject.kind, subject.which), ...numbers }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={error} /> : null}
      {!limit && <SubjectField kinds={["tenant", "team", "user", "api_key", "provider"]} {...subject} error={fieldError("subject")} onChange={(kind, which) => setSubject({ kind, which })} />}
      {NUMBERS.map(({ field, label, hint }) => (
        <TextField key={field} label={label} hint={hint} optional type="number" min={1} step={1} inputMode="numeric" value={texts[field]} onChange={(event) => setTexts({ ...texts, [field]: event.target.value })} error={fieldError(field)} />
      ))}
      <DialogActions>
        <Button type="submit" variant="primary" busy={add.isPending || change.isPending}>{limit ? "Save changes" : "Set limit"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
