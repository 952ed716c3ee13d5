"use client";

import type { Capability } from "@plasma/client/types";

import { CheckField, SelectField } from "@/ui/field";

import { ALL_CAPABILITIES, CAPABILITIES, withCapability } from "./capabilities";

interface ChecksProps {
  legend: string;
  hint?: string;
  chosen: readonly Capability[];
  onChange: (chosen: Capability[]) => void;
  error?: string | null;
}

/** A check box for each capability. */
export function CapabilityChecks({ legend, hint, chosen, onChange, error }: ChecksProps) {
  return (
    <fieldset>
      <legend className="text-[0.875rem] font-medium">{legend}</legend>
      {hint && <p className="mt-1 text-[0.8125rem] leading-snug text-faint">{hint}</p>}
      <div className="mt-2 grid grid-cols-2 gap-2 sm:grid-cols-3">
        {ALL_CAPABILITIES.map((capability) => (
          <CheckField
            key={capability}
            label={CAPABILITIES[capability]}
            checked={chosen.includes(capability)}
            onChange={(event) => onChange(withCapability(chosen, capability, event.target.checked))}
          />
        ))}
      </div>
      {error && <p className="mt-1.5 text-[0.8125rem] leading-snug text-bad">{error}</p>}
    </fieldset>
  );
}

interface FieldsProps {
  /** Null: nobody knows. */
  capabilities: Capability[] | null;
  onChange: (capabilities: Capability[] | null) => void;
  error?: string | null;
}

/** What a chat model can do beyond text, or that nobody knows it. */
export function CapabilityFields({ capabilities, onChange, error }: FieldsProps) {
  return (
    <div className="flex flex-col gap-4">
      <SelectField
        label="Beyond text"
        value={capabilities === null ? "unknown" : "said"}
        onChange={(event) => onChange(event.target.value === "said" ? [] : null)}
        error={error ?? null}
        hint="Routes send a model only requests that it can answer, as far as that is known."
      >
        <option value="unknown">Not known: routes try it</option>
        <option value="said">Only what is checked below</option>
      </SelectField>
      {capabilities !== null && <CapabilityChecks legend="It can do" chosen={capabilities} onChange={onChange} />}
    </div>
  );
}
