"use client";

import type { RoleDetails } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { CircleQuestionMark, Ellipsis, Plus } from "lucide-react";
import { useState } from "react";

import { rolesQuery } from "@/data/roles/queries";
import { plural } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { PageHeader, Section } from "@/ui/page-header";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { DeleteRoleDialog } from "./delete-role-dialog";
import { ExplainDialog } from "./explain-dialog";
import { permissionsOfRoles } from "./permission-groups";
import { RoleMatrix } from "./permission-matrix";
import { RoleDialog, type RoleDraft } from "./role-dialog";
import { useDenied } from "./session";

export function RolesPage() {
  const roles = useQuery(rolesQuery);
  const denied = useDenied("roles:write");
  const [editing, setEditing] = useState<RoleDraft | null>(null);
  const [removing, setRemoving] = useState<RoleDetails | null>(null);
  const [explaining, setExplaining] = useState(false);
  return (
    <>
      <PageHeader
        title="Roles"
        lead="What people and API keys may do. A role holds at once for everybody who has it. What roles cannot say, policies can."
        actions={
          <>
            <Button icon={<CircleQuestionMark aria-hidden className="size-4" />} onClick={() => setExplaining(true)}>Who may do what?</Button>
            <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setEditing({ copyOf: null })}>Create a role</Button>
          </>
        }
      />
      <QueryView query={roles} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No roles" />}>
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>Name</th><th>People</th><th>API keys</th><th>Allows</th><th>Changed</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>
                {data.map((role) => (
                  <RoleRow key={role.id} role={role} denied={denied} onEdit={() => setEditing({ role })} onCopy={() => setEditing({ copyOf: role })} onRemove={() => setRemoving(role)} />
                ))}
              </tbody>
            </table>
            <Section title="What each role allows"><RoleMatrix roles={data} permissions={permissionsOfRoles(data)} /></Section>
            <RoleDialog draft={editing} roles={data} onClose={() => setEditing(null)} />
            <DeleteRoleDialog role={removing} roles={data} onClose={() => setRemoving(null)} />
          </>
        )}
      </QueryView>
      <ExplainDialog open={explaining} onOpenChange={setExplaining} />
    </>
  );
}

function RoleRow({ role, denied, onEdit, onCopy, onRemove }: { role: RoleDetails; denied: string | null; onEdit: () => void; onCopy: () => void; onRemove: () => void }) {
  return (
    <tr data-role={role.id}>
      <td>
        <span className="font-medium break-words">{role.name}</span> {role.built_in && <Badge>Built in</Badge>}
        {role.description && <span className="block max-w-[48ch] text-[0.875rem] break-words text-soft">{role.description}</span>}
      </td>
      <td data-label="People">{role.user_count}</td>
      <td data-label="API keys">{role.api_key_count}</td>
      <td data-label="Allows"><span title={role.permissions.join(", ")}>{plural(role.permissions.length, "permission")}</span></td>
      <td data-label="Changed" className="text-soft">{role.updated_at === null ? "never" : <Time at={role.updated_at} />}</td>
      <td className="num">
        <Menu trigger={<IconButton label={`Actions for ${role.name}`}><Ellipsis aria-hidden className="size-[1.125rem]" /></IconButton>}>
          {!role.built_in && <MenuItem disabled={denied !== null} onSelect={onEdit}>Change</MenuItem>}
          <MenuItem disabled={denied !== null} onSelect={onCopy}>Make a role like it</MenuItem>
          {!role.built_in && <MenuSeparator />}
          {!role.built_in && <MenuItem danger disabled={denied !== null} onSelect={onRemove}>Delete</MenuItem>}
        </Menu>
      </td>
    </tr>
  );
}
