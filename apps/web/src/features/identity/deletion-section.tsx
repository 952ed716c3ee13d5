"use client";

import { asProblem } from "@plasma/client/problem";
import { useState, type SyntheticEvent } from "react";

import { useCancelDeletion, useRequestDeletion } from "@/data/tenants/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { useToast } from "@/ui/toast";

import { useDenied, useMe } from "./session";

/** The way to a workspace's end. Once it is asked for, the whole dashboard gives way to what is left to do. */
export function DeletionSection() {
  const { tenant } = useMe();
  const denied = useDenied("tenants:delete");
  const [open, setOpen] = useState(false);
  return (
    <Section title="Deletion" lead="Closes the workspace for everybody at once. When a grace period has passed, everything in it is erased; until then an owner can take it back.">
      <Button variant="danger" reason={denied} onClick={() => setOpen(true)}>Delete this workspace</Button>
      <DeletionDialog tenant={open ? tenant : null} onClose={() => setOpen(false)} />
    </Section>
  );
}

export function DeletionDialog({ tenant, onClose }: { tenant: { id: string; name: string } | null; onClose: () => void }) {
  return (
    <Dialog open={tenant !== null} onOpenChange={(open) => !open && onClose()} title={`Delete ${tenant?.name ?? ""}?`}>
      {tenant && <DeletionForm tenant={tenant} onClose={onClose} />}
    </Dialog>
  );
}

function DeletionForm({ tenant, onClose }: { tenant: { id: string; name: string }; onClose: () => void }) {
  const request = useRequestDeletion();
  const [name, setName] = useState("");
  const problem = request.error ? asProblem(request.error) : null;
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    request.mutate({ id: tenant.id, name: name.trim() }, { onSuccess: onClose });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <p className="text-soft">
        Everybody is refused from this moment, but for the owners. When the grace period ends, all documents, calls, prompts,
        content, users without another workspace, and files are erased from this installation. Make an export first if anything
        of it may be needed again.
      </p>
      {problem && problem.field !== "name" ? <ProblemNote error={request.error} /> : null}
      <TextField
        label="Type the workspace’s name"
        required
        autoComplete="off"
        value={name}
        onChange={(event) => setName(event.target.value)}
        hint={tenant.name}
        error={problem?.field === "name" ? problem.detail : null}
      />
      <DialogActions>
        <Button type="submit" variant="danger" busy={request.isPending} disabled={name.trim() !== tenant.name}>Delete workspace</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}

export function CancelDeletion({ id }: { id: string }) {
  const cancel = useCancelDeletion();
  const denied = useDenied("tenants:delete");
  const notify = useToast();
  return (
    <>
      {cancel.error ? <ProblemNote error={cancel.error} className="mb-4" /> : null}
      <Button variant="primary" busy={cancel.isPending} reason={denied} onClick={() => cancel.mutate(id, { onSuccess: () => notify("The deletion is taken back") })}>
        Take the deletion back
      </Button>
    </>
  );
}
