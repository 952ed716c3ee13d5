"use client";

import type { AccessPolicy } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { CircleQuestionMark, Plus } from "lucide-react";
import Link from "next/link";
import { useState } from "react";

import { useUpdatePolicy } from "@/data/policies/mutations";
import { policiesQuery } from "@/data/policies/queries";
import { plural } from "@/lib/format";
import { useParam } from "@/lib/use-param";
import { Badge } from "@/ui/badge";
import { Button, ButtonLink } from "@/ui/button";
import { LoadMore } from "@/ui/load-more";
import { PageHeader } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { ActorName } from "./actor-name";
import { ExplainDialog } from "./explain-dialog";
import { NewPolicy, PolicyView } from "./policy-view";
import { useDenied } from "./session";

/** All policies, or the one that the address names. */
export function PoliciesPage() {
  const id = useParam("id");
  const making = useParam("new");
  if (id) return <PolicyView key={id} id={id} />;
  if (making) return <NewPolicy />;
  return <PolicyList />;
}

function PolicyList() {
  const policies = useInfiniteQuery(policiesQuery);
  const denied = useDenied("policies:write");
  const update = useUpdatePolicy();
  const [explaining, setExplaining] = useState(false);
  const create = denied === null ? <ButtonLink variant="primary" icon={<Plus aria-hidden className="size-4" />} href="/settings/policies/?new=1">Write a policy</ButtonLink> : <Button variant="primary" reason={denied}>Write a policy</Button>;
  return (
    <>
      <PageHeader
        title="Access policies"
        lead="What roles cannot say: where from, when, with which things. A policy takes from what roles allow, or adds to it for people who signed in."
        actions={<><Button icon={<CircleQuestionMark aria-hidden className="size-4" />} onClick={() => setExplaining(true)}>Who may do what?</Button>{create}</>}
      />
      {update.error ? <ProblemNote error={update.error} className="mb-4" /> : null}
      <QueryView query={policies} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No policy yet" action={create}>Roles alone decide. A policy is written in Cedar, tried out on recent requests, and holds at once.</EmptyState>}>
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>Name</th><th>Statements</th><th>Version</th><th>Changed</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>
                {data.map((policy) => (
                  <PolicyRow
                    key={policy.id}
                    policy={policy}
                    denied={denied}
                    busy={update.isPending && update.variables.id === policy.id}
                    onSwitch={() => update.mutate({ id: policy.id, expected_version: policy.version, enabled: !policy.enabled })}
                  />
                ))}
              </tbody>
            </table>
            <LoadMore query={policies} />
          </>
        )}
      </QueryView>
      <ExplainDialog open={explaining} onOpenChange={setExplaining} />
    </>
  );
}

function PolicyRow({ policy, denied, busy, onSwitch }: { policy: AccessPolicy; denied: string | null; busy: boolean; onSwitch: () => void }) {
  return (
    <tr data-policy={policy.id} className={policy.enabled ? undefined : "text-soft"}>
      <td>
        <Link className="link font-medium break-words" href={`/settings/policies/?id=${encodeURIComponent(policy.id)}`}>{policy.name}</Link> {policy.enabled ? <Badge tone="good">In force</Badge> : <Badge>Off</Badge>}
        {policy.description && <span className="block max-w-[48ch] text-[0.875rem] break-words text-soft">{policy.description}</span>}
      </td>
      <td data-label="Statements">{plural(policy.statements, "statement")}</td>
      <td data-label="Version">{policy.version}</td>
      <td data-label="Changed" className="text-soft"><span><Time at={policy.updated_at} /> by <ActorName actor={policy.updated_by} /></span></td>
      <td className="num"><Button small busy={busy} reason={denied} onClick={onSwitch}>{policy.enabled ? "Switch off" : "Switch on"}<span className="sr-only"> {policy.name}</span></Button></td>
    </tr>
  );
}
