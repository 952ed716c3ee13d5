"use client";

import type { Provider } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";

import { useDeleteProvider, useTestProvider } from "@/data/providers/mutations";
import { providersQuery } from "@/data/providers/queries";
import { useDenied } from "@/features/identity/session";
import { formatDuration, plural } from "@/lib/format";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Message } from "@/ui/message";
import { PageHeader } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { ModelTabs } from "./model-tabs";
import { ProviderDialog } from "./provider-dialog";
import { PROVIDER_KINDS } from "./provider-kinds";

export function ProvidersPage() {
  const providers = useQuery(providersQuery);
  const denied = useDenied("models:write");
  const remove = useDeleteProvider();
  const [editing, setEditing] = useState<Provider | "new" | null>(null);
  const [removing, setRemoving] = useState<Provider | null>(null);
  const connect = (
    <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setEditing("new")}>Connect a provider</Button>
  );
  return (
    <>
      <PageHeader title="Providers" lead="OpenAI, Anthropic, Gemini, Azure, Bedrock, or your own llama.cpp, Ollama or vLLM. Keys are stored encrypted and never shown again." actions={connect} />
      <ModelTabs current="/models/providers/" />
      <QueryView
        query={providers}
        isEmpty={(data) => data.length === 0}
        empty={<EmptyState title="No provider connected" action={connect}>Local models need none. Connect one to use models that run elsewhere.</EmptyState>}
      >
        {(data) => (
          <ul className="border-t border-rule-strong">
            {data.map((provider) => (
              <ProviderRow key={provider.id} provider={provider} denied={denied} onEdit={() => setEditing(provider)} onRemove={() => setRemoving(provider)} />
            ))}
          </ul>
        )}
      </QueryView>
      <ProviderDialog provider={editing} onClose={() => setEditing(null)} />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        title={`Disconnect ${removing?.name ?? ""}?`}
        action="Disconnect"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.id, { onSuccess: () => setRemoving(null) })}
      >
        Its models can no longer be called and its key is erased. Records of past calls stay.
      </ConfirmDialog>
    </>
  );
}

function ProviderRow({ provider, denied, onEdit, onRemove }: { provider: Provider; denied: string | null; onEdit: () => void; onRemove: () => void }) {
  const test = useTestProvider();
  return (
    <li className="border-b border-rule py-5">
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <p className="font-serif text-[1.25rem] font-medium tracking-tight">{provider.name}</p>
          <p className="figure text-[0.875rem] break-all text-soft">{provider.base_url}</p>
          <p className="mt-1 text-[0.875rem] text-faint">{provider.kind === "local" ? "" : `${PROVIDER_KINDS[provider.kind].label}, `}{provider.has_api_key ? "with an API key" : "without an API key"}, connected <Time at={provider.created_at} /></p>
        </div>
        <div className="flex flex-wrap gap-2">
          <Button small busy={test.isPending} reason={denied} onClick={() => test.mutate(provider.id)}>Test</Button>
          <Button small reason={denied} onClick={onEdit}>Edit</Button>
          <Button small variant="danger" reason={denied} onClick={onRemove}>Disconnect</Button>
        </div>
      </div>
      <div aria-live="polite">
        {test.error ? <ProblemNote error={test.error} className="mt-3" /> : null}
        {test.data && !test.data.ok && (
          <p className="mt-3 rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3"><Message text={test.data.error ?? "The provider did not answer"} /></p>
        )}
        {test.data?.ok && (
          <p className="mt-3 rounded-[5px] border-l-3 border-good bg-good-soft px-4 py-3">
            Answered in {formatDuration(test.data.duration_ms)} and serves {plural(test.data.models.length, "model")}
            {test.data.models.length > 0 && <>: <span className="figure text-[0.875rem] break-words">{test.data.models.slice(0, 20).join(", ")}{test.data.models.length > 20 && " …"}</span></>}
          </p>
        )}
      </div>
    </li>
  );
}
