"use client";

import { asProblem } from "@plasma/client/problem";
import type { Capability, ModelKind } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useState, type SyntheticEvent } from "react";

import { useAddModel } from "@/data/models/mutations";
import { providersQuery } from "@/data/providers/queries";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { Segmented } from "@/ui/segmented";

import { CapabilityFields } from "./capability-fields";
import { EMPTY_PRICE, givenPrice, hasWrongAmount } from "./price-draft";
import { PriceFields } from "./price-fields";

const KINDS: { value: ModelKind; label: string }[] = [
  { value: "chat", label: "Chat" },
  { value: "embedding", label: "Embedding" },
  { value: "image", label: "Image" },
  { value: "transcription", label: "Transcription" },
  { value: "speech", label: "Speech" },
  { value: "rerank", label: "Rerank" },
];

/** Kinds whose models have a size: tokens of context, or numbers in a vector. */
const SIZES: Partial<Record<ModelKind, { label: string; hint: string | undefined }>> = {
  chat: { label: "Context length", hint: "In tokens." },
  embedding: { label: "Dimensions", hint: undefined },
};

export function AddModelDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Add a remote model" description="A model that a connected provider serves." wide>
      <AddModelForm onClose={() => onOpenChange(false)} />
    </Dialog>
  );
}

function AddModelForm({ onClose }: { onClose: () => void }) {
  const providers = useQuery(providersQuery);
  const add = useAddModel();
  const [chosen, setChosen] = useState<string | null>(null);
  const [kind, setKind] = useState<ModelKind>("chat");
  const [name, setName] = useState("");
  const [upstreamName, setUpstreamName] = useState("");
  const [size, setSize] = useState("");
  const [domain, setDomain] = useState("");
  const [capabilities, setCapabilities] = useState<Capability[] | null>(null);
  const [price, setPrice] = useState(EMPTY_PRICE);
  const problem = add.error ? asProblem(add.error) : null;
  const fieldError = (...fields: string[]) => (problem?.field && fields.includes(problem.field) ? problem.detail : null);
  const provider = chosen ?? providers.data?.[0]?.id ?? "";

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (hasWrongAmount(price, kind)) return;
    const count = Number.parseInt(size, 10);
    add.mutate(
      {
        provider,
        name: name.trim(),
        kind,
        ...(domain.trim() && { domain: domain.trim() }),
        ...(upstreamName.trim() && { upstream_name: upstreamName.trim() }),
        ...(count > 0 && kind === "chat" && { context_length: count }),
        ...(kind === "chat" && capabilities !== null && { capabilities }),
        ...(count > 0 && kind === "embedding" && { dimensions: count }),
        ...givenPrice(price, kind),
      },
      { onSuccess: onClose },
    );
  };

  return (
    <QueryView
      query={providers}
      loading={<SkeletonRows rows={2} />}
      isEmpty={(data) => data.length === 0}
      empty={<p>No provider is connected yet. <Link href="/models/providers/" className="link" onClick={onClose}>Connect one</Link>, then add its models.</p>}
    >
      {(data) => (
        <form onSubmit={submit} className="flex flex-col gap-4">
          {problem && !problem.field ? <ProblemNote error={add.error} /> : null}
          <Segmented small label="Kind" value={kind} options={KINDS} onChange={setKind} />
          <div className="grid gap-4 sm:grid-cols-2">
            <SelectField label="Provider" value={provider} onChange={(event) => setChosen(event.target.value)} error={fieldError("provider")}>
              {data.map((option) => <option key={option.id} value={option.id}>{option.name}</option>)}
            </SelectField>
            <TextField label="Name" required value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} hint={`Called as ${data.find((option) => option.id === provider)?.name ?? "provider"}/${name.trim() || "name"}`} />
            <TextField label="Name at the provider" optional value={upstreamName} onChange={(event) => setUpstreamName(event.target.value)} error={fieldError("upstream_name")} hint="When it differs." />
            {SIZES[kind] && (
              <TextField
                label={SIZES[kind].label}
                optional
                inputMode="numeric"
                pattern="[0-9]*"
                value={size}
                onChange={(event) => setSize(event.target.value)}
                error={fieldError("context_length", "dimensions")}
                hint={SIZES[kind].hint}
              />
            )}
            <TextField label="Domain" optional maxLength={40} pattern="[a-z0-9\-]+" value={domain} onChange={(event) => setDomain(event.target.value)} error={fieldError("domain")} hint="What it is made for, such as legal. Routes can require it." />
          </div>
          {kind === "chat" && <CapabilityFields capabilities={capabilities} onChange={setCapabilities} error={problem?.field?.startsWith("capabilities") ? problem.detail : null} />}
          <PriceFields price={price} kind={kind} onChange={setPrice} fieldError={fieldError} />
          <DialogActions>
            <Button type="submit" variant="primary" busy={add.isPending}>Add model</Button>
            <Button variant="quiet" onClick={onClose}>Cancel</Button>
          </DialogActions>
        </form>
      )}
    </QueryView>
  );
}
