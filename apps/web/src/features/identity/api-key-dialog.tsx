"use client";

import { asProblem } from "@plasma/client/problem";
import type { CreatedApiKey, Permission, Role } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { useCreateApiKey } from "@/data/api-keys/mutations";
import { rolesQuery } from "@/data/roles/queries";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy-button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField, SelectField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { AddressField } from "./address-field";
import { addressesOf } from "./address-list";
import { RoleField } from "./role-field";
import { SCOPES } from "./role-labels";
import { useCan, useMe } from "./session";
import { TeamField } from "./team-field";

const EXPIRIES = [
  { days: 30, label: "In 30 days" },
  { days: 90, label: "In 90 days" },
  { days: 365, label: "In a year" },
  { days: 0, label: "Never" },
];

export function ApiKeyDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const [created, setCreated] = useState<CreatedApiKey | null>(null);
  const change = (next: boolean) => {
    onOpenChange(next);
    if (!next) setCreated(null);
  };
  return (
    <Dialog open={open} onOpenChange={change} title={created ? "Your new API key" : "Create an API key"} wide={created === null}>
      {created ? <CreatedKey apiKey={created} onClose={() => change(false)} /> : <KeyForm onCreated={setCreated} onClose={() => change(false)} />}
    </Dialog>
  );
}

/** The key itself, shown once. */
export function CreatedKey({ apiKey, onClose }: { apiKey: CreatedApiKey; onClose: () => void }) {
  return (
    <>
      <p>Copy it now. Only its fingerprint is stored, so it cannot be shown again.</p>
      <p data-created-key className="figure mt-4 rounded-[5px] bg-marker px-4 py-3 break-all text-on-marker select-all">{apiKey.key}</p>
      <div className="mt-3"><CopyButton text={apiKey.key} label="Copy key" /></div>
      <p className="mt-5 text-[0.875rem] text-soft">Try it:</p>
      <pre className="figure mt-1 overflow-x-auto rounded-[5px] bg-sunken px-4 py-3 text-[0.8125rem]">{`curl -H "Authorization: Bearer ${apiKey.prefix}…" \\\n  ${location.origin}/api/v1/me`}</pre>
      <DialogActions><Button variant="primary" onClick={onClose}>I have copied it</Button></DialogActions>
    </>
  );
}

function KeyForm({ onCreated, onClose }: { onCreated: (key: CreatedApiKey) => void; onClose: () => void }) {
  const me = useMe();
  const create = useCreateApiKey();
  const [name, setName] = useState("");
  const [role, setRole] = useState("service");
  const [addresses, setAddresses] = useState("");
  const [days, setDays] = useState(90);
  const [team, setTeam] = useState("");
  const [narrow, setNarrow] = useState(false);
  const [scopes, setScopes] = useState<Permission[]>(["collections:read", "search:query"]);
  const problem = create.error ? asProblem(create.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);
  const roles = useQuery({ ...rolesQuery, enabled: useCan("roles:read") });
  // A role of the workspace's own is named by its id.
  const own = role.startsWith("role_");
  const offered: readonly Permission[] = roles.data?.find((candidate) => candidate.id === role)?.permissions ?? SCOPES;
  const known = ["name", "role", "custom_role", "expires_at", "team", "scopes"].includes(problem?.field ?? "") || problem?.field?.startsWith("addresses");

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    create.mutate(
      {
        name: name.trim(),
        ...(own ? { custom_role: role } : { role: role as Role }),
        addresses: addressesOf(addresses),
        ...(narrow && { scopes: scopes.filter((scope) => offered.includes(scope)) }),
        ...(team && { team }),
        ...(days > 0 && { expires_at: inDays(days) }),
      },
      { onSuccess: onCreated },
    );
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !known ? <ProblemNote error={create.error} /> : null}
      <TextField label="Name" required maxLength={200} placeholder="Website search" value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} hint="What it is for, so that somebody can tell later whether it is still needed." />
      <div className="grid gap-4 sm:grid-cols-2">
        <RoleField value={role} onChange={setRole} without={me.role === "owner" ? [] : ["owner"]} error={fieldError("role") ?? fieldError("custom_role")} />
        <SelectField label="Expires" value={days} onChange={(event) => setDays(Number(event.target.value))} error={fieldError("expires_at")}>
          {EXPIRIES.map((option) => <option key={option.days} value={option.days}>{option.label}</option>)}
        </SelectField>
      </div>
      <TeamField none="Your default team, if you are in one" value={team} onChange={setTeam} error={fieldError("team")} hint="To which its model calls are counted." />
      <AddressField value={addresses} onChange={setAddresses} problem={problem} />
      <CheckField label="Narrow it to some permissions" hint="Never more than the role allows." checked={narrow} onChange={(event) => setNarrow(event.target.checked)} />
      {narrow && (
        <fieldset className="grid gap-x-6 gap-y-2 border-t border-rule pt-4 sm:grid-cols-2 lg:grid-cols-3">
          <legend className="sr-only">Permissions</legend>
          {offered.map((scope) => (
            <CheckField
              key={scope}
              label={<span className="figure text-[0.875rem]">{scope}</span>}
              checked={scopes.includes(scope)}
              onChange={(event) => setScopes((current) => (event.target.checked ? [...current, scope] : current.filter((other) => other !== scope)))}
            />
          ))}
          {fieldError("scopes") && <p className="text-bad sm:col-span-2">{fieldError("scopes")}</p>}
        </fieldset>
      )}
      <DialogActions>
        <Button type="submit" variant="primary" busy={create.isPending} disabled={narrow && !scopes.some((scope) => offered.includes(scope))}>Create key</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}

/** The moment so many days from now, in microseconds since 1970 UTC. */
function inDays(days: number): number {
  return (Date.now() + days * 86_400_000) * 1000;
}
