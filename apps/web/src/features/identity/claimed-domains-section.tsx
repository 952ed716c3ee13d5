"use client";

import type { ClaimedDomain } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAssignDomain, useReleaseDomain } from "@/data/connections/mutations";
import { claimedDomainsQuery } from "@/data/connections/queries";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { Section } from "@/ui/page-header";
import { QueryView, SkeletonRows } from "@/ui/query-view";

import { useDenied } from "./session";

/** Which workspace of the installation has which e-mail domain; for its operators. */
export function ClaimedDomainsSection() {
  const claims = useInfiniteQuery(claimedDomainsQuery);
  const denied = useDenied("installation:manage");
  const assign = useAssignDomain();
  const release = useReleaseDomain();
  const [chosen, setChosen] = useState<ClaimedDomain | null>(null);
  const close = () => {
    assign.reset();
    release.reset();
    setChosen(null);
  };
  const takes = chosen?.state === "verified";
  return (
    <Section title="E-mail domains of this installation" lead="A domain is one workspace’s. Look whose it is before you verify it: who has it lets its people in by their e-mail.">
      <QueryView query={claims} loading={<SkeletonRows rows={2} />} isEmpty={(data) => data.length === 0} empty={<p className="border-y border-rule py-5 text-soft">No workspace claims a domain.</p>}>
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>Domain</th><th>Workspace</th><th>State</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>
                {data.map((claim) => (
                  <tr key={`${claim.domain} ${claim.tenant}`} data-domain={claim.domain}>
                    <td className="font-medium break-all">{claim.domain}</td>
                    <td data-label="Workspace" className="break-words">{claim.tenant_name}</td>
                    <td data-label="State">
                      {claim.state === "verified" ? <Badge tone="good">{claim.verified_by === "provider" ? "Verified by its provider" : "Verified by an operator"}</Badge> : <Badge tone="warn">Not verified</Badge>}
                    </td>
                    <td className="num"><Button small reason={denied} onClick={() => setChosen(claim)}>{claim.state === "verified" ? "Take away" : "Verify"}</Button></td>
                  </tr>
                ))}
              </tbody>
            </table>
            <LoadMore query={claims} />
          </>
        )}
      </QueryView>
      <ConfirmDialog
        open={chosen !== null}
        onOpenChange={(open) => !open && close()}
        title={takes ? `Take ${chosen?.domain ?? ""} from ${chosen?.tenant_name ?? ""}?` : `Is ${chosen?.domain ?? ""} really ${chosen?.tenant_name ?? ""}’s?`}
        action={takes ? "Take it away" : "Yes, verify it"}
        danger={takes}
        busy={assign.isPending || release.isPending}
        error={assign.error ?? release.error}
        onConfirm={() => {
          if (!chosen) return;
          if (takes) release.mutate(chosen.domain, { onSuccess: close });
          else assign.mutate({ domain: chosen.domain, tenant: chosen.tenant }, { onSuccess: close });
        }}
      >
        {takes
          ? "Its people no longer find their sign-in by their e-mail. Accounts that are linked already go on working."
          : "From then on, whoever its identity provider says has such an e-mail is let in by it. A workspace that had the domain before loses it."}
      </ConfirmDialog>
    </Section>
  );
}
