"use client";

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";

import { apiKeysQuery } from "@/data/api-keys/queries";
import { providersQuery } from "@/data/providers/queries";
import { routesQuery } from "@/data/routes/queries";
import { teamChoicesQuery } from "@/data/teams/queries";
import { usersQuery } from "@/data/users/queries";
import { SelectField } from "@/ui/field";

export type SubjectKind = "tenant" | "team" | "user" | "api_key" | "route" | "provider";

const KINDS: Record<SubjectKind, string> = {
  tenant: "the whole workspace",
  team: "a team",
  user: "a person",
  api_key: "an API key",
  route: "a route",
  provider: "a provider's credential",
};

/** The teams, people, keys, routes or providers that can be chosen: what names each, and what a person calls it. */
function useChoices(kind: SubjectKind): { value: string; label: string }[] | undefined {
  const teams = useQuery({ ...teamChoicesQuery, enabled: kind === "team" });
  const users = useInfiniteQuery({ ...usersQuery, enabled: kind === "user" });
  const keys = useInfiniteQuery({ ...apiKeysQuery, enabled: kind === "api_key" });
  const routes = useQuery({ ...routesQuery, enabled: kind === "route" });
  const providers = useQuery({ ...providersQuery, enabled: kind === "provider" });
  switch (kind) {
    case "tenant": return [];
    case "team": return teams.data?.map((team) => ({ value: team.id, label: team.name }));
    case "user": return users.data?.map((user) => ({ value: user.id, label: `${user.name} (${user.email})` }));
    case "api_key": return keys.data?.map((key) => ({ value: key.id, label: `${key.name} (${key.prefix}…)` }));
    case "route": return routes.data?.map((route) => ({ value: route.name, label: route.name }));
    case "provider": return providers.data?.map((provider) => ({ value: provider.id, label: provider.name }));
  }
}

/** Whose calls something is for. */
export function SubjectField({ kinds, kind, which, error, onChange }: {
  kinds: SubjectKind[];
  kind: SubjectKind;
  which: string;
  error: string | null;
  onChange: (kind: SubjectKind, which: string) => void;
}) {
  const choices = useChoices(kind);
  return (
    <>
      <SelectField label="For calls of" value={kind} onChange={(event) => onChange(event.target.value as SubjectKind, "")} error={kind === "tenant" ? error : null}>
        {kinds.map((value) => <option key={value} value={value}>{KINDS[value]}</option>)}
      </SelectField>
      {kind !== "tenant" && (
        <SelectField label="Which" required disabled={!choices} value={which} onChange={(event) => onChange(kind, event.target.value)} error={error}>
          <option value="" disabled>{choices ? (choices.length === 0 ? "There is none yet" : "Choose one") : "Loading …"}</option>
          {choices?.map(({ value, label }) => <option key={value} value={value}>{label}</option>)}
        </SelectField>
      )}
    </>
  );
}
