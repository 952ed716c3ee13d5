"use client";

import { asProblem } from "@plasma/client/problem";
import type { Team } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useCreateTeam, useUpdateTeam } from "@/data/teams/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

export function TeamDialog({ team, onClose }: { team: Team | "new" | null; onClose: () => void }) {
  return (
    <Dialog open={team !== null} onOpenChange={(open) => !open && onClose()} title={team === "new" ? "Create a team" : "Change team"}>
      {team && <TeamForm team={team === "new" ? null : team} onClose={onClose} />}
    </Dialog>
  );
}

function TeamForm({ team, onClose }: { team: Team | null; onClose: () => void }) {
  const create = useCreateTeam();
  const update = useUpdateTeam();
  const [name, setName] = useState(team?.name ?? "");
  const [description, setDescription] = useState(team?.description ?? "");
  const error = create.error ?? update.error;
  const problem = error ? asProblem(error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const body = { name: name.trim(), description: description.trim() };
    if (team) update.mutate({ id: team.id, ...body }, { onSuccess: onClose });
    else create.mutate(body, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={error} /> : null}
      <TextField label="Name" required maxLength={200} autoComplete="off" placeholder="Marketing" value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} />
      <TextAreaField label="Description" optional rows={3} maxLength={1000} value={description} onChange={(event) => setDescription(event.target.value)} error={fieldError("description")} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={create.isPending || update.isPending}>{team ? "Save changes" : "Create team"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
