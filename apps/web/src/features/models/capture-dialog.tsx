"use client";

import { asProblem } from "@plasma/client/problem";
import type { BuiltInRedaction, CaptureSettings } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { useSaveCapture } from "@/data/capture/mutations";
import { captureQuery } from "@/data/capture/queries";
import { useDenied } from "@/features/identity/session";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField, TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView } from "@/ui/query-view";

const BUILT_IN: Record<BuiltInRedaction, string> = {
  email: "E-mail addresses",
  card_number: "Card numbers",
  api_key: "API keys and tokens",
};

/** Opens the settings, and says on itself whether anything is kept. */
export function CaptureButton() {
  const settings = useQuery(captureQuery);
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button onClick={() => setOpen(true)}>Capture{settings.data && `: ${settings.data.enabled ? "on" : "off"}`}</Button>
      <Dialog open={open} onOpenChange={setOpen} title="Capture of requests and answers">
        <QueryView query={settings}>
          {(data) => <CaptureForm settings={data as CaptureSettings} onClose={() => setOpen(false)} />}
        </QueryView>
      </Dialog>
    </>
  );
}

function CaptureForm({ settings, onClose }: { settings: CaptureSettings; onClose: () => void }) {
  const denied = useDenied("models:write");
  const save = useSaveCapture();
  const [draft, setDraft] = useState(settings);
  const [patterns, setPatterns] = useState(settings.redactions.join("\n"));
  const problem = save.error ? asProblem(save.error) : null;
  const fieldError = (field: string) => (problem?.field?.startsWith(field) ? problem.detail : null);
  const change = (changes: Partial<CaptureSettings>) => setDraft({ ...draft, ...changes });
  const toggle = (name: BuiltInRedaction, on: boolean) =>
    change({ built_in_redactions: on ? [...draft.built_in_redactions, name] : draft.built_in_redactions.filter((one) => one !== name) });

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const redactions = patterns.split("\n").filter((line) => line.trim() !== "");
    save.mutate({ ...draft, redactions }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={save.error} /> : null}
      <CheckField label="Keep what chat models are asked and answer" hint="Sealed in the database. Only who may change models can read it, and every reading is recorded." checked={draft.enabled} onChange={(event) => change({ enabled: event.target.checked })} />
      <fieldset className="flex flex-wrap gap-x-6 gap-y-2">
        <legend className="mb-1.5 text-[0.875rem] font-medium">What is kept</legend>
        <CheckField label="Requests" checked={draft.request} onChange={(event) => change({ request: event.target.checked })} />
        <CheckField label="Answers" checked={draft.answer} onChange={(event) => change({ answer: event.target.checked })} />
      </fieldset>
      <div className="flex gap-4">
        <TextField className="grow" label="Percent of calls" required type="number" min={1} max={100} step={1} inputMode="numeric" value={draft.share_percent} onChange={(event) => change({ share_percent: Number(event.target.value) })} error={fieldError("share_percent")} />
        <TextField className="grow" label="Days kept" required type="number" min={1} max={90} step={1} inputMode="numeric" value={draft.retention_days} onChange={(event) => change({ retention_days: Number(event.target.value) })} error={fieldError("retention_days")} />
      </div>
      <fieldset className="flex flex-wrap gap-x-6 gap-y-2">
        <legend className="mb-1.5 text-[0.875rem] font-medium">Replaced before anything is kept</legend>
        {Object.entries(BUILT_IN).map(([name, label]) => (
          <CheckField key={name} label={label} checked={draft.built_in_redactions.includes(name as BuiltInRedaction)} onChange={(event) => toggle(name as BuiltInRedaction, event.target.checked)} />
        ))}
      </fieldset>
      <TextAreaField label="What else is replaced" optional rows={3} spellCheck={false} placeholder="KV-[0-9]{6}" value={patterns} onChange={(event) => setPatterns(event.target.value)} error={fieldError("redactions")} hint="Regular expressions, one on each line: at most 20 of 200 characters." />
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending} reason={denied}>Save</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
