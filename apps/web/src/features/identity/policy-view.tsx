"use client";

import type { AccessPolicy } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useState } from "react";

import { useDeletePolicy } from "@/data/policies/mutations";
import { policyQuery } from "@/data/policies/queries";
import { useParam, useSetParams } from "@/lib/use-param";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { PageHeader } from "@/ui/page-header";
import { Bone, QueryView, SkeletonRows } from "@/ui/query-view";
import { Tabs } from "@/ui/tabs";
import { Time } from "@/ui/time";

import { ActorName } from "./actor-name";
import { PolicyEditor } from "./policy-editor";
import { PolicyHistory } from "./policy-history";
import { PolicySchema } from "./policy-schema";
import { useDenied } from "./session";

const BACK = { href: "/settings/policies/", label: "Access policies" };

export function NewPolicy() {
  return (
    <>
      <PageHeader back={BACK} title="Write a policy" lead="In Cedar's language. Every mistake is told at its place, and you see which recent requests would be answered otherwise." />
      <PolicyEditor policy={null} />
      <div className="mt-12"><PolicySchema /></div>
    </>
  );
}

export function PolicyView({ id }: { id: string }) {
  const policy = useQuery(policyQuery(id));
  return (
    <QueryView query={policy} loading={<div><Bone className="mb-10 h-10 w-1/2" /><SkeletonRows /></div>}>
      {(data) => <LoadedPolicy policy={data} />}
    </QueryView>
  );
}

function LoadedPolicy({ policy }: { policy: AccessPolicy }) {
  const router = useRouter();
  const setParams = useSetParams();
  const tab = useParam("tab") ?? "text";
  const denied = useDenied("policies:write");
  const remove = useDeletePolicy();
  const [removing, setRemoving] = useState(false);
  const [restored, setRestored] = useState<{ text: string; version: number; over: number } | null>(null);
  const restore = (text: string, version: number) => {
    setRestored({ text, version, over: policy.version });
    setParams({ tab: null });
  };
  // What was put back is a draft of its own, until it is saved as a new version.
  const draft = restored?.over === policy.version ? restored : null;
  return (
    <>
      <PageHeader
        back={BACK}
        title={<span className="break-words">{policy.name}</span>}
        lead={
          <>
            {policy.description && <p className="break-words">{policy.description}</p>}
            <p className="mt-1 text-[0.875rem] text-faint">{policy.enabled ? <Badge tone="good">In force</Badge> : <Badge>Off</Badge>} version {policy.version}, <Time at={policy.updated_at} /> by <ActorName actor={policy.updated_by} /></p>
          </>
        }
        actions={<Button variant="danger" reason={denied} onClick={() => setRemoving(true)}>Delete</Button>}
      />
      <Tabs
        label={policy.name}
        value={tab}
        onChange={(next) => setParams({ tab: next === "text" ? null : next })}
        items={[
          { value: "text", label: "Text", content: <PolicyEditor key={`${policy.version} ${draft?.version ?? ""}`} policy={policy} start={draft?.text} /> },
          { value: "history", label: "History", content: <PolicyHistory policy={policy} onRestore={restore} /> },
          { value: "schema", label: "What it may speak of", content: <PolicySchema /> },
        ]}
      />
      <ConfirmDialog
        open={removing}
        onOpenChange={setRemoving}
        title={`Delete “${policy.name}”?`}
        action="Delete policy"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(policy.id, { onSuccess: () => router.replace("/settings/policies/") })}
      >
        It holds no longer, from this moment. Its versions go with it; what it said stays in the event log. This cannot be undone.
      </ConfirmDialog>
    </>
  );
}
