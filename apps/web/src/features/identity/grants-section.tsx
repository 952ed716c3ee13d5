"use client";

import type { ApplicationGrant } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useRevokeGrant } from "@/data/grants/mutations";
import { grantsQuery } from "@/data/grants/queries";
import { plural } from "@/lib/format";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { Section } from "@/ui/page-header";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { ScopeList } from "./scope-list";

/** The applications that may act for whoever is signed in. Only people have any: keys and applications see no such list. */
export function GrantsSection() {
  const grants = useInfiniteQuery(grantsQuery);
  const revoke = useRevokeGrant();
  const [revoking, setRevoking] = useState<ApplicationGrant | null>(null);
  const close = () => {
    revoke.reset();
    setRevoking(null);
  };
  return (
    <Section title="Applications with access" lead="What you allowed, each on as many devices as it says. An application never may more than you.">
      <QueryView
        query={grants}
        loading={<SkeletonRows rows={2} />}
        isEmpty={(data) => data.length === 0}
        empty={<p className="text-soft">No application acts for you.</p>}
      >
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>Application</th><th>Signed in</th><th>Last used</th><th>Allowed</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>{data.map((grant) => <GrantRow key={grant.id} grant={grant} onRevoke={() => setRevoking(grant)} />)}</tbody>
            </table>
            <LoadMore query={grants} />
          </>
        )}
      </QueryView>
      <ConfirmDialog
        open={revoking !== null}
        onOpenChange={(open) => !open && close()}
        title={`Take access from “${revoking?.application_name ?? ""}”?`}
        action="Take access away"
        busy={revoke.isPending}
        error={revoke.error}
        onConfirm={() => revoking && revoke.mutate(revoking.id, { onSuccess: close })}
      >
        It is signed out on every device from this moment, and has to ask you again.
      </ConfirmDialog>
    </Section>
  );
}

function GrantRow({ grant, onRevoke }: { grant: ApplicationGrant; onRevoke: () => void }) {
  return (
    <tr data-grant={grant.id}>
      <td>
        <span className="font-medium break-words">{grant.application_name}</span>
        {grant.homepage && <a href={grant.homepage} rel="noreferrer noopener" target="_blank" className="link block text-[0.8125rem] break-all">{grant.homepage}</a>}
        <details className="text-[0.8125rem] text-soft">
          <summary className="cursor-pointer">What it may do</summary>
          <div className="mt-2"><ScopeList scopes={grant.scopes} /></div>
        </details>
      </td>
      <td data-label="Signed in">{grant.authorizations === 0 ? "nowhere" : plural(grant.authorizations, "device")}</td>
      <td data-label="Last used">{grant.last_used_at === null ? "never" : <Time at={grant.last_used_at} />}</td>
      <td data-label="Allowed"><Time at={grant.updated_at} /></td>
      <td className="num"><Button small variant="danger" onClick={onRevoke}>Take away</Button></td>
    </tr>
  );
}
