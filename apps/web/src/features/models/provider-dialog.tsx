"use client";

import { asProblem } from "@plasma/client/problem";
import type { Provider } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useSaveProvider } from "@/data/providers/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField, SelectField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { PROVIDER_KINDS, type RemoteKind } from "./provider-kinds";

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
  const [kind, setKind] = useState<RemoteKind>(provider && provider.kind !== "local" ? provider.kind : "openai");
  const [apiKey, setApiKey] = useState("");
  const [responses, setResponses] = useState(provider?.options.responses ?? false);
  const [batch, setBatch] = useState(provider?.options.batch ?? false);
  const [apiVersion, setApiVersion] = useState(provider?.options.api_version ?? "");
  const [region, setRegion] = useState(provider?.options.region ?? "");
  const about = PROVIDER_KINDS[kind];
  const problem = save.error ? asProblem(save.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.mutate(
      {
        id: provider?.id ?? null,
        name: name.trim(),
        kind,
        base_url: baseUrl.trim(),
        options: {
          responses: about.mayHaveResponses && responses,
          batch: kind === "openai" && batch,
          api_version: kind === "azure" && apiVersion.trim() !== "" ? apiVersion.trim() : null,
          region: kind === "bedrock" && region.trim() !== "" ? region.trim() : null,
        },
        ...(apiKey !== "" && { api_key: apiKey }),
      },
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
      <SelectField label="It speaks" disabled={provider !== null} value={kind} onChange={(event) => setKind(event.target.value as RemoteKind)} error={fieldError("kind")}>
        {Object.entries(PROVIDER_KINDS).map(([value, { label }]) => <option key={value} value={value}>{label}</option>)}
      </SelectField>
      <TextField label="Base URL" type="url" required placeholder={about.address} value={baseUrl} onChange={(event) => setBaseUrl(event.target.value)} error={fieldError("base_url")} />
      <TextField
        label="API key"
        optional
        type="password"
        autoComplete="off"
        value={apiKey}
        onChange={(event) => setApiKey(event.target.value)}
        error={fieldError("api_key")}
        hint={[provider?.has_api_key && "Leave empty to keep the stored key.", about.keyHint].filter(Boolean).join(" ") || undefined}
      />
      {about.mayHaveResponses && (
        <CheckField label="It also has /responses" hint="Requests of OpenAI’s Responses format then pass through." checked={responses} onChange={(event) => setResponses(event.target.checked)} />
      )}
      {kind === "openai" && (
        <CheckField label="It also has /batches" hint="A batch whose lines all name one of its models is then answered there, unless a budget applies." checked={batch} onChange={(event) => setBatch(event.target.checked)} />
      )}
      {kind === "azure" && <TextField label="API version" optional placeholder="2024-10-21" value={apiVersion} onChange={(event) => setApiVersion(event.target.value)} error={fieldError("options.api_version")} />}
      {kind === "bedrock" && <TextField label="Region" optional placeholder="us-east-1" value={region} onChange={(event) => setRegion(event.target.value)} error={fieldError("options.region") ?? fieldError("region")} hint="Where the address does not name it." />}
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending}>{provider ? "Save changes" : "Connect"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
