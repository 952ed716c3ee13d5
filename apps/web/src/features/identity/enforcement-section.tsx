"use client";

import type { SingleSignOn, User } from "@plasma/client/types";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { usePutSingleSignOn } from "@/data/connections/mutations";
import { singleSignOnQuery } from "@/data/connections/queries";
import { usersQuery } from "@/data/users/queries";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField } from "@/ui/field";
import { LoadMore } from "@/ui/load-more";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";

import { useDenied, useMe } from "./session";

/** Whether the identity provider is the only way in. */
export function EnforcementSection() {
  const settings = useQuery(singleSignOnQuery);
  const denied = useDenied("security:write");
  const [choosing, setChoosing] = useState(false);
  const [ending, setEnding] = useState(false);
  return (
    <Section title="Only by single sign-on" lead="Every other way to sign in is refused, but for owners whom you name for the day on which the provider does not answer. They keep their password, with a second factor.">
      <QueryView query={settings} loading={<SkeletonRows rows={1} />}>
        {(data) => (
          <div className="flex flex-wrap items-center justify-between gap-4 border-y border-rule py-4">
            <p>
              {data.enforced ? <Badge tone="good">Enforced</Badge> : <Badge>Not enforced</Badge>}{" "}
              <span className="text-soft">{data.enforced ? `${data.break_glass.length === 1 ? "One owner is" : `${data.break_glass.length} owners are`} kept for emergencies.` : "People may also sign in as the policy above allows."}</span>
            </p>
            <div className="flex flex-wrap gap-2.5">
              <Button reason={denied} onClick={() => setChoosing(true)}>{data.enforced ? "Change who is kept" : "Enforce"}</Button>
              {data.enforced && <Button variant="danger" reason={denied} onClick={() => setEnding(true)}>End</Button>}
            </div>
            <BreakGlassDialog settings={choosing ? data : null} onClose={() => setChoosing(false)} />
            <EndDialog open={ending} onClose={() => setEnding(false)} />
          </div>
        )}
      </QueryView>
    </Section>
  );
}

function EndDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const put = usePutSingleSignOn();
  const close = () => {
    put.reset();
    onClose();
  };
  return (
    <ConfirmDialog open={open} onOpenChange={(next) => !next && close()} title="End the enforcement?" action="End it" busy={put.isPending} error={put.error} onConfirm={() => put.mutate({ enforced: false, break_glass: [] }, { onSuccess: close })}>
      People can sign in with passwords, passkeys and links again, as far as the sign-in policy allows.
    </ConfirmDialog>
  );
}

function BreakGlassDialog({ settings, onClose }: { settings: SingleSignOn | null; onClose: () => void }) {
  return (
    <Dialog
      open={settings !== null}
      onOpenChange={(open) => !open && onClose()}
      title="Who is kept for emergencies?"
      description="They must be owners with an authenticator or a passkey. Everybody else who signed in without the provider is signed out at once."
    >
      {settings && <BreakGlassForm settings={settings} onClose={onClose} />}
    </Dialog>
  );
}

function BreakGlassForm({ settings, onClose }: { settings: SingleSignOn; onClose: () => void }) {
  const me = useMe();
  const users = useInfiniteQuery(usersQuery);
  const put = usePutSingleSignOn();
  const [chosen, setChosen] = useState<string[]>(() => (settings.break_glass.length > 0 ? settings.break_glass : me.user ? [me.user.id] : []));
  const owners = (all: User[]) => all.filter((user) => user.role === "owner" && !user.disabled);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    put.mutate({ enforced: true, break_glass: chosen }, { onSuccess: onClose });
  };
  return (
    <form onSubmit={submit}>
      {put.error ? <ProblemNote error={put.error} className="mb-4" /> : null}
      <QueryView query={users} loading={<SkeletonRows rows={2} />}>
        {(data) => (
          <fieldset className="flex flex-col gap-3">
            <legend className="sr-only">Owners</legend>
            {owners(data).map((user) => (
              <CheckField
                key={user.id}
                label={user.name}
                hint={user.email}
                checked={chosen.includes(user.id)}
                onChange={(event) => setChosen((all) => (event.target.checked ? [...all, user.id] : all.filter((id) => id !== user.id)))}
              />
            ))}
          </fieldset>
        )}
      </QueryView>
      <LoadMore query={users} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={put.isPending} disabled={chosen.length === 0}>{settings.enforced ? "Save" : "Enforce single sign-on"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
