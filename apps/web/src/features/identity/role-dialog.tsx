"use client";

import { asProblem } from "@plasma/client/problem";
import type { Permission, RoleDetails } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useSaveRole } from "@/data/roles/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { permissionsOfRoles } from "./permission-groups";
import { PermissionMatrix } from "./permission-matrix";
import { useMe } from "./session";

/** What the dialog edits: a role, a new one, or a new one that begins as a copy. */
export type RoleDraft = { role: RoleDetails } | { copyOf: RoleDetails | null };

export function RoleDialog({ draft, roles, onClose }: { draft: RoleDraft | null; roles: readonly RoleDetails[]; onClose: () => void }) {
  return (
    <Dialog open={draft !== null} onOpenChange={(open) => !open && onClose()} title={draft && "role" in draft ? "Change role" : "Create a role"} wide>
      {draft && <RoleForm draft={draft} roles={roles} onClose={onClose} />}
    </Dialog>
  );
}

function RoleForm({ draft, roles, onClose }: { draft: RoleDraft; roles: readonly RoleDetails[]; onClose: () => void }) {
  const me = useMe();
  const save = useSaveRole();
  const role = "role" in draft ? draft.role : null;
  const start = "role" in draft ? draft.role : draft.copyOf;
  const [name, setName] = useState(role?.name ?? "");
  const [description, setDescription] = useState(role?.description ?? "");
  // A copy begins with what its maker may give.
  const [chosen, setChosen] = useState<Permission[]>(() => (start?.permissions ?? []).filter((permission) => role !== null || me.permissions.includes(permission)));
  const problem = save.error ? asProblem(save.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);
  const known = ["name", "description", "permissions"].includes(problem?.field ?? "");

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.mutate({ id: role?.id ?? null, name: name.trim(), description: description.trim(), permissions: chosen }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !known ? <ProblemNote error={save.error} /> : null}
      <TextField label="Name" required maxLength={200} autoComplete="off" placeholder="Publisher" value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} />
      <TextAreaField label="Description" optional rows={2} maxLength={1000} value={description} onChange={(event) => setDescription(event.target.value)} error={fieldError("description")} />
      <PermissionMatrix offered={permissionsOfRoles(roles)} chosen={chosen} grantable={me.permissions} onChange={setChosen} error={fieldError("permissions")} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending} reason={chosen.length === 0 ? "Choose at least one permission." : null}>{role ? "Save changes" : "Create role"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
