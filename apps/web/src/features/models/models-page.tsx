"use client";

import type { Model, ModelHealth, ModelKind } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { CircleDollarSign, ListChecks, Plus, Trash2 } from "lucide-react";
import { useState, type ReactNode } from "react";

import { useRemoveModel } from "@/data/models/mutations";
import { modelHealthQuery, modelsQuery } from "@/data/models/queries";
import { useDenied } from "@/features/identity/session";
import { formatBytes, formatCount, formatDuration } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { SelectField } from "@/ui/field";
import { Message } from "@/ui/message";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";

import { AddModelDialog } from "./add-model-dialog";
import { capabilitiesText } from "./capabilities";
import { CapabilitiesDialog } from "./capabilities-dialog";
import { CustomModelDialog } from "./custom-model-dialog";
import { FetchModel } from "./fetch-model";
import { MODEL_STATES } from "./model-labels";
import { ModelPriceText } from "./model-price";
import { ModelTabs } from "./model-tabs";
import { PriceDialog } from "./price-dialog";
import { PullsSection } from "./pulls-section";

/** Kinds in the order in which they are shown; some only when there is one. */
const GROUPS: { kind: ModelKind; title: string; always: boolean }[] = [
  { kind: "chat", title: "Chat", always: true },
  { kind: "embedding", title: "Embedding", always: true },
  { kind: "image", title: "Images", always: false },
  { kind: "transcription", title: "Transcription", always: false },
  { kind: "speech", title: "Speech", always: false },
  { kind: "rerank", title: "Rerankers", always: false },
];

export function ModelsPage() {
  const models = useQuery(modelsQuery);
  // Only an addition to each model: without it the page is complete.
  const health = useQuery(modelHealthQuery);
  const denied = useDenied("models:write");
  const remove = useRemoveModel();
  const [adding, setAdding] = useState(false);
  const [addingCustom, setAddingCustom] = useState(false);
  const [domain, setDomain] = useState("");
  const domains = [...new Set((models.data ?? []).flatMap((model) => model.domain ?? []))].sort();
  const [removing, setRemoving] = useState<Model | null>(null);
  const [pricing, setPricing] = useState<Model | null>(null);
  const [describing, setDescribing] = useState<Model | null>(null);
  return (
    <>
      <PageHeader
        title="Models"
        lead="Those that run on this machine, and those of connected providers. Each is called by its name, here and over the API."
        actions={
          <>
            <Button reason={denied} onClick={() => setAddingCustom(true)}>Add a custom model</Button>
            <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setAdding(true)}>Add a remote model</Button>
          </>
        }
      />
      <ModelTabs current="/models/" />
      <QueryView
        query={models}
        loading={<SkeletonRows tall />}
        isEmpty={(data) => data.length === 0}
        empty={<EmptyState title="No model is known">Connect a provider, or put weights into the models directory and restart the server.</EmptyState>}
      >
        {(data) => (
          <>
            {domains.length > 0 && (
              <SelectField label="Domain" className="mb-6 max-w-60" value={domain} onChange={(event) => setDomain(event.target.value)}>
                <option value="">Every domain</option>
                {domains.map((option) => <option key={option} value={option}>{option}</option>)}
              </SelectField>
            )}
            {GROUPS.map(({ kind, title, always }) => {
              const models = data.filter((model) => model.kind === kind && (domain === "" || model.domain === domain));
              return (always || models.length > 0) && <ModelGroup key={kind} title={title} models={models} health={health.data ?? []} denied={denied} onPrice={setPricing} onDescribe={setDescribing} onRemove={setRemoving} />;
            })}
          </>
        )}
      </QueryView>
      <PullsSection />
      <CustomModelDialog open={addingCustom} onOpenChange={setAddingCustom} />
      <AddModelDialog open={adding} onOpenChange={setAdding} />
      <PriceDialog model={pricing} onClose={() => setPricing(null)} />
      <CapabilitiesDialog model={describing} onClose={() => setDescribing(null)} />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        title={`Remove ${removing?.id ?? ""}?`}
        action="Remove model"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.id, { onSuccess: () => setRemoving(null) })}
      >
        Requests that name it are refused from then on. Its calls stay in the records, and files on this machine stay where they are.
      </ConfirmDialog>
    </>
  );
}

interface Acting {
  health: ModelHealth[];
  denied: string | null;
  onPrice: (model: Model) => void;
  onDescribe: (model: Model) => void;
  onRemove: (model: Model) => void;
}

function ModelGroup({ title, models, ...acting }: { title: string; models: Model[] } & Acting) {
  return (
    <section className="mt-10 first:mt-0">
      <h2 className="mb-3 font-serif text-[1.375rem] font-medium tracking-tight">{title}</h2>
      {models.length === 0 ? (
        <p className="border-t border-rule pt-4 text-soft">No {title.toLowerCase()} model yet.</p>
      ) : (
        <ul className="border-t border-rule-strong">
          {models.map((model) => <ModelRow key={model.id} model={model} {...acting} />)}
        </ul>
      )}
    </section>
  );
}

function ModelRow({ model, health, denied, onPrice, onDescribe, onRemove }: { model: Model } & Acting) {
  const state = MODEL_STATES[model.state];
  const lately = health.find((candidate) => candidate.model === model.id);
  return (
    <li data-model={model.id} className="border-b border-rule py-5">
      <div className="flex items-start justify-between gap-4">
        <div className="min-w-0">
          <p className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
            <span className="figure text-[1rem] font-medium break-all">{model.id}</span>
            <Badge tone={state.tone}>{state.label}</Badge>
            {model.default && <Badge>Default</Badge>}
            {model.domain && <Badge tone="accent">{model.domain}</Badge>}
            {lately?.circuit_open && <Badge tone="bad">Failing</Badge>}
          </p>
          {model.description && <p className="mt-1 max-w-[64ch]">{model.description}</p>}
          <p className="mt-1 text-[0.875rem] text-soft">{state.meaning}</p>
          {lately?.circuit_open && <p className="mt-1 text-[0.875rem] text-bad">Failed {formatCount(lately.failures_in_a_row)} times in a row: routes ask it last until its provider answers again.</p>}
        </div>
        {(model.state === "remote" || model.custom) && denied === null && (
          <div className="flex shrink-0">
            {!model.custom && model.kind === "chat" && <IconButton label={`Capabilities of ${model.id}`} onClick={() => onDescribe(model)}><ListChecks aria-hidden className="size-[1.125rem]" /></IconButton>}
            {!model.custom && <IconButton label={`Price of ${model.id}`} onClick={() => onPrice(model)}><CircleDollarSign aria-hidden className="size-[1.125rem]" /></IconButton>}
            <IconButton label={`Remove ${model.id}`} onClick={() => onRemove(model)}><Trash2 aria-hidden className="size-[1.125rem]" /></IconButton>
          </div>
        )}
      </div>
      {model.remedy && <p className="mt-3 rounded-[5px] border-l-3 border-warn bg-warn-soft px-4 py-3"><Message text={model.remedy} /></p>}
      {model.state === "missing" && !model.custom && <FetchModel model={model} />}
      <dl className="mt-3 flex flex-wrap gap-x-9 gap-y-2">
        <Fact name="Provider">{model.provider.kind === "local" ? "This machine" : model.provider.name}</Fact>
        {model.context_length !== null && <Fact name="Context">{formatCount(model.context_length)} tokens</Fact>}
        {model.capabilities !== null && <Fact name="Capabilities">{capabilitiesText(model.capabilities)}</Fact>}
        {model.dimensions !== null && <Fact name="Dimensions">{formatCount(model.dimensions)}</Fact>}
        {model.precision === "int8" && <Fact name="Precision">8-bit integers</Fact>}
        {model.size_bytes !== null && <Fact name="On disk">{formatBytes(model.size_bytes)}</Fact>}
        {model.memory_bytes !== null && <Fact name="In memory">{formatBytes(model.memory_bytes)}</Fact>}
        {model.license && <Fact name="License">{model.license}</Fact>}
        {lately?.first_token_p95_ms != null && <Fact name="First token, 95 % of calls">{formatDuration(lately.first_token_p95_ms)}</Fact>}
        {model.state === "remote" && <Fact name="Price per million tokens"><ModelPriceText model={model} /></Fact>}
      </dl>
    </li>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-[0.8125rem] text-faint">{name}</dt>
      <dd className="tabular-nums">{children}</dd>
    </div>
  );
}
