"use client";

import { asProblem } from "@plasma/client/problem";
import type { ApiKey, CreatedApiKey } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useRotateApiKey, useUpdateApiKey } from "@/data/api-keys/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { AddressField } from "./address-field";
import { addressesOf, OVERLAPS } from "./address-list";
import { CreatedKey } from "./api-key-dialog";

/** Changes what a key is for, and from where it may be used. */
export function EditApiKeyDialog({ apiKey, onClose }: { apiKey: ApiKey | null; onClose: () => void }) {
  return (
    <Dialog open={apiKey !== null} onOpenChange={(open) => !open && onClose()} title="Change API key">
      {apiKey && <EditForm apiKey={apiKey} onClose={onClose} />}
    </Dialog>
  );
}

function EditForm({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const update = useUpdateApiKey();
  const [name, setName] = useState(apiKey.name);
  const [addresses, setAddresses] = useState(apiKey.addresses.join("\n"));
  const problem = update.error ? asProblem(update.error) : null;
  const known = problem?.field === "name" || problem?.field?.startsWith("addresses");
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    update.mutate({ id: apiKey.id, name: name.trim(), addresses: addressesOf(addresses) }, { onSuccess: onClose });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !known ? <ProblemNote error={update.error} /> : null}
      <TextField label="Name" required maxLength={200} value={name} onChange={(event) => setName(event.target.value)} error={problem?.field === "name" ? problem.detail : null} />
      <AddressField value={addresses} onChange={setAddresses} problem={problem} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={update.isPending}>Save changes</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}

/** Gives a key a successor and shows it once. */
export function RotateApiKeyDialog({ apiKey, onClose }: { apiKey: ApiKey | null; onClose: () => void }) {
  const [created, setCreated] = useState<CreatedApiKey | null>(null);
  const close = () => {
    setCreated(null);
    onClose();
  };
  return (
    <Dialog open={apiKey !== null} onOpenChange={(open) => !open && close()} title={created ? "The new API key" : `Rotate “${apiKey?.name ?? ""}”`}>
      {created ? <CreatedKey apiKey={created} onClose={close} /> : apiKey && <RotateForm apiKey={apiKey} onCreated={setCreated} onClose={close} />}
    </Dialog>
  );
}

function RotateForm({ apiKey, onCreated, onClose }: { apiKey: ApiKey; onCreated: (key: CreatedApiKey) => void; onClose: () => void }) {
  const rotate = useRotateApiKey();
  const [seconds, setSeconds] = useState(86_400);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    rotate.mutate({ id: apiKey.id, overlap_seconds: seconds }, { onSuccess: onCreated });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {rotate.error ? <ProblemNote error={rotate.error} /> : null}
      <p className="text-soft">A new key takes its place, with the same role, scopes and addresses. It belongs to you. Put it where {apiKey.prefix}… is used while both work.</p>
      <SelectField label="The old key works" value={seconds} onChange={(event) => setSeconds(Number(event.target.value))}>
        {OVERLAPS.map((overlap) => <option key={overlap.seconds} value={overlap.seconds}>{overlap.label}</option>)}
      </SelectField>
      <DialogActions>
        <Button type="submit" variant="primary" busy={rotate.isPending}>Make the new key</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
