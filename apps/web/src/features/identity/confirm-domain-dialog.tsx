"use client";

import type { Branding, Tenant } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";

import { useConfirmDomain } from "@/data/tenants/mutations";
import { tenantBrandingQuery } from "@/data/tenants/queries";
import { formatDate } from "@/lib/format";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";

/** Confirming a host name is a person's decision: the server asks no other server about it. */
export function ConfirmDomainDialog({ tenant, onClose }: { tenant: Tenant | null; onClose: () => void }) {
  return (
    <Dialog open={tenant !== null} onOpenChange={(open) => !open && onClose()} title={`Domain of ${tenant?.name ?? ""}`}>
      {tenant && <Loaded id={tenant.id} onClose={onClose} />}
    </Dialog>
  );
}

function Loaded({ id, onClose }: { id: string; onClose: () => void }) {
  const branding = useQuery(tenantBrandingQuery(id));
  return (
    <QueryView query={branding} loading={<SkeletonRows rows={2} />}>
      {(data) => <DomainQuestion id={id} domain={data.domain} onClose={onClose} />}
    </QueryView>
  );
}

function DomainQuestion({ id, domain, onClose }: { id: string; domain: Branding["domain"]; onClose: () => void }) {
  const confirm = useConfirmDomain();
  const done = <DialogActions><Button variant="quiet" onClick={onClose}>Close</Button></DialogActions>;
  if (domain === null) return <><p className="text-soft">The workspace has asked for none.</p>{done}</>;
  if (domain.confirmed_at !== null) {
    return <><p><span className="figure break-all">{domain.name}</span> <span className="text-soft">was confirmed on {formatDate(domain.confirmed_at)}.</span></p>{done}</>;
  }
  return (
    <>
      <p className="figure text-lg break-all">{domain.name}</p>
      <p className="mt-1 text-soft">
        Asked for on {formatDate(domain.requested_at)}. Confirm it only when you know that the name belongs to this workspace’s
        people and leads to this server: its sign-in page then shows their name, logo and colours.
      </p>
      {confirm.error ? <ProblemNote error={confirm.error} className="mt-4" /> : null}
      <DialogActions>
        <Button variant="primary" busy={confirm.isPending} onClick={() => confirm.mutate({ id, domain: domain.name }, { onSuccess: onClose })}>Confirm this domain</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </>
  );
}
