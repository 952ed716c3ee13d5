"use client";

import { asProblem } from "@plasma/client/problem";
import type { Role, User } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useCreateUser, useUpdateUser } from "@/data/users/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { ROLES } from "./role-labels";

const PEOPLE_ROLES = ROLES.filter((role) => role.value !== "service");

export function UserDialog({ user, onClose }: { user: User | "new" | null; onClose: () => void }) {
  return (
    <Dialog open={user !== null} onOpenChange={(open) => !open && onClose()} title={user === "new" ? "Add a user" : "Change user"}>
      {user && <UserForm user={user === "new" ? null : user} onClose={onClose} />}
    </Dialog>
  );
}

function UserForm({ user, onClose }: { user: User | null; onClose: () => void }) {
  const create = useCreateUser();
  const update = useUpdateUser();
  const [name, setName] = useState(user?.name ?? "");
  const [email, setEmail] = useState(user?.email ?? "");
  const [role, setRole] = useState<Role>(user?.role ?? "editor");
  const [password, setPassword] = useState("");
  const error = create.error ?? update.error;
  const problem = error ? asProblem(error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (user) update.mutate({ id: user.id, name: name.trim(), role }, { onSuccess: onClose });
    else create.mutate({ email: email.trim(), name: name.trim(), role, password }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={error} /> : null}
      <TextField label="Name" required maxLength={200} autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} />
      {!user && <TextField label="E-mail" type="email" required autoComplete="off" value={email} onChange={(event) => setEmail(event.target.value)} error={fieldError("email")} />}
      <SelectField label="Role" value={role} onChange={(event) => setRole(event.target.value as Role)} error={fieldError("role")}>
        {PEOPLE_ROLES.map((option) => <option key={option.value} value={option.value}>{option.label}: {option.meaning}</option>)}
      </SelectField>
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
        <Button type="submit" variant="primary" busy={create.isPending || update.isPending}>{user ? "Save changes" : "Add user"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
