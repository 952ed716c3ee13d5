"use client";

import type { RoleDetails } from "@plasma/client/types";
import { useState } from "react";

import { useDeleteRole } from "@/data/roles/mutations";
import { plural } from "@/lib/format";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { SelectField } from "@/ui/field";

/** Whoever has the role needs another one before it can go. */
export function DeleteRoleDialog({ role, roles, onClose }: { role: RoleDetails | null; roles: readonly RoleDetails[]; onClose: () => void }) {
  if (!role) return null;
  return <Confirmation key={role.id} role={role} roles={roles} onClose={onClose} />;
}

function Confirmation({ role, roles, onClose }: { role: RoleDetails; roles: readonly RoleDetails[]; onClose: () => void }) {
  const remove = useDeleteRole();
  const [replacement, setReplacement] = useState("viewer");
  const inUse = role.user_count > 0 || role.api_key_count > 0;
  return (
    <ConfirmDialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Delete “${role.name}”?`}
      action="Delete role"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ id: role.id, replacement: inUse ? replacement : null }, { onSuccess: onClose })}
    >
      {inUse ? (
        <>
          <p>{plural(role.user_count, "person", "people")} and {plural(role.api_key_count, "API key")} have it. They get another role at once.</p>
          <SelectField className="mt-4" label="Role instead" value={replacement} onChange={(event) => setReplacement(event.target.value)}>
            {roles.filter((other) => other.id !== role.id).map((other) => <option key={other.id} value={other.id}>{other.name}</option>)}
          </SelectField>
        </>
      ) : (
        <p>Nobody has it. This cannot be undone.</p>
      )}
    </ConfirmDialog>
  );
}
