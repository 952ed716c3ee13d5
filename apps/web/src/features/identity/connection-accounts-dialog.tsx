"use client";

import type { Connection } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useUnlinkPerson } from "@/data/connections/mutations";
import { connectionAccountsQuery } from "@/data/connections/queries";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { LoadMore } from "@/ui/load-more";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { useDenied } from "./session";

export function ConnectionAccountsDialog({ connection, onClose }: { connection: Connection | null; onClose: () => void }) {
  return (
    <Dialog
      open={connection !== null}
      onOpenChange={(open) => !open && onClose()}
      title={connection ? `People of ${connection.name}` : "People"}
      description="Whose account at the provider opens whose user here. Unlink one that was lost, or that belongs to somebody else by now."
      wide
    >
      {connection && <People connection={connection} onClose={onClose} />}
    </Dialog>
  );
}

function People({ connection, onClose }: { connection: Connection; onClose: () => void }) {
  const people = useInfiniteQuery(connectionAccountsQuery(connection.id));
  const denied = useDenied("security:write");
  const unlink = useUnlinkPerson();
  // Asked once more beside the person: a dialog over a dialog helps nobody.
  const [asked, setAsked] = useState<string | null>(null);
  return (
    <>
      {unlink.error ? <ProblemNote error={unlink.error} className="mb-4" /> : null}
      <QueryView query={people} loading={<SkeletonRows rows={2} />} isEmpty={(data) => data.length === 0} empty={<p className="border-y border-rule py-6 text-soft">Nobody has signed in by it yet.</p>}>
        {(data) => (
          <>
            <ul className="border-t border-rule">
              {data.map((person) => (
                <li key={person.user} data-user={person.user} className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 border-b border-rule py-3">
                  <div className="min-w-0">
                    <span className="font-medium break-words">{person.name}</span>
                    <span className="block text-[0.875rem] break-all text-soft">
                      {person.email ?? "An account without an e-mail"}{person.last_login_at !== null && <>, used <Time at={person.last_login_at} /></>}
                    </span>
                  </div>
                  {asked === person.user ? (
                    <span className="flex flex-wrap gap-2">
                      <Button small variant="danger" busy={unlink.isPending} onClick={() => unlink.mutate({ id: connection.id, user: person.user }, { onSettled: () => setAsked(null) })}>Unlink and sign out</Button>
                      <Button small variant="quiet" onClick={() => setAsked(null)}>Keep</Button>
                    </span>
                  ) : (
                    <Button small reason={denied} onClick={() => setAsked(person.user)}>Unlink</Button>
                  )}
                </li>
              ))}
            </ul>
            <LoadMore query={people} />
          </>
        )}
      </QueryView>
      <DialogActions><Button onClick={onClose}>Close</Button></DialogActions>
    </>
  );
}
