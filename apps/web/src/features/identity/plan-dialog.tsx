"use client";

import type { Quotas, Tenant } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { usePutQuotas } from "@/data/tenants/mutations";
import { tenantQuotasQuery } from "@/data/tenants/queries";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";

import { formatQuota, limitText, parseLimit, QUOTA_RESOURCES } from "./quota-labels";

export function PlanDialog({ tenant, onClose }: { tenant: Tenant | null; onClose: () => void }) {
  return (
    <Dialog open={tenant !== null} onOpenChange={(open) => !open && onClose()} title={`Plan of ${tenant?.name ?? ""}`} description="What is over a limit stays; no more can be added. An empty field is no limit.">
      {tenant && <Loaded id={tenant.id} onClose={onClose} />}
    </Dialog>
  );
}

function Loaded({ id, onClose }: { id: string; onClose: () => void }) {
  const quotas = useQuery(tenantQuotasQuery(id));
  return (
    <QueryView query={quotas} loading={<SkeletonRows rows={5} />}>
      {(data) => <PlanForm id={id} quotas={data} onClose={onClose} />}
    </QueryView>
  );
}

function PlanForm({ id, quotas, onClose }: { id: string; quotas: Quotas; onClose: () => void }) {
  const put = usePutQuotas();
  const [plan, setPlan] = useState(quotas.plan);
  const [texts, setTexts] = useState<Record<string, string>>(() => Object.fromEntries(quotas.quotas.map((quota) => [quota.resource, limitText(quota.resource, quota.limit)])));
  const limits = QUOTA_RESOURCES.map(({ value }) => ({ resource: value, limit: parseLimit(value, texts[value] ?? "") }));
  const wrong = limits.some((one) => one.limit === "invalid");
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (wrong) return;
    const given = limits.flatMap(({ resource, limit }) => (typeof limit === "number" ? [{ resource, limit }] : []));
    put.mutate({ id, plan: plan.trim(), limits: given }, { onSuccess: onClose });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {put.error ? <ProblemNote error={put.error} /> : null}
      <TextField label="Plan" required maxLength={60} autoComplete="off" value={plan} onChange={(event) => setPlan(event.target.value)} hint="Its name, as the workspace’s people read it." />
      <div className="grid gap-4 sm:grid-cols-2">
        {QUOTA_RESOURCES.map(({ value, label, hint }) => {
          const used = quotas.quotas.find((quota) => quota.resource === value)?.used ?? 0;
          return (
            <TextField
              key={value}
              label={value === "storage_bytes" ? `${label} in GB` : label}
              inputMode="decimal"
              autoComplete="off"
              value={texts[value] ?? ""}
              onChange={(event) => setTexts({ ...texts, [value]: event.target.value })}
              hint={`${hint}; used: ${formatQuota(value, used)}`}
              error={parseLimit(value, texts[value] ?? "") === "invalid" ? "Write a number, or leave it empty." : null}
            />
          );
        })}
      </div>
      <DialogActions>
        <Button type="submit" variant="primary" busy={put.isPending} disabled={wrong || plan.trim() === ""}>Save the plan</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
