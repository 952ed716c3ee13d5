"use client";

import { asProblem } from "@plasma/client/problem";
import type { ModelAlias } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { useSaveAlias } from "@/data/aliases/mutations";
import { modelsQuery } from "@/data/models/queries";
import { routesQuery } from "@/data/routes/queries";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

export function AliasDialog({ alias, onClose }: { alias: ModelAlias | "new" | null; onClose: () => void }) {
  return (
    <Dialog open={alias !== null} onOpenChange={(open) => !open && onClose()} title={alias === "new" ? "Add an alias" : "Edit alias"}>
      {alias && <AliasForm alias={alias === "new" ? null : alias} onClose={onClose} />}
    </Dialog>
  );
}

function AliasForm({ alias, onClose }: { alias: ModelAlias | null; onClose: () => void }) {
  const save = useSaveAlias();
  const models = useQuery(modelsQuery);
  const routes = useQuery(routesQuery);
  const [name, setName] = useState(alias?.name ?? "");
  const [target, setTarget] = useState(alias?.target ?? "");
  const problem = save.error ? asProblem(save.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);
  const targets = [...(models.data ?? []).map((model) => model.id), ...(routes.data ?? []).map((route) => route.name)];
  // What it stands for may be gone meanwhile; it is shown all the same.
  const shown = target === "" || targets.includes(target) ? targets : [target, ...targets];

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.mutate({ name: name.trim(), target }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={save.error} /> : null}
      <TextField label="Name" required disabled={alias !== null} pattern="[a-z0-9._\-]+" maxLength={63} value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} hint="Callers name it as the model. Small letters, digits, dots and hyphens." />
      <SelectField label="Stands for" required value={target} onChange={(event) => setTarget(event.target.value)} error={fieldError("target")} hint="A model or a route.">
        <option value="" disabled>Choose one</option>
        {shown.map((id) => <option key={id} value={id}>{id}</option>)}
      </SelectField>
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending}>{alias ? "Save changes" : "Add alias"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
