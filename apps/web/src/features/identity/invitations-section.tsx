"use client";

import type { Invitation } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useResendInvitation, useRevokeInvitation } from "@/data/invitations/mutations";
import { invitationsQuery } from "@/data/invitations/queries";
import { formatDate, plural } from "@/lib/format";
import { Badge, type Tone } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";
import { useToast } from "@/ui/toast";

import { ActorName } from "./actor-name";
import { roleLabel } from "./role-labels";
import { useDenied } from "./session";

const STATES: Record<Invitation["state"], { label: string; tone: Tone }> = {
  open: { label: "Waits for an answer", tone: "accent" },
  accepted: { label: "Accepted", tone: "good" },
  revoked: { label: "Taken back", tone: "plain" },
  expired: { label: "Ended", tone: "warn" },
};

/** Who was asked to join, and what became of it. */
export function InvitationsSection() {
  const invitations = useInfiniteQuery(invitationsQuery);
  const denied = useDenied("users:write");
  const revoke = useRevokeInvitation();
  const [revoking, setRevoking] = useState<Invitation | null>(null);
  return (
    <Section title="Invitations">
      <QueryView query={invitations} loading={<SkeletonRows rows={2} />} isEmpty={(data) => data.length === 0} empty={<p className="text-faint">Nobody was invited yet.</p>}>
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>E-mail</th><th>Role</th><th>State</th><th>Sent</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>{data.map((one) => <InvitationRow key={one.id} invitation={one} denied={denied} onRevoke={() => setRevoking(one)} />)}</tbody>
            </table>
            <LoadMore query={invitations} />
          </>
        )}
      </QueryView>
      <ConfirmDialog
        open={revoking !== null}
        onOpenChange={(open) => !open && setRevoking(null)}
        title={`Take back the invitation of ${revoking?.email ?? ""}?`}
        action="Take it back"
        busy={revoke.isPending}
        error={revoke.error}
        onConfirm={() => revoking && revoke.mutate(revoking.id, { onSuccess: () => setRevoking(null) })}
      >
        The link in the mail does nothing any more. You can invite them again.
      </ConfirmDialog>
    </Section>
  );
}

function InvitationRow({ invitation, denied, onRevoke }: { invitation: Invitation; denied: string | null; onRevoke: () => void }) {
  const resend = useResendInvitation();
  const notify = useToast();
  const state = STATES[invitation.state];
  const waits = invitation.state === "open" || invitation.state === "expired";
  return (
    <tr data-invitation={invitation.id} className={waits ? undefined : "text-faint"}>
      <td>
        <span className="font-medium break-all">{invitation.email}</span>
        <span className="block text-[0.8125rem] text-soft">invited by <ActorName actor={{ kind: "user", id: invitation.invited_by }} /></span>
        {resend.error ? <ProblemNote error={resend.error} className="mt-2" /> : null}
      </td>
      <td data-label="Role">{roleLabel(invitation.role)}</td>
      <td data-label="State">
        <span>
          <Badge tone={state.tone}>{state.label}</Badge>
          {invitation.state === "open" && <span className="mt-1 block text-[0.8125rem] text-soft">until {formatDate(invitation.expires_at)}</span>}
        </span>
      </td>
      <td data-label="Sent" className="text-soft"><span><Time at={invitation.sent_at} />{invitation.sent_count > 1 && <span className="block text-[0.8125rem] text-faint">{plural(invitation.sent_count, "time")}</span>}</span></td>
      <td className="num">
        {waits && (
          <span className="inline-flex flex-wrap justify-end gap-2">
            <Button small busy={resend.isPending} reason={denied} onClick={() => resend.mutate(invitation.id, { onSuccess: () => notify(`Sent to ${invitation.email} again`) })}>Send again</Button>
            {invitation.state === "open" && <Button small variant="danger" reason={denied} onClick={onRevoke}>Take back</Button>}
          </span>
        )}
      </td>
    </tr>
  );
}
