"use client";

import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useEndMyOtherSessions, useEndMySession } from "@/data/sessions/mutations";
import { mySessionsQuery } from "@/data/sessions/queries";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView } from "@/ui/query-view";

import { SessionRow } from "./session-row";

export function MySessionsSection() {
  const sessions = useInfiniteQuery(mySessionsQuery);
  const end = useEndMySession();
  const endOthers = useEndMyOtherSessions();
  const [asking, setAsking] = useState(false);
  return (
    <Section
      title="Where you are signed in"
      lead="One that you do not know? End it, and change your password."
      actions={<Button variant="danger" onClick={() => setAsking(true)}>Sign out everywhere else</Button>}
    >
      {end.error ? <ProblemNote error={end.error} className="mb-4" /> : null}
      <QueryView query={sessions} isEmpty={(data) => data.length === 0} empty={<p className="text-soft">Nowhere.</p>}>
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>Device</th><th>Signed in with</th><th>Since</th><th>Last used</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>{data.map((session) => <SessionRow key={session.id} session={session} onEnd={() => end.mutate(session.id)} />)}</tbody>
            </table>
            <LoadMore query={sessions} />
          </>
        )}
      </QueryView>
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title="Sign out everywhere else?"
        action="Sign out everywhere else"
        busy={endOthers.isPending}
        error={endOthers.error}
        onConfirm={() => endOthers.mutate(undefined, { onSuccess: () => setAsking(false) })}
      >
        Every other session of yours ends at once, in all workspaces. Links by mail that are on their way work no longer.
      </ConfirmDialog>
    </Section>
  );
}
