"use client";

import { useInfiniteQuery } from "@tanstack/react-query";

import { apiKeysQuery } from "@/data/api-keys/queries";
import { usersQuery } from "@/data/users/queries";
import { useCan } from "@/features/identity/session";
import { Button } from "@/ui/button";
import { SelectField, TextField } from "@/ui/field";

import { ACTIONS, NO_CHOICE, type AuditChoice } from "./audit-draft";

export function AuditFilters({ choice, onChange }: { choice: AuditChoice; onChange: (choice: AuditChoice) => void }) {
  const set = (changes: Partial<AuditChoice>) => onChange({ ...choice, ...changes });
  return (
    <div className="mb-5">
      <div className="grid gap-4 sm:grid-cols-2 lg:grid-cols-4">
        <TextField label="Words" type="search" placeholder="a name, an id, an address" value={choice.text} onChange={(event) => set({ text: event.target.value })} />
        <SelectField label="Action" value={choice.action} onChange={(event) => set({ action: event.target.value })}>
          <option value="">Any action</option>
          {ACTIONS.map((action) => <option key={action.value} value={action.value}>{action.label}</option>)}
        </SelectField>
        <TextField label="From day" hint="By UTC." type="date" value={choice.from} max={choice.to || undefined} onChange={(event) => set({ from: event.target.value })} />
        <TextField label="To day" hint="Included." type="date" value={choice.to} min={choice.from || undefined} onChange={(event) => set({ to: event.target.value })} />
      </div>
      <details className="mt-4">
        <summary className="text-[0.875rem] text-soft">More filters</summary>
        <div className="mt-3 grid gap-4 sm:grid-cols-2 lg:grid-cols-3">
          <ActorField value={choice.actor} onChange={(actor) => set({ actor })} />
          <TextField label="Subject" hint="The id of the thing that it happened to." value={choice.subject} onChange={(event) => set({ subject: event.target.value })} />
          <TextField label="Address" hint="From which the request came." placeholder="203.0.113.7" value={choice.address} onChange={(event) => set({ address: event.target.value })} />
        </div>
      </details>
      {Object.values(choice).some(Boolean) && <Button small variant="quiet" className="mt-3" onClick={() => onChange(NO_CHOICE)}>Clear filters</Button>}
    </div>
  );
}

/** Who did it: by name for those who may see people and keys, by id for everybody. */
function ActorField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const seesKeys = useCan("api_keys:read");
  const seesUsers = useCan("users:read");
  const keys = useInfiniteQuery({ ...apiKeysQuery, enabled: seesKeys });
  const users = useInfiniteQuery({ ...usersQuery, enabled: seesUsers });
  if (!seesKeys && !seesUsers) return <TextField label="Done by" hint="An id, or system." value={value} onChange={(event) => onChange(event.target.value)} />;
  return (
    <SelectField label="Done by" value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">Anybody</option>
      <option value="system">Plasma itself</option>
      {users.data && <optgroup label="People">{users.data.map((user) => <option key={user.id} value={user.id}>{user.name}</option>)}</optgroup>}
      {keys.data && <optgroup label="API keys">{keys.data.map((key) => <option key={key.id} value={key.id}>{key.name}</option>)}</optgroup>}
    </SelectField>
  );
}
