import { useState } from "react";

import { SelectField, TextField } from "@/ui/field";

import { inSeconds, inUnit, UNITS, type Unit } from "./cache-duration";

/** How long an answer is given again: a number and its unit. */
export function CacheDurationField({ seconds, onChange, error }: { seconds: number; onChange: (seconds: number) => void; error: string | null }) {
  const [{ text, unit }, setDraft] = useState(() => {
    const { count, unit: first } = inUnit(seconds);
    return { text: String(count), unit: first };
  });
  const change = (draft: { text: string; unit: Unit }) => {
    setDraft(draft);
    onChange(inSeconds(Number(draft.text), draft.unit));
  };
  return (
    <div className="grid grid-cols-2 gap-3">
      <TextField label="Answers hold" type="number" min={1} step={1} required value={text} onChange={(event) => change({ text: event.target.value, unit })} error={error} />
      <SelectField label="Unit" value={unit} onChange={(event) => change({ text, unit: event.target.value as Unit })}>
        {UNITS.map(({ value }) => <option key={value} value={value}>{value}</option>)}
      </SelectField>
    </div>
  );
}
