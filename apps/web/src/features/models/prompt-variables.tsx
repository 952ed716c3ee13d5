"use client";

import type { VariableType } from "@plasma/client/types";
import { Plus } from "lucide-react";

import { Button } from "@/ui/button";
import { CheckField, SelectField, TextAreaField, TextField } from "@/ui/field";
import { Section } from "@/ui/page-header";

import { newVariable, TYPES, type VariableDraft } from "./prompt-draft";

interface Props {
  variables: VariableDraft[];
  problem: { field?: string; detail: string } | null;
  onChange: (variables: VariableDraft[]) => void;
}

export function PromptVariables({ variables, problem, onChange }: Props) {
  const add = <Button small icon={<Plus aria-hidden className="size-3.5" />} onClick={() => onChange([...variables, newVariable("")])}>Add a variable</Button>;
  return (
    <Section title="Variables" lead="What callers give with each call. Values are inserted as they are and never read as a template.">
      {variables.length > 0 && (
        <ul className="mb-4 border-t border-rule">
          {variables.map((variable, index) => (
            <Variable
              key={index}
              variable={variable}
              error={(field) => (problem?.field === `variables[${index}].${field}` ? problem.detail : null)}
              onChange={(changes) => onChange(variables.map((one, place) => (place === index ? { ...one, ...changes } : one)))}
              onRemove={() => onChange(variables.filter((_, place) => place !== index))}
            />
          ))}
        </ul>
      )}
      {variables.length < 64 && add}
    </Section>
  );
}

function Variable({ variable, error, onChange, onRemove }: { variable: VariableDraft; error: (field: string) => string | null; onChange: (changes: Partial<VariableDraft>) => void; onRemove: () => void }) {
  const isNumber = variable.type === "integer" || variable.type === "number";
  return (
    <li className="grid gap-4 border-b border-rule py-5 sm:grid-cols-2">
      <TextField label="Name" required pattern="[A-Za-z_][A-Za-z0-9_]*" maxLength={63} spellCheck={false} value={variable.name} onChange={(event) => onChange({ name: event.target.value })} error={error("name")} />
      <SelectField label="Holds" value={variable.type} onChange={(event) => onChange({ type: event.target.value as VariableType })} error={error("type")}>
        {Object.entries(TYPES).map(([type, label]) => <option key={type} value={type}>{label}</option>)}
      </SelectField>
      {variable.type === "enum" && <TextAreaField className="sm:col-span-2" label="Texts" required rows={3} value={variable.values} onChange={(event) => onChange({ values: event.target.value })} error={error("values")} hint="One a line." />}
      {isNumber && <TextField label="At least" optional type="number" step="any" value={variable.minimum} onChange={(event) => onChange({ minimum: event.target.value })} error={error("limits.minimum")} />}
      {isNumber && <TextField label="At most" optional type="number" step="any" value={variable.maximum} onChange={(event) => onChange({ maximum: event.target.value })} error={error("limits.maximum")} />}
      {variable.type === "string" && <TextField label="Characters at most" optional type="number" min={1} value={variable.max_length} onChange={(event) => onChange({ max_length: event.target.value })} error={error("limits.max_length")} />}
      {variable.type === "list" && <TextField label="Entries at most" optional type="number" min={1} value={variable.max_items} onChange={(event) => onChange({ max_items: event.target.value })} error={error("limits.max_items")} />}
      {!variable.required && <TextField label="When it is not given" optional value={variable.default} onChange={(event) => onChange({ default: event.target.value })} error={error("default")} hint={variable.type === "string" || variable.type === "enum" ? "Empty: nothing is inserted." : "As JSON. Empty: nothing is inserted."} />}
      <TextField className="sm:col-span-2" label="What it is for" optional maxLength={500} value={variable.description} onChange={(event) => onChange({ description: event.target.value })} error={error("description")} />
      <div className="flex items-center justify-between gap-4 sm:col-span-2">
        <CheckField label="Each call must give it" checked={variable.required} onChange={(event) => onChange({ required: event.target.checked })} />
        <Button small variant="quiet" onClick={onRemove}>Remove<span className="sr-only"> {variable.name}</span></Button>
      </div>
    </li>
  );
}
