"use client";

import { asProblem } from "@plasma/client/problem";
import type { BenchmarkSuite } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type ChangeEvent, type SyntheticEvent } from "react";

import { useBeginBenchmark } from "@/data/benchmarks/mutations";
import { modelsQuery } from "@/data/models/queries";
import { routesQuery } from "@/data/routes/queries";
import { plural } from "@/lib/format";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField, Field, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

/** Models of one run. */
const MODELS_MAX = 10;
/** Bytes of a suite's file. */
const SUITE_BYTES_MAX = 2_000_000;

export function BenchmarkDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Begin a benchmark" description="Calls of providers' models cost what they always do, and count in your budgets." wide>
      <BenchmarkForm onClose={() => onOpenChange(false)} />
    </Dialog>
  );
}

function BenchmarkForm({ onClose }: { onClose: () => void }) {
  const models = useQuery(modelsQuery);
  const routes = useQuery(routesQuery);
  const begin = useBeginBenchmark();
  const [chosen, setChosen] = useState<string[]>([]);
  const [name, setName] = useState("");
  const [suite, setSuite] = useState<BenchmarkSuite | null>(null);
  const [fileError, setFileError] = useState<string | null>(null);
  const [greedy, setGreedy] = useState(true);
  const problem = begin.error ? asProblem(begin.error) : null;
  const fieldError = (field: string) => (problem?.field?.startsWith(field) ? problem.detail : null);
  const names = [
    ...(models.data ?? []).filter((model) => model.kind === "chat" && model.state !== "missing").map((model) => model.id),
    ...(routes.data ?? []).map((route) => route.name),
  ];

  const read = async (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0];
    setSuite(null);
    setFileError(null);
    if (!file) return;
    if (file.size > SUITE_BYTES_MAX) {
      setFileError("The file is larger than 2 MB.");
      return;
    }
    try {
      // The server checks it, and names the case that is wrong.
      setSuite(JSON.parse(await file.text()) as BenchmarkSuite);
    } catch {
      setFileError("The file is not JSON.");
    }
  };

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (chosen.length === 0 || fileError) return;
    begin.mutate({ models: chosen, greedy, ...(name.trim() && { name: name.trim() }), ...(suite && { suite }) }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={begin.error} /> : null}
      <fieldset>
        <legend className="mb-2 text-[0.875rem] font-medium">Models and routes</legend>
        <div className="flex max-h-60 flex-col gap-2 overflow-y-auto">
          {names.map((option) => (
            <CheckField
              key={option}
              label={<span className="figure break-all">{option}</span>}
              checked={chosen.includes(option)}
              disabled={!chosen.includes(option) && chosen.length >= MODELS_MAX}
              onChange={() => setChosen((list) => (list.includes(option) ? list.filter((other) => other !== option) : [...list, option]))}
            />
          ))}
          {names.length === 0 && <p className="text-soft">{models.isPending ? "Loading…" : "No chat model can answer now."}</p>}
        </div>
        {fieldError("models") && <p role="alert" className="mt-1.5 text-[0.8125rem] text-bad">{fieldError("models")}</p>}
      </fieldset>
      <TextField label="Name" optional maxLength={200} value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} hint="The suite's name when empty." />
      <Field label="Suite" optional error={fileError ?? fieldError("suite")} hint={suite ? `${suite.name}: ${plural(suite.cases?.length ?? 0, "case")}` : "A JSON file as docs/benchmarks.md describes it. Without one the program's own suite of short tasks is used."}>
        {(wiring) => <input {...wiring} type="file" accept="application/json,.json" onChange={(event) => void read(event)} className="text-[0.875rem]" />}
      </Field>
      <CheckField label="Ask for temperature 0" hint="So that a run can be repeated. Some models refuse the field." checked={greedy} onChange={(event) => setGreedy(event.target.checked)} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={begin.isPending} reason={chosen.length === 0 ? "Choose a model first." : null}>Begin</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
