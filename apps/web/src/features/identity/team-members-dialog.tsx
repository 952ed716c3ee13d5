"use client";

import type { Team, TeamMember } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { usePutTeamMember, useRemoveTeamMember } from "@/data/teams/mutations";
import { teamMembersQuery } from "@/data/teams/queries";
import { usersQuery } from "@/data/users/queries";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField } from "@/ui/field";
import { LoadMore } from "@/ui/load-more";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";

import { useCan, useDenied } from "./session";

export function TeamMembersDialog({ team, onClose }: { team: Team | null; onClose: () => void }) {
  return (
    <Dialog
      open={team !== null}
      onOpenChange={(open) => !open && onClose()}
      title={team ? `Members of ${team.name}` : "Members"}
      description="A person may be in several teams. Their calls are counted to their default team, unless an API key names another."
      wide
    >
      {team && <Members team={team} onClose={onClose} />}
    </Dialog>
  );
}

function Members({ team, onClose }: { team: Team; onClose: () => void }) {
  const members = useInfiniteQuery(teamMembersQuery(team.id));
  const denied = useDenied("teams:write");
  const put = usePutTeamMember();
  const remove = useRemoveTeamMember();
  const error = put.error ?? remove.error;
  const busy = put.isPending || remove.isPending;
  // Only the last thing that was tried is told of.
  const act = (action: () => void) => {
    put.reset();
    remove.reset();
    action();
  };
  return (
    <>
      {error ? <ProblemNote error={error} className="mb-4" /> : null}
      <QueryView query={members} loading={<SkeletonRows rows={2} />} isEmpty={(data) => data.length === 0} empty={<p className="border-y border-rule py-6 text-soft">Nobody is in this team yet.</p>}>
        {(data) => (
          <>
            <ul className="border-t border-rule-strong">
              {data.map((member) => (
                <MemberRow
                  key={member.user}
                  member={member}
                  denied={denied}
                  busy={busy}
                  onDefault={() => act(() => put.mutate({ id: team.id, user: member.user, is_default: true }))}
                  onRemove={() => act(() => remove.mutate({ id: team.id, user: member.user }))}
                />
              ))}
            </ul>
            <LoadMore query={members} />
          </>
        )}
      </QueryView>
      {denied === null && <AddMember members={members.data ?? []} busy={busy} onAdd={(user, then) => act(() => put.mutate({ id: team.id, user }, { onSuccess: then }))} />}
      <DialogActions><Button onClick={onClose}>Close</Button></DialogActions>
    </>
  );
}

function MemberRow({ member, denied, busy, onDefault, onRemove }: { member: TeamMember; denied: string | null; busy: boolean; onDefault: () => void; onRemove: () => void }) {
  return (
    <li data-member={member.user} className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 border-b border-rule py-3">
      <div className="min-w-0">
        <span className="font-medium break-words">{member.name ?? member.user}</span> {member.is_default && <Badge tone="accent">Default team</Badge>}
        {member.email && <span className="block text-[0.875rem] break-all text-soft">{member.email}</span>}
      </div>
      <div className="flex flex-wrap gap-2">
        {!member.is_default && <Button small reason={denied} disabled={busy} onClick={onDefault}>Make default</Button>}
        <Button small variant="danger" reason={denied} disabled={busy} onClick={onRemove}>Remove</Button>
      </div>
    </li>
  );
}

/** A choice among the people who are not in the team yet, for those who may see people. */
function AddMember({ members, busy, onAdd }: { members: TeamMember[]; busy: boolean; onAdd: (user: string, then: () => void) => void }) {
  const users = useInfiniteQuery({ ...usersQuery, enabled: useCan("users:read") });
  const [chosen, setChosen] = useState("");
  const others = users.data?.filter((user) => !members.some((member) => member.user === user.id));
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    onAdd(chosen, () => setChosen(""));
  };
  if (users.error) return <ProblemNote error={users.error} className="mt-4" />;
  return (
    <>
      <form onSubmit={submit} className="mt-5 flex flex-wrap items-end gap-3">
        <SelectField className="min-w-56 grow" label="Add a person" required disabled={!others} value={chosen} onChange={(event) => setChosen(event.target.value)}>
          <option value="" disabled>{others ? (others.length === 0 ? "Everybody is in it" : "Choose one") : "Loading …"}</option>
          {others?.map((user) => <option key={user.id} value={user.id}>{user.name} ({user.email})</option>)}
        </SelectField>
        <Button type="submit" busy={busy} disabled={chosen === ""}>Add</Button>
      </form>
      <LoadMore query={users} />
    </>
  );
}
