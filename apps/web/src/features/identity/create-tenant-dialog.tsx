"use client";

import { asProblem } from "@plasma/client/problem";
import { useState, type SyntheticEvent } from "react";

import { useCreateTenant } from "@/data/tenants/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

const FIELDS = ["name", "owner.name", "owner.email", "owner.password"];

export function CreateTenantDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onOpenChange={(next) => !next && onClose()} title="Create a workspace">
      {open && <CreateTenantForm onClose={onClose} />}
    </Dialog>
  );
}

function CreateTenantForm({ onClose }: { onClose: () => void }) {
  const create = useCreateTenant();
  const [name, setName] = useState("");
  const [ownerName, setOwnerName] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const problem = create.error ? asProblem(create.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    create.mutate({ name: name.trim(), owner: { name: ownerName.trim(), email: email.trim(), password } }, { onSuccess: onClose });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !FIELDS.includes(problem.field ?? "") ? <ProblemNote error={create.error} /> : null}
      <TextField label="Workspace name" required maxLength={200} autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} />
      <TextField label="Owner’s name" required maxLength={200} autoComplete="off" value={ownerName} onChange={(event) => setOwnerName(event.target.value)} error={fieldError("owner.name")} />
      <TextField label="Owner’s e-mail" type="email" required maxLength={254} autoComplete="off" value={email} onChange={(event) => setEmail(event.target.value)} error={fieldError("owner.email")} hint="New to this installation." />
      <TextField
        label="Owner’s first password"
        type="password"
        required
        minLength={10}
        maxLength={200}
        autoComplete="new-password"
        value={password}
        onChange={(event) => setPassword(event.target.value)}
        error={fieldError("owner.password")}
        hint="At least 10 characters. Pass it on over a safe way; they can change it under Settings."
      />
      <DialogActions>
        <Button type="submit" variant="primary" busy={create.isPending}>Create workspace</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
