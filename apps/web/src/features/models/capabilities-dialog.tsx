"use client";

import { asProblem } from "@plasma/client/problem";
import type { Model } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useSetModelCapabilities } from "@/data/models/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { ProblemNote } from "@/ui/problem-note";

import { CapabilityFields } from "./capability-fields";

export function CapabilitiesDialog({ model, onClose }: { model: Model | null; onClose: () => void }) {
  return (
    <Dialog open={model !== null} onOpenChange={(open) => !open && onClose()} title={`Capabilities of ${model?.id ?? ""}`} description="Routes look at them. Requests that name the model itself go to it in any case.">
      {model && <CapabilitiesForm model={model} onClose={onClose} />}
    </Dialog>
  );
}

function CapabilitiesForm({ model, onClose }: { model: Model; onClose: () => void }) {
  const save = useSetModelCapabilities();
  const [capabilities, setCapabilities] = useState(model.capabilities);
  const problem = save.error ? asProblem(save.error) : null;
  const isOfField = problem?.field?.startsWith("capabilities") ?? false;

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.mutate({ id: model.id, capabilities }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !isOfField ? <ProblemNote error={save.error} /> : null}
      <CapabilityFields capabilities={capabilities} onChange={setCapabilities} error={isOfField ? (problem?.detail ?? null) : null} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending}>Save</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
