"use client";

import { useQuery } from "@tanstack/react-query";

import { teamChoicesQuery } from "@/data/teams/queries";
import { SelectField } from "@/ui/field";

import { useCan } from "./session";

interface TeamFieldProps {
  /** What no choice means. */
  none: string;
  value: string;
  onChange: (id: string) => void;
  hint?: string;
  error?: string | null;
  className?: string;
}

/** A choice of a team. Nothing where there is none, or where one may not see teams. */
export function TeamField({ none, value, onChange, ...field }: TeamFieldProps) {
  const teams = useQuery({ ...teamChoicesQuery, enabled: useCan("teams:read") });
  if (!teams.data || teams.data.length === 0) return null;
  return (
    <SelectField label="Team" value={value} onChange={(event) => onChange(event.target.value)} {...field}>
      <option value="">{none}</option>
      {teams.data.map((team) => <option key={team.id} value={team.id}>{team.name}</option>)}
    </SelectField>
  );
}
