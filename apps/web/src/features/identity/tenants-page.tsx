"use client";

import type { Tenant, TenantState } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Ellipsis, Plus } from "lucide-react";
import { useState } from "react";

import { tenantsQuery } from "@/data/tenants/queries";
import { formatDate } from "@/lib/format";
import { Badge, type Tone } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { LoadMore } from "@/ui/load-more";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { ConfirmDomainDialog } from "./confirm-domain-dialog";
import { CreateTenantDialog } from "./create-tenant-dialog";
import { DeletionDialog } from "./deletion-section";
import { PlanDialog } from "./plan-dialog";
import { useDenied, useMe } from "./session";
import { ResumeDialog, SuspendDialog, TakeBackDialog } from "./tenant-life-dialogs";

const STATES: Record<TenantState, { label: string; tone: Tone }> = {
  active: { label: "Active", tone: "good" },
  suspended: { label: "Suspended", tone: "warn" },
  deleting: { label: "To be deleted", tone: "bad" },
  erasing: { label: "Being erased", tone: "bad" },
};

type Action = "suspend" | "resume" | "plan" | "domain" | "delete" | "take-back";

/** Every workspace of the installation, for its operators. What is in them stays unseen. */
export function TenantsPage() {
  const tenants = useInfiniteQuery(tenantsQuery);
  const [creating, setCreating] = useState(false);
  const [chosen, setChosen] = useState<{ action: Action; tenant: Tenant } | null>(null);
  const on = (action: Action) => (chosen?.action === action ? chosen.tenant : null);
  const close = () => setChosen(null);
  return (
    <>
      <PageHeader
        title="Workspaces"
        lead="All workspaces of this installation. An operator sees that they are there, and nothing that is in them."
        actions={<Button variant="primary" icon={<Plus aria-hidden className="size-4" />} onClick={() => setCreating(true)}>Create a workspace</Button>}
      />
      <QueryView query={tenants} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No workspaces" />}>
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>Name</th><th>State</th><th>Plan</th><th>Created</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>{data.map((tenant) => <TenantRow key={tenant.id} tenant={tenant} onAction={(action) => setChosen({ action, tenant })} />)}</tbody>
            </table>
            <LoadMore query={tenants} />
          </>
        )}
      </QueryView>
      <CreateTenantDialog open={creating} onClose={() => setCreating(false)} />
      <SuspendDialog tenant={on("suspend")} onClose={close} />
      <ResumeDialog tenant={on("resume")} onClose={close} />
      <PlanDialog tenant={on("plan")} onClose={close} />
      <ConfirmDomainDialog tenant={on("domain")} onClose={close} />
      <DeletionDialog tenant={on("delete")} onClose={close} />
      <TakeBackDialog tenant={on("take-back")} onClose={close} />
    </>
  );
}

function TenantRow({ tenant, onAction }: { tenant: Tenant; onAction: (action: Action) => void }) {
  const own = useMe().tenant.id === tenant.id;
  const mayDelete = useDenied("tenants:delete") === null;
  const state = STATES[tenant.state];
  return (
    <tr data-tenant={tenant.id}>
      <td>
        <span className="font-medium">{tenant.name}</span>{own && <span className="text-faint"> (this one)</span>}
        <span className="figure block text-[0.8125rem] break-all text-soft">{tenant.id}</span>
      </td>
      <td data-label="State">
        <span>
          <Badge tone={state.tone}>{state.label}</Badge>
          {tenant.state_reason && <span className="mt-1 block text-[0.8125rem] text-soft">{tenant.state_reason}</span>}
          {tenant.delete_at !== null && <span className="mt-1 block text-[0.8125rem] text-soft">on {formatDate(tenant.delete_at)}</span>}
        </span>
      </td>
      <td data-label="Plan">{tenant.plan}</td>
      <td data-label="Created" className="text-soft"><Time at={tenant.created_at} /></td>
      <td className="num">
        <Menu trigger={<IconButton label={`Actions for ${tenant.name}`}><Ellipsis aria-hidden className="size-[1.125rem]" /></IconButton>}>
          <MenuItem onSelect={() => onAction("plan")}>Plan and limits</MenuItem>
          <MenuItem onSelect={() => onAction("domain")}>Domain</MenuItem>
          <MenuSeparator />
          {tenant.state === "suspended"
            ? <MenuItem onSelect={() => onAction("resume")}>Resume</MenuItem>
            : <MenuItem disabled={own || tenant.state !== "active"} onSelect={() => onAction("suspend")}>Suspend</MenuItem>}
          {tenant.state === "deleting"
            ? <MenuItem disabled={!mayDelete} onSelect={() => onAction("take-back")}>Take the deletion back</MenuItem>
            : <MenuItem danger disabled={!mayDelete || tenant.state === "erasing"} onSelect={() => onAction("delete")}>Delete</MenuItem>}
        </Menu>
      </td>
    </tr>
  );
}
