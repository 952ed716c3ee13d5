"use client";

import type { Team } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Ellipsis, Plus } from "lucide-react";
import { useState } from "react";

import { useDeleteTeam } from "@/data/teams/mutations";
import { teamsQuery } from "@/data/teams/queries";
import { plural } from "@/lib/format";
import { Button, IconButton } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { useDenied } from "./session";
import { TeamDialog } from "./team-dialog";
import { TeamMembersDialog } from "./team-members-dialog";

export function TeamsPage() {
  const teams = useInfiniteQuery(teamsQuery);
  const denied = useDenied("teams:write");
  const remove = useDeleteTeam();
  const [editing, setEditing] = useState<Team | "new" | null>(null);
  const [showing, setShowing] = useState<Team | null>(null);
  const [removing, setRemoving] = useState<Team | null>(null);
  const create = <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setEditing("new")}>Create a team</Button>;
  const close = () => {
    remove.reset();
    setRemoving(null);
  };
  return (
    <>
      <PageHeader
        title="Teams"
        lead="People whose model calls are counted together. Usage, budgets and limits can be a team's; what somebody may do is decided by their role."
        actions={create}
      />
      <QueryView query={teams} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No team yet" action={create}>A call is counted to the team that its API key names, or else to the default team of the person behind it.</EmptyState>}>
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>Name</th><th>Members</th><th>Created</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>
                {data.map((team) => (
                  <TeamRow key={team.id} team={team} denied={denied} onMembers={() => setShowing(team)} onEdit={() => setEditing(team)} onRemove={() => setRemoving(team)} />
                ))}
              </tbody>
            </table>
            <LoadMore query={teams} />
          </>
        )}
      </QueryView>
      <TeamDialog team={editing} onClose={() => setEditing(null)} />
      <TeamMembersDialog team={showing} onClose={() => setShowing(null)} />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && close()}
        title={`Delete “${removing?.name ?? ""}”?`}
        action="Delete team"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.id, { onSuccess: close })}
      >
        Its members stay in the workspace and in their other teams. API keys that name it go on working, and count for the team of whoever made them. Its usage so far stays. This cannot be undone.
      </ConfirmDialog>
    </>
  );
}

function TeamRow({ team, denied, onMembers, onEdit, onRemove }: { team: Team; denied: string | null; onMembers: () => void; onEdit: () => void; onRemove: () => void }) {
  return (
    <tr data-team={team.id}>
      <td>
        <span className="font-medium break-words">{team.name}</span>
        {team.description && <span className="block text-[0.875rem] break-words whitespace-pre-line text-soft">{team.description}</span>}
      </td>
      <td data-label="Members"><Button small variant="quiet" onClick={onMembers}>{team.member_count === 0 ? "nobody yet" : plural(team.member_count, "member")}</Button></td>
      <td data-label="Created" className="text-soft"><Time at={team.created_at} /></td>
      <td className="num">
        <Menu trigger={<IconButton label={`Actions for ${team.name}`}><Ellipsis aria-hidden className="size-[1.125rem]" /></IconButton>}>
          <MenuItem onSelect={onMembers}>Members</MenuItem>
          <MenuItem disabled={denied !== null} onSelect={onEdit}>Change name or description</MenuItem>
          <MenuSeparator />
          <MenuItem danger disabled={denied !== null} onSelect={onRemove}>Delete</MenuItem>
        </Menu>
      </td>
    </tr>
  );
}
