"use client";

import type { Permission } from "@plasma/client/types";

import { CheckField } from "@/ui/field";

interface PermissionChecksProps {
  legend: string;
  hint: string;
  /** What can be chosen. */
  options: readonly Permission[];
  chosen: readonly Permission[];
  onChange: (chosen: Permission[]) => void;
  error?: string | null;
}

/** A choice of permissions, by their names. What is chosen and no option any more stays until it is taken away. */
export function PermissionChecks({ legend, hint, options, chosen, onChange, error }: PermissionChecksProps) {
  const all = [...options, ...chosen.filter((permission) => !options.includes(permission))];
  const toggle = (permission: Permission, on: boolean) => onChange(on ? [...chosen, permission] : chosen.filter((other) => other !== permission));
  return (
    <fieldset className="border-t border-rule pt-4">
      <legend className="float-left mb-1 w-full text-[0.875rem] font-medium">{legend}</legend>
      <p className="clear-both mb-3 text-[0.8125rem] text-faint">{hint}</p>
      <div className="grid max-h-56 gap-x-6 gap-y-2 overflow-y-auto sm:grid-cols-2 lg:grid-cols-3">
        {all.map((permission) => (
          <CheckField
            key={permission}
            label={<span className="figure text-[0.875rem]">{permission}</span>}
            checked={chosen.includes(permission)}
            onChange={(event) => toggle(permission, event.target.checked)}
          />
        ))}
      </div>
      {error && <p className="mt-2 text-[0.8125rem] text-bad">{error}</p>}
    </fieldset>
  );
}
