"use client";

import { asProblem } from "@plasma/client/problem";
import type { Role, User } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useAssignRole } from "@/data/roles/mutations";
import { useCreateUser, useUpdateUser } from "@/data/users/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { RoleField } from "./role-field";

export function UserDialog({ user, onClose }: { user: User | "new" | null; onClose: () => void }) {
  return (
    <Dialog open={user !== null} onOpenChange={(open) => !open && onClose()} title={user === "new" ? "Add a user" : "Change user"}>
      {user && <UserForm user={user === "new" ? null : user} onClose={onClose} />}
    </Dialog>
  );
}

/** A built-in role's word, or the id of one of the workspace's own. */
function roleOf(user: User): string {
  return user.custom_role?.id ?? user.role;
}

function UserForm({ user, onClose }: { user: User | null; onClose: () => void }) {
  const create = useCreateUser();
  const update = useUpdateUser();
  const assign = useAssignRole();
  const [name, setName] = useState(user?.name ?? "");
  const [email, setEmail] = useState(user?.email ?? "");
  const [role, setRole] = useState<string>(user ? roleOf(user) : "editor");
  const [password, setPassword] = useState("");
  const error = create.error ?? update.error ?? assign.error;
  const problem = error ? asProblem(error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const give = (target: User) => (role === roleOf(target) ? onClose() : assign.mutate({ user: target.id, role }, { onSuccess: onClose }));
    // Made a moment ago, but without the role: only that is missing.
    if (create.data) {
      give(create.data);
      return;
    }
    if (user) {
      update.mutate({ id: user.id, name: name.trim() }, { onSuccess: () => give(user) });
      return;
    }
    // One of the workspace's own roles is given to a user who is there.
    const first = role.startsWith("role_") ? "viewer" : (role as Role);
    create.mutate({ email: email.trim(), name: name.trim(), role: first, password }, { onSuccess: give });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={error} /> : null}
      <TextField label="Name" required maxLength={200} autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} />
      {!user && <TextField label="E-mail" type="email" required autoComplete="off" value={email} onChange={(event) => setEmail(event.target.value)} error={fieldError("email")} />}
      <RoleField value={role} onChange={setRole} without={["service"]} error={fieldError("role")} />
      {!user && (
        <TextField
          label="First password"
          type="password"
          required
          minLength={10}
          maxLength={200}
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          error={fieldError("password")}
          hint="At least 10 characters. Pass it on over a safe way; they can change it under Settings."
        />
      )}
      <DialogActions>
        <Button type="submit" variant="primary" busy={create.isPending || update.isPending || assign.isPending}>{user ? "Save changes" : "Add user"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
