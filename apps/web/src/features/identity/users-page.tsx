"use client";

import type { User } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Ellipsis, Mail, Plus } from "lucide-react";
import { useState } from "react";

import { useDeleteUser, useUpdateUser } from "@/data/users/mutations";
import { usersQuery } from "@/data/users/queries";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { PageHeader } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { InvitationsSection } from "./invitations-section";
import { InviteDialog } from "./invite-dialog";
import { roleLabel } from "./role-labels";
import { useCan, useDenied, useMe } from "./session";
import { UserAccessDialog, type PendingAccess } from "./user-access-dialog";
import { UserDialog } from "./user-dialog";

type Pending = { kind: "disable" | "enable" | "delete"; user: User };

export function UsersPage() {
  const users = useInfiniteQuery(usersQuery);
  const denied = useDenied("users:write");
  const [inviting, setInviting] = useState(false);
  const [editing, setEditing] = useState<User | "new" | null>(null);
  const [pending, setPending] = useState<Pending | null>(null);
  const [access, setAccess] = useState<PendingAccess | null>(null);
  return (
    <>
      <PageHeader
        title="Users"
        lead="Who may sign in to this workspace, and what they may do."
        actions={
          <>
            <Button variant="primary" icon={<Mail aria-hidden className="size-4" />} reason={denied} onClick={() => setInviting(true)}>Invite somebody</Button>
            <Button icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setEditing("new")}>Add a user</Button>
          </>
        }
      />
      <QueryView query={users} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No users" />}>
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>Name</th><th>Role</th><th>Last sign-in</th><th>Added</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>
                {data.map((user) => (
                  <UserRow key={user.id} user={user} denied={denied} onEdit={() => setEditing(user)} onPending={(kind) => setPending({ kind, user })} onAccess={(kind) => setAccess({ kind, user })} />
                ))}
              </tbody>
            </table>
            <LoadMore query={users} />
          </>
        )}
      </QueryView>
      <InvitationsSection />
      <InviteDialog open={inviting} onClose={() => setInviting(false)} />
      <UserDialog user={editing} onClose={() => setEditing(null)} />
      <PendingDialog pending={pending} onClose={() => setPending(null)} />
      <UserAccessDialog pending={access} onClose={() => setAccess(null)} />
    </>
  );
}

function UserRow({ user, denied, onEdit, onPending, onAccess }: { user: User; denied: string | null; onEdit: () => void; onPending: (kind: Pending["kind"]) => void; onAccess: (kind: PendingAccess["kind"]) => void }) {
  const me = useMe();
  const mayEnd = useCan("sessions:write");
  const self = me.user?.id === user.id;
  return (
    <tr data-user={user.id}>
      <td>
        <span className="font-medium">{user.name}</span>{self && <span className="text-faint"> (you)</span>} {user.disabled && <Badge tone="warn">Disabled</Badge>}
        <span className="block text-[0.875rem] break-all text-soft">{user.email}</span>
      </td>
      <td data-label="Role"><span>{user.custom_role?.name ?? roleLabel(user.role)}{user.operator && <span className="text-faint">, operator</span>}</span></td>
      <td data-label="Last sign-in" className="text-soft">{user.last_login_at === null ? "never" : <Time at={user.last_login_at} />}</td>
      <td data-label="Added" className="text-soft"><Time at={user.created_at} /></td>
      <td className="num">
        <Menu trigger={<IconButton label={`Actions for ${user.name}`}><Ellipsis aria-hidden className="size-[1.125rem]" /></IconButton>}>
          <MenuItem disabled={denied !== null} onSelect={onEdit}>Change name or role</MenuItem>
          <MenuItem disabled={denied !== null || self} onSelect={() => onPending(user.disabled ? "enable" : "disable")}>{user.disabled ? "Enable" : "Disable"}</MenuItem>
          <MenuItem disabled={!mayEnd || self} onSelect={() => onAccess("sign_out")}>Sign out everywhere</MenuItem>
          <MenuItem disabled={denied !== null || self} onSelect={() => onAccess("reset_factors")}>Take away second factors</MenuItem>
          <MenuSeparator />
          <MenuItem danger disabled={denied !== null || self} onSelect={() => onPending("delete")}>Delete</MenuItem>
        </Menu>
      </td>
    </tr>
  );
}

function PendingDialog({ pending, onClose }: { pending: Pending | null; onClose: () => void }) {
  const update = useUpdateUser();
  const remove = useDeleteUser();
  if (!pending) return null;
  const { kind, user } = pending;
  const texts = {
    disable: { title: `Disable ${user.name}?`, action: "Disable", text: "They are signed out at once and cannot sign in until they are enabled again. What they made stays." },
    enable: { title: `Enable ${user.name}?`, action: "Enable", text: "They can sign in again with their password." },
    delete: { title: `Delete ${user.name}?`, action: "Delete user", text: "They are signed out at once and their API keys stop working. What they made stays. This cannot be undone." },
  }[kind];
  const error = kind === "delete" ? remove.error : update.error;
  const close = () => {
    update.reset();
    remove.reset();
    onClose();
  };
  return (
    <ConfirmDialog
      open
      onOpenChange={(open) => !open && close()}
      title={texts.title}
      action={texts.action}
      danger={kind !== "enable"}
      busy={update.isPending || remove.isPending}
      onConfirm={() => (kind === "delete" ? remove.mutate(user.id, { onSuccess: close }) : update.mutate({ id: user.id, disabled: kind === "disable" }, { onSuccess: close }))}
    >
      {texts.text}
      {error ? <ProblemNote error={error} className="mt-4" /> : null}
    </ConfirmDialog>
  );
}
