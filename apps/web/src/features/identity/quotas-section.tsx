"use client";

import type { Quota } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";

import { quotasQuery } from "@/data/tenants/queries";
import { Badge } from "@/ui/badge";
import { Section } from "@/ui/page-header";
import { ProgressBar } from "@/ui/progress-bar";
import { QueryView, SkeletonRows } from "@/ui/query-view";

import { quotaLabel, quotaSentence } from "./quota-labels";
import { useCan } from "./session";

/** The workspace's plan, and how much of it is used. */
export function QuotasSection() {
  const may = useCan("tenants:read");
  const quotas = useQuery({ ...quotasQuery, enabled: may });
  if (!may) return null;
  return (
    <Section
      title="Plan"
      lead={<>{quotas.data ? <>This workspace has the plan “{quotas.data.plan}”. </> : null}Whoever runs the installation sets it. At a limit nothing is lost; no more can be added.</>}
    >
      <QueryView query={quotas} loading={<SkeletonRows rows={5} />}>
        {(data) => <dl className="max-w-xl border-t border-rule-strong">{data.quotas.map((quota) => <QuotaRow key={quota.resource} quota={quota} />)}</dl>}
      </QueryView>
    </Section>
  );
}

export function QuotaRow({ quota }: { quota: Quota }) {
  const counted = quota.resource !== "requests_per_minute";
  const full = counted && quota.limit !== null && quota.used >= quota.limit;
  return (
    <div data-quota={quota.resource} className="border-b border-rule py-3">
      <div className="flex flex-wrap items-baseline justify-between gap-x-6">
        <dt>{quotaLabel(quota.resource)} {full ? <Badge tone="bad">Used up</Badge> : quota.near ? <Badge tone="warn">Nearly used up</Badge> : null}</dt>
        <dd className="text-soft tabular-nums">{quotaSentence(quota)}</dd>
      </div>
      {counted && quota.limit !== null && <dd><ProgressBar label={`${quotaLabel(quota.resource)} used`} done={Math.min(quota.used, quota.limit)} total={Math.max(1, quota.limit)} className="mt-2" /></dd>}
    </div>
  );
}
