"use client";

import { asProblem } from "@plasma/client/problem";
import type { Provider } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useSaveProvider } from "@/data/providers/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

export function ProviderDialog({ provider, onClose }: { provider: Provider | "new" | null; onClose: () => void }) {
  return (
    <Dialog open={provider !== null} onOpenChange={(open) => !open && onClose()} title={provider === "new" ? "Connect a provider" : "Edit provider"}>
      {provider && <ProviderForm provider={provider === "new" ? null : provider} onClose={onClose} />}
    </Dialog>
  );
}

function ProviderForm({ provider, onClose }: { provider: Provider | null; onClose: () => void }) {
  const save = useSaveProvider();
  const [name, setName] = useState(provider?.name ?? "");
  const [baseUrl, setBaseUrl] = useState(provider?.base_url ?? "");
  const [apiKey, setApiKey] = useState("");
  const problem = save.error ? asProblem(save.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.mutate(
      { id: provider?.id ?? null, name: name.trim(), base_url: baseUrl.trim(), ...(apiKey !== "" && { api_key: apiKey }) },
      { onSuccess: onClose },
    );
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={save.error} /> : null}
      <TextField
        label="Name"
        required
        disabled={provider !== null}
        pattern="[a-z0-9][a-z0-9\-]*"
        maxLength={60}
        value={name}
        onChange={(event) => setName(event.target.value)}
        error={fieldError("name")}
        hint="Small letters, digits and hyphens. It is the first part of each model’s name."
      />
      <TextField label="Base URL" type="url" required placeholder="http://127.0.0.1:8081/v1" value={baseUrl} onChange={(event) => setBaseUrl(event.target.value)} error={fieldError("base_url")} />
      <TextField
        label="API key"
        optional
        type="password"
        autoComplete="off"
        value={apiKey}
        onChange={(event) => setApiKey(event.target.value)}
        error={fieldError("api_key")}
        hint={provider?.has_api_key ? "Leave empty to keep the stored key." : undefined}
      />
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending}>{provider ? "Save changes" : "Connect"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
