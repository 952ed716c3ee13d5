"use client";

import { asProblem } from "@plasma/client/problem";
import type { Passkey } from "@plasma/client/types";
import { Plus } from "lucide-react";
import { useState, type SyntheticEvent } from "react";

import { useAddPasskey, useRemovePasskey, useRenamePasskey } from "@/data/security/mutations";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { Time } from "@/ui/time";

import { deviceName } from "./device-name";
import { PasskeyProblem, usePasskeysWork } from "./passkey-support";

export function PasskeysSection({ passkeys, onCodes }: { passkeys: readonly Passkey[]; onCodes: (codes: string[]) => void }) {
  const possible = usePasskeysWork();
  const remove = useRemovePasskey();
  const [adding, setAdding] = useState(false);
  const [renaming, setRenaming] = useState<Passkey | null>(null);
  const [removing, setRemoving] = useState<Passkey | null>(null);
  const reason = possible ? null : "This browser makes no passkeys under this address: it takes HTTPS and the name of a host.";
  return (
    <Section
      title="Passkeys"
      lead="Sign in with a finger, a face or a PIN, without a password. Nobody can phish them."
      actions={<Button icon={<Plus aria-hidden className="size-4" />} reason={reason} onClick={() => setAdding(true)}>Add a passkey</Button>}
    >
      {passkeys.length === 0 ? <p className="text-soft">None yet.</p> : (
        <table className="ledger stack">
          <thead><tr><th>Name</th><th>Made</th><th>Last used</th><th><span className="sr-only">Actions</span></th></tr></thead>
          <tbody>
            {passkeys.map((passkey) => (
              <tr key={passkey.id} data-passkey={passkey.id}>
                <td className="font-medium">{passkey.name}</td>
                <td data-label="Made"><Time at={passkey.created_at} /></td>
                <td data-label="Last used">{passkey.last_used_at === null ? "never" : <Time at={passkey.last_used_at} />}</td>
                <td className="num">
                  <span className="inline-flex gap-2">
                    <Button small onClick={() => setRenaming(passkey)}>Rename</Button>
                    <Button small variant="danger" onClick={() => setRemoving(passkey)}>Remove</Button>
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Dialog open={adding} onOpenChange={setAdding} title="Add a passkey">
        {adding && <AddForm onClose={() => setAdding(false)} onCodes={onCodes} />}
      </Dialog>
      <Dialog open={renaming !== null} onOpenChange={(open) => !open && setRenaming(null)} title="Rename the passkey">
        {renaming && <RenameForm passkey={renaming} onClose={() => setRenaming(null)} />}
      </Dialog>
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        title={`Remove “${removing?.name ?? ""}”?`}
        action="Remove passkey"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.id, { onSuccess: () => setRemoving(null) })}
      >
        It does not sign you in any more. Your device may go on offering it until you delete it there too.
      </ConfirmDialog>
    </Section>
  );
}

function AddForm({ onClose, onCodes }: { onClose: () => void; onCodes: (codes: string[]) => void }) {
  const add = useAddPasskey();
  const [name, setName] = useState(() => deviceName(navigator.userAgent));
  const problem = add.error ? asProblem(add.error) : null;
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    add.mutate(name.trim(), {
      onSuccess: ({ recovery_codes }) => {
        onClose();
        if (recovery_codes) onCodes(recovery_codes);
      },
    });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <PasskeyProblem error={problem?.field === "name" ? null : add.error} />
      <TextField label="Name" required maxLength={200} value={name} onChange={(event) => setName(event.target.value)} error={problem?.field === "name" ? problem.detail : null} hint="So that you recognize it later." />
      <DialogActions>
        <Button type="submit" variant="primary" busy={add.isPending} disabled={name.trim() === ""}>Make the passkey</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}

function RenameForm({ passkey, onClose }: { passkey: Passkey; onClose: () => void }) {
  const rename = useRenamePasskey();
  const [name, setName] = useState(passkey.name);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    rename.mutate({ id: passkey.id, name: name.trim() }, { onSuccess: onClose });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {rename.error ? <ProblemNote error={rename.error} /> : null}
      <TextField label="Name" required maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={rename.isPending} disabled={name.trim() === "" || name.trim() === passkey.name}>Rename</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
