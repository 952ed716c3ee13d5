"use client";

import type { Permission, RoleDetails } from "@plasma/client/types";
import { Check } from "lucide-react";

import { Button } from "@/ui/button";
import { CheckField } from "@/ui/field";

import { groupPermissions, meaningOf, toggled } from "./permission-groups";

interface PermissionMatrixProps {
  /** All that may be chosen, in the order in which they are shown. */
  offered: readonly Permission[];
  chosen: readonly Permission[];
  /** Those that whoever edits holds; the others can be seen, but not given. */
  grantable: readonly Permission[];
  onChange: (chosen: Permission[]) => void;
  error?: string | null;
}

/** Permissions to choose: a row for each kind of thing, with all that can be done with it. */
export function PermissionMatrix({ offered, chosen, grantable, onChange, error }: PermissionMatrixProps) {
  return (
    <fieldset className="min-w-0">
      <legend className="text-[0.875rem] font-medium">Permissions</legend>
      {error && <p role="alert" className="mt-1 text-[0.8125rem] text-bad">{error}</p>}
      <div className="mt-2 border-t border-rule-strong">
        {groupPermissions(offered).map((group) => {
          const mine = group.permissions.filter((permission) => grantable.includes(permission));
          const all = mine.length > 0 && mine.every((permission) => chosen.includes(permission));
          return (
            <div key={group.kind} data-permission-group={group.kind} className="grid gap-x-6 gap-y-1.5 border-b border-rule py-2.5 sm:grid-cols-[11rem_minmax(0,1fr)]">
              <p className="flex items-baseline justify-between gap-2">
                <span className="font-medium">{group.label}</span>
                {mine.length > 1 && (
                  <Button small variant="quiet" className="min-h-6! px-1.5" onClick={() => onChange(toggled(offered, chosen, mine, !all))}>
                    {all ? "none" : "all"}<span className="sr-only"> of {group.label}</span>
                  </Button>
                )}
              </p>
              <div className="flex flex-wrap gap-x-6 gap-y-1.5">
                {group.permissions.map((permission) => (
                  <CheckField
                    key={permission}
                    label={<span title={permission}>{meaningOf(permission)}</span>}
                    aria-label={`${group.label}: ${meaningOf(permission)} (${permission})`}
                    disabled={!grantable.includes(permission)}
                    checked={chosen.includes(permission)}
                    onChange={(event) => onChange(toggled(offered, chosen, [permission], event.target.checked))}
                  />
                ))}
              </div>
            </div>
          );
        })}
      </div>
      {offered.some((permission) => !grantable.includes(permission)) && <p className="mt-2 text-[0.8125rem] text-faint">What you may not do yourself you cannot give to others.</p>}
    </fieldset>
  );
}

/** What each role allows, side by side. */
export function RoleMatrix({ roles, permissions }: { roles: readonly RoleDetails[]; permissions: readonly Permission[] }) {
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
    <div className="relative overflow-x-auto" tabIndex={0} role="region" aria-label="What each role allows">
      <table className="ledger">
        <thead>
          <tr>
            <th scope="col" className="sticky left-0 bg-paper">Permission</th>
            {roles.map((role) => <th key={role.id} scope="col" className="text-center!"><span className="inline-block max-w-32 truncate align-bottom" title={role.name}>{role.name}</span></th>)}
          </tr>
        </thead>
        {groupPermissions(permissions).map((group) => (
          <tbody key={group.kind}>
            <tr><th scope="rowgroup" colSpan={roles.length + 1} className="eyebrow pt-4!">{group.label}</th></tr>
            {group.permissions.map((permission) => (
              <tr key={permission}>
                <th scope="row" className="sticky left-0 bg-paper font-normal!"><span className="text-ink">{meaningOf(permission)}</span> <span className="figure text-[0.75rem] text-faint">{permission}</span></th>
                {roles.map((role) => (
                  <td key={role.id} className="text-center!">
                    {role.permissions.includes(permission) ? <><Check aria-hidden className="inline size-4 text-good" /><span className="sr-only">yes</span></> : <span className="text-faint"><span aria-hidden>·</span><span className="sr-only">no</span></span>}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        ))}
      </table>
    </div>
  );
}
