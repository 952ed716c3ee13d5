"use client";

import type { LoginSession } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useEndSession } from "@/data/sessions/mutations";
import { sessionsQuery } from "@/data/sessions/queries";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView } from "@/ui/query-view";

import { useDenied } from "./session";
import { SessionRow } from "./session-row";

/** Who is signed in to the workspace, and from where. */
export function SessionsPage() {
  const sessions = useInfiniteQuery(sessionsQuery);
  const denied = useDenied("sessions:write");
  const end = useEndSession();
  const [ending, setEnding] = useState<LoginSession | null>(null);
  return (
    <>
      <PageHeader title="Sessions" lead="Who is signed in to this workspace, and from where." />
      <QueryView query={sessions} isEmpty={(data) => data.length === 0} empty={<EmptyState title="Nobody is signed in" />}>
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>Person</th><th>Device</th><th>Signed in with</th><th>Since</th><th>Last used</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>{data.map((session) => <SessionRow key={session.id} session={session} withPerson denied={denied} onEnd={() => setEnding(session)} />)}</tbody>
            </table>
            <LoadMore query={sessions} />
          </>
        )}
      </QueryView>
      <ConfirmDialog
        open={ending !== null}
        onOpenChange={(open) => !open && setEnding(null)}
        title={`End the session of ${ending?.user_name ?? ""}?`}
        action="End session"
        busy={end.isPending}
        error={end.error}
        onConfirm={() => ending && end.mutate(ending.id, { onSuccess: () => setEnding(null) })}
      >
        {ending?.device} is signed out at once. They can sign in again: disable the user to keep them out.
      </ConfirmDialog>
    </>
  );
}
