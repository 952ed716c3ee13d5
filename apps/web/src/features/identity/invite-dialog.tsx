"use client";

import { asProblem } from "@plasma/client/problem";
import type { Role } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useInvite } from "@/data/invitations/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { useToast } from "@/ui/toast";

import { ROLES } from "./role-labels";

const PEOPLE_ROLES = ROLES.filter((role) => role.value !== "service");

export function InviteDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => !next && onClose()}
      title="Invite somebody"
      description="They get a mail with a link that ends after 7 days. Whoever has an account on this installation joins with it; everybody else chooses a name and a password."
    >
      {open && <InviteForm onClose={onClose} />}
    </Dialog>
  );
}

function InviteForm({ onClose }: { onClose: () => void }) {
  const invite = useInvite();
  const notify = useToast();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("editor");
  const problem = invite.error ? asProblem(invite.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    invite.mutate(
      { email: email.trim(), role },
      {
        onSuccess: (invitation) => {
          notify(`Invitation for ${invitation.email} is on its way`);
          onClose();
        },
      },
    );
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && problem.field !== "email" && problem.field !== "role" ? <ProblemNote error={invite.error} /> : null}
      <TextField label="E-mail" type="email" required maxLength={254} autoComplete="off" value={email} onChange={(event) => setEmail(event.target.value)} error={fieldError("email")} />
      <SelectField label="Role" value={role} onChange={(event) => setRole(event.target.value as Role)} error={fieldError("role")} hint="Not higher than your own.">
        {PEOPLE_ROLES.map((option) => <option key={option.value} value={option.value}>{option.label}: {option.meaning}</option>)}
      </SelectField>
      <DialogActions>
        <Button type="submit" variant="primary" busy={invite.isPending}>Send the invitation</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
