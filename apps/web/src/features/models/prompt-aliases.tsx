"use client";

import { asProblem } from "@plasma/client/problem";
import type { Prompt, PromptAlias } from "@plasma/client/types";
import { Plus } from "lucide-react";
import { useState, type SyntheticEvent } from "react";

import { useDeletePromptAlias, useSavePromptAlias } from "@/data/prompts/mutations";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { EmptyState } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { splitText } from "./prompt-text";

export function PromptAliases({ prompt, denied }: { prompt: Prompt; denied: string | null }) {
  const remove = useDeletePromptAlias(prompt.name);
  const [editing, setEditing] = useState<PromptAlias | "new" | null>(null);
  const [removing, setRemoving] = useState<PromptAlias | null>(null);
  const reason = denied ?? (prompt.newest_version === 0 ? "Add a version first." : null);
  const add = <Button icon={<Plus aria-hidden className="size-4" />} reason={reason} onClick={() => setEditing("new")}>Add an alias</Button>;
  return (
    <>
      {prompt.aliases.length === 0 ? (
        <EmptyState title="No alias yet" action={add}>
          Programs name an alias, such as production, and you decide which version it stands for. Until there is one, the newest version answers.
        </EmptyState>
      ) : (
        <>
          <ul className="border-t border-rule-strong">
            {prompt.aliases.map((alias) => (
              <li key={alias.name} className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 border-b border-rule py-4">
                <p className="min-w-0">
                  <span className="figure text-[1rem] break-all">{alias.name}</span> <span className="text-soft">stands for {splitText(alias.split)}</span>{" "}
                  <span className="text-[0.8125rem] text-faint">since <Time at={alias.updated_at} /></span>
                </p>
                <div className="flex flex-wrap gap-2">
                  <Button small reason={denied} onClick={() => setEditing(alias)}>Edit<span className="sr-only"> {alias.name}</span></Button>
                  <Button small variant="danger" reason={denied} onClick={() => setRemoving(alias)}>Remove<span className="sr-only"> {alias.name}</span></Button>
                </div>
              </li>
            ))}
          </ul>
          <div className="mt-5">{add}</div>
        </>
      )}
      <Dialog open={editing !== null} onOpenChange={(open) => !open && setEditing(null)} title={editing === "new" ? "Add an alias" : "Edit alias"}>
        {editing && <AliasForm prompt={prompt} alias={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
      </Dialog>
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        title={`Remove ${removing?.name ?? ""}?`}
        action="Remove alias"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.name, { onSuccess: () => setRemoving(null) })}
      >
        Requests that name it are refused from then on. The versions stay.
      </ConfirmDialog>
    </>
  );
}

interface ShareDraft {
  version: string;
  weight: string;
}

function AliasForm({ prompt, alias, onClose }: { prompt: Prompt; alias: PromptAlias | null; onClose: () => void }) {
  const save = useSavePromptAlias(prompt.name);
  const [name, setName] = useState(alias?.name ?? (prompt.aliases.length === 0 ? "production" : ""));
  const [shares, setShares] = useState<ShareDraft[]>(
    alias?.split.map((share) => ({ version: String(share.version), weight: String(share.weight ?? 1) })) ?? [{ version: String(prompt.newest_version), weight: "1" }],
  );
  const problem = save.error ? asProblem(save.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);
  const isShown = problem?.field === "alias" || /^split\[\d+\]\.(version|weight)$/.test(problem?.field ?? "");
  const change = (index: number, changes: Partial<ShareDraft>) => setShares((all) => all.map((share, place) => (place === index ? { ...share, ...changes } : share)));
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const split = shares.map((share) => ({ version: Number(share.version), weight: shares.length === 1 ? 1 : Number(share.weight) }));
    save.mutate({ alias: name.trim(), split }, { onSuccess: onClose });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !isShown ? <ProblemNote error={save.error} /> : null}
      <TextField label="Name" required disabled={alias !== null} pattern="[a-z][a-z0-9._\-]*" maxLength={63} value={name} onChange={(event) => setName(event.target.value)} error={fieldError("alias")} hint="Begins with a small letter. A prompt without a named version means production." />
      <fieldset className="flex flex-col gap-3">
        <legend className="mb-2 text-[0.875rem] font-medium">Stands for</legend>
        {shares.map((share, index) => (
          <div key={index} className="flex items-end gap-3">
            <TextField className="flex-1" label="Version" type="number" required min={1} max={prompt.newest_version} value={share.version} onChange={(event) => change(index, { version: event.target.value })} error={fieldError(`split[${index}].version`)} />
            {shares.length > 1 && <TextField className="flex-1" label="Weight" type="number" required min={0} max={1_000_000} value={share.weight} onChange={(event) => change(index, { weight: event.target.value })} error={fieldError(`split[${index}].weight`)} />}
            {shares.length > 1 && <Button variant="quiet" onClick={() => setShares((all) => all.filter((_, place) => place !== index))}>Remove<span className="sr-only"> version {share.version}</span></Button>}
          </div>
        ))}
        {shares.length < Math.min(10, prompt.newest_version) && (
          <div><Button small onClick={() => setShares((all) => [...all, { version: "", weight: "1" }])}>Share with another version</Button></div>
        )}
        {shares.length > 1 && <p className="text-[0.8125rem] leading-snug text-faint">Calls are shared by weight. Calls of one subject (the header plasma-subject, or the field user) always get the same version.</p>}
      </fieldset>
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending}>{alias ? "Save changes" : "Add alias"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
