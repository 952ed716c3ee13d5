"use client";

import type { CallPurpose, CallStatus } from "@plasma/client/types";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";

import { apiKeysQuery } from "@/data/api-keys/queries";
import type { CallFilter } from "@/data/calls/keys";
import { modelsQuery } from "@/data/models/queries";
import { providersQuery } from "@/data/providers/queries";
import { routesQuery } from "@/data/routes/queries";
import { usersQuery } from "@/data/users/queries";
import { useCan } from "@/features/identity/session";
import { TeamField } from "@/features/identity/team-field";
import { parseMoneyMicros } from "@/lib/format";
import { Button } from "@/ui/button";
import { SelectField, TextField } from "@/ui/field";

import { CALL_PURPOSES, CALL_STATUSES } from "./model-labels";

/** What a person has chosen; empty where nothing. */
export interface CallChoice {
  from: string;
  to: string;
  model: string;
  provider: string;
  route: string;
  status: CallStatus | "";
  purpose: CallPurpose | "";
  /** `key:…` or `user:…`. */
  caller: string;
  team: string;
  cost: string;
  seconds: string;
}

export const NO_CHOICE: CallChoice = { from: "", to: "", model: "", provider: "", route: "", status: "", purpose: "", caller: "", team: "", cost: "", seconds: "" };

/** The choice as the server takes it. An amount that is none yet filters nothing. */
export function filterOf(choice: CallChoice): CallFilter {
  const [kind, id] = choice.caller.split(":", 2);
  const cost = parseMoneyMicros(choice.cost);
  const seconds = choice.seconds === "" ? NaN : Number(choice.seconds);
  return {
    ...(choice.from && { from: choice.from }),
    ...(choice.to && { to: choice.to }),
    ...(choice.model && { model: choice.model }),
    ...(choice.provider && { provider: choice.provider }),
    ...(choice.route && { route: choice.route }),
    ...(choice.status && { status: choice.status }),
    ...(choice.purpose && { purpose: choice.purpose }),
    ...(id && (kind === "key" ? { key: id } : { user: id })),
    ...(choice.team && { team: choice.team }),
    ...(cost !== null && { min_cost_micros: cost }),
    ...(Number.isFinite(seconds) && seconds >= 0 && { min_duration_ms: Math.round(seconds * 1000) }),
  };
}

export function CallFilters({ choice, onChange }: { choice: CallChoice; onChange: (choice: CallChoice) => void }) {
  const models = useQuery(modelsQuery);
  const providers = useQuery(providersQuery);
  const routes = useQuery(routesQuery);
  const set = (changes: Partial<CallChoice>) => onChange({ ...choice, ...changes });
  return (
    <div className="mb-5">
      <div className="grid gap-4 sm:grid-cols-2 lg:grid-cols-4">
        <SelectField label="Model" value={choice.model} onChange={(event) => set({ model: event.target.value })}>
          <option value="">All models</option>
          {models.data?.map((option) => <option key={option.id} value={option.id}>{option.id}</option>)}
        </SelectField>
        <SelectField label="Status" value={choice.status} onChange={(event) => set({ status: event.target.value as CallStatus | "" })}>
          <option value="">Any status</option>
          {Object.entries(CALL_STATUSES).map(([value, { label }]) => <option key={value} value={value}>{label}</option>)}
        </SelectField>
        <TextField label="From day" hint="By UTC." type="date" value={choice.from} max={choice.to || undefined} onChange={(event) => set({ from: event.target.value })} />
        <TextField label="To day" hint="Included." type="date" value={choice.to} min={choice.from || undefined} onChange={(event) => set({ to: event.target.value })} />
      </div>
      <details className="mt-4">
        <summary className="text-[0.875rem] text-soft">More filters</summary>
        <div className="mt-3 grid gap-4 sm:grid-cols-2 lg:grid-cols-3">
          <SelectField label="Provider" value={choice.provider} onChange={(event) => set({ provider: event.target.value })}>
            <option value="">All providers</option>
            <option value="local">This server</option>
            {providers.data?.map((option) => <option key={option.id} value={option.name}>{option.name}</option>)}
          </SelectField>
          <SelectField label="Route" value={choice.route} onChange={(event) => set({ route: event.target.value })}>
            <option value="">Any or none</option>
            {routes.data?.map((option) => <option key={option.name} value={option.name}>{option.name}</option>)}
          </SelectField>
          <SelectField label="Purpose" value={choice.purpose} onChange={(event) => set({ purpose: event.target.value as CallPurpose | "" })}>
            <option value="">Any purpose</option>
            {Object.entries(CALL_PURPOSES).map(([value, label]) => <option key={value} value={value}>{label}</option>)}
          </SelectField>
          <CallerField value={choice.caller} onChange={(caller) => set({ caller })} />
          <TeamField none="Any or none" value={choice.team} onChange={(team) => set({ team })} />
          <TextField label="Cost at least" inputMode="decimal" placeholder="0.01" value={choice.cost} onChange={(event) => set({ cost: event.target.value })} error={choice.cost !== "" && parseMoneyMicros(choice.cost) === null ? "must be an amount such as 0.01" : null} />
          <TextField label="Seconds at least" type="number" min={0} step="any" inputMode="decimal" value={choice.seconds} onChange={(event) => set({ seconds: event.target.value })} />
        </div>
      </details>
      {Object.values(choice).some(Boolean) && <Button small variant="quiet" className="mt-3" onClick={() => onChange(NO_CHOICE)}>Clear filters</Button>}
    </div>
  );
}

/** Who called, for those who may see keys or people. */
function CallerField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const seesKeys = useCan("api_keys:read");
  const seesUsers = useCan("users:read");
  const keys = useInfiniteQuery({ ...apiKeysQuery, enabled: seesKeys });
  const users = useInfiniteQuery({ ...usersQuery, enabled: seesUsers });
  if (!seesKeys && !seesUsers) return null;
  return (
    <SelectField label="Called by" value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">Anybody</option>
      {users.data && <optgroup label="People">{users.data.map((user) => <option key={user.id} value={`user:${user.id}`}>{user.name}</option>)}</optgroup>}
      {keys.data && <optgroup label="API keys">{keys.data.map((key) => <option key={key.id} value={`key:${key.id}`}>{key.name}</option>)}</optgroup>}
    </SelectField>
  );
}
