"use client";

import type { RoleDetails } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";

import { rolesQuery } from "@/data/roles/queries";
import { SelectField } from "@/ui/field";

import { ROLES } from "./role-labels";
import { useCan } from "./session";

interface RoleFieldProps {
  /** A built-in role's word, or the id of one of the workspace's own. */
  value: string;
  onChange: (role: string) => void;
  /** Words of built-in roles that are not offered. */
  without: readonly string[];
  error?: string | null;
}

/** The workspace's own roles, for those who may see them. */
export function useOwnRoles(): RoleDetails[] {
  const roles = useQuery({ ...rolesQuery, enabled: useCan("roles:read") });
  return (roles.data ?? []).filter((role) => !role.built_in);
}

/** A choice among the built-in roles and the workspace's own. */
export function RoleField({ value, onChange, without, error }: RoleFieldProps) {
  const own = useOwnRoles();
  const builtIn = ROLES.filter((role) => !without.includes(role.value)).map((role) => <option key={role.value} value={role.value}>{role.label}: {role.meaning}</option>);
  return (
    <SelectField label="Role" value={value} onChange={(event) => onChange(event.target.value)} error={error ?? null}>
      {own.length === 0 ? builtIn : (
        <>
          <optgroup label="Built in">{builtIn}</optgroup>
          <optgroup label="Of this workspace">{own.map((role) => <option key={role.id} value={role.id}>{role.name}</option>)}</optgroup>
        </>
      )}
    </SelectField>
  );
}
