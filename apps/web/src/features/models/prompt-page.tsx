"use client";

import type { Prompt } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { useState } from "react";

import { useDeletePrompt } from "@/data/prompts/mutations";
import { promptQuery, promptVersionQuery } from "@/data/prompts/queries";
import { useDenied } from "@/features/identity/session";
import { plural } from "@/lib/format";
import { useParam, useSetParams } from "@/lib/use-param";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { MissingId } from "@/ui/missing-id";
import { PageHeader } from "@/ui/page-header";
import { Bone, QueryView, SkeletonRows } from "@/ui/query-view";
import { Tabs } from "@/ui/tabs";

import { PromptAliases } from "./prompt-aliases";
import { PromptEditor } from "./prompt-editor";
import { PromptVersions } from "./prompt-versions";

export function PromptPage() {
  const name = useParam("name");
  if (!name) return <MissingId what="prompt" href="/models/prompts/" back="All prompts" />;
  return <LoadedPrompt key={name} name={name} />;
}

function LoadedPrompt({ name }: { name: string }) {
  const prompt = useQuery(promptQuery(name));
  return (
    <QueryView query={prompt} loading={<div><Bone className="mb-10 h-10 w-1/2" /><SkeletonRows /></div>}>
      {(data) => <PromptView prompt={data} />}
    </QueryView>
  );
}

function PromptView({ prompt }: { prompt: Prompt }) {
  const router = useRouter();
  const setParams = useSetParams();
  const denied = useDenied("models:write");
  const remove = useDeletePrompt();
  const [removing, setRemoving] = useState(false);
  const tab = useParam("tab") ?? "text";
  const asked = Number(useParam("version") ?? "");
  const version = Number.isInteger(asked) && asked >= 1 && asked <= prompt.newest_version ? asked : prompt.newest_version;
  const open = (number: number) => setParams({ tab: null, version: String(number) }, "push");
  return (
    <>
      <PageHeader
        back={{ href: "/models/prompts/", label: "Prompts" }}
        title={<span className="break-all">{prompt.name}</span>}
        lead={
          <>
            {prompt.description && <p className="break-words">{prompt.description}</p>}
            <p className="mt-1 text-[0.875rem] text-faint">
              {prompt.newest_version === 0 ? "no version yet" : plural(prompt.newest_version, "version")},{" "}
              <Link className="link" href={`/models/calls/?prompt=${encodeURIComponent(prompt.name)}`}>its calls</Link>
            </p>
          </>
        }
        actions={<Button variant="danger" reason={denied} onClick={() => setRemoving(true)}>Remove</Button>}
      />
      <Tabs
        label={prompt.name}
        value={tab}
        onChange={(next) => setParams({ tab: next === "text" ? null : next })}
        items={[
          { value: "text", label: "Text", content: <Editor key={version} prompt={prompt} version={version} denied={denied} onAdded={open} /> },
          { value: "versions", label: "Versions", content: <PromptVersions prompt={prompt} shown={version} onOpen={open} /> },
          { value: "aliases", label: "Aliases", content: <PromptAliases prompt={prompt} denied={denied} /> },
        ]}
      />
      <ConfirmDialog
        open={removing}
        onOpenChange={setRemoving}
        title={`Remove ${prompt.name}?`}
        action="Remove prompt"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(prompt.name, { onSuccess: () => router.replace("/models/prompts/") })}
      >
        Its versions and aliases go with it, and requests that name it are refused from then on. This cannot be undone.
      </ConfirmDialog>
    </>
  );
}

/** The editor over a version's text, or over nothing for the first one. */
function Editor({ prompt, version, denied, onAdded }: { prompt: Prompt; version: number; denied: string | null; onAdded: (version: number) => void }) {
  const loaded = useQuery({ ...promptVersionQuery(prompt.name, version), enabled: version > 0 });
  if (version === 0) return <PromptEditor prompt={prompt} version={null} denied={denied} onAdded={onAdded} />;
  return <QueryView query={loaded} loading={<SkeletonRows rows={5} tall />}>{(data) => <PromptEditor prompt={prompt} version={data} denied={denied} onAdded={onAdded} />}</QueryView>;
}
