"use client";

import { asProblem } from "@plasma/client/problem";
import type { Connection, Role } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { ArrowDown, ArrowUp, Plus, X } from "lucide-react";
import { useState, type SyntheticEvent } from "react";

import { useUpdateConnection } from "@/data/connections/mutations";
import { teamChoicesQuery } from "@/data/teams/queries";
import { Button, IconButton } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { Select, TextInput } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { bodyOfRules, draftsOf, moved, newDraft, type RuleDraft } from "./connection-rules";
import { ROLES } from "./role-labels";
import { useCan, useDenied, useMe } from "./session";

export function ConnectionRulesDialog({ connection, onClose }: { connection: Connection | null; onClose: () => void }) {
  return (
    <Dialog
      open={connection !== null}
      onOpenChange={(open) => !open && onClose()}
      title="Roles and teams"
      description="What the provider says of a person decides, at each sign-in. The first rule that fits and gives a role counts; every rule that fits and names a team does."
      wide
    >
      {connection && <Rules connection={connection} onClose={onClose} />}
    </Dialog>
  );
}

function Rules({ connection, onClose }: { connection: Connection; onClose: () => void }) {
  const me = useMe();
  const denied = useDenied("security:write");
  const teams = useQuery({ ...teamChoicesQuery, enabled: useCan("teams:read") });
  const update = useUpdateConnection();
  const [drafts, setDrafts] = useState<RuleDraft[]>(() => draftsOf(connection.rules));
  const problem = update.error ? asProblem(update.error) : null;
  const change = (key: number, what: Partial<RuleDraft>) => setDrafts((all) => all.map((draft) => (draft.key === key ? { ...draft, ...what } : draft)));
  const roles = ROLES.filter((role) => role.value !== "service" && (role.value !== "owner" || me.role === "owner"));

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    update.mutate({ id: connection.id, rules: bodyOfRules(drafts) }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit}>
      {problem ? <ProblemNote error={update.error} className="mb-4" /> : null}
      {drafts.length === 0 && <p className="border-y border-rule py-6 text-soft">No rule yet: everybody gets the connection’s own role at their first sign-in, and keeps what they are given here.</p>}
      <ol className="flex flex-col">
        {drafts.map((draft, index) => (
          <li key={draft.key} className="flex flex-wrap items-center gap-2 border-b border-rule py-3">
            <span className="figure w-6 text-faint" aria-hidden>{index + 1}</span>
            <TextInput aria-label={`Claim of rule ${index + 1}`} className="w-auto! min-w-36 flex-1" required maxLength={200} placeholder="groups" value={draft.claim} onChange={(event) => change(draft.key, { claim: event.target.value })} />
            <span className="text-soft">is</span>
            <TextInput aria-label={`Value of rule ${index + 1}`} className="w-auto! min-w-36 flex-1" required maxLength={500} placeholder="plasma-editors" value={draft.value} onChange={(event) => change(draft.key, { value: event.target.value })} />
            <Select aria-label={`Role of rule ${index + 1}`} className="min-w-40" value={draft.role} onChange={(event) => change(draft.key, { role: event.target.value as Role | "" })}>
              <option value="">{draft.customRole ? "A role of your own" : "No role"}</option>
              {draft.role === "owner" && me.role !== "owner" && <option value="owner">Owner</option>}
              {roles.map((role) => <option key={role.value} value={role.value}>{role.label}</option>)}
            </Select>
            {(teams.data?.length ?? 0) > 0 && (
              <Select aria-label={`Team of rule ${index + 1}`} className="min-w-40" value={draft.team} onChange={(event) => change(draft.key, { team: event.target.value })}>
                <option value="">No team</option>
                {teams.data?.map((team) => <option key={team.id} value={team.id}>{team.name}</option>)}
              </Select>
            )}
            <span className="flex">
              <IconButton label={`Move rule ${index + 1} up`} disabled={index === 0} onClick={() => setDrafts((all) => moved(all, index, -1))}><ArrowUp aria-hidden className="size-4" /></IconButton>
              <IconButton label={`Move rule ${index + 1} down`} disabled={index === drafts.length - 1} onClick={() => setDrafts((all) => moved(all, index, 1))}><ArrowDown aria-hidden className="size-4" /></IconButton>
              <IconButton label={`Remove rule ${index + 1}`} onClick={() => setDrafts((all) => all.filter((other) => other.key !== draft.key))}><X aria-hidden className="size-4" /></IconButton>
            </span>
          </li>
        ))}
      </ol>
      <div className="mt-4"><Button small icon={<Plus aria-hidden className="size-3.5" />} reason={denied} onClick={() => setDrafts((all) => [...all, newDraft(all)])}>Add a rule</Button></div>
      <p className="mt-4 text-[0.875rem] text-faint">
        A claim may be a name, or the way into nested ones with dots, as in <span className="figure">realm_access.roles</span>. A rule that makes owners must be made by an owner. The last owner and those who are kept for emergencies stay owners.
      </p>
      <DialogActions>
        <Button type="submit" variant="primary" busy={update.isPending} reason={denied}>Save rules</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}

